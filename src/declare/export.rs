//! From experiments back to a file that declares them.

use std::fmt::Write as _;

use crate::bucketing::Bucketing;
use crate::experiment::ExperimentConfig;
use crate::text::is_unsafe;

/// A file that declares these experiments: to apply it where they come from changes nothing.
#[must_use]
pub fn to_toml(experiments: &[ExperimentConfig]) -> String {
    let mut text = String::new();
    for (index, config) in experiments.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        write_experiment(&mut text, config);
    }
    text
}

fn write_experiment(text: &mut String, config: &ExperimentConfig) {
    text.push_str("[[experiment]]\n");
    let mut line = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {}", string(value));
        }
    };
    line("name", Some(&config.name));
    line("description", config.description.as_deref());
    line("state", Some(config.state.as_str()));
    line("winner", config.deciding_winner());
    line("exclusion_group", config.exclusion_group.as_deref());
    let bucketing = Some(config.bucketing).filter(|hash| *hash != Bucketing::default());
    line("bucketing", bucketing.map(Bucketing::as_str));
    text.push_str("variants = [\n");
    for variant in &config.variants {
        let name = string(&variant.name);
        let _ = writeln!(text, "  {{ name = {name}, weight = {} }},", variant.weight);
    }
    text.push_str("]\n");
}

/// Text as a TOML value, in quotes.
pub(super) fn string(text: &str) -> String {
    let must_be_escaped = |c: char| is_unsafe(c) && !matches!(c, '\n' | '\t');
    if !text.contains(must_be_escaped) {
        return toml::Value::from(text).to_string();
    }
    // What TOML lets through raw and a terminal would act on.
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_unsafe(c) => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
