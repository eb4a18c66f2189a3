use std::io::Write;

use clap::Args;
use experiments::{ExperimentError, ExperimentStore, OutcomeScan};

use crate::complete;
use crate::context::{Context, Purpose};
use crate::moment;
use crate::output::rows::{Column, Field, Rows};

/// Print the recorded outcomes
///
/// One line for each outcome, in the order in which they were recorded, as they are read from the store: TSV, --format csv, or
/// --format json for one JSON object a line. Outcomes of all actors are printed, as an outcome belongs to no experiment.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp outcomes --metric revenue --format csv > revenue.csv\n\n\
    Columns: actor, metric, value, timestamp_secs (seconds since 1970), id")]
pub(crate) struct Outcomes {
    /// Only those of this metric; may be repeated
    #[arg(long, value_name = "METRIC", add = complete::metrics())]
    metric: Vec<String>,

    /// Only those of this time or later: a date, RFC 3339, seconds since 1970, or 3d (ago)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

pub(super) const COLUMNS: &[Column] = &[
    Column::text("actor", "Who did it."),
    Column::text("metric", "The column that metrics count."),
    Column::number("value", "The value that is counted."),
    Column::count("timestamp_secs", "When, in seconds since the Unix epoch."),
    Column::text_or_null(
        "id",
        "Of all outcomes of a metric with the same id only the first is kept.",
    ),
];

impl Outcomes {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let since = moment::since(self.since.as_deref())?;
        let service = context.service(Purpose::Look)?;
        let metrics: Vec<&str> = self.metric.iter().map(String::as_str).collect();
        // A missing store is reported before a header is printed.
        service.list()?;
        let rows = context.rows(COLUMNS);
        write(service.store(), &metrics, since, rows)?;
        Ok(())
    }
}

/// Writes the outcomes of these metrics, or of all if there are none, as rows, and returns what they were written to.
pub(super) fn write<W: Write>(
    store: &dyn ExperimentStore,
    metrics: &[&str],
    since: u64,
    mut rows: Rows<W>,
) -> anyhow::Result<W> {
    let mut value = String::new();
    let scanned = store.scan_outcomes(&OutcomeScan { metrics }, &mut |outcome| {
        if outcome.timestamp_secs < since {
            return Ok::<(), ExperimentError>(());
        }
        value.clear();
        // Writing to a string cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut value, format_args!("{}", outcome.value));
        rows.row(&[
            Field::Text(&outcome.actor),
            Field::Text(&outcome.metric),
            Field::Figure(&value),
            Field::Number(outcome.timestamp_secs),
            Field::Optional(outcome.id.as_deref()),
        ])
    });
    let writer = rows.finish()?;
    scanned?;
    Ok(writer)
}
