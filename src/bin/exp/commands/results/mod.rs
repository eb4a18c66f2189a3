//! `exp results`: who won, and whether the numbers can be trusted.

mod kept;
mod outcomes;
mod page;
mod text;
mod tsv;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueHint};
use experiments::exploratory_metrics;
use experiments::metric::Population;
use experiments::results::{
    AnalysedMetric, Analysis, ColumnNames, Members, Reading, Report, Span, Totals,
};
use experiments::{ChangeRecord, ExperimentConfig, ExperimentError, MetricConfig, WeightPeriod};
use schemars::JsonSchema;
use serde::Serialize;

use crate::complete;
use crate::context::{Context, Opened, Purpose};
use crate::environment;
use crate::exit::{SomethingFound, UsageError};
use crate::moment;
use crate::output::View;
use crate::output::text::Text;
use crate::output::tsv::Tsv;

/// Show who won, and whether the numbers can be trusted
///
/// Joins the experiment's actors with outcomes: those that exp track has recorded, those of a file, or those of a
/// query. A verdict holds however often you look. Where there is none yet, exp says what is missing.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp results checkout_v2\n  \
    exp results checkout_v2 --outcomes orders.csv\n  \
    exp results checkout_v2 --sql 'SELECT actor, at AS timestamp, total AS revenue FROM orders'\n  \
    exp results checkout_v2 --html report.html\n\n\
    A file or a query has a column actor, a column timestamp and one for each metric; without times\n\
    every row counts. A time is RFC 3339, seconds or milliseconds since 1970, or 2026-11-28 09:30:00\n\
    in UTC, as SQLite's datetime() and CURRENT_TIMESTAMP give it.\n\n\
    TSV columns: metric, kind, role, variant, control, actors (of both), variant_mean, control_mean,\n\
    difference, difference_low, difference_high (the ends of its interval), p_value (as if looked at\n\
    once), relative, relative_low, relative_high (the difference as a share of the control's mean),\n\
    always_valid_relative_low, always_valid_relative_high, always_valid_p_value, adjusted_p_value\n\
    (for the number of comparisons), chance_to_win, expected_loss, verdict\n\n\
    There is a line for each comparison.\n\n\
    variant_mean and control_mean are what is compared: averages over the periods of weights, in\n\
    which both variants weigh a period alike, and adjusted by the covariate if there is one. Once\n\
    the weights have changed they differ from the plain means, which text and variants[].mean in\n\
    JSON show.")]
pub(crate) struct Results {
    /// The experiment's name
    #[arg(add = complete::experiments())]
    name: String,

    #[command(flatten)]
    source: outcomes::Arguments,

    /// Also analyse a metric that is not declared, as exploratory: NAME:KIND or NAME:KIND:WINDOW
    #[arg(long, value_name = "METRIC", add = complete::metric_kinds())]
    metric: Vec<MetricConfig>,

    /// Analyse up to this time: a date, RFC 3339, seconds since 1970, or 3d (ago)
    /// [default: now, or the latest outcome if that is earlier]
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,

    /// Whose outcomes count: assigned (from the assignment on) or exposed (from the first exposure on)
    /// [default: the experiment's]
    #[arg(long, value_name = "POPULATION", value_parser = population,
          add = complete::words(Population::WORDS))]
    population: Option<Population>,

    /// Assert that every outcome is in, so that a metric without a window can have a verdict
    #[arg(long = "final")]
    is_final: bool,

    /// Leave out actors without an outcome; no metric has a verdict then
    #[arg(long)]
    only_seen: bool,

    /// Test the sample ratio for each value of this column of the outcomes
    #[arg(long, value_name = "COLUMN")]
    by: Option<String>,

    /// Exit with 9 if the variants do not have the actors that their weights promise
    #[arg(long)]
    fail_on_mismatch: bool,

    /// Also write the results to this file, as one HTML page that loads nothing from elsewhere; a file that is there is
    /// overwritten only if it is such a page
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,
}

fn population(word: &str) -> Result<Population, String> {
    Population::named(word).ok_or_else(|| "write assigned or exposed".to_owned())
}

/// All that is known of the experiment, and what was asked.
pub(super) struct Question {
    config: ExperimentConfig,
    history: Vec<ChangeRecord>,
    periods: Vec<WeightPeriod>,
    metrics: Vec<AnalysedMetric>,
    population: Population,
    from_secs: u64,
    /// No outcome after this counts.
    bound_secs: u64,
    now_secs: u64,
    until_latest: bool,
}

impl Results {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        if let Some(file) = &self.html {
            page::refuse_to_overwrite(file)?;
        }
        let source = self.source.source()?;
        let opened = context.open(Purpose::Look)?;
        let question = self.question(&opened)?;
        if question.bound_secs > question.now_secs {
            context.warn("--as-of is in the future: windows that have not passed count as passed");
        }
        let service = opened.service();
        let members = Members::load(service.store(), &question.config)?;
        let configs: Vec<MetricConfig> = question
            .metrics
            .iter()
            .map(|metric| metric.config.clone())
            .collect();
        let reading = Reading {
            members: &members,
            metrics: &configs,
            population: question.population,
            columns: ColumnNames {
                by: self.by.as_deref(),
                ..self.source.columns()
            },
            now_secs: question.now_secs,
            to_secs: question.bound_secs,
            until_latest: question.until_latest,
        };
        let read = source.read(&reading, &opened, self.html.is_some())?;
        warn(context, &read.totals);
        if matches!(source, outcomes::Source::Kept) {
            let declared = question.config.analysis.metrics.len();
            let typed = configs.iter().zip(&read.totals.metrics).skip(declared);
            let unseen = typed.filter(|(_, found)| !found.seen.contains(&true));
            let unseen: Vec<&str> = unseen.map(|(metric, _)| metric.column()).collect();
            context.warn_of_each(&kept::unknown(service.store(), &unseen)?);
        }
        let report = self.report(&question, &members, &read.totals, read.totals.to_secs);
        if let Some(file) = &self.html {
            let over_time = self.over_time(&question, &members, &read.totals, &report);
            let page = page::document(&page::Made {
                config: &question.config,
                history: &question.history,
                metrics: &configs,
                until_latest: question.until_latest,
                now_secs: question.now_secs,
                service: &service,
                members: &members,
                report: &report,
                over_time,
                outcomes: read.input,
            })?;
            std::fs::write(file, page)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        context.show(&Shown(&report))?;
        if self.fail_on_mismatch && report.sample_ratio.mismatch {
            return Err(SomethingFound.into());
        }
        Ok(())
    }

    fn question(&self, opened: &Opened) -> anyhow::Result<Question> {
        let clock = environment::clock()?;
        let service = opened.service();
        let config = service.status(&self.name)?;
        let history = service.history(&self.name, 0)?;
        let span = Span::of_log(&history);
        let now_secs = clock.now_secs();
        let as_of = self
            .as_of
            .as_deref()
            .map(|as_of| moment::parse(as_of, clock));
        let as_of = as_of.transpose()?;
        let bound = as_of.unwrap_or(now_secs);
        Ok(Question {
            metrics: self.metrics(&config, &history)?,
            periods: service.weight_periods(&self.name)?,
            population: self.population.unwrap_or(config.analysis.population),
            from_secs: span.from_secs,
            bound_secs: span.end_secs.map_or(bound, |end| bound.min(end)),
            now_secs,
            until_latest: as_of.is_none(),
            config,
            history,
        })
    }

    /// The declared metrics, then those that were typed, which decide nothing.
    fn metrics(
        &self,
        config: &ExperimentConfig,
        history: &[ChangeRecord],
    ) -> anyhow::Result<Vec<AnalysedMetric>> {
        let exploratory = exploratory_metrics(config, history);
        let declared = config.analysis.metrics.iter().enumerate();
        let mut metrics: Vec<AnalysedMetric> = declared
            .map(|(place, metric)| AnalysedMetric {
                config: metric.clone(),
                role: metric.role_at(place),
                is_exploratory: exploratory.contains(&&*metric.name),
            })
            .collect();
        for metric in &self.metric {
            if metrics.iter().any(|known| known.config.name == metric.name) {
                let name = experiments::text::escape(&metric.name);
                return Err(UsageError(format!(
                    "metric '{name}' is declared already, or named twice"
                ))
                .into());
            }
            let mut with = config.clone();
            with.analysis.metrics.push(metric.clone());
            let mut problems = with.problems().into_iter();
            if let Some(problem) = problems.find(|problem| !config.problems().contains(problem)) {
                let experiment = config.name.clone();
                return Err(ExperimentError::InvalidConfig {
                    experiment,
                    problem,
                }
                .into());
            }
            metrics.push(AnalysedMetric {
                role: metric.role_at(metrics.len()),
                config: metric.clone(),
                is_exploratory: true,
            });
        }
        Ok(metrics)
    }

    fn report(
        &self,
        question: &Question,
        members: &Members,
        totals: &Totals,
        to_secs: u64,
    ) -> Report {
        let analysis = Analysis {
            config: &question.config,
            metrics: &question.metrics,
            periods: &question.periods,
            from_secs: question.from_secs,
            to_secs,
            now_secs: question.now_secs,
            population: question.population,
            control: None,
            is_final: self.is_final,
            only_seen: self.only_seen,
        };
        analysis.report(members, totals)
    }

    /// The report as it would have been at each of some moments: what an actor did within a window is the same
    /// at all of them.
    fn over_time(
        &self,
        question: &Question,
        members: &Members,
        totals: &Totals,
        report: &Report,
    ) -> Vec<Report> {
        const MOMENTS: u64 = 40;
        const DAY: u64 = 86_400;
        let span = report.to_secs.saturating_sub(report.from_secs);
        let step = span.div_ceil(MOMENTS).max(DAY.min(span / 8)).max(1);
        let mut at = report.from_secs;
        let mut reports = Vec::new();
        while at + step < report.to_secs {
            at += step;
            reports.push(self.report(question, members, totals, at));
        }
        reports
    }
}

/// Says of the outcomes what the report does not.
fn warn(context: &Context, totals: &Totals) {
    for row in &totals.broken {
        context.warn(format_args!("line {}: {}", row.line, row.problem));
    }
    let shown = u64::try_from(totals.broken.len()).unwrap_or(u64::MAX);
    if totals.broken_rows > shown {
        let more = totals.broken_rows - shown;
        context.warn(format_args!("{more} more rows can't be read"));
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Shown<'a>(&'a Report);

impl View for Shown<'_> {
    fn columns(&self) -> &'static [&'static str] {
        tsv::COLUMNS
    }

    fn tsv(&self, tsv: &mut Tsv) {
        tsv::write(self.0, tsv);
    }

    fn text(&self, text: &mut Text) {
        text::write(self.0, text);
    }
}
