//! Fields separated by tabs, a record a line, no header.

use experiments::text::is_unsafe;

use super::View;

pub(crate) fn render(view: &impl View) -> String {
    let mut tsv = Tsv::default();
    view.tsv(&mut tsv);
    tsv.buffer
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
            for c in field.chars() {
                if c == '\\' || is_unsafe(c) {
                    self.buffer.extend(c.escape_default());
                } else {
                    self.buffer.push(c);
                }
            }
        }
        self.buffer.push('\n');
    }
}
