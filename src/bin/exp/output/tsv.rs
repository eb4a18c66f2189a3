//! Fields separated by tabs, a record a line, with a header if one is asked for.

use std::borrow::Cow;

use experiments::text::is_unsafe;

/// Adds a field, with what would break a line or drive a terminal escaped.
pub(crate) fn field(line: &mut String, field: &str) {
    // Nothing below space and nothing beyond ASCII: nothing to look at one by one.
    if field
        .bytes()
        .all(|byte| (b' '..0x7f).contains(&byte) && byte != b'\\')
    {
        line.push_str(field);
        return;
    }
    for c in field.chars() {
        if c == '\\' || is_unsafe(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

/// A name in a field that holds several, separated by commas or with = behind: in double quotes, doubled inside, if it
/// holds what separates them.
pub(crate) fn listed(name: &str) -> Cow<'_, str> {
    if name.contains([',', '=', '"']) {
        Cow::Owned(format!("\"{}\"", name.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(name)
    }
}

#[derive(Default)]
pub(crate) struct Tsv {
    buffer: String,
}

impl Tsv {
    /// Adds a line.
    pub(crate) fn line(&mut self, fields: &[&str]) {
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                self.buffer.push('\t');
            }
            self::field(&mut self.buffer, field);
        }
        self.buffer.push('\n');
    }

    pub(crate) fn into_string(self) -> String {
        self.buffer
    }
}
