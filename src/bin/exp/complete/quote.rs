//! Quotes, as shells read and need them.

use std::iter::Peekable;
use std::str::CharIndices;

/// The quotes that a place in a line stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    /// None.
    Plain,
    /// `'...'`
    Single,
    /// `"..."`
    Double,
    /// `$'...'`
    Dollar,
}

/// A word without its quotes.
pub(super) struct Word {
    /// Where it begins in the line.
    pub(super) start: usize,
    pub(super) text: String,
}

/// The words of a line, of which the last may be empty, and the quotes in which the line ends. In single quotes
/// fish also knows `\'` and `\\`.
pub(super) fn unquoted(line: &str, is_fish: bool) -> (Vec<Word>, Quote) {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = Quote::Plain;
    let mut rest = line.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        if quote == Quote::Plain && c.is_ascii_whitespace() {
            words.extend(word.take());
            continue;
        }
        let text = String::new();
        let word = &mut word.get_or_insert(Word { start, text }).text;
        match (quote, c) {
            (Quote::Plain, '\'') => quote = Quote::Single,
            (Quote::Plain, '"') => quote = Quote::Double,
            (Quote::Plain, '$') if !is_fish && next_is(&mut rest, "'") => {
                rest.next();
                quote = Quote::Dollar;
            }
            (Quote::Single | Quote::Dollar, '\'') | (Quote::Double, '"') => quote = Quote::Plain,
            (Quote::Plain | Quote::Dollar, '\\') => word.extend(rest.next().map(|(_, c)| c)),
            (Quote::Double, '\\') if next_is(&mut rest, "\"\\$`") => {
                word.extend(rest.next().map(|(_, c)| c));
            }
            (Quote::Single, '\\') if is_fish && next_is(&mut rest, "'\\") => {
                word.extend(rest.next().map(|(_, c)| c));
            }
            (_, c) => word.push(c),
        }
    }
    let text = String::new();
    words.push(word.unwrap_or(Word {
        start: line.len(),
        text,
    }));
    (words, quote)
}

fn next_is(rest: &mut Peekable<CharIndices<'_>>, any: &str) -> bool {
    rest.peek().is_some_and(|(_, next)| any.contains(*next))
}

impl Quote {
    /// `text` as bash needs it in these quotes to read it as it is. Bash closes them behind it, unless it ends in
    /// what looks like the closing one.
    pub(super) fn write(self, text: &str) -> String {
        let mut written = String::with_capacity(text.len());
        for c in text.chars() {
            match self {
                Self::Plain if c.is_alphanumeric() || "_-./:=+@%,".contains(c) => {}
                Self::Single if c == '\'' => {
                    written.push_str(r"'\''");
                    continue;
                }
                // There it would stay with its backslash.
                Self::Double if c == '!' => {
                    written.push_str(r#""\!""#);
                    continue;
                }
                Self::Plain => written.push('\\'),
                Self::Double if "\"\\$`".contains(c) => written.push('\\'),
                Self::Dollar if "'\\".contains(c) => written.push('\\'),
                Self::Single | Self::Double | Self::Dollar => {}
            }
            written.push(c);
        }
        let closing = match self {
            Self::Plain => return written,
            Self::Single | Self::Dollar => '\'',
            Self::Double => '"',
        };
        if written.ends_with(closing) {
            written.push(closing);
        }
        written
    }
}

/// `text` as a word of PowerShell, to which typographic quotes are quotes as well.
pub(super) fn for_powershell(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./\\:=+".contains(c);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut written = String::from('\'');
    for c in text.chars() {
        if "'\u{2018}\u{2019}\u{201a}\u{201b}".contains(c) {
            written.push(c);
        }
        written.push(c);
    }
    written.push('\'');
    written
}
