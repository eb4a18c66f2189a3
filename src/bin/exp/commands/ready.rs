//! What a careful colleague asks before an experiment starts.

use experiments::readiness::{ConcernKind, StartConcern, concerns};
use experiments::text::escape;
use experiments::{ExperimentConfig, ExperimentState};

use super::dependence;
use crate::context::Context;
use crate::exit::{Hint, Invalid, positional};
use crate::output::stream::{self, Label};

/// Warns of what there is to think about, beside all experiments of the store, once it has started: as far as that `is_told`.
pub(super) fn warn(
    config: &ExperimentConfig,
    all: &[ExperimentConfig],
    context: &Context,
    is_told: fn(&ConcernKind) -> bool,
) {
    // It takes a while to measure.
    if context.is_quiet() {
        return;
    }
    let started = ExperimentConfig {
        state: ExperimentState::Running,
        ..config.clone()
    };
    let mut concerns = concerns(&started, all);
    concerns.retain(|concern| is_told(&concern.kind));
    for concern in concerns {
        context.warn(sentence(&concern));
    }
}

/// Refuses to start it if there is anything, whatever that is being told.
pub(super) fn require(config: &ExperimentConfig, all: &[ExperimentConfig]) -> anyhow::Result<()> {
    let concerns = concerns(config, all);
    for concern in &concerns {
        // Also with -q, as they are the reasons.
        stream::tell_as(Label::Warning, sentence(concern));
    }
    let count = match concerns.len() {
        0 => return Ok(()),
        1 => "1 warning".to_owned(),
        several => format!("{several} warnings"),
    };
    let message = format!("{} is not ready to start: {count}", escape(&config.name));
    let hint = Hint("without --strict it starts anyway".to_owned());
    Err(anyhow::Error::new(Invalid(message)).context(hint))
}

/// It in the words for whoever types commands.
pub(super) fn sentence(concern: &StartConcern) -> String {
    let help = match &concern.kind {
        ConcernKind::NoWindow { .. } => format!(
            "without a window results name no winner unless --final; exp edit {} can set window = \"7d\"",
            positional(&concern.experiment)
        ),
        ConcernKind::Dependent { remedy, .. } => dependence::typed(remedy),
        ConcernKind::GroupTaken { by, .. } => {
            let by = positional(by);
            format!(
                "to leave it newcomers, close the other (exp close {by}) or lower its coverage \
                 (exp set-coverage {by} SHARE)"
            )
        }
        ConcernKind::GroupScarce { .. } => {
            "to leave it more, lower their coverage: exp set-coverage NAME SHARE".to_owned()
        }
        _ => concern.help(),
    };
    format!("{concern}; {help}")
}
