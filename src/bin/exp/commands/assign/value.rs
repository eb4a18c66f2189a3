//! What the variants stand for, as `--value` prints it.

use experiments::ExperimentConfig;
use experiments::text::escape;
use serde_json::Value;

use crate::exit::{Hint, Invalid};
use crate::output::json;

/// Refuses `--value` where no variant has a value, before anybody is assigned. Where an application has added a
/// variant, which has none, the others are served.
pub(super) fn require(config: &ExperimentConfig) -> anyhow::Result<()> {
    match config.variants.first() {
        Some(variant) if config.values.is_empty() => Err(missing(&config.name, &variant.name)),
        _ => Ok(()),
    }
}

pub(super) fn missing(experiment: &str, variant: &str) -> anyhow::Error {
    let (experiment, variant) = (escape(experiment), escape(variant));
    let message = format!("experiment '{experiment}': variant '{variant}' has no value");
    let hint = "exp edit, or a file for exp apply, gives each variant a value";
    anyhow::Error::new(Invalid(message)).context(Hint(hint.to_owned()))
}

/// A string as it is, anything else as JSON on one line.
pub(super) fn text(value: &Value) -> anyhow::Result<String> {
    Ok(match value {
        Value::String(text) => text.clone(),
        other => json::safe_line(other)?.trim_end().to_owned(),
    })
}
