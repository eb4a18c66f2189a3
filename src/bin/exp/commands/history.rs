use clap::Args;
use experiments::ChangeRecord;
use serde::Serialize;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::View;
use crate::output::change;
use crate::output::text::Text;
use crate::output::tsv::Tsv;

/// Show who changed what and when, newest first
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp history checkout_v2 --limit 10\n\n\
    TSV columns: seconds since 1970, operator, change, \
    values before and after as JSON")]
pub(crate) struct History {
    /// The experiment's name
    #[arg(add = complete::experiments())]
    name: String,

    /// Show this many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: usize,
}

impl History {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Use)?;
        let changes = service.history(&self.name, self.limit)?;
        if changes.is_empty() {
            // Every experiment has an entry, unless another program made it.
            service.status(&self.name)?;
        }
        context.show(&Changes(changes))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Changes(Vec<ChangeRecord>);

impl View for Changes {
    fn columns(&self) -> &'static [&'static str] {
        change::COLUMNS
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for change in &self.0 {
            change::write_tsv(None, change, tsv);
        }
    }

    fn text(&self, text: &mut Text) {
        for change in &self.0 {
            change::write_text(change, text);
        }
    }
}
