//! Making text from outside safe to show. Nothing here knows what an experiment is.

use std::borrow::Cow;
use std::fmt;

/// `text` with every character that could drive a terminal, reorder a line or go unseen written as an
/// escape: control characters (`\n`, `\t`, `\u{1b}` …), line separators, bidirectional overrides, and
/// what is invisible (`\u{200b}` …). Everything else stays as it is.
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

/// Whether a character must not reach a terminal raw: it could act on it, or would not be seen.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || is_invisible(c)
}

/// Whether a character leaves no mark: white space, or invisible.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_invisible(c)
}

/// Whether a character is neither white space nor seen. What Unicode 17 calls default ignorable, the
/// controls of annotations and of hieroglyphs, and two symbols that are drawn as nothing. The format
/// characters that are drawn (Arabic number signs and their like) are not among them.
pub(crate) fn is_invisible(c: char) -> bool {
    !c.is_ascii()
        && matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
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

    #[test]
    fn what_would_not_be_seen_is_spelled_out() {
        assert_eq!(escape("a\u{200b}b\u{feff}"), "a\\u{200b}b\\u{feff}");
        assert_eq!(escape("\u{e0041}\u{3164}"), "\\u{e0041}\\u{3164}");
        let seen = "\u{600}1 \u{a0}\u{3000} क्\u{937} 한";
        assert_eq!(escape(seen), seen);
    }
}
