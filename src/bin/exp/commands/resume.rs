use clap::Args;
use experiments::ExperimentState;
use experiments::text::escape;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;

/// Let a paused experiment run again
///
/// Everybody has the variant of before. For an experiment in another state it is exp start.
#[derive(Args)]
#[command(after_help = "Example:\n  exp resume checkout_v2")]
pub(crate) struct Resume {
    /// Its name
    #[arg(add = complete::experiments())]
    name: String,
}

impl Resume {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let change = context.service(Purpose::Change)?.start(&self.name)?;
        context.show(&Done(change.clone()))?;
        let name = escape(&self.name);
        let Some(change) = change else {
            context.say(format_args!("{name} runs already: nothing changed"));
            return Ok(());
        };
        let before = change.detail.and_then(|detail| detail.before.state);
        context.say(match before {
            Some(ExperimentState::Paused) => format!("resumed {name}"),
            Some(ExperimentState::Concluded) => {
                format!("started {name} again: it was concluded, and has no winner any more")
            }
            _ => format!("started {name}"),
        });
        Ok(())
    }
}
