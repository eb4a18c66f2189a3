//! From experiments back to a file that declares them.

use std::fmt::Write as _;

use serde_json::Value;

use crate::experiment::{ExperimentConfig, VariantConfig, VariantValues};
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
            // Each stands beside its variant.
            None | Some(FieldValue::Values(_)) => {}
            Some(FieldValue::Variants(variants)) => write_variants(text, variants, &config.values),
            Some(FieldValue::Metrics(metrics)) => write_metrics(text, metrics),
            Some(value) => {
                let _ = writeln!(text, "{} = {}", field.key(), value_of(value));
            }
        }
    }
}

fn write_variants(text: &mut String, variants: &[VariantConfig], values: &VariantValues) {
    text.push_str("variants = [\n");
    for variant in variants {
        let name = string(&variant.name);
        let _ = write!(text, "  {{ name = {name}, weight = {}", variant.weight);
        if let Some(value) = values.get(&variant.name) {
            text.push_str(", value = ");
            write_json(text, value);
        }
        text.push_str(" },\n");
    }
    text.push_str("]\n");
}

/// A JSON value in one line. One without nulls, as no other is stored.
fn write_json(text: &mut String, value: &Value) {
    let comma = |index: usize| if index > 0 { ", " } else { "" };
    match value {
        // JSON writes these as TOML does.
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let _ = write!(text, "{value}");
        }
        Value::String(string) => write_quoted(text, string),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(comma(index));
                write_json(text, item);
            }
            text.push(']');
        }
        Value::Object(members) if members.is_empty() => text.push_str("{}"),
        Value::Object(members) => {
            text.push_str("{ ");
            for (index, (key, member)) in members.iter().enumerate() {
                text.push_str(comma(index));
                write_key(text, key);
                text.push_str(" = ");
                write_json(text, member);
            }
            text.push_str(" }");
        }
    }
}

fn write_key(text: &mut String, key: &str) {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.chars().all(is_bare) {
        text.push_str(key);
    } else {
        write_quoted(text, key);
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
        // Over several lines, beside their variants, and as tables of their own.
        FieldValue::Variants(_) | FieldValue::Values(_) | FieldValue::Metrics(_) => String::new(),
    }
}

/// Text as a TOML value, in quotes.
pub(super) fn string(text: &str) -> String {
    let must_be_escaped = |c: char| is_unsafe(c) && !matches!(c, '\n' | '\t');
    if !text.contains(must_be_escaped) {
        return toml::Value::from(text).to_string();
    }
    // What TOML lets through raw and a terminal would act on.
    let mut quoted = String::new();
    write_quoted(&mut quoted, text);
    quoted
}

/// Text as a TOML value or key, in quotes and in one line.
fn write_quoted(quoted: &mut String, text: &str) {
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_unsafe(c) => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
}
