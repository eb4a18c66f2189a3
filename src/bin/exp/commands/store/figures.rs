//! Named figures, one a line.

use serde::{Serialize, Serializer};

use crate::output::View;
use crate::output::text::{Text, safe};
use crate::output::tsv::Tsv;

/// What is shown: as JSON the value itself, otherwise its figures with their names.
pub(super) struct Figures<T> {
    pub(super) value: T,
    pub(super) lines: Vec<(&'static str, String)>,
    /// What people are told besides.
    pub(super) note: Option<&'static str>,
}

impl<T: Serialize> Serialize for Figures<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: Serialize> View for Figures<T> {
    fn columns(&self) -> &'static [&'static str] {
        &["figure", "value"]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for (name, value) in &self.lines {
            tsv.line(&[name, value]);
        }
    }

    fn text(&self, text: &mut Text) {
        for (name, value) in &self.lines {
            text.line(format_args!("{name:<12} {}", safe(value)));
        }
        if let Some(note) = self.note {
            text.line(note);
        }
    }
}
