//! Making text from outside safe to show. Nothing here knows what an experiment is.

use std::borrow::Cow;
use std::fmt;

/// `text` with every character that could drive a terminal or reorder a line written as an escape:
/// control characters (`\n`, `\t`, `\u{1b}` …), line separators and bidirectional overrides.
/// Everything else stays as it is.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character must not reach a terminal raw.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Displays text in single quotes, [escaped](escape), and cut where it is far too long for a name.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Quoted<'_> {
    const MAX_CHARS: usize = 80;
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(Self::MAX_CHARS) {
            None => write!(f, "'{}'", escape(self.0)),
            Some((end, _)) => write!(f, "'{}…'", escape(&self.0[..end])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn ordinary_text_is_kept() {
        assert_eq!(escape("Größe 日本 'a' \\ =="), "Größe 日本 'a' \\ ==");
    }

    #[test]
    fn what_could_drive_a_terminal_is_spelled_out() {
        assert_eq!(escape("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
        assert_eq!(escape("\u{9b}2J\u{202e}x"), "\\u{9b}2J\\u{202e}x");
    }
}
