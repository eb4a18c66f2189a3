//! `exp track`: outcomes that the store keeps.

use clap::Args;
use experiments::text::escape;
use experiments::{Finite, Outcome, Tracked};

use crate::context::{Context, Purpose};
use crate::environment;
use crate::exit::UsageError;
use crate::moment;
use crate::output::View;
use crate::output::text::Text;
use crate::output::tsv::Tsv;

/// Record an outcome: what an actor did that metrics count
///
/// An outcome belongs to an actor, not to an experiment: every experiment with a metric of that name counts
/// it, from the actor's assignment on.
#[derive(Args)]
#[command(
    override_usage = "exp track [OPTIONS] <ACTOR> <METRIC> [VALUE]",
    after_help = "Examples:\n  \
    exp track user:1 purchase\n  \
    exp track user:1 revenue 49.90 --id order-1007\n\n\
    TSV columns: recorded, repeated"
)]
pub(crate) struct Track {
    /// Who did it
    actor: String,

    /// What it counts for: the column of a metric, which is its name unless it says another
    metric: String,

    /// How much of it
    #[arg(default_value = "1", allow_negative_numbers = true)]
    value: String,

    /// When it happened: a date, RFC 3339, seconds since 1970, or 3d (ago) [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    /// Of the outcomes of a metric with the same id only the first counts, so that a call may be repeated
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

impl Track {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let clock = environment::clock()?;
        let at = self.at.as_deref().map(|at| moment::parse(at, clock));
        let value = self.value.parse::<Finite>().map_err(|_| {
            UsageError(format!(
                "the value '{}' is not a finite number",
                escape(&self.value)
            ))
        })?;
        let outcome = Outcome {
            actor: self.actor,
            metric: self.metric,
            value,
            timestamp_secs: at.transpose()?.unwrap_or_else(|| clock.now_secs()),
            id: self.id,
        };
        let service = context.service(Purpose::Use)?;
        let tracked = service.track(std::slice::from_ref(&outcome))?;
        context.show(&tracked)?;
        if tracked.repeated > 0 {
            context.say("an outcome with this id is there already: nothing changed");
        }
        Ok(())
    }
}

impl View for Tracked {
    fn columns(&self) -> &'static [&'static str] {
        &["recorded", "repeated"]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        tsv.line(&[&self.recorded.to_string(), &self.repeated.to_string()]);
    }

    /// A script that records one wants to read nothing.
    fn text(&self, _text: &mut Text) {}
}
