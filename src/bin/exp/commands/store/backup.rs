use std::path::PathBuf;

use clap::Args;
use experiments::text::escape;

use crate::context::{Context, Opened, Purpose};
use crate::environment::{self, NamedStore};
use crate::exit::UsageError;

/// Write a copy of the store to a new file, while others use it
///
/// The copy is a store of its own: name it with --store. A database is copied with pg_dump.
#[derive(Args)]
#[command(
    override_usage = "exp store backup [OPTIONS] --to <FILE>",
    after_help = "Examples:\n  exp store backup --to experiments-$(date +%F).db"
)]
#[expect(clippy::doc_markdown, reason = "the docs are the help")]
pub(crate) struct Backup {
    /// The new file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath,
          required_unless_present = "file")]
    to: Option<PathBuf>,

    // What `--to` was before it was named as that of `exp store copy` is.
    #[arg(hide = true, conflicts_with = "to", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
}

impl Backup {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        #[expect(clippy::expect_used, reason = "clap requires one of the two")]
        let target = self.to.or(self.file).expect("one is there");
        let NamedStore::File(file) = environment::place(target)? else {
            let message = "a backup is a file; exp store copy --to copies into a database";
            return Err(UsageError(message.to_owned()).into());
        };
        let Opened::File(store) = context.open(Purpose::Use)? else {
            let message = "a database is backed up with pg_dump, not with exp store backup";
            return Err(UsageError(message.to_owned()).into());
        };
        store.backup(&file)?;
        let file = file.to_string_lossy();
        context.say(format_args!("copied the store to {}", escape(&file)));
        Ok(())
    }
}
