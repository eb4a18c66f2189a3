use clap::Args;
use experiments::ExperimentState;
use experiments::text::escape;

use super::start::{self, Start};
use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;

/// Let a paused experiment run again
///
/// Everybody has the same variant as before. An experiment in another state is started, as exp start does.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp resume checkout_v2")]
pub(crate) struct Resume {
    /// The experiment's name
    #[arg(add = complete::experiments_in(&[ExperimentState::Paused]))]
    name: String,
}

impl Resume {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Change)?;
        if service.status(&self.name)?.state == ExperimentState::Draft {
            let start = Start {
                name: self.name,
                strict: false,
                yes: false,
            };
            return start.run(context);
        }
        let change = service.start(&self.name)?;
        context.show(&Done::new(change.clone()))?;
        let name = escape(&self.name);
        let Some(change) = change else {
            context.say(format_args!("{name} is running already: nothing changed"));
            return Ok(());
        };
        context.say(start::said(&name, &change));
        Ok(())
    }
}
