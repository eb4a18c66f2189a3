use clap::Args;
use experiments::{ExperimentError, PgExperimentStore};

use super::changed::Changed;
use crate::context::{Context, Purpose};
use crate::environment::NamedStore;
use crate::exit::UsageError;

/// Make the tables in a database, or add what is missing to an application's own
///
/// What is there stays as it is: every column that is added has a default or may be empty, nothing
/// is renamed or dropped, and the application goes on working. A file needs none of it: it is
/// brought up to date when it is opened.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  exp store migrate --store postgres://app@db/shop\n\n\
    TSV columns: changed"
)]
pub(crate) struct Migrate {
    /// Also record an Autumn application's own migration of these tables as applied
    ///
    /// For a database in which exp makes the tables before the application does: without the record,
    /// the application's migrations stop at a type that already exists. Not for a database of another
    /// program that uses diesel, which would not know the migration.
    #[arg(long)]
    for_application: bool,
}

impl Migrate {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let changed = match context.place()? {
            NamedStore::File(_) if self.for_application => {
                let message = "--for-application is for a database: applications share no file";
                return Err(UsageError(message.to_owned()).into());
            }
            NamedStore::File(_) => {
                context.open(Purpose::Use)?;
                false
            }
            NamedStore::Database(options) if self.for_application => {
                PgExperimentStore::migrate_for_application(&options)
                    .map_err(ExperimentError::from)?
            }
            NamedStore::Database(options) => {
                PgExperimentStore::migrate(&options).map_err(ExperimentError::from)?
            }
        };
        context.show(&Changed { changed })?;
        context.say(match (changed, self.for_application) {
            (false, _) => "the tables were ready: nothing changed",
            (true, false) => "the tables are ready",
            (true, true) => {
                "the tables are ready; the application's migration of them is recorded as applied"
            }
        });
        Ok(())
    }
}
