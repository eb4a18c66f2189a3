use clap::Args;
use experiments::text::escape;
use experiments::{ChangeRecord, ExperimentState};

use super::ready::{self, Beside};
use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;
use crate::output::stream;

/// Start an experiment
///
/// From then on it assigns actors. A concluded experiment runs again, without its winner. Warns of
/// what could spoil it: no metric, a metric without a window, assignments that depend on those of a
/// live experiment, a group that holds actors or has nobody left, one variant only, weights that can't
/// be expressed. On a terminal it asks first where the assignments of a draft would depend on those of a
/// live experiment; a script is only warned.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp start checkout_v2\n\n\
    In a script that starts only what is ready:\n  exp start checkout_v2 --strict")]
pub(crate) struct Start {
    /// The experiment's name
    #[arg(add = complete::experiments_in(
        &[ExperimentState::Draft, ExperimentState::Paused, ExperimentState::Concluded]))]
    pub(super) name: String,

    /// Refuse to start it if it would warn of anything that can be fixed
    #[arg(long)]
    pub(super) strict: bool,

    /// Start it without asking
    #[arg(short, long)]
    pub(super) yes: bool,
}

/// What has become of an experiment that runs now.
pub(super) fn said(name: &str, change: &ChangeRecord) -> String {
    let before = change.detail.as_ref();
    match before.and_then(|detail| detail.before.state) {
        Some(ExperimentState::Paused) => format!("resumed {name}"),
        Some(ExperimentState::Concluded) => {
            format!("started {name} again: it was concluded, and has no winner any more")
        }
        _ => format!("started {name}"),
    }
}

impl Start {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Change)?;
        let config = service.status(&self.name)?;
        let starting = match config.state {
            ExperimentState::Draft | ExperimentState::Paused | ExperimentState::Concluded => {
                Some(Beside::read(&config, &service)?)
            }
            ExperimentState::Running | ExperimentState::Archived => None,
        };
        if let Some(beside) = starting.as_ref().filter(|_| self.strict) {
            ready::require(&config, beside, ready::sentence)?;
        }
        let asks = !self.strict && !self.yes && stream::can_ask();
        let was_asked = match &starting {
            Some(beside) if asks && config.state == ExperimentState::Draft => {
                ready::confirm(&config, beside)?
            }
            _ => false,
        };
        let change = service.start(&self.name)?;
        context.show(&Done::new(change.clone()))?;
        let name = escape(&self.name);
        let Some(change) = change else {
            context.say(format_args!("{name} is running already: nothing changed"));
            return Ok(());
        };
        context.say(said(&name, &change));
        if let Some(beside) = starting {
            ready::warn(&config, &beside, context, |kind| {
                !was_asked || !ready::is_dependence(kind)
            });
        }
        Ok(())
    }
}
