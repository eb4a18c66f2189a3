//! `VARIANT=JSON`, what a variant stands for.

use serde_json::Value;

/// Parses `VARIANT=JSON`. The first `=` with JSON behind it separates, so a variant's name may hold one.
pub(crate) fn parse_value(text: &str) -> Result<(String, Value), String> {
    let splits = text.match_indices('=');
    let mut splits = splits.map(|(at, _)| (&text[..at], &text[at + 1..]));
    let parsed = splits.find_map(|(name, json)| {
        let value = serde_json::from_str(json).ok()?;
        Some((name.to_owned(), value))
    });
    parsed.ok_or_else(|| match text.split_once('=') {
        None => "expected VARIANT=JSON, for example control=12".to_owned(),
        Some((name, value)) => format!(
            "'{value}' is not JSON; text is written in double quotes, in a shell: '{name}=\"{}\"'",
            value.trim_matches(['"', '\''])
        ),
    })
}
