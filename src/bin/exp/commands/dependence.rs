//! A warning when an experiment would disturb one that is live.

use experiments::independence::{IdSample, dependences};
use experiments::{ExperimentConfig, ExperimentService};

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
    for found in dependences(&configs, &IdSample::SHAPES, |_, second| second == place) {
        let message = found.describe(&configs[found.pair.0].name, &new.name);
        context.warn(format_args!("{message}; {}", found.remedy));
    }
    Ok(())
}
