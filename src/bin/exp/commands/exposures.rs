use std::io::Write;

use clap::Args;
use experiments::{ExperimentService, ExposureScan};
use schemars::JsonSchema;
use serde::Serialize;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::environment;
use crate::moment;
use crate::output::View;
use crate::output::rows::{Column, Field, Rows};
use crate::output::text::Text;
use crate::output::tsv::Tsv;

/// Print the kept exposures of an experiment, or remove old ones
///
/// One line for each exposure, in the order in which they were kept, as they are read from the store: TSV,
/// --format csv, or --format json for one JSON object a line.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp exposures checkout_v2 --first --format csv > first.csv\n  \
    exp exposures checkout_v2 --prune --before 90d\n\n\
    Columns: actor, variant, is_override, timestamp_secs (seconds since 1970), request_id; with --prune: pruned\n\n\
    --prune keeps each actor's first exposure to each variant, so that results stay as they are.")]
pub(crate) struct Exposures {
    /// The experiment's name
    #[arg(add = complete::experiments())]
    name: String,

    /// Only those of this time or later: a date, RFC 3339, seconds since 1970, or 3d (ago)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only the first exposure of each actor
    #[arg(long)]
    first: bool,

    /// Remove exposures from before the time that --before names, except first ones
    #[arg(long, requires = "before", conflicts_with_all = ["since", "first"])]
    prune: bool,

    /// With --prune, remove exposures from before this time: a date, RFC 3339, seconds since 1970, or 3d (ago)
    #[arg(long, value_name = "TIME", requires = "prune")]
    before: Option<String>,
}

pub(super) const COLUMNS: &[Column] = &[
    Column::text("actor", "Who was shown the variant."),
    Column::text("variant", "The variant's name."),
    Column::flag("is_override", "Whether an override made the assignment."),
    Column::count("timestamp_secs", "When, in seconds since the Unix epoch."),
    Column::text_or_null("request_id", "The request it happened in."),
];

impl Exposures {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        if let Some(before) = &self.before {
            return prune(context, &self.name, before);
        }
        let scan = ExposureScan {
            since_secs: moment::since(self.since.as_deref())?,
            first_only: self.first,
        };
        let service = context.service(Purpose::Look)?;
        service.status(&self.name)?;
        let rows = context.rows(COLUMNS);
        write(&service, &self.name, &scan, rows)?;
        Ok(())
    }
}

/// Writes the exposures as rows, and returns what they were written to.
pub(super) fn write<W: Write>(
    service: &ExperimentService,
    name: &str,
    scan: &ExposureScan,
    mut rows: Rows<W>,
) -> anyhow::Result<W> {
    let scanned = service.scan_exposures(name, scan, &mut |record| {
        rows.row(&[
            Field::Text(&record.actor),
            Field::Text(&record.variant),
            Field::Flag(record.is_override),
            Field::Number(record.timestamp_secs),
            Field::Optional(record.request_id.as_deref()),
        ])
    });
    let writer = rows.finish()?;
    scanned?;
    Ok(writer)
}

fn prune(context: &Context, name: &str, before: &str) -> anyhow::Result<()> {
    let before = moment::parse(before, environment::clock()?)?;
    let service = context.service(Purpose::Change)?;
    let pruned = service.prune_exposures(name, before)?;
    context.show(&Pruned { pruned })?;
    context.say(match pruned {
        0 => "removed no exposure".to_owned(),
        1 => "removed 1 exposure; first exposures were kept".to_owned(),
        more => format!("removed {more} exposures; first exposures were kept"),
    });
    Ok(())
}

/// How many exposures are gone.
#[derive(Serialize, JsonSchema)]
pub(super) struct Pruned {
    pruned: u64,
}

impl View for Pruned {
    fn columns(&self) -> &'static [&'static str] {
        &["pruned"]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        tsv.line(&[&self.pruned.to_string()]);
    }

    /// It is said on standard error.
    fn text(&self, _text: &mut Text) {}
}
