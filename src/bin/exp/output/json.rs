//! JSON: one document on one line.

use std::fmt::Write as _;

use experiments::text::is_unsafe;
use serde::Serialize;

use super::View;

pub(crate) fn render(view: &impl View) -> anyhow::Result<String> {
    safe_line(view)
}

/// A value on one line.
pub(crate) fn safe_line(value: &impl Serialize) -> anyhow::Result<String> {
    let json = serde_json::to_string(value)?;
    let mut line = String::with_capacity(json.len() + 1);
    push_safe(&mut line, &json);
    line.push('\n');
    Ok(line)
}

/// Adds a string, in quotes.
pub(crate) fn string(line: &mut String, text: &str) {
    let is_plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        line.push('"');
        line.push_str(text);
        line.push('"');
    } else {
        push_safe(line, &serde_json::Value::from(text).to_string());
    }
}

fn push_safe(line: &mut String, json: &str) {
    for c in json.chars() {
        // What JSON lets through raw, and a terminal would act on, can only be inside a string.
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(c);
        }
    }
}
