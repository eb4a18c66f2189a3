//! JSON: one document on one line.

use std::fmt::Write as _;

use experiments::text::is_unsafe;

use super::View;

pub(crate) fn render(view: &impl View) -> anyhow::Result<String> {
    let json = serde_json::to_string(view)?;
    let mut line = String::with_capacity(json.len() + 1);
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
    line.push('\n');
    Ok(line)
}
