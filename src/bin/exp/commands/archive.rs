use clap::Args;
use experiments::text::escape;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;

/// End an experiment for good
///
/// Nothing about it changes any more. Its assignments stay, and count for its group.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp archive checkout_v1")]
pub(crate) struct Archive {
    /// Its name
    #[arg(add = complete::live_experiments())]
    name: String,
}

impl Archive {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let change = context.service(Purpose::Change)?.archive(&self.name)?;
        context.show(&Done(change.clone()))?;
        let name = escape(&self.name);
        context.say(match change {
            Some(_) => format!("archived {name}"),
            None => format!("{name} is archived already: nothing changed"),
        });
        Ok(())
    }
}
