//! Whether anything was changed, of what is said on standard error.

use schemars::JsonSchema;
use serde::Serialize;

use crate::output::View;
use crate::output::text::Text;
use crate::output::tsv::Tsv;

/// What was done.
#[derive(Serialize, JsonSchema)]
pub(in crate::commands) struct Changed {
    /// Whether anything was changed.
    pub(super) changed: bool,
}

impl View for Changed {
    fn columns(&self) -> &'static [&'static str] {
        &["changed"]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        tsv.line(&[&self.changed.to_string()]);
    }

    /// It is said on standard error.
    fn text(&self, _text: &mut Text) {}
}
