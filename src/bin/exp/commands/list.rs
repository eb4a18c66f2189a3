use clap::Args;
use experiments::ExperimentConfig;
use serde::Serialize;

use crate::context::{Context, Purpose};
use crate::output::View;
use crate::output::text::{Text, cell, safe, state_cell};
use crate::output::tsv::Tsv;

/// Show all experiments
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp list\n\n\
    TSV columns: name, state, variants, winner, group, bucketing, \
    seconds since 1970 of the last change")]
pub(crate) struct List {}

impl List {
    #[expect(clippy::unused_self, reason = "every command is run alike")]
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let all = context.service(Purpose::Use)?.list()?;
        if all.is_empty() {
            context.say("no experiments yet; exp create makes one");
        }
        context.show(&Experiments(all))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Experiments(Vec<ExperimentConfig>);

impl View for Experiments {
    fn columns(&self) -> &'static [&'static str] {
        &[
            "experiment",
            "state",
            "variants",
            "winner",
            "group",
            "bucketing",
            "updated_at_secs",
        ]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for config in &self.0 {
            tsv.line(&[
                &config.name,
                config.state.as_str(),
                &weights(config, "=", ","),
                config.winner.as_deref().unwrap_or_default(),
                config.exclusion_group.as_deref().unwrap_or_default(),
                config.bucketing.as_str(),
                &config.updated_at_secs.to_string(),
            ]);
        }
    }

    fn text(&self, text: &mut Text) {
        if self.0.is_empty() {
            return;
        }
        let row = |config: &ExperimentConfig| {
            let variants = match config.deciding_winner() {
                Some(winner) => format!("{} wins", safe(winner)),
                None => safe(&weights(config, " ", ", ")),
            };
            vec![
                cell(&config.name),
                state_cell(config.state),
                cell(&variants),
                cell(config.exclusion_group.as_deref().unwrap_or_default()),
            ]
        };
        let rows = self.0.iter().map(row).collect();
        text.table(&["NAME", "STATE", "VARIANTS", "GROUP"], rows);
    }
}

fn weights(config: &ExperimentConfig, is: &str, and: &str) -> String {
    let weights = config.variants.iter();
    let weights: Vec<_> = weights
        .map(|v| format!("{}{is}{}", v.name, v.weight))
        .collect();
    weights.join(and)
}
