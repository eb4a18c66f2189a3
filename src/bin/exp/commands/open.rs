use clap::Args;
use experiments::text::escape;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;

/// Let newcomers into an experiment again
///
/// Undoes exp close. The coverage still decides how many enter.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp open checkout_v2")]
pub(crate) struct Open {
    /// The experiment's name
    #[arg(add = complete::unfinished_experiments())]
    name: String,
}

impl Open {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Change)?;
        let change = service.set_enrolling(&self.name, true)?;
        context.show(&Done::new(change.clone()))?;
        let name = escape(&self.name);
        context.say(match change {
            Some(_) => format!("opened {name}: newcomers may enter"),
            None => format!("{name} is open already: nothing changed"),
        });
        Ok(())
    }
}
