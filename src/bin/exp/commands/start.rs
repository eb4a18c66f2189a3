use clap::Args;
use experiments::ExperimentState;
use experiments::text::escape;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;

/// Start an experiment
///
/// From then on it assigns actors. A concluded experiment runs again, without its winner.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp start checkout_v2")]
pub(crate) struct Start {
    /// Its name
    #[arg(add = complete::experiments_in(&[ExperimentState::Draft, ExperimentState::Concluded]))]
    name: String,
}

impl Start {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let change = context.service(Purpose::Change)?.start(&self.name)?;
        context.show(&Done(change.clone()))?;
        let name = escape(&self.name);
        context.say(match change {
            Some(_) => format!("started {name}"),
            None => format!("{name} runs already: nothing changed"),
        });
        Ok(())
    }
}
