use clap::Args;
use experiments::ExperimentConfig;
use experiments::text::escape;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;

/// Keep newcomers out of an experiment
///
/// Whoever is in stays in and is still exposed, so that measuring can go on. exp open lets
/// newcomers in again.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp close checkout_v2")]
pub(crate) struct Close {
    /// The experiment's name
    #[arg(add = complete::unfinished_experiments())]
    name: String,
}

impl Close {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let opened = context.open(Purpose::Change)?;
        let service = opened.service();
        let change = service.set_enrolling(&self.name, false)?;
        context.show(&Done::new(change.clone()))?;
        let name = escape(&self.name);
        if change.is_none() {
            context.say(format_args!("{name} is closed already: nothing changed"));
            return Ok(());
        }
        context.say(format_args!(
            "closed {name}: newcomers are refused, and whoever is in stays in"
        ));
        let after = service.status(&self.name)?;
        let before = ExperimentConfig {
            enrolling: true,
            ..after.clone()
        };
        context.warn_of_application(&opened, std::iter::once((Some(&before), &after)))
    }
}
