use clap::Args;
use experiments::ExperimentState;
use experiments::text::escape;

use super::ready;
use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;

/// Start an experiment
///
/// From then on it assigns actors. A concluded experiment runs again, without its winner. Warns of
/// what could spoil it: no metric, a metric without a window, assignments that depend on those of a
/// live experiment, a group that has nobody left, one variant only, weights that can't be expressed.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp start checkout_v2\n\n\
    In a script that starts only what is ready:\n  exp start checkout_v2 --strict")]
pub(crate) struct Start {
    /// The experiment's name
    #[arg(add = complete::experiments_in(
        &[ExperimentState::Draft, ExperimentState::Paused, ExperimentState::Concluded]))]
    pub(super) name: String,

    /// Refuse to start it if there is anything to warn of
    #[arg(long)]
    pub(super) strict: bool,
}

impl Start {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Change)?;
        let all = service.list()?;
        let found = all.iter().find(|config| config.name == self.name);
        let starting = found.filter(|config| match config.state {
            ExperimentState::Draft | ExperimentState::Paused | ExperimentState::Concluded => true,
            ExperimentState::Running | ExperimentState::Archived => false,
        });
        if let Some(config) = starting.filter(|_| self.strict) {
            ready::require(config, &all)?;
        }
        let change = service.start(&self.name)?;
        context.show(&Done::new(change.clone()))?;
        let name = escape(&self.name);
        if change.is_none() {
            context.say(format_args!("{name} is running already: nothing changed"));
            return Ok(());
        }
        context.say(format_args!("started {name}"));
        if let Some(config) = starting {
            ready::warn(config, &all, context, |_| true);
        }
        Ok(())
    }
}
