use clap::Args;
use experiments::ExperimentState;
use experiments::text::escape;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::exit::Failed;
use crate::output::change::Done;
use crate::output::plan::who_loses;
use crate::output::stream;

/// End an experiment for good
///
/// Every actor loses the variant, or the winner, and the experiment can't be changed any more. Its
/// assignments stay stored, and count for its group. On a terminal it asks first; a script is not
/// asked.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp archive checkout_v1\n  exp archive checkout_v1 --yes")]
pub(crate) struct Archive {
    /// The experiment's name
    #[arg(add = complete::live_experiments())]
    name: String,

    /// Archive without asking
    #[arg(short, long)]
    yes: bool,
}

impl Archive {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Change)?;
        if !self.yes && stream::can_ask() {
            let summary = service.summary(&self.name)?;
            let variants = summary.variants.iter();
            let stored = variants.map(|v| v.assigned + v.overridden).sum();
            if let Some(loses) = who_loses(&summary.config, stored) {
                stream::tell(format_args!("{}: {loses}", self.name));
            }
            let is_open = summary.config.state != ExperimentState::Archived;
            if is_open && !stream::confirm("Archive it?")? {
                return Err(Failed("nothing was archived".to_owned()).into());
            }
        }
        let change = service.archive(&self.name)?;
        context.show(&Done::new(change.clone()))?;
        let name = escape(&self.name);
        context.say(match change {
            Some(_) => format!("archived {name}"),
            None => format!("{name} is archived already: nothing changed"),
        });
        Ok(())
    }
}
