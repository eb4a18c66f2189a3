use clap::Args;
use experiments::StoreInfo;
use serde::Serialize;

use crate::context::{Context, Opened, Purpose};
use crate::output::View;
use crate::output::text::{Text, safe};
use crate::output::tsv::Tsv;

/// Show where the store is and how much it holds
#[derive(Args)]
#[command(after_help = "TSV: a line for each figure: its name, its value")]
pub(crate) struct Info {}

impl Info {
    #[expect(clippy::unused_self, reason = "every command runs by value")]
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        context.show(&Shown(match context.open(Purpose::Use)? {
            Opened::File(store) => store.info()?,
            Opened::Database(store) => store.info()?,
        }))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(StoreInfo);

impl Shown {
    fn lines(&self) -> [(&'static str, String); 9] {
        let info = &self.0;
        [
            ("store", info.store.clone()),
            ("engine", info.engine.clone()),
            ("schema", info.schema.to_string()),
            ("bytes", info.bytes.to_string()),
            ("experiments", info.experiments.to_string()),
            ("assignments", info.assignments.to_string()),
            ("overrides", info.overrides.to_string()),
            ("exposures", info.exposures.to_string()),
            ("changes", info.changes.to_string()),
        ]
    }
}

impl View for Shown {
    fn tsv(&self, tsv: &mut Tsv) {
        for (name, value) in self.lines() {
            tsv.line(&[name, &value]);
        }
    }

    fn text(&self, text: &mut Text) {
        for (name, value) in self.lines() {
            text.line(format_args!("{name:<12} {}", safe(&value)));
        }
        if self.0.adopted {
            text.line("an application made the tables before exp came");
        }
    }
}
