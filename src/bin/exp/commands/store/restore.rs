use std::path::PathBuf;

use clap::Args;
use experiments::text::escape;
use experiments::{ErrorKind, ExperimentError, SqliteRestore, StoreErrorKind, StoreFinding};
use schemars::JsonSchema;
use serde::Serialize;

use super::figures::Figures;
use super::in_use::in_use;
use crate::context::Context;
use crate::environment::{self, NamedStore};
use crate::exit::{Failed, Hint, UsageError};
use crate::output::stream;

/// Put a backup in the store's place
///
/// The backup is copied and checked first, as exp store check does, and stays where it is. The store that is
/// there is kept beside it, with all that is in its log, under the name that is printed. Nobody may use it
/// meanwhile. A crash leaves either of the two in place, and nothing in between.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp store restore experiments-2025-11-24.db\n  \
    exp store restore --yes experiments-2025-11-24.db\n\n\
    TSV columns: figure, value")]
pub(crate) struct Restore {
    /// The backup: a file that exp store backup has written
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    backup: PathBuf,
    /// Restore without asking
    #[arg(short, long)]
    yes: bool,
    /// Restore it whatever the check finds
    #[arg(long)]
    anyway: bool,
}

const DAMAGED: ErrorKind = ErrorKind::Store(StoreErrorKind::Corrupt);

/// What to do about a backup that is not whole.
const OTHERWISE: &str = "take an older backup, or repair a copy of this one with exp store check --repair; \
                         --anyway restores it as it is";

/// What was restored.
#[derive(Serialize, JsonSchema)]
pub(in crate::commands) struct Restored {
    /// The path of the store.
    store: String,
    /// The path of the backup.
    backup: String,
    /// Where the store is kept that was there.
    kept: Option<String>,
}

impl Restore {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let NamedStore::File(store) = context.place()? else {
            let message =
                "a database is restored with pg_restore or psql, not with exp store restore";
            return Err(UsageError(message.to_owned()).into());
        };
        let NamedStore::File(backup) = environment::place(self.backup)? else {
            let message = "a backup is a file; exp store copy copies from a database";
            return Err(UsageError(message.to_owned()).into());
        };
        let restore = SqliteRestore::prepare(&store, &backup).map_err(unusable)?;
        let found = match restore.check() {
            Err(error) if error.kind() == DAMAGED && self.anyway => {
                context.warn(format_args!("the backup: {error}"));
                Vec::new()
            }
            Err(error) if error.kind() == DAMAGED => {
                return Err(anyhow::Error::new(error).context(Hint(OTHERWISE.to_owned())));
            }
            found => found?,
        };
        for finding in &found {
            context.warn(format_args!("the backup: {}", finding.message));
        }
        if !found.is_empty() && !self.anyway {
            return Err(refused(&found));
        }
        let [store_name, backup_name] =
            [&store, &backup].map(|path| path.to_string_lossy().into_owned());
        if store.exists() && !self.yes && stream::can_ask() {
            let question = format!(
                "put {} in the place of the store {}?",
                escape(&backup_name),
                escape(&store_name)
            );
            if !stream::confirm(&question)? {
                return Err(Failed("nothing was restored".to_owned()).into());
            }
        }
        let kept = restore.finish(context.lock_timeout()?).map_err(in_use)?;
        let kept = kept.map(|path| path.to_string_lossy().into_owned());
        if let Some(kept) = &kept {
            let kept = escape(kept);
            context.say(format_args!("what was there before is kept as {kept}"));
        }
        context.say(format_args!("restored {}", escape(&store_name)));
        let mut lines = vec![
            ("store", store_name.clone()),
            ("backup", backup_name.clone()),
        ];
        lines.extend(kept.clone().map(|kept| ("kept", kept)));
        context.show(&Figures {
            lines,
            note: None,
            value: Restored {
                store: store_name,
                backup: backup_name,
                kept,
            },
        })
    }
}

/// The hints of these errors are for a store.
fn unusable(error: ExperimentError) -> anyhow::Error {
    let kind = error.kind();
    let error = anyhow::Error::new(error);
    match kind {
        ErrorKind::Store(
            StoreErrorKind::Missing | StoreErrorKind::NotAStore | StoreErrorKind::Corrupt,
        ) => {
            let hint = "name a file that exp store backup has written";
            error.context(Hint(hint.to_owned()))
        }
        _ => error,
    }
}

fn refused(found: &[StoreFinding]) -> anyhow::Error {
    let number = found.iter().map(|finding| finding.findings).sum::<u64>();
    let things = if number == 1 {
        "thing is"
    } else {
        "things are"
    };
    let refusal = Failed(format!(
        "nothing was restored: {number} {things} wrong with the backup"
    ));
    anyhow::Error::new(refusal).context(Hint(OTHERWISE.to_owned()))
}
