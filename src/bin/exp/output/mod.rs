//! The formats, one file each. A command says what it has to show as a [`View`]; nothing else here
//! knows a command.

pub(crate) mod change;
mod difference;
pub(crate) mod figures;
pub(crate) mod findings;
pub(crate) mod interval;
pub(crate) mod json;
pub(crate) mod man;
pub(crate) mod markdown;
pub(crate) mod metric;
pub(crate) mod plan;
pub(crate) mod rows;
pub(crate) mod sarif;
pub(crate) mod schema;
pub(crate) mod stream;
pub(crate) mod text;
pub(crate) mod tsv;

use schemars::JsonSchema;
use serde::Serialize;

use self::text::Text;
use self::tsv::Tsv;

/// Something to show. Its JSON is its serde form, which its JSON Schema describes.
pub(crate) trait View: Serialize + JsonSchema {
    /// The names of the fields of a line, for `--header`.
    fn columns(&self) -> &'static [&'static str];

    /// Writes its lines.
    fn tsv(&self, tsv: &mut Tsv);

    /// Writes it for people.
    fn text(&self, text: &mut Text);
}
