//! The part of the page about one metric: its figures, its intervals, its difference over time.

use maud::{Markup, html};

use experiments::metric::{Better, MetricKind};
use experiments::results::{ComparisonReport, MetricReport};

use super::charts;
use super::content::{Beside, Series};
use super::parts::{Align, isolated, table, time};
use crate::output::figures::{chance, change, count, figure, p_value, rate};
use crate::output::interval::{Interval, Scale};
use crate::output::text::percent;

pub(super) fn section(
    metric: &MetricReport,
    beside: &Beside,
    index: usize,
    scale: Scale,
) -> Markup {
    let id = format!("metric-{index}");
    let drawn = metric.comparisons.iter();
    let drawn = drawn.filter_map(|c| Some((&*c.variant, Interval::of(c)?)));
    let drawn: Vec<(&str, Interval)> = drawn.collect();
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (isolated(&metric.metric)) }
            p.faint {
                (metric.role) ": " (beside.definition) "; "
                @match metric.better { Better::Up => "higher is better", Better::Down => "lower is better" }
                @if metric.exploratory { "; exploratory" }
            }
            (figures(metric, &id))
            @for comparison in &metric.comparisons { (notes(metric, comparison)) }
            @if let [first, ..] = &*metric.comparisons && !drawn.is_empty() {
                figure {
                    (charts::intervals(scale, &drawn, &first.control))
                    figcaption {
                        "Change against " (isolated(&first.control)) ", with the interval that holds however often you "
                        "look. All metrics have the same scale; the dashed line is no change, and an arrow points to "
                        "what lies beyond the scale."
                    }
                }
            }
            @if let Some(series) = &beside.over_time { (over_time(series, metric, &id)) }
            @if !metric.comparisons.is_empty() { (once(metric, &id)) }
        }
    }
}

/// The figures that decide.
fn figures(metric: &MetricReport, id: &str) -> Markup {
    let value = match metric.kind {
        MetricKind::Conversion => "Rate",
        MetricKind::Mean => "Mean",
        MetricKind::Ratio => "Ratio",
        MetricKind::Quantile => "Value",
    };
    let mut columns = vec![
        ("Variant", Align::Left),
        ("Actors", Align::Right),
        (value, Align::Right),
        ("Change", Align::Right),
        ("Interval", Align::Right),
        ("p", Align::Right),
        ("Chance to win", Align::Right),
    ];
    let any_in_progress = metric.variants.iter().any(|v| v.in_progress > 0);
    if any_in_progress {
        columns.insert(2, ("In progress", Align::Right));
    }
    let caption = html! { "Interval and p hold however often you look" };
    let rows = html! {
        @for figures in &metric.variants {
            tr {
                th scope="row" { (isolated(&figures.variant)) }
                td.number { (count(figures.actors)) }
                @if any_in_progress { td.number { (count(figures.in_progress)) } }
                td.number { (figures.mean.map_or_else(missing, |mean| plain(metric.kind, mean))) }
                @match metric.comparisons.iter().find(|c| c.variant == figures.variant) {
                    Some(comparison) => (compared(metric, comparison)),
                    None => @for _ in 0..4 { td {} },
                }
            }
        }
    };
    table(&format!("{id}-figures"), &caption, &columns, &rows)
}

fn compared(metric: &MetricReport, comparison: &ComparisonReport) -> Markup {
    let always = &comparison.always_valid;
    let unit = |value| signed(metric.kind, value);
    let (estimate, interval) = match comparison.relative.estimate {
        Some(estimate) => (
            change(estimate),
            between(always.relative_low, always.relative_high, change),
        ),
        None => (
            comparison.difference.estimate.map_or_else(missing, unit),
            between(always.low, always.high, unit),
        ),
    };
    let p = always
        .p_value
        .map(|own| comparison.adjusted_p_value.unwrap_or(own));
    let chance_to_win = comparison.chance_to_win;
    let chance_to_win = chance_to_win.filter(|_| metric.kind != MetricKind::Quantile);
    html! {
        td.number { (estimate) }
        td.number { (interval) }
        td.number { (p.map_or_else(missing, p_value)) }
        td.number { (chance_to_win.map_or_else(missing, chance)) }
    }
}

/// What the table has no place for.
fn notes(metric: &MetricReport, comparison: &ComparisonReport) -> Markup {
    let unit = |value| signed(metric.kind, value);
    let always = &comparison.always_valid;
    html! {
        @if excludes_zero(always.low, always.high) && !excludes_zero(always.relative_low, always.relative_high) {
            p.faint {
                (isolated(&comparison.variant)) ": the difference is "
                (comparison.difference.estimate.map_or_else(missing, unit)) " ("
                (between(always.low, always.high, unit)) "). The verdict rests on this; relative to the control it is less certain, "
                "because the control's own value is not certain"
            }
        }
        @if let Some((low, high)) = comparison.one_sided.and_then(|s| s.relative_low.zip(s.relative_high)) {
            p.faint {
                (isolated(&comparison.variant)) ": at worst " (change(low)) ", at best " (change(high))
                ", where plus is good; each bound by itself holds however often you look"
            }
        }
        @if let Some(cuped) = &comparison.cuped && let Some(reduction) = cuped.variance_reduction {
            p.faint {
                (isolated(&comparison.variant)) ": the covariate explains " (percent(reduction)) " of the variance"
                @if let Some(without) = cuped.unadjusted.estimate {
                    "; without it, the difference at one look is " (unit(without)) " ("
                    (between(cuped.unadjusted.low, cuped.unadjusted.high, unit)) ")"
                }
            }
        }
        @if comparison.left_out_actors > 0 {
            p.faint {
                (isolated(&comparison.variant)) ": " (count(comparison.left_out_actors))
                " actors of periods with fewer than 2 actors in a variant are left out"
            }
        }
    }
}

fn over_time(series: &Series, metric: &MetricReport, id: &str) -> Markup {
    let columns = [
        ("Until", Align::Left),
        ("Change", Align::Right),
        ("Interval", Align::Right),
    ];
    let rows = html! {
        @for moment in &series.moments {
            @let Interval { low, estimate, high } = moment.interval;
            tr {
                th scope="row" { (time(moment.at_secs)) }
                td.number { (change(estimate)) }
                td.number { (between(Some(low), Some(high), change)) }
            }
        }
    };
    let against = html! { (isolated(&series.variant)) " against " (isolated(&series.control)) };
    html! {
        h3 { "Over time" }
        figure {
            (charts::over_time(series, &metric.metric))
            figcaption {
                (against) ": the change as it stood at each moment (line), and the interval that holds however often "
                "you look (band)."
                @if charts::is_cut(&series.moments) {
                    " While there were few actors the band was wider than the scale; there it is cut off."
                }
            }
        }
        details {
            summary { "The figures of this chart" }
            (table(&format!("{id}-over-time"), &against, &columns, &rows))
        }
    }
}

/// The figures of a fixed sample, which decide nothing.
fn once(metric: &MetricReport, id: &str) -> Markup {
    let columns = [
        ("Variant", Align::Left),
        ("Difference", Align::Right),
        ("Interval", Align::Right),
        ("p", Align::Right),
        ("Expected loss", Align::Right),
        ("Detectable at one look", Align::Right),
        ("Detectable at any look", Align::Right),
    ];
    let caption = html! { "Valid for one look at an end that was fixed before the start; no verdict rests on these figures" };
    let unit = |value| signed(metric.kind, value);
    let amount =
        |value: Option<f64>| value.map_or_else(missing, |value| distance(metric.kind, value));
    let rows = html! {
        @for comparison in &metric.comparisons {
            @let difference = &comparison.difference;
            @let detectable = &comparison.minimum_detectable_effect;
            tr {
                th scope="row" { (isolated(&comparison.variant)) }
                td.number { (difference.estimate.map_or_else(missing, unit)) }
                td.number { (between(difference.low, difference.high, unit)) }
                td.number { (difference.p_value.map_or_else(missing, p_value)) }
                td.number { (amount(comparison.expected_loss)) }
                td.number { (amount(detectable.fixed)) }
                td.number { (amount(detectable.always_valid)) }
            }
        }
    };
    html! {
        details {
            summary { "As if looked at once" }
            (table(&format!("{id}-once"), &caption, &columns, &rows))
        }
    }
}

/// A value in the metric's unit.
fn plain(kind: MetricKind, value: f64) -> String {
    match kind {
        MetricKind::Conversion => rate(value),
        MetricKind::Mean | MetricKind::Ratio | MetricKind::Quantile => figure(value),
    }
}

/// How far apart two values are, in the metric's unit: two rates, in percentage points.
fn distance(kind: MetricKind, value: f64) -> String {
    match kind {
        MetricKind::Conversion => format!("{} points", figure(value * 100.0)),
        MetricKind::Mean | MetricKind::Ratio | MetricKind::Quantile => figure(value),
    }
}

/// The same with its sign.
fn signed(kind: MetricKind, value: f64) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    format!("{sign}{}", distance(kind, value))
}

fn excludes_zero(low: Option<f64>, high: Option<f64>) -> bool {
    low.zip(high)
        .is_some_and(|(low, high)| low > 0.0 || high < 0.0)
}

fn between(low: Option<f64>, high: Option<f64>, write: impl Fn(f64) -> String) -> String {
    low.zip(high).map_or_else(missing, |(low, high)| {
        format!("{} to {}", write(low), write(high))
    })
}

fn missing() -> String {
    "–".to_owned()
}
