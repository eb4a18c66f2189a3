//! `exp track`: outcomes that the store keeps.

mod file;
mod header;

use std::path::PathBuf;

use clap::{Args, ValueHint};
use experiments::text::escape;
use experiments::{Finite, Outcome, Tracked};

use crate::context::{Context, Purpose};
use crate::environment;
use crate::exit::UsageError;
use crate::input::{self, InputFormat};
use crate::moment;
use crate::output::View;
use crate::output::text::Text;
use crate::output::tsv::Tsv;
use crate::{actor_word, complete};

/// Record an outcome: what an actor did that metrics count
///
/// An outcome belongs to an actor, not to an experiment: every experiment with a metric on that column counts
/// it, from the actor's start on.
#[derive(Args)]
#[command(
    override_usage = "exp track [OPTIONS] <ACTOR> <METRIC> [VALUE]\n       \
    exp track [OPTIONS] --file <FILE>",
    after_help = "Examples:\n  \
    exp track user:1 purchase\n  \
    exp track user:1 revenue 49.90 --id order-1007\n  \
    exp track --file outcomes.csv\n\n\
    A file has a column actor and, if the time is known, a column timestamp. Either it has one outcome\n\
    a row, in columns metric, value and id, or a column for each metric. Times are RFC 3339, seconds or\n\
    milliseconds since 1970, or 2026-11-28 09:30:00 in UTC. An empty cell of id is no id; a blank one is refused.\n\n\
    Rows are recorded in batches. Where rows have no id, recording a file twice counts them twice.\n\n\
    TSV columns: recorded, repeated"
)]
pub(crate) struct Track {
    /// Who did it
    #[arg(required_unless_present = "file",
          value_parser = actor_word::text(), allow_hyphen_values = true)]
    actor: Option<String>,

    /// The metric's column: the metric's name, unless it sets another column
    #[arg(required_unless_present = "file", add = complete::metrics())]
    metric: Option<String>,

    /// The number that is counted
    #[arg(default_value = "1", allow_negative_numbers = true)]
    value: String,

    /// When it happened: a date, RFC 3339, seconds since 1970, or 3d (ago) [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    /// Count a repeated call once: of a metric's outcomes with the same id, only the first is recorded; an empty id is
    /// refused
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// Record the outcomes of this file; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
          conflicts_with_all = ["actor", "metric", "value", "at", "id"])]
    file: Option<PathBuf>,

    /// Take every actor, metric and id of the file as it is, even with blanks at its edges
    #[arg(long, requires = "file", conflicts_with = "actor")]
    raw: bool,

    /// The file's format [default: by its extension]
    #[arg(long, value_name = "FORMAT", requires = "file")]
    input_format: Option<InputFormat>,
}

impl Track {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        if let Some(path) = &self.file {
            let format = input::format_of(path, self.input_format)?;
            return context.show(&file::track(context, path, format, self.raw)?);
        }
        let clock = environment::clock()?;
        let at = self.at.as_deref().map(|at| moment::parse(at, clock));
        let value = self.value.parse::<Finite>().map_err(|_| {
            UsageError(format!(
                "the value '{}' is not a finite number",
                escape(&self.value)
            ))
        })?;
        let outcome = Outcome {
            actor: self.actor.unwrap_or_default(),
            metric: self.metric.unwrap_or_default().trim().to_owned(),
            value,
            timestamp_secs: at.transpose()?.unwrap_or_else(|| clock.now_secs()),
            id: self.id,
        };
        let service = context.service(Purpose::Use)?;
        let tracked = service.track(std::slice::from_ref(&outcome))?;
        context.show(&tracked)?;
        if tracked.repeated > 0 {
            context.say("an outcome with this id is recorded already: nothing changed");
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
