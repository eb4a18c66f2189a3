mod story;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use experiments::text::escape;
use experiments::{ExperimentError, SqliteAccess, SqliteExperimentStore};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::environment::{self, NamedStore};
use crate::exit::{Hint, Invalid, UsageError, quote};
use crate::output::View;
use crate::output::text::Text;
use crate::output::tsv::Tsv;
use crate::secrets::mask;

/// The store's name in the directory.
const FILE: &str = "experiments.db";

/// Make a store with a test that has run, to look around in
///
/// Visitors, what they bought, and a change of weights are made up, always the same. The directory is made if
/// it is not there; nothing else is touched.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp demo shop\n\nTSV columns: command")]
pub(crate) struct Demo {
    /// Where the store goes
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    directory: PathBuf,
}

impl Demo {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let NamedStore::File(directory) = environment::place(self.directory)? else {
            let message = "a demo goes into a directory, not into a database";
            return Err(UsageError(message.to_owned()).into());
        };
        let file = directory.join(FILE);
        let shown = mask(&file.to_string_lossy());
        if file.symlink_metadata().is_ok() {
            let message = format!("{} already exists", escape(&shown));
            let hint = format!(
                "exp --store {} list shows what it holds; for a new one, name another directory",
                quote(&shown)
            );
            return Err(anyhow::Error::new(Invalid(message)).context(Hint(hint)));
        }
        let timeout = SqliteExperimentStore::BUSY_TIMEOUT;
        let store = SqliteExperimentStore::open_as(&file, SqliteAccess::Create, timeout);
        let store = store.map_err(ExperimentError::from)?;
        let now = environment::clock()?.now_secs();
        story::tell(&store, now).with_context(|| format!("making {}", escape(&shown)))?;
        context.show(&Tour::of(&shown))
    }
}

/// What to try.
#[derive(Serialize, JsonSchema)]
pub(super) struct Tour {
    /// The path of its file.
    store: String,
    /// What to type.
    commands: Vec<String>,
}

impl Tour {
    fn of(store: &str) -> Self {
        let name = story::NAME;
        let commands = [
            format!("status {name}"),
            format!("results {name}"),
            format!("explain {name} {}", story::VISITOR),
            format!("history {name}"),
            format!("results {name} --html results.html"),
        ];
        let place = quote(store);
        Self {
            store: store.to_owned(),
            commands: commands
                .map(|command| format!("exp --store {place} {command}"))
                .into(),
        }
    }
}

impl View for Tour {
    fn text(&self, text: &mut Text) {
        let store = escape(&self.store);
        text.line(format_args!(
            "made {store}: {} visitors in a test of {} days, all of it made up",
            story::VISITORS,
            story::DAYS
        ));
        text.line("");
        text.line("try:");
        for command in &self.commands {
            text.line(format_args!("  {command}"));
        }
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for command in &self.commands {
            tsv.line(&[command]);
        }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["command"]
    }
}
