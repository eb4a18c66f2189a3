//! `exp results --html`: one page that needs nothing else. Words and figures are those of the report; the shapes are
//! in `charts`, the colours in `style.css`.

mod charts;
mod sections;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use experiments::ChangeRecord;
use experiments::results::Report;

pub(crate) use self::charts::{Day, Moment};

/// All that a page shows.
pub(crate) struct Page<'a> {
    pub(crate) report: &'a Report,
    /// What it is about, for people.
    pub(crate) description: Option<&'a str>,
    /// For each metric the difference over time, in the order of the report's.
    pub(crate) over_time: Vec<Vec<Moment>>,
    /// Who was assigned, by day.
    pub(crate) days: Vec<Day>,
    /// The log, newest first.
    pub(crate) history: &'a [ChangeRecord],
    /// What was typed.
    pub(crate) command: String,
    /// The inputs and the SHA-256 of each.
    pub(crate) inputs: Vec<(String, String)>,
    /// When it was made, in seconds since 1970.
    pub(crate) made_at_secs: u64,
}

/// The page as a document.
pub(crate) fn render(page: &Page<'_>) -> String {
    let title = format!("{}: results", page.report.experiment);
    let document: Markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    (sections::head(page))
                    (sections::verdicts(page.report))
                    @for (index, metric) in page.report.metrics.iter().enumerate() {
                        (sections::metric(metric, page, index))
                    }
                    (sections::sample_ratio(page.report))
                    (sections::assigned(page))
                    (sections::left_out(page.report))
                    (sections::history(page.history))
                }
                (sections::footer(page))
            }
        }
    };
    document.into_string()
}

/// A moment in UTC, which is the same wherever the page is read.
fn time(secs: u64) -> String {
    let moment = i64::try_from(secs)
        .ok()
        .and_then(|secs| jiff::Timestamp::from_second(secs).ok());
    moment.map_or_else(
        || format!("{secs} s after 1970"),
        |moment| moment.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

/// The day of a moment, in UTC.
fn day(secs: u64) -> String {
    time(secs).split(' ').next().unwrap_or_default().to_owned()
}
