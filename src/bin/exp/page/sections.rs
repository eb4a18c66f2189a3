//! The parts of the page about the experiment as a whole.

use maud::{Markup, html};

use experiments::ChangeRecord;
use experiments::results::{Report, SampleRatioTest, VerdictCode};

use super::charts;
use super::content::{Days, Page};
use super::parts::{self, Align, day, isolated, table, time};
use crate::output::change;
use crate::output::figures::{count, figure, p_is, p_value, share};
use crate::output::text::safe;

pub(super) fn head(page: &Page<'_>) -> Markup {
    let report = page.report;
    html! {
        header {
            h1 { (isolated(&report.experiment)) }
            @if let Some(description) = page.description { p dir="auto" { (safe(description)) } }
            p.faint {
                (report.state) ", from " (time(report.from_secs)) " to " (time(report.to_secs)) ". "
                (count(report.assigned_actors)) " assigned, " (count(report.exposed_actors)) " exposed; "
                (report.population) " actors are analysed. Intervals are "
                (share(report.confidence)) " sure."
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
                    li.warn { strong { "Warning: " } (safe(&warning.message)) }
                }
                @for metric in &report.metrics {
                    li class=[tone(metric.verdict.code)] {
                        strong { (isolated(&metric.metric)) ": " } (safe(&metric.verdict.sentence))
                    }
                }
                @if report.metrics.is_empty() {
                    li { "No metric: declare one in a file, or name one with " code { "--metric NAME:KIND" } }
                }
                li class=[report.sample_ratio.mismatch.then_some("bad")] {
                    (safe(&report.sample_ratio.sentence()))
                }
            }
        }
    }
}

/// A colour beside the words, which say the same.
fn tone(code: VerdictCode) -> Option<&'static str> {
    match code {
        VerdictCode::Better | VerdictCode::Safe => Some("good"),
        VerdictCode::Worse | VerdictCode::Harmed => Some("bad"),
        VerdictCode::Blocked => Some("warn"),
        VerdictCode::Exploratory | VerdictCode::TooEarly | VerdictCode::Undecided => None,
    }
}

pub(super) fn sample_ratio(report: &Report) -> Markup {
    let found = &report.sample_ratio;
    html! {
        section aria-labelledby="sample-ratio" {
            h2 #sample-ratio { "Sample ratio" }
            p { (safe(&found.sentence())) }
            @for (index, test) in found.tests.iter().enumerate() {
                (periods(test, &format!("sample-ratio-{index}")))
            }
            @if let [first, ..] = &*found.by {
                @let columns = [
                    ("Value", Align::Left),
                    ("Actors", Align::Right),
                    ("p, at any look", Align::Right),
                    ("Split", Align::Left),
                ];
                @let caption = html! { "By " (isolated(&first.column)) ", to find where a mismatch comes from" };
                @let rows = html! {
                    @for value in &found.by {
                        tr {
                            th scope="row" { (isolated(&value.value)) }
                            td.number { (count(actors(&value.test))) }
                            td.number { (p_value(value.test.always_valid_p_value)) }
                            td { @if value.mismatch { "does not match the weights" } @else { "matches the weights" } }
                        }
                    }
                };
                (table("sample-ratio-by", &caption, &columns, &rows))
            }
        }
    }
}

fn periods(test: &SampleRatioTest, id: &str) -> Markup {
    let columns = [
        ("From", Align::Left),
        ("Variant", Align::Left),
        ("Weight", Align::Right),
        ("Expected", Align::Right),
        ("Actors", Align::Right),
        ("p, at one look", Align::Right),
    ];
    let caption = html! {
        (test.population) " actors, by period of weights: " (p_is(test.always_valid_p_value))
        " at any look"
        @if let (Some(p), Some(square), Some(degrees)) = (test.p_value, test.chi_square, test.degrees) {
            ", " (p_is(p)) " at one look (χ² = " (figure(square)) ", " (degrees)
            @if degrees == 1 { " degree" } @else { " degrees" } " of freedom)"
        }
    };
    let rows = html! {
        @for period in &test.periods {
            @for (row, variant) in period.variants.iter().enumerate() {
                tr {
                    @if row == 0 {
                        th scope="rowgroup" rowspan=(period.variants.len()) { (time(period.from_secs)) }
                    }
                    td.text { (isolated(&variant.variant)) }
                    td.number { (variant.weight) }
                    td.number { (format!("{:.1}", variant.expected)) }
                    td.number { (count(variant.actors)) }
                    @if row == 0 {
                        td.number rowspan=(period.variants.len()) {
                            (period.p_value.map_or_else(|| "–".to_owned(), p_value))
                        }
                    }
                }
            }
        }
    };
    table(id, &caption, &columns, &rows)
}

fn actors(test: &SampleRatioTest) -> u64 {
    let variants = test.periods.iter().flat_map(|period| &period.variants);
    variants.map(|variant| variant.actors).sum()
}

pub(super) fn assigned(days: &Days) -> Markup {
    let each = match days.step {
        0 | 1 => "day".to_owned(),
        step => format!("{step} days"),
    };
    let names = days.variants.iter().map(|name| safe(name));
    let names: Vec<String> = names.collect();
    let numbers = names.iter().map(|name| (name.as_str(), Align::Right));
    let columns: Vec<_> = [("From", Align::Left)].into_iter().chain(numbers).collect();
    let caption = html! { "New actors of each variant, for each " (each) };
    let rows = html! {
        @for day in &days.bars {
            tr {
                th scope="row" { (parts::day(day.begins_at_secs)) }
                @for actors in &day.actors { td.number { (count(*actors)) } }
            }
        }
    };
    html! {
        section aria-labelledby="days" {
            h2 #days { "New actors by day" }
            @if let (Some(first), Some(last)) = (days.bars.first(), days.bars.last()) {
                figure {
                    (charts::days(&days.bars))
                    figcaption {
                        "All variants; one bar for each " (each) " of UTC, from " (day(first.begins_at_secs)) " to "
                        (day(last.begins_at_secs))
                    }
                }
                details {
                    summary { "The figures of this chart" }
                    (table("days-figures", &caption, &columns, &rows))
                }
            } @else {
                p { "No actor was assigned." }
            }
        }
    }
}

pub(super) fn left_out(report: &Report) -> Markup {
    let left_out = &report.left_out;
    let told = [
        ("Actors with an override", left_out.overridden_actors),
        ("Actors who saw two variants", left_out.mixed_actors),
        ("Rows of actors in no variant", left_out.unknown_actors),
        ("Rows from before the actor's start", left_out.before_start),
        ("Rows that can't be read", left_out.broken_rows),
    ];
    let rows = html! {
        @for (what, number) in told {
            tr { th scope="row" { (what) } td.number { (count(number)) } }
        }
        @for metric in report.metrics.iter().filter(|metric| metric.after_window > 0) {
            tr {
                th scope="row" { "Rows after the window of " (isolated(&metric.metric)) }
                td.number { (count(metric.after_window)) }
            }
        }
    };
    let columns = [("What", Align::Left), ("How many", Align::Right)];
    let caption = html! { "Not counted in any figure of this page" };
    html! {
        section aria-labelledby="left-out" {
            h2 #left-out { "What was left out" }
            (table("left-out-figures", &caption, &columns, &rows))
        }
    }
}

pub(super) fn history(history: &[ChangeRecord], experiment: &str) -> Markup {
    const MOST: usize = 50;
    let columns = [
        ("When", Align::Left),
        ("Who", Align::Left),
        ("What", Align::Left),
    ];
    let rows = html! {
        @for entry in history.iter().take(MOST) {
            tr {
                th scope="row" { (time(entry.timestamp_secs)) }
                td.text { (isolated(entry.actor.as_deref().unwrap_or("(unknown)"))) }
                td.text {
                    (isolated(&entry.mutation))
                    @for difference in change::differences_of(entry, time) {
                        div.faint {
                            bdi { (difference.what) } ": "
                            bdi { (difference.before) } " → " bdi { (difference.after) }
                        }
                    }
                }
            }
        }
    };
    let older = history.len().saturating_sub(MOST);
    let caption = html! {
        "Newest first"
        @if older > 0 {
            "; " (count(older as u64)) " older " @if older == 1 { "entry is" } @else { "entries are" }
            " not shown: " code { "exp history " (safe(experiment)) } " has all"
        }
    };
    html! {
        section aria-labelledby="history" {
            h2 #history { "History" }
            (table("history-entries", &caption, &columns, &rows))
        }
    }
}

pub(super) fn footer(page: &Page<'_>) -> Markup {
    html! {
        footer {
            p { "Made by exp " (env!("CARGO_PKG_VERSION")) " at " (time(page.made_at_secs)) " with" }
            p { code { (safe(&page.command)) } }
            @if page.ends_by_itself {
                p { "Add " code { "--as-of " (page.report.to_secs) } " to the command to get the same end." }
            }
            p { "The inputs, each with the SHA-256 of what was read:" }
            dl {
                @for (input, hash) in &page.inputs {
                    dt { code { (safe(input)) } }
                    dd { code { (hash) } }
                }
            }
        }
    }
}
