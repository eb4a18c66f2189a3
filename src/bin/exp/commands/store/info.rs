use clap::Args;
use experiments::StoreInfo;

use super::figures::Figures;
use crate::context::{Context, Opened, Purpose};

/// Show where the store is and how much it holds
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp store info\n\n\
    TSV columns: figure, value")]
pub(crate) struct Info {}

impl Info {
    #[expect(clippy::unused_self, reason = "every command runs by value")]
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let info = match context.open(Purpose::Use)? {
            Opened::File(store) => store.info()?,
            Opened::Database(store) => store.info()?,
        };
        context.show(&figures(info))
    }
}

fn figures(info: StoreInfo) -> Figures<StoreInfo> {
    Figures {
        lines: vec![
            ("store", info.store.clone()),
            ("engine", info.engine.clone()),
            ("schema", info.schema.to_string()),
            ("bytes", info.bytes.to_string()),
            ("experiments", info.experiments.to_string()),
            ("assignments", info.assignments.to_string()),
            ("overrides", info.overrides.to_string()),
            ("exposures", info.exposures.to_string()),
            ("changes", info.changes.to_string()),
            ("outcomes", info.outcomes.to_string()),
        ],
        note: info.adopted.then_some("an application shares the tables"),
        value: info,
    }
}
