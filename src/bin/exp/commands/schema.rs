use clap::Args;
use experiments::declare::schema;

use crate::output::stream;

/// Print the JSON Schema of files of experiments
///
/// Editors complete and validate with it. Name it in the first line of a file:
/// #:schema ./exp.schema.json
#[derive(Args)]
#[command(after_help = "Examples:\n  exp schema > exp.schema.json")]
pub(crate) struct Schema {}

impl Schema {
    #[expect(clippy::unused_self, reason = "every command is run alike")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        stream::print(&(serde_json::to_string_pretty(&schema())? + "\n"))
    }
}
