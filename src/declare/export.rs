//! From experiments back to a file that declares them.

use std::fmt::Write as _;

use crate::experiment::ExperimentConfig;
use crate::field::{ConfigField, FieldValue, MetricField};
use crate::metric::{Cap, MetricConfig};
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
        match field.declared(config) {
            None | Some(FieldValue::Values(_)) => {}
            Some(FieldValue::Metrics(metrics)) => write_metrics(text, metrics),
            Some(value) => {
                let _ = writeln!(text, "{} = {}", field.key(), value_of(value));
            }
        }
    }
}

fn write_metrics(text: &mut String, metrics: &[MetricConfig]) {
    for metric in metrics {
        text.push_str("\n[[experiment.metrics]]\n");
        for field in MetricField::ALL {
            if let Some(value) = field.get(metric) {
                let _ = writeln!(text, "{} = {}", field.key(), value_of(value));
            }
        }
    }
}

/// A value, as it stands behind a key in a file.
pub(super) fn value_of(value: FieldValue<'_>) -> String {
    match value {
        FieldValue::Text(text) => string(text),
        FieldValue::Flag(flag) => flag.to_string(),
        FieldValue::Share(share) => share.to_string(),
        FieldValue::Number(number) | FieldValue::Cap(Cap::Value(number)) => number.to_string(),
        FieldValue::Count(count) => count.to_string(),
        FieldValue::Window(window) => string(&window.to_string()),
        FieldValue::Cap(cap @ Cap::Quantile(_)) => string(&cap.to_string()),
        FieldValue::Variants(variants) => {
            let mut list = "[\n".to_owned();
            for variant in variants {
                let name = string(&variant.name);
                let _ = writeln!(list, "  {{ name = {name}, weight = {} }},", variant.weight);
            }
            list + "]"
        }
        // Behind no key, but beside their variants, and as tables of their own.
        FieldValue::Values(_) | FieldValue::Metrics(_) => String::new(),
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
