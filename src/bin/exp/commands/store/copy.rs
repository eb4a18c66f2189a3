use std::path::PathBuf;

use clap::Args;
use experiments::store::transfer::{self, Source, Tally, Target};
use experiments::text::escape;
use experiments::{ExperimentStore as _, PgCopy, PgExperimentStore, SqliteCopy};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use schemars::JsonSchema;
use serde::Serialize;

use super::figures::Figures;
use super::in_use::in_use;
use crate::context::{Context, Opened, Purpose};
use crate::environment::{self, NamedStore};
use crate::exit::UsageError;

/// Copy everything into an empty store: from a file to a database, or back
///
/// Experiments, assignments, overrides, the audit log and exposures, as they are at this moment;
/// others go on using the store that is copied. The target must be a file that does not exist yet, or a
/// database whose tables are empty or missing. It is read back at the end, and its counts and
/// checksum, which are printed, must be those of the source. Run the same command again to resume an
/// interrupted copy; no other command uses the target until it is complete.
#[derive(Args)]
#[expect(clippy::doc_markdown, reason = "the docs are the help")]
#[command(after_help = "Examples:\n  \
    exp store copy --to postgres://app@db/shop\n  \
    exp store copy --to postgres://app@db/shop --retire\n  \
    exp store copy --store postgres://app@db/shop --to experiments.db\n\n\
    TSV columns: figure, value")]
pub(crate) struct Copy {
    /// The store to write: a new file, or postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "PATH|URL", value_hint = clap::ValueHint::FilePath)]
    to: PathBuf,
    /// Discard an unfinished copy of another store, and start over
    #[arg(long)]
    restart: bool,
    /// Rename the file that was copied once the copy is complete, so that nobody goes on using it
    #[arg(long)]
    retire: bool,
}

impl Copy {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let opened = context.open(Purpose::Use)?;
        if self.retire && matches!(opened, Opened::Database(_)) {
            let message =
                "--retire renames a file; take the right to write from the database's user instead";
            return Err(UsageError(message.to_owned()).into());
        }
        if let (true, Opened::File(store)) = (self.retire, &opened) {
            store.require_retirable()?;
        }
        let source: &dyn Source = match &opened {
            Opened::File(store) => store,
            Opened::Database(store) => store,
        };
        let place = environment::place(self.to)?;
        let mut target: Box<dyn Target> = match &place {
            NamedStore::File(path) => Box::new(SqliteCopy::new(path)),
            NamedStore::Database(options) => Box::new(PgCopy::new((**options).clone())),
        };
        let bar = progress(context);
        let copied = transfer::copy(source, &mut *target, self.restart, &mut |written, total| {
            bar.set_length(total);
            bar.set_position(written);
        });
        bar.finish_and_clear();
        let copied = copied?;
        let retired = match &opened {
            Opened::File(source) if self.retire => Some(source.retire(&copied.tally)),
            Opened::File(_) | Opened::Database(_) => None,
        };
        let retired_to = retired.as_ref().and_then(|retired| retired.as_ref().ok());
        let target = target.store().to_string();
        context.show(&figures(Copied {
            tally: copied.tally,
            target: target.clone(),
            retired: retired_to.map(|path| path.to_string_lossy().into_owned()),
        }))?;
        if copied.was_complete {
            context.say(format_args!(
                "the copy in {target} was complete already: nothing was written"
            ));
        } else if copied.resumed_at > 0 {
            context.say(format_args!(
                "resumed after the first {} records",
                copied.resumed_at
            ));
        }
        if !copied.was_complete {
            context.say(format_args!("copied to {target}, and read back"));
        }
        if copied.left_out > 0 {
            context.warn(format_args!(
                "left out what belongs to experiments that no longer exist: {} entries",
                copied.left_out
            ));
        }
        if copied.is_outdated {
            context
                .warn("the store was changed while it was copied; what is new is not in the copy");
        }
        if let Some(retired) = retired.transpose().map_err(in_use)? {
            context.say(format_args!(
                "renamed the store that was copied to {}",
                escape(&retired.to_string_lossy())
            ));
        }
        if let NamedStore::Database(options) = place {
            let store = PgExperimentStore::open(*options);
            let store = store.map_err(experiments::ExperimentError::from)?;
            let configs = store.list()?;
            let copied = configs.iter().map(|config| (None, config));
            context.warn_of_application(&Opened::Database(store), copied)?;
        }
        Ok(())
    }
}

fn progress(context: &Context) -> ProgressBar {
    if context.is_quiet() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    bar.set_draw_target(ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{wide_bar} {percent}% {per_sec} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// What was copied, and where to.
#[derive(Serialize, JsonSchema)]
pub(in crate::commands) struct Copied {
    #[serde(flatten)]
    tally: Tally,
    /// The store that was written.
    target: String,
    /// With --retire, the new path of the file that was copied.
    retired: Option<String>,
}

fn figures(copied: Copied) -> Figures<Copied> {
    let tally = &copied.tally;
    Figures {
        lines: vec![
            ("experiments", tally.experiments.to_string()),
            ("assignments", tally.assignments.to_string()),
            ("overrides", tally.overrides.to_string()),
            ("exposures", tally.exposures.to_string()),
            ("changes", tally.changes.to_string()),
            ("outcomes", tally.outcomes.to_string()),
            ("checksum", tally.checksum.clone()),
        ],
        note: None,
        value: copied,
    }
}
