use std::io::Write;

use clap::Args;
use experiments::ExperimentService;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::moment;
use crate::output::rows::{Column, Field, Rows};

/// Print all assignments of an experiment
///
/// One line for each actor, sorted by actor, as they are read from the store: TSV, --format csv, or
/// --format json for one JSON object a line.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp assignments checkout_v2 --format csv > assignments.csv\n  \
    exp assignments checkout_v2 --since 7d | wc -l\n\n\
    Columns: actor, variant, is_override, assigned_at_secs (seconds since 1970), weight_period")]
pub(crate) struct Assignments {
    /// The experiment's name
    #[arg(add = complete::experiments())]
    name: String,

    /// Only those made at this time or later: a date, RFC 3339, seconds since 1970, or 3d (ago)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

pub(super) const COLUMNS: &[Column] = &[
    Column::text("actor", "Who is assigned."),
    Column::text("variant", "The variant's name."),
    Column::flag(
        "is_override",
        "Whether an override made it, rather than the actor's bucket.",
    ),
    Column::count(
        "assigned_at_secs",
        "When it was stored, in seconds since the Unix epoch.",
    ),
    Column::count(
        "weight_period",
        "The period in which it was made, as in the periods of exp status.",
    ),
];

impl Assignments {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let since = moment::since(self.since.as_deref())?;
        let service = context.service(Purpose::Look)?;
        service.status(&self.name)?;
        let rows = context.rows(COLUMNS);
        write(&service, &self.name, since, rows)?;
        Ok(())
    }
}

/// Writes the assignments as rows, and returns what they were written to.
pub(super) fn write<W: Write>(
    service: &ExperimentService,
    name: &str,
    since: u64,
    mut rows: Rows<W>,
) -> anyhow::Result<W> {
    let scanned = service.scan_assignments(name, &mut |record| {
        if record.assigned_at_secs < since {
            return Ok(());
        }
        rows.row(&[
            Field::Text(&record.actor),
            Field::Text(&record.variant),
            Field::Flag(record.is_override),
            Field::Number(record.assigned_at_secs),
            Field::Number(record.weight_period.into()),
        ])
    });
    let writer = rows.finish()?;
    scanned?;
    Ok(writer)
}
