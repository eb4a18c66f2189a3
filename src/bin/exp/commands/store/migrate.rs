use clap::Args;
use experiments::{ExperimentError, PgExperimentStore};

use crate::context::{Context, Purpose};
use crate::environment::Place;

/// Make the tables in a database, or add what is missing to an application's own
///
/// What is there stays as it is: every column that is added has a default or may be empty, nothing
/// is renamed or dropped, and the application goes on working. A file needs none of it: it is
/// brought up to date when it is opened.
#[derive(Args)]
pub(crate) struct Migrate {}

impl Migrate {
    #[expect(clippy::unused_self, reason = "every command runs by value")]
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let changed = match context.place()? {
            Place::File(_) => {
                context.open(Purpose::Use)?;
                false
            }
            Place::Database(options) => {
                PgExperimentStore::migrate(&options).map_err(ExperimentError::from)?
            }
        };
        context.say(if changed {
            "the tables are ready"
        } else {
            "the tables were ready: nothing changed"
        });
        Ok(())
    }
}
