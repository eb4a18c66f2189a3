use clap::Args;
use experiments::ExperimentState;
use experiments::text::escape;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::exit;
use crate::output::change::Done;

/// Remove a draft that was never used
///
/// It is refused once the experiment has started, and while assignments, overrides or exposures of
/// it are stored: exp archive ends such an experiment. The history stays, under the name.
#[derive(Args)]
#[command(
    visible_alias = "rm",
    after_help = "Examples:\n  exp delete chekout_v2"
)]
pub(crate) struct Delete {
    /// The experiment's name
    #[arg(add = complete::experiments_in(&[ExperimentState::Draft]))]
    name: String,
}

impl Delete {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let change = context.service(Purpose::Change)?.delete(&self.name)?;
        context.show(&Done::new(change))?;
        context.say(format_args!(
            "deleted {}; its history stays: exp history {}",
            escape(&self.name),
            exit::positional(&self.name)
        ));
        Ok(())
    }
}
