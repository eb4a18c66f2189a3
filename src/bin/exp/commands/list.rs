use std::collections::BTreeSet;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use experiments::suggest::nearest;
use experiments::text::escape;
use experiments::{Coverage, ExperimentConfig, ExperimentState};
use schemars::JsonSchema;
use serde::Serialize;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::View;
use crate::output::figures;
use crate::output::text::{Text, cell, safe, state_cell};
use crate::output::tsv::{Tsv, listed};

/// Show the experiments
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp list\n  \
    exp list --state running --state paused\n  \
    exp list --group checkout --sort changed\n\n\
    TSV columns: experiment, state, variants, winner, group, bucketing, \
    updated_at_secs (since 1970), enrolling, coverage\n\n\
    A variant with , or = or \" in its name has it in double quotes.")]
pub(crate) struct List {
    /// Only those in this state; repeat for several
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',',
          value_parser = PossibleValuesParser::new(ExperimentState::ALL.map(ExperimentState::as_str))
              .try_map(|word| ExperimentState::named(&word).ok_or("not a state")))]
    states: Vec<ExperimentState>,

    /// Only those of this exclusion group; repeat for several
    #[arg(long = "group", alias = "exclusion-group", value_name = "GROUP",
          add = complete::groups())]
    groups: Vec<String>,

    /// The order: by name, or by the last change with the newest first
    #[arg(long, value_enum, default_value_t, value_name = "ORDER")]
    sort: Sort,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Sort {
    #[default]
    Name,
    Changed,
}

impl List {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut shown = context.service(Purpose::Use)?.list()?;
        if shown.is_empty() {
            context.say("no experiments yet; exp create makes one");
        } else {
            let groups = shown.iter().filter_map(|c| c.exclusion_group.clone());
            let groups: BTreeSet<String> = groups.collect();
            shown.retain(|config| self.wants(config));
            if shown.is_empty() {
                context.say("no experiment has this state and group");
            }
            let unknown = self.groups.iter().filter(|group| !groups.contains(*group));
            for group in unknown {
                if let Some(meant) = nearest(group, groups.iter().map(String::as_str)) {
                    let group = escape(group);
                    let message =
                        format!("no experiment is in the group '{group}'; did you mean '{meant}'?");
                    context.say(message);
                }
            }
        }
        if self.sort == Sort::Changed {
            shown.sort_by_key(|config| std::cmp::Reverse(config.updated_at_secs));
        }
        context.show(&Experiments {
            shown,
            shows_changed: self.sort == Sort::Changed,
        })
    }

    fn wants(&self, config: &ExperimentConfig) -> bool {
        let of_state = self.states.is_empty() || self.states.contains(&config.state);
        let group = config.exclusion_group.as_ref();
        let of_group =
            self.groups.is_empty() || group.is_some_and(|group| self.groups.contains(group));
        of_state && of_group
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Experiments {
    shown: Vec<ExperimentConfig>,
    /// Whether people are told when each changed.
    #[serde(skip)]
    shows_changed: bool,
}

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
            "enrolling",
            "coverage",
        ]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for config in &self.shown {
            tsv.line(&[
                &config.name,
                config.state.as_str(),
                &weights_in_field(config),
                config.winner.as_deref().unwrap_or_default(),
                config.exclusion_group.as_deref().unwrap_or_default(),
                config.bucketing.as_str(),
                &config.updated_at_secs.to_string(),
                &config.enrolling.to_string(),
                &config.coverage.to_string(),
            ]);
        }
    }

    fn text(&self, text: &mut Text) {
        if self.shown.is_empty() {
            return;
        }
        let shows_entry = self.shown.iter().any(|config| !entry(config).is_empty());
        let mut header = vec!["NAME", "STATE", "VARIANTS", "GROUP"];
        if shows_entry {
            header.push("ENTRY");
        }
        if self.shows_changed {
            header.push("CHANGED");
        }
        let row = |config: &ExperimentConfig| {
            let variants = match config.deciding_winner() {
                Some(winner) => format!("{} wins", safe(winner)),
                None => safe(&weights_in_text(config)),
            };
            let mut row = vec![
                cell(&config.name),
                state_cell(config.state),
                cell(&variants),
                cell(config.exclusion_group.as_deref().unwrap_or_default()),
            ];
            if shows_entry {
                row.push(cell(&entry(config)));
            }
            if self.shows_changed {
                let time = text.time(config.updated_at_secs);
                // A narrow page has room for the day.
                let is_narrow = text.width().is_some_and(|width| width < 72);
                let day = time.split(' ').next().unwrap_or_default();
                row.push(cell(if is_narrow { day } else { &time }));
            }
            row
        };
        let rows = self.shown.iter().map(row).collect();
        let changed = self.shows_changed.then(|| header.len() - 1);
        text.table_with_whole(changed, &header, rows);
    }
}

/// Which newcomers enter, if not all of them do.
fn entry(config: &ExperimentConfig) -> String {
    if !config.enrolling {
        "closed".to_owned()
    } else if config.coverage == Coverage::FULL {
        String::new()
    } else {
        figures::share(config.coverage.share())
    }
}

fn weights_in_field(config: &ExperimentConfig) -> String {
    let weights = config.variants.iter();
    let weights: Vec<_> = weights
        .map(|v| format!("{}={}", listed(&v.name), v.weight))
        .collect();
    weights.join(",")
}

fn weights_in_text(config: &ExperimentConfig) -> String {
    let weights = config.variants.iter();
    let weights: Vec<_> = weights
        .map(|v| format!("{} {}", v.name, v.weight))
        .collect();
    weights.join(", ")
}
