//! What went wrong, in one line.

use std::fmt::Write as _;

use super::errors::Hint;

/// The error and its causes, in one line.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut chain = error.chain();
    if error.downcast_ref::<Hint>().is_some() {
        chain.next();
    }
    let mut message = String::new();
    for cause in chain {
        let cause = cause.to_string();
        // A wrapper that is transparent repeats the message of what it wraps.
        if message.ends_with(&cause) {
            continue;
        }
        if let Some(code) = repeated_code(&message, &cause) {
            let _ = write!(message, " (error code {code})");
            continue;
        }
        let separator = if message.is_empty() { "" } else { ": " };
        let _ = write!(message, "{separator}{cause}");
    }
    message
}

/// The code in a cause of SQLite that says for the rest what its wrapper has said.
fn repeated_code<'a>(message: &str, cause: &'a str) -> Option<&'a str> {
    let (code, said) = cause.strip_prefix("Error code ")?.split_once(": ")?;
    message.ends_with(said).then_some(code)
}

/// What clap found wrong in one line, and what it proposes: the first paragraph of its text and the tips.
pub(super) fn of_parse_error(text: &str) -> (String, Option<String>) {
    let one_line = |lines: &mut dyn Iterator<Item = &str>| {
        let words = lines.flat_map(str::split_whitespace);
        words.collect::<Vec<_>>().join(" ")
    };
    let said = text.strip_prefix("error: ").unwrap_or(text);
    let message = one_line(&mut said.lines().take_while(|line| !line.trim().is_empty()));
    let tips = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("tip: "));
    let tips = tips.collect::<Vec<_>>().join("; ");
    (message, Some(tips).filter(|tips| !tips.is_empty()))
}
