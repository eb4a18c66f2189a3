//! What differs between two sides: `what  before → after`.

use unicode_width::UnicodeWidthStr as _;

use super::text::{Text, hanging, safe};

/// What differs, and its two values, safe to show.
pub(crate) struct Difference {
    pub(crate) what: String,
    pub(crate) before: String,
    pub(crate) after: String,
}

impl Difference {
    /// Of two values that are safe to show; none if they are equal.
    pub(super) fn of(what: &str, before: Option<String>, after: Option<String>) -> Option<Self> {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        (before != after).then(|| Self {
            what: safe(what),
            before: shown(before),
            after: shown(after),
        })
    }
}

/// A line for each.
pub(super) fn write(differences: &[Difference], indent: &str, text: &mut Text) {
    let width = differences.iter().map(|difference| difference.what.width());
    let width = width.max().unwrap_or(0);
    for Difference {
        what,
        before,
        after,
    } in differences
    {
        let pad = " ".repeat(width - what.width());
        let begin = format!("{indent}{what}{pad}  ");
        hanging(text, begin.width(), &begin, &format!("{before} → {after}"));
    }
}
