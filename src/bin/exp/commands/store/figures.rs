//! Named figures, one a line.

use schemars::JsonSchema;
use serde::Serialize;

use crate::output::View;
use crate::output::text::{Text, safe};
use crate::output::tsv::Tsv;

/// What is shown: as JSON the value itself, otherwise its figures with their names.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Figures<T> {
    pub(super) value: T,
    #[serde(skip)]
    pub(super) lines: Vec<(&'static str, String)>,
    /// What people are told besides.
    #[serde(skip)]
    pub(super) note: Option<&'static str>,
}

impl<T: Serialize + JsonSchema> View for Figures<T> {
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
