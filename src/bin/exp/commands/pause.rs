use clap::Args;
use experiments::ExperimentState;
use experiments::text::escape;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::exit;
use crate::output::change::Done;

/// Stop giving out variants until exp resume
///
/// Nothing is forgotten: after exp resume everybody has the same variant as before. To keep only
/// newcomers out, use exp close.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp pause checkout_v2")]
pub(crate) struct Pause {
    /// The experiment's name
    #[arg(add = complete::experiments_in(&[ExperimentState::Running]))]
    name: String,
}

impl Pause {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let change = context.service(Purpose::Change)?.pause(&self.name)?;
        context.show(&Done::new(change.clone()))?;
        let name = escape(&self.name);
        context.say(match change {
            Some(_) => format!(
                "paused {name}: nobody gets a variant until exp resume {}",
                exit::positional(&self.name)
            ),
            None => format!("{name} is paused already: nothing changed"),
        });
        Ok(())
    }
}
