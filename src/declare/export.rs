//! From experiments back to a file that declares them.

use std::fmt::Write as _;

use crate::experiment::ExperimentConfig;
use crate::field::{ConfigField, FieldValue};
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
    for field in ConfigField::ALL {
        if let Some(value) = field.declared(config) {
            let _ = writeln!(text, "{} = {}", field.key(), value_of(value));
        }
    }
}

/// A value, as it stands in a file.
fn value_of(value: FieldValue<'_>) -> String {
    match value {
        FieldValue::Text(text) => string(text),
        FieldValue::Share(share) => share.to_string(),
        FieldValue::Variants(variants) => {
            let mut list = "[\n".to_owned();
            for variant in variants {
                let name = string(&variant.name);
                let _ = writeln!(list, "  {{ name = {name}, weight = {} }},", variant.weight);
            }
            list + "]"
        }
    }
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
