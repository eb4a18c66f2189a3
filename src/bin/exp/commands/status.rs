use clap::Args;
use experiments::results::{SampleRatioPeriod, SampleRatioReport, sample_ratio_of_periods};
use experiments::{
    ConfigField, Coverage, ExperimentConfig, ExperimentState, ExperimentSummary, FieldValue,
    Override, VariantSummary,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::activity::Activity;
use super::exclusion::Exclusion;
use crate::complete;
use crate::context::{Context, Purpose};
use crate::environment;
use crate::exit::SomethingFound;
use crate::output::View;
use crate::output::figures;
use crate::output::metric;
use crate::output::text::{
    BOLD, DIM, Text, bar, cell, number, percent, safe, shortened, state_style, styled, wrapped,
};
use crate::output::tsv::Tsv;

/// Show one experiment and what its variants have got so far
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp status checkout_v2\n  \
    exp status checkout_v2 --fail-on-mismatch\n\n\
    TSV columns: variant, weight, expected_share (of the newcomers, from 0 to 1), assigned, \
    overridden (assigned by an override), expected (how many of the assigned it should have, by \
    the weights under which each came)")]
pub(crate) struct Status {
    /// The experiment's name
    #[arg(add = complete::experiments())]
    name: String,

    /// Also show exposures, new actors per day, and the periods of weights in which nobody came; this reads every assignment
    /// and exposure
    #[arg(long)]
    full: bool,

    /// Exit with 9 if the variants do not have the actors that their weights promise
    #[arg(long)]
    fail_on_mismatch: bool,
}

impl Status {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Use)?;
        let summary = service.summary(&self.name)?;
        let now = environment::clock()?.now_secs();
        let shown = Shown {
            overrides: Overrides::count(&service.overrides(&self.name)?, &summary.config, now),
            sample_ratio: sample_ratio_of_periods(&summary.periods),
            full: self
                .full
                .then(|| Activity::scan(&service, &summary.config, environment::clock()?))
                .transpose()?,
            group: Exclusion::read(&summary.config, &service)?,
            summary,
        };
        context.show(&shown)?;
        if self.fail_on_mismatch && shown.sample_ratio.mismatch {
            return Err(SomethingFound.into());
        }
        Ok(())
    }
}

/// The status as it is shown.
#[derive(Serialize, JsonSchema)]
pub(super) struct Shown {
    #[serde(flatten)]
    summary: ExperimentSummary,
    /// Whether the variants have as many actors as their weights promise.
    sample_ratio: SampleRatioReport,
    /// How many overrides there are.
    overrides: Overrides,
    #[serde(flatten)]
    full: Option<Activity>,
    #[serde(flatten)]
    group: Exclusion,
}

/// How many overrides there are, and how many of them count as none.
#[derive(Serialize, JsonSchema)]
struct Overrides {
    /// All of them.
    count: usize,
    /// Those that have expired.
    expired: usize,
    /// Those of a variant that the experiment no longer has.
    of_removed_variants: usize,
}

impl Overrides {
    fn count(overrides: &[Override], config: &ExperimentConfig, now_secs: u64) -> Self {
        let is_expired = |pinned: &&Override| pinned.has_expired(now_secs);
        let is_removed = |pinned: &&Override| config.variant(&pinned.variant).is_none();
        Self {
            count: overrides.len(),
            expired: overrides.iter().filter(is_expired).count(),
            of_removed_variants: overrides.iter().filter(is_removed).count(),
        }
    }

    fn write(&self, text: &mut Text) {
        if self.count == 0 {
            return;
        }
        let mut without_effect = Vec::new();
        if self.expired > 0 {
            without_effect.push(format!("{} expired", self.expired));
        }
        match self.of_removed_variants {
            0 => {}
            1 => without_effect.push("1 of a removed variant".to_owned()),
            several => without_effect.push(format!("{several} of removed variants")),
        }
        let without_effect = if without_effect.is_empty() {
            String::new()
        } else {
            format!(" ({})", without_effect.join(", "))
        };
        text.line(format_args!("overrides: {}{without_effect}", self.count));
    }
}

impl View for Shown {
    fn columns(&self) -> &'static [&'static str] {
        &[
            "variant",
            "weight",
            "expected_share",
            "assigned",
            "overridden",
            "expected",
        ]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for variant in &self.summary.variants {
            tsv.line(&[
                &variant.name,
                &variant.weight.to_string(),
                &variant.expected_share.to_string(),
                &variant.assigned.to_string(),
                &variant.overridden.to_string(),
                &variant.expected.to_string(),
            ]);
        }
    }

    fn text(&self, text: &mut Text) {
        let config = &self.summary.config;
        let mut head = format!(
            "{}  {}",
            styled(BOLD, safe(&config.name)),
            styled(state_style(config.state), config.state)
        );
        if let Some(winner) = &config.winner {
            let is_left = config.deciding_winner().is_none();
            let left = if is_left { " (left over)" } else { "" };
            head = format!("{head}  winner: {}{left}", safe(winner));
        }
        text.line(head);
        if let Some(description) = &config.description {
            text.line(safe(description));
        }
        let others = ConfigField::ALL.into_iter().filter(|f| f.is_definition());
        // These stand elsewhere.
        let elsewhere = [
            ConfigField::Description,
            ConfigField::Enrolling,
            ConfigField::Coverage,
        ];
        for field in others.filter(|field| !elsewhere.contains(field)) {
            if let Some(value) = field.declared(config).and_then(FieldValue::to_text) {
                text.line(styled(DIM, format!("{}: {}", field.label(), safe(&value))));
            }
        }
        let changed = text.time(config.updated_at_secs);
        text.line(styled(DIM, format!("changed: {changed}")));
        text.line("");
        table(&self.summary.variants, text);
        if let Some(newcomers) = newcomers(config) {
            text.line(format_args!("newcomers: {newcomers}"));
        }
        // Nobody could enter it anyway.
        if config.state != ExperimentState::Archived {
            self.group.write(text);
        }
        self.overrides.write(text);
        values(config, text);
        sample_ratio(&self.sample_ratio, self.full.is_some(), text);
        if let Some(activity) = &self.full {
            activity.write(text);
        }
        let metrics = &config.analysis.metrics;
        if !metrics.is_empty() {
            text.line("");
            metric::table(metrics, text);
        }
    }
}

/// How many of the newcomers enter, unless all do while it runs.
fn newcomers(config: &ExperimentConfig) -> Option<String> {
    let coverage = figures::share(config.coverage.share());
    let is_full = config.coverage == Coverage::FULL;
    if config.enrolling && is_full {
        return None;
    }
    let was = match (config.enrolling, is_full) {
        (true, _) => format!("the coverage was {coverage}"),
        (false, true) => "it was closed".to_owned(),
        (false, false) => format!("it was closed, the coverage {coverage}"),
    };
    let (once_it_runs, once_it_is_open) = match config.state {
        ExperimentState::Running => ("", "once it is open"),
        ExperimentState::Paused => (" once it is resumed", "once it is open and resumed"),
        ExperimentState::Draft => (" once it runs", "once it is open and runs"),
        ExperimentState::Concluded => {
            return Some(format!("none enter, everybody gets the winner ({was})"));
        }
        ExperimentState::Archived => return Some(format!("none enter ({was})")),
    };
    Some(match (config.enrolling, is_full) {
        (true, _) => format!("{coverage} enter{once_it_runs}"),
        (false, true) => "closed, none enter".to_owned(),
        (false, false) => format!("closed, none enter ({coverage} {once_it_is_open})"),
    })
}

fn values(config: &ExperimentConfig, text: &mut Text) {
    if config.values.is_empty() {
        return;
    }
    let rows = config.variants.iter().map(|variant| {
        let value = config.values.get(&variant.name).map(shortened);
        vec![cell(&variant.name), cell(value.as_deref().unwrap_or("–"))]
    });
    text.line("");
    text.table(&["VARIANT", "VALUE"], rows.collect());
}

/// Whether the variants have the actors that their weights promise; by period, if the weights have changed. The periods
/// in which nobody came are only counted, unless all are wanted.
fn sample_ratio(report: &SampleRatioReport, wants_all: bool, text: &mut Text) {
    let Some(split) = report.tests.first().filter(|split| split.worst.is_some()) else {
        return;
    };
    text.line("");
    wrapped(text, "", &safe(&split.sentence()));
    if split.periods.len() < 2 {
        return;
    }
    text.line("");
    let is_empty = |period: &&SampleRatioPeriod| period.variants.iter().all(|v| v.actors == 0);
    let shown = split.periods.iter().filter(|p| wants_all || !is_empty(p));
    let periods = shown.flat_map(|period| {
        let from = text.time(period.from_secs);
        let variants = period.variants.iter().enumerate();
        let rows = variants.map(move |(place, variant)| {
            vec![
                cell(if place == 0 { &from } else { "" }),
                cell(&variant.variant),
                number(variant.weight),
                number(format_args!("{:.1}", variant.expected)),
                number(variant.actors),
            ]
        });
        rows.collect::<Vec<_>>()
    });
    let rows = periods.collect();
    text.table(
        &["WEIGHTS FROM", "VARIANT", "WEIGHT", "EXPECTED", "ACTORS"],
        rows,
    );
    let left_out = split.periods.iter().filter(|p| !wants_all && is_empty(p));
    match left_out.count() {
        0 => {}
        1 => text.line("not shown: 1 period of weights in which nobody came; --full shows it"),
        several => text.line(format_args!(
            "not shown: {several} periods of weights in which nobody came; --full shows them"
        )),
    }
}

fn table(variants: &[VariantSummary], text: &mut Text) {
    let total: u64 = variants.iter().map(|variant| variant.assigned).sum();
    let any_overridden = variants.iter().any(|variant| variant.overridden > 0);
    let mut header = vec!["VARIANT", "WEIGHT", "EXPECTED", "ASSIGNED", "SHARE"];
    if any_overridden {
        header.push("OVERRIDE");
    }
    let names = variants
        .iter()
        .map(|v| unicode_width::UnicodeWidthStr::width(&*safe(&v.name)));
    let taken = names.max().unwrap_or(0).max("VARIANT".len())
        + text.gap()
        + header[1..]
            .iter()
            .map(|name| name.len().max("100.0%".len()) + text.gap())
            .sum::<usize>();
    let bar_width = text
        .width()
        .map_or(30, |width| width.saturating_sub(taken + text.gap()).min(30));
    if bar_width > 0 {
        header.push("");
    }
    let expected = |variant: &VariantSummary| {
        let of_assigned = (total > 0).then(|| variant.expected / real(total));
        of_assigned.unwrap_or(variant.expected_share)
    };
    // The buckets are ten thousandths.
    let is_round = |share: f64| (share * 1000.0 - (share * 1000.0).round()).abs() < 0.05;
    let are_round = variants.iter().all(|variant| is_round(expected(variant)));
    let row = |variant: &VariantSummary| {
        let share = share(variant.assigned, total);
        let expected = expected(variant);
        let mut row = vec![
            cell(&variant.name),
            number(variant.weight),
            number(if are_round {
                percent(expected)
            } else {
                format!("{:.2}%", expected * 100.0)
            }),
            number(variant.assigned),
            number(share.map_or_else(|| "–".to_owned(), percent)),
        ];
        if any_overridden {
            row.push(number(variant.overridden));
        }
        if bar_width > 0 {
            row.push(cell(&bar(share.unwrap_or(0.0), bar_width)));
        }
        row
    };
    text.table(&header, variants.iter().map(row).collect());
    let is_of_now =
        |variant: &VariantSummary| (expected(variant) - variant.expected_share).abs() < 5e-5;
    if !variants.iter().all(is_of_now) {
        let note = "EXPECTED is of those who are assigned, by the weights under which each came";
        wrapped(text, "", note);
    }
}

fn share(part: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| real(part) / real(total))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share is shown to a tenth of a percent"
)]
fn real(count: u64) -> f64 {
    count as f64
}
