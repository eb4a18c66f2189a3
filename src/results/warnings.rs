//! What to know before the figures are believed, each with a code and a sentence.

use crate::metric::MetricKind;
use crate::text::escape;

use super::population::Cohort;
use super::report::{MetricReport, Report, Warning, WarningCode};
use super::request::Analysis;
use super::totals::Totals;
use super::words;

/// All warnings about a report that has none yet.
pub(super) fn of(
    report: &Report,
    analysis: &Analysis,
    cohort: &Cohort,
    totals: &Totals,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, message: String| warnings.push(Warning { code, message });
    if report.sample_ratio.mismatch {
        warn(
            WarningCode::SampleRatioMismatch,
            report.sample_ratio.sentence(),
        );
    }
    if cohort.is_mixed() {
        let message = format!(
            "{} of {} were exposed to two variants and are left out",
            words::count(cohort.mixed),
            words::actors(cohort.size)
        );
        warn(WarningCode::MixedActors, message);
    }
    if is_tenth_apart(report.assigned_actors, report.exposed_actors) {
        let message = format!(
            "{} are assigned and {} of them are exposed; actors who are never shown a variant dilute its effect",
            words::actors(report.assigned_actors),
            words::count(report.exposed_actors)
        );
        warn(WarningCode::PopulationDiffers, message);
    }
    let is_before_start = report.to_secs < report.from_secs;
    if is_before_start {
        let message = format!(
            "the results end on {}, before the start of the experiment on {}: nobody was assigned yet",
            words::day(report.to_secs),
            words::day(report.from_secs)
        );
        warn(WarningCode::BeforeStart, message);
    } else if !analysis.metrics.is_empty() && !has_outcomes(cohort, totals) {
        let message = match totals.rows {
            0 => "there are no outcomes of these metrics".to_owned(),
            rows => format!(
                "no outcome of an analysed actor was found in {}",
                words::rows(rows)
            ),
        };
        warn(WarningCode::NoOutcomes, message);
    }
    if analysis.only_seen {
        let message = "actors without an outcome are left out, so no metric has a verdict";
        warn(WarningCode::OnlySeen, message.to_owned());
    }
    for (metric, found) in analysis.metrics.iter().zip(&report.metrics) {
        of_metric(&metric.config, found, &mut warn);
    }
    of_rows(totals, &mut warn);
    // Before the start no actor is in a variant.
    if totals.unknown_actors * 2 > totals.rows && !is_before_start {
        let message = format!(
            "actors in no variant: {} of {}; is the column of actors the right one?",
            words::count(totals.unknown_actors),
            words::rows(totals.rows)
        );
        warn(WarningCode::UnknownActors, message);
    }
    warnings
}

fn of_rows(totals: &Totals, warn: &mut impl FnMut(WarningCode, String)) {
    let all = words::rows(totals.rows);
    if totals.rows > 0 && !totals.timed {
        let message =
            "the outcomes have no times, so those from before an actor's start count as well";
        warn(WarningCode::NoTimes, message.to_owned());
    }
    if totals.milliseconds {
        let message =
            "times were read as milliseconds; read as seconds, they would be far in the future";
        warn(WarningCode::Milliseconds, message.to_owned());
    }
    if totals.in_future > 0 {
        let message = format!(
            "times in the future: {} of {all}",
            words::count(totals.in_future)
        );
        warn(WarningCode::InFuture, message);
    }
    if totals.broken_rows > 0 {
        let broken = words::count(totals.broken_rows);
        let first = totals.broken.first().map_or_else(String::new, |first| {
            format!(
                "; the first is line {}: {}",
                first.line,
                escape(&first.problem)
            )
        });
        warn(
            WarningCode::BrokenRows,
            format!("{broken} of {all} could not be read{first}"),
        );
    }
    if totals.blank_ids > 0 {
        let message = format!(
            "blanks around the id of a known actor: {} of {all}",
            words::count(totals.blank_ids)
        );
        warn(WarningCode::BlankIds, message);
    }
}

fn of_metric(
    config: &crate::metric::MetricConfig,
    found: &MetricReport,
    warn: &mut impl FnMut(WarningCode, String),
) {
    let name = words::name(&found.metric);
    let over_periods = found
        .comparisons
        .iter()
        .any(|comparison| comparison.periods > 1);
    if found.kind == MetricKind::Quantile && over_periods {
        let message = format!(
            "{name}: the weights have changed, and the quantile pools all periods of weights"
        );
        warn(WarningCode::QuantileOverPeriods, message);
    }
    for comparison in &found.comparisons {
        if comparison.left_out_actors > 0 {
            let message = format!(
                "{name}: {} of {} and {} are left out: in their period of weights one of the two variants has fewer \
                 than 2",
                words::actors(comparison.left_out_actors),
                words::name(&comparison.variant),
                words::name(&comparison.control)
            );
            warn(WarningCode::PeriodLeftOut, message);
        }
        if config.covariate.is_some() && comparison.cuped.is_none() && comparison.actors > 0 {
            let message = format!(
                "{name}: the covariate is not used for {}, as it is unknown or the same for all actors",
                words::name(&comparison.variant)
            );
            warn(WarningCode::CovariateUnused, message);
        }
    }
}

fn has_outcomes(cohort: &Cohort, totals: &Totals) -> bool {
    let seen = |number: usize| {
        totals
            .metrics
            .iter()
            .any(|metric| metric.seen.get(number) == Some(&true))
    };
    cohort.actors().any(|actor| seen(actor.number))
}

/// Whether two counts differ by more than a tenth of the larger one.
fn is_tenth_apart(one: u64, other: u64) -> bool {
    one.abs_diff(other).saturating_mul(10) > one.max(other)
}
