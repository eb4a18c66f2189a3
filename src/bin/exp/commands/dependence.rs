//! A warning when an experiment would disturb one that is live.

use experiments::independence::{IdSample, dependences, remedies};
use experiments::{ExperimentConfig, ExperimentService, ExperimentState};

use crate::context::Context;

/// Warns if the assignments of `new` and of a live experiment are not independent.
pub(super) fn warn(
    new: &ExperimentConfig,
    service: &ExperimentService,
    context: &Context,
) -> anyhow::Result<()> {
    if context.is_quiet() {
        return Ok(());
    }
    let live = service.list()?;
    let mut configs: Vec<&ExperimentConfig> = live.iter().filter(|c| c.name != new.name).collect();
    let place = configs.len();
    configs.push(new);
    let samples = &IdSample::SHAPES;
    let found = dependences(&configs, samples, |_, second| second == place);
    let is_draft = |place: usize| configs[place].state == ExperimentState::Draft;
    let remedies = remedies(&configs, &found, samples, is_draft);
    for (found, remedy) in found.iter().zip(remedies) {
        let message = found.describe(&configs[found.pair.0].name, &new.name);
        context.warn(format_args!("{message}; {remedy}"));
    }
    Ok(())
}
