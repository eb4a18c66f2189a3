//! The parts of the page, from top to bottom.

use maud::{Markup, html};

use experiments::ChangeRecord;
use experiments::results::{ComparisonReport, MetricReport, Report, VerdictCode};

use super::{Page, charts, time};
use crate::output::figures::{change, count, figure, p_value};
use crate::output::interval::{Interval, Scale};
use crate::output::text::percent;

pub(super) fn head(page: &Page<'_>) -> Markup {
    let report = page.report;
    html! {
        header {
            h1 { (report.experiment) }
            @if let Some(description) = page.description { p { (description) } }
            p.faint {
                (report.state) ", from " (time(report.from_secs)) " to " (time(report.to_secs)) ". "
                (count(report.assigned_actors)) " actors assigned, "
                (count(report.exposed_actors)) " exposed; the "
                (report.population) " ones are analysed. Intervals are "
                (percent(report.confidence)) " sure."
            }
        }
    }
}

pub(super) fn verdicts(report: &Report) -> Markup {
    html! {
        section aria-labelledby="verdicts" {
            h2 #verdicts { "What is known" }
            ul.verdicts {
                @for warning in &report.warnings {
                    li.warn { strong { "Warning: " } (warning.message) }
                }
                @for metric in &report.metrics {
                    li class=(tone(metric.verdict.code)) {
                        strong { (metric.metric) ": " } (metric.verdict.sentence)
                    }
                }
                @if report.metrics.is_empty() {
                    li { "No metric was analysed." }
                }
                li class=(if report.sample_ratio.mismatch { "bad" } else { "" }) {
                    (report.sample_ratio.sentence())
                }
            }
        }
    }
}

/// A colour beside the words, which say the same.
fn tone(code: VerdictCode) -> &'static str {
    match code {
        VerdictCode::Better | VerdictCode::Safe => "good",
        VerdictCode::Worse | VerdictCode::Harmed => "bad",
        VerdictCode::Blocked => "warn",
        VerdictCode::Exploratory | VerdictCode::TooEarly | VerdictCode::Undecided => "",
    }
}

fn interval(comparison: &ComparisonReport) -> Option<Interval> {
    Some(Interval {
        low: comparison.always_valid.relative_low?,
        estimate: comparison.relative.estimate?,
        high: comparison.always_valid.relative_high?,
    })
}

pub(super) fn metric(metric: &MetricReport, page: &Page<'_>, index: usize) -> Markup {
    let all = page.report.metrics.iter();
    let all: Vec<Interval> = all
        .flat_map(|m| &m.comparisons)
        .filter_map(interval)
        .collect();
    let scale = Scale::of(&all);
    let id = format!("metric-{index}");
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (metric.metric) }
            p.faint {
                (metric.kind) ", " (metric.role)
                @if let Some(window) = metric.window_secs.and_then(experiments::metric::Window::of_secs) {
                    ", within " (window) " of an actor's start"
                }
                ", " @match metric.better {
                    experiments::metric::Better::Up => "higher is better",
                    experiments::metric::Better::Down => "lower is better",
                }
            }
            div.scroll {
                table {
                    thead { tr {
                        th scope="col" { "Variant" }
                        th.number scope="col" { "Actors" }
                        th.number scope="col" { "In progress" }
                        th.number scope="col" { "Mean" }
                        th.number scope="col" { "Change" }
                        th.number scope="col" { "Always valid" }
                        th.number scope="col" { "p" }
                        th.number scope="col" { "Chance to win" }
                    } }
                    tbody {
                        @for figures in &metric.variants {
                            @let comparison = metric.comparisons.iter().find(|c| c.variant == figures.variant);
                            tr {
                                th scope="row" { (figures.variant) }
                                td.number { (count(figures.actors)) }
                                td.number { (count(figures.in_progress)) }
                                td.number { (number(figures.mean)) }
                                (compared(comparison))
                            }
                        }
                    }
                }
            }
            @for comparison in &metric.comparisons {
                @if let Some(shown) = interval(comparison) {
                    @let what = format!("{} against {}", comparison.variant, comparison.control);
                    figure {
                        (charts::interval(scale, shown, &what))
                        figcaption { (what) ", relative; the interval holds however often you look" }
                    }
                }
            }
            @if let Some(moments) = page.over_time.get(index).filter(|moments| moments.len() > 1) {
                h3 { "Over time" }
                figure {
                    (charts::over_time(moments, &metric.metric))
                    figcaption { "The relative difference as it stood at each moment, with its always-valid interval" }
                }
            }
        }
    }
}

fn compared(comparison: Option<&ComparisonReport>) -> Markup {
    let Some(comparison) = comparison else {
        return html! { td.number {} td.number {} td.number {} td.number {} };
    };
    let always = &comparison.always_valid;
    let p = comparison.adjusted_p_value.or(always.p_value);
    html! {
        td.number { @match comparison.relative.estimate {
            Some(relative) => (change(relative)),
            None => (number(comparison.difference.estimate)),
        } }
        td.number { @match (always.relative_low, always.relative_high) {
            (Some(low), Some(high)) => { (change(low)) " to " (change(high)) },
            _ => "–",
        } }
        td.number { (p.map_or_else(|| "–".to_owned(), p_value)) }
        td.number { (comparison.chance_to_win.map_or_else(|| "–".to_owned(), percent)) }
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), figure)
}

pub(super) fn sample_ratio(report: &Report) -> Markup {
    html! {
        section aria-labelledby="sample-ratio" {
            h2 #sample-ratio { "Sample ratio" }
            p { (report.sample_ratio.sentence()) }
            @for test in &report.sample_ratio.tests {
                h3 { (test.population) " actors, by period of weights" }
                div.scroll { table {
                    thead { tr {
                        th scope="col" { "From" }
                        th scope="col" { "Variant" }
                        th.number scope="col" { "Weight" }
                        th.number scope="col" { "Expected" }
                        th.number scope="col" { "Actors" }
                    } }
                    tbody {
                        @for period in &test.periods {
                            @for (row, variant) in period.variants.iter().enumerate() {
                                tr {
                                    td { @if row == 0 { (time(period.from_secs)) } }
                                    td.text { (variant.variant) }
                                    td.number { (variant.weight) }
                                    td.number { (figure(variant.expected)) }
                                    td.number { (count(variant.actors)) }
                                }
                            }
                        }
                    }
                } }
            }
        }
    }
}

pub(super) fn assigned(page: &Page<'_>) -> Markup {
    if page.days.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="days" {
            h2 #days { "New actors by day" }
            figure {
                (charts::days(&page.days))
                figcaption { "Days of UTC" }
            }
        }
    }
}

pub(super) fn left_out(report: &Report) -> Markup {
    let left_out = &report.left_out;
    let rows = [
        ("Actors with an override", left_out.overridden_actors),
        ("Actors who saw two variants", left_out.mixed_actors),
        ("Rows of actors in no variant", left_out.unknown_actors),
        ("Rows from before the actor's start", left_out.before_start),
        ("Rows that can't be read", left_out.broken_rows),
    ];
    html! {
        section aria-labelledby="left-out" {
            h2 #left-out { "What was left out" }
            table { tbody {
                @for (what, number) in rows {
                    tr { th scope="row" { (what) } td.number { (count(number)) } }
                }
                @for metric in report.metrics.iter().filter(|metric| metric.after_window > 0) {
                    tr {
                        th scope="row" { "Rows after the window of " (metric.metric) }
                        td.number { (count(metric.after_window)) }
                    }
                }
            } }
        }
    }
}

pub(super) fn history(history: &[ChangeRecord]) -> Markup {
    html! {
        section aria-labelledby="history" {
            h2 #history { "History" }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "When" }
                    th scope="col" { "Who" }
                    th scope="col" { "What" }
                } }
                tbody {
                    @for change in history {
                        tr {
                            td { (time(change.timestamp_secs)) }
                            td.text { (change.actor.as_deref().unwrap_or("–")) }
                            td.text { (change.mutation) }
                        }
                    }
                }
            } }
        }
    }
}

pub(super) fn footer(page: &Page<'_>) -> Markup {
    html! {
        footer {
            p { "Made by exp " (env!("CARGO_PKG_VERSION")) " at " (time(page.made_at_secs)) " with" }
            p { code { (page.command) } }
            dl {
                @for (input, hash) in &page.inputs {
                    dt { (input) }
                    dd { code { (hash) } }
                }
            }
        }
    }
}
