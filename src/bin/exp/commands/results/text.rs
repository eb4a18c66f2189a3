//! Results for people: first what is known, then the figures, then what was left out.

use experiments::metric::{Better, MetricKind, Population};
use experiments::results::{ComparisonReport, MetricReport, Report, VariantFigures};

use crate::output::figures::{self, change, count, figure, p_value};
use crate::output::interval::{Interval, Scale};
use crate::output::text::{
    BOLD, DIM, Text, cell, number, percent, safe, state_style, styled, wrapped,
};

/// The longest line of an interval.
const LONGEST: usize = 60;

pub(super) fn write(report: &Report, text: &mut Text) {
    head(report, text);
    for warning in &report.warnings {
        wrapped(text, "! ", &safe(&warning.message));
    }
    text.line("");
    for metric in &report.metrics {
        let name = styled(BOLD, safe(&metric.metric));
        wrapped(text, &format!("{name}: "), &safe(&metric.verdict.sentence));
    }
    if report.metrics.is_empty() {
        text.line("no metric: declare one in a file, or name one with --metric NAME:KIND");
    }
    wrapped(text, "", &safe(&report.sample_ratio.sentence()));
    let drawn = report.metrics.iter().flat_map(|metric| &metric.comparisons);
    let intervals: Vec<Interval> = drawn.filter_map(Interval::of).collect();
    let scale = Scale::of(&intervals);
    for metric in &report.metrics {
        text.line("");
        metric_head(metric, text);
        table(metric, report, scale, text);
    }
    if !intervals.is_empty() {
        let (low, high) = scale.ends();
        let line = format!(
            "all intervals have the same scale, from {} to {}; the line │ marks 0",
            change(low),
            change(high)
        );
        text.line("");
        wrapped(text, "", &line);
    }
    let split = report.sample_ratio.tests.first();
    if !intervals.is_empty() && split.is_some_and(|split| split.periods.len() > 1) {
        let line = "the weights have changed: variants are compared within each period of weights, and the \
                    rates and means are over all periods";
        wrapped(text, "", line);
    }
    left_out(report, text);
}

fn head(report: &Report, text: &mut Text) {
    text.line(format_args!(
        "{}  {}",
        styled(BOLD, safe(&report.experiment)),
        styled(state_style(report.state), report.state)
    ));
    let (from, to) = (text.time(report.from_secs), text.time(report.to_secs));
    text.line(styled(DIM, format!("from {from}")));
    text.line(styled(DIM, format!("to   {to}")));
    let population = match report.population {
        Population::Assigned => "assigned actors are analysed",
        Population::Exposed => "exposed actors are analysed",
    };
    let actors = format!(
        "{} assigned, {} exposed; {population}",
        count(report.assigned_actors),
        count(report.exposed_actors)
    );
    wrapped(text, "", &actors);
}

/// What the metric is, in a line: `purchase  conversion, primary, within 7d, higher is better`.
fn metric_head(metric: &MetricReport, text: &mut Text) {
    let mut what = vec![metric.kind.to_string(), metric.role.to_string()];
    if let Some(window) = metric
        .window_secs
        .and_then(experiments::metric::Window::of_secs)
    {
        what.push(format!("within {window}"));
    }
    if metric.better == Better::Down {
        what.push("lower is better".to_owned());
    }
    if metric.exploratory {
        what.push("exploratory".to_owned());
    }
    let name = styled(BOLD, safe(&metric.metric));
    wrapped(text, &format!("{name}  "), &what.join(", "));
}

fn table(metric: &MetricReport, report: &Report, scale: Scale, text: &mut Text) {
    let value = match metric.kind {
        MetricKind::Conversion => "RATE",
        MetricKind::Mean => "MEAN",
        MetricKind::Ratio => "RATIO",
        MetricKind::Quantile => "VALUE",
    };
    let mut header = vec!["VARIANT", "ACTORS", value, "CHANGE", "P"];
    let any_in_progress = metric.variants.iter().any(|v| v.in_progress > 0);
    if any_in_progress {
        header.insert(2, "IN PROGRESS");
    }
    let rows = metric.variants.iter().map(|figures| {
        let comparison = metric
            .comparisons
            .iter()
            .find(|comparison| comparison.variant == figures.variant);
        let mut row = vec![
            cell(&figures.variant),
            number(count(figures.actors)),
            number(mean(metric.kind, figures)),
            number(comparison.map_or_else(String::new, estimate)),
            number(comparison.map_or_else(String::new, p)),
        ];
        if any_in_progress {
            row.insert(2, number(count(figures.in_progress)));
        }
        row
    });
    text.table(&header, rows.collect());
    let longest = text
        .width()
        .map_or(LONGEST, |width| width.saturating_sub(4));
    for comparison in &metric.comparisons {
        bounds(metric, comparison, report, text);
        if let Some(line) = Interval::of(comparison) {
            text.line(format_args!("  {}", scale.draw(line, longest.min(LONGEST))));
        }
    }
}

/// The interval that decides, in words.
fn bounds(metric: &MetricReport, comparison: &ComparisonReport, report: &Report, text: &mut Text) {
    let always = &comparison.always_valid;
    let sure = figures::share(report.confidence);
    let against = format!(
        "{} against {}",
        safe(&comparison.variant),
        safe(&comparison.control)
    );
    let between = match (always.relative_low, always.relative_high) {
        (Some(low), Some(high)) => format!("{} to {}", change(low), change(high)),
        _ => match (always.low, always.high) {
            (Some(low), Some(high)) => format!("{} to {}", figure(low), figure(high)),
            _ => return,
        },
    };
    let mut line = format!("{against}: {between} ({sure} sure, however often you look)");
    if metric.kind != MetricKind::Quantile
        && let Some(chance) = comparison.chance_to_win
    {
        line = format!("{line}, chance to win {}", figures::chance(chance));
    }
    wrapped(text, "  ", &line);
    if let Some(cuped) = &comparison.cuped
        && let Some(reduction) = cuped.variance_reduction
    {
        let line = format!(
            "the covariate explains {} of the variance",
            percent(reduction)
        );
        wrapped(text, "  ", &line);
    }
    if comparison.left_out_actors > 0 {
        let line = format!(
            "{} actors of periods with fewer than 2 actors in a variant are left out",
            count(comparison.left_out_actors)
        );
        wrapped(text, "  ", &line);
    }
}

fn mean(kind: MetricKind, figures: &VariantFigures) -> String {
    match (figures.mean, kind) {
        (None, _) => "–".to_owned(),
        (Some(rate), MetricKind::Conversion) => figures::rate(rate),
        (Some(mean), _) => figure(mean),
    }
}

fn estimate(comparison: &ComparisonReport) -> String {
    match (comparison.relative.estimate, comparison.difference.estimate) {
        (Some(relative), _) => change(relative),
        (None, Some(difference)) => figure(difference),
        (None, None) => "–".to_owned(),
    }
}

/// The p-value that decides: always valid, and adjusted where it is one of several.
fn p(comparison: &ComparisonReport) -> String {
    let own = comparison.always_valid.p_value;
    let p = own.map(|own| comparison.adjusted_p_value.unwrap_or(own));
    p.map_or_else(|| "–".to_owned(), p_value)
}

fn left_out(report: &Report, text: &mut Text) {
    let left_out = &report.left_out;
    let parts = [
        (
            left_out.overridden_actors,
            "actor with an override",
            "actors with an override",
        ),
        (
            left_out.mixed_actors,
            "actor who saw two variants",
            "actors who saw two variants",
        ),
        (
            left_out.unknown_actors,
            "row of an actor in no variant",
            "rows of actors in no variant",
        ),
        (
            left_out.before_start,
            "row from before the actor's start",
            "rows from before the actor's start",
        ),
        (
            left_out.broken_rows,
            "row that can't be read",
            "rows that can't be read",
        ),
    ];
    let mut told: Vec<String> = parts
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, more)| {
            format!("{} {}", count(number), if number == 1 { one } else { more })
        })
        .collect();
    for metric in report
        .metrics
        .iter()
        .filter(|metric| metric.after_window > 0)
    {
        let rows = if metric.after_window == 1 {
            "row"
        } else {
            "rows"
        };
        told.push(format!(
            "{} {rows} after the window of {}",
            count(metric.after_window),
            safe(&metric.metric)
        ));
    }
    if !told.is_empty() {
        text.line("");
        wrapped(text, "left out: ", &told.join(", "));
    }
}
