use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use experiments::SqliteExperimentStore;
use experiments::text::escape;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::{Context, Opened, Purpose};
use crate::environment::{self, NamedStore};
use crate::exit::{Failed, UsageError};
use crate::output::View;
use crate::output::text::Text;
use crate::output::tsv::Tsv;

/// Write a copy of the store to a new file, while others use it
///
/// The copy is a store of its own: name it with --store. In a directory, it gets the store's name.
/// A database is copied with pg_dump.
#[derive(Args)]
#[command(
    override_usage = "exp store backup [OPTIONS] --to <FILE>",
    after_help = "Examples:\n  exp store backup --to experiments-$(date +%F).db\n\n\
    To another machine:\n  exp store backup --to - | ssh backup 'cat > experiments.db'\n\n\
    TSV columns: file"
)]
#[expect(clippy::doc_markdown, reason = "the docs are the help")]
pub(crate) struct Backup {
    /// The new file, or a directory; - is standard output
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
        let NamedStore::File(mut file) = environment::place(target)? else {
            let message = "a backup is a file; exp store copy --to copies into a database";
            return Err(UsageError(message.to_owned()).into());
        };
        let Opened::File(store) = context.open(Purpose::Use)? else {
            let message = "a database is backed up with pg_dump, not with exp store backup";
            return Err(UsageError(message.to_owned()).into());
        };
        if file == Path::new("-") {
            print(&store)?;
            context.say("copied the store to standard output");
            return Ok(());
        }
        if let NamedStore::File(source) = context.place()?
            && let Some(name) = source.file_name()
            && file.is_dir()
        {
            file.push(name);
        }
        store.backup(&file)?;
        let file = file.to_string_lossy().into_owned();
        context.say(format_args!("copied the store to {}", escape(&file)));
        context.show(&Copied { file })
    }
}

/// Writes the copy to standard output, once it is complete.
fn print(store: &SqliteExperimentStore) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    if output.is_terminal() {
        let message =
            "a backup is not text for a terminal; redirect standard output to a file or a program";
        return Err(UsageError(message.to_owned()).into());
    }
    let failed = "cannot make a temporary file";
    let directory = tempfile::tempdir().context(failed)?;
    let copy = directory.path().join("store.db");
    store.backup(&copy)?;
    let mut copy = File::open(copy).context(failed)?;
    let written = io::copy(&mut copy, &mut output).and_then(|_| output.flush());
    written.map_err(|error| match error.kind() {
        // Elsewhere that is no error, but half a backup is none.
        io::ErrorKind::BrokenPipe => {
            Failed("standard output was closed before the backup was complete".to_owned()).into()
        }
        _ => anyhow::Error::new(error).context("cannot write to standard output"),
    })
}

/// Where the copy is.
#[derive(Serialize, JsonSchema)]
pub(in crate::commands) struct Copied {
    /// The path of its file.
    file: String,
}

impl View for Copied {
    fn columns(&self) -> &'static [&'static str] {
        &["file"]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        tsv.line(&[&self.file]);
    }

    /// It is said on standard error.
    fn text(&self, _text: &mut Text) {}
}
