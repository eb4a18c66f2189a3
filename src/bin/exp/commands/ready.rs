//! What a careful colleague asks before an experiment starts.

use experiments::readiness::{ConcernKind, StartConcern, concerns, window_concerns};
use experiments::text::escape;
use experiments::{
    ExperimentConfig, ExperimentError, ExperimentService, ExperimentState, HeldByGroup,
};

use super::dependence;
use crate::context::Context;
use crate::exit::{Failed, Hint, Invalid, positional};
use crate::output::stream::{self, Label};

/// What is in the store beside an experiment.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) all: Vec<ExperimentConfig>,
    /// Whom the experiment's group holds.
    pub(super) held: HeldByGroup,
}

impl Beside {
    pub(super) fn read(
        config: &ExperimentConfig,
        service: &ExperimentService,
    ) -> Result<Self, ExperimentError> {
        let all = service.list()?;
        let held = service.held_by_group(config, &all)?;
        Ok(Self { all, held })
    }
}

/// Warns of what there is to think about once it has started: as far as that `is_told`.
pub(super) fn warn(
    config: &ExperimentConfig,
    beside: &Beside,
    context: &Context,
    is_told: impl Fn(&ConcernKind) -> bool,
) {
    // It takes a while to measure.
    if context.is_quiet() {
        return;
    }
    let started = ExperimentConfig {
        state: ExperimentState::Running,
        ..config.clone()
    };
    let mut concerns = concerns(&started, &beside.all, &beside.held);
    concerns.retain(|concern| is_told(&concern.kind));
    for concern in concerns {
        let told = match concern.kind {
            ConcernKind::NoWindow { .. } => {
                format!("{concern}; one that is added now makes the metric exploratory")
            }
            _ => sentence(&concern),
        };
        context.warn(told);
    }
}

/// Asks on a terminal before a draft starts whose assignments would depend on those of a live experiment: once it has
/// started, nothing can be done about that. Gives whether there was anything to ask.
pub(super) fn confirm(draft: &ExperimentConfig, beside: &Beside) -> anyhow::Result<bool> {
    let mut concerns = concerns(draft, &beside.all, &beside.held);
    concerns.retain(|concern| is_dependence(&concern.kind));
    if concerns.is_empty() {
        return Ok(false);
    }
    for concern in &concerns {
        stream::tell_as(Label::Warning, sentence(concern));
    }
    if stream::confirm("Start it all the same?")? {
        return Ok(true);
    }
    Err(Failed("nothing was started".to_owned()).into())
}

pub(super) fn is_dependence(kind: &ConcernKind) -> bool {
    matches!(kind, ConcernKind::Dependent { .. })
}

/// Refuses to start it if there is anything, whatever that is being told.
pub(super) fn require(
    config: &ExperimentConfig,
    beside: &Beside,
    told: fn(&StartConcern) -> String,
) -> anyhow::Result<()> {
    let concerns = concerns(config, &beside.all, &beside.held);
    for concern in &concerns {
        // Also with -q, as they are the reasons.
        stream::tell_as(Label::Warning, told(concern));
    }
    // Nothing can be done about whom the group holds.
    let held = |concern: &&StartConcern| matches!(concern.kind, ConcernKind::GroupHeld { .. });
    let count = match concerns.len() - concerns.iter().filter(held).count() {
        0 => return Ok(()),
        1 => "1 warning".to_owned(),
        several => format!("{several} warnings"),
    };
    let message = format!("{} is not ready to start: {count}", escape(&config.name));
    let hint = Hint("without --strict it starts anyway".to_owned());
    Err(anyhow::Error::new(Invalid(message)).context(hint))
}

/// Warns of what a draft lacks that can't be made good once it has started.
pub(super) fn warn_of_windows(draft: &ExperimentConfig, context: &Context) {
    for concern in window_concerns(draft) {
        context.warn(sentence(&concern));
    }
}

/// It in the words for whoever has typed `exp create` and may type it again.
pub(super) fn sentence_of_new(concern: &StartConcern) -> String {
    let help = match &concern.kind {
        ConcernKind::NoWindow { metric, .. } => {
            let metric = escape(metric);
            format!("the third part of --metric is a window, as in {metric}:mean:7d")
        }
        ConcernKind::Dependent { remedy, .. } => dependence::options(remedy),
        _ => return sentence(concern),
    };
    format!("{concern}; {help}")
}

/// It in the words for whoever types commands.
pub(super) fn sentence(concern: &StartConcern) -> String {
    let help = match &concern.kind {
        ConcernKind::NoWindow { .. } => format!(
            "exp edit {} can set window = \"7d\"",
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
