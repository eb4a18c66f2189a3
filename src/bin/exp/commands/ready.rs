//! What a careful colleague asks before an experiment starts.

use experiments::ExperimentConfig;
use experiments::readiness::{StartConcern, concerns};
use experiments::text::escape;

use crate::context::Context;
use crate::exit::{Hint, Invalid};
use crate::output::stream::{self, Label};

/// Warns of what there is to think about, beside all experiments of the store.
pub(super) fn warn(config: &ExperimentConfig, all: &[ExperimentConfig], context: &Context) {
    // It takes a while to measure.
    if context.is_quiet() {
        return;
    }
    for concern in concerns(config, all) {
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

fn sentence(concern: &StartConcern) -> String {
    format!("{concern}; {}", concern.help())
}
