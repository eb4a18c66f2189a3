//! What the page of results shows beside the report.

use experiments::results::{Members, Report};
use experiments::{ExperimentService, ExposureScan};

use super::{Question, text};
use crate::commands::{assignments, exposures};
use crate::hash::Hash;
use crate::output::rows::Rows;
use crate::page::{self, Day, Moment, Page};

const DAY: u64 = 86_400;

/// What a page is made of.
pub(super) struct Made<'a> {
    pub(super) question: &'a Question,
    pub(super) service: &'a ExperimentService,
    pub(super) members: &'a Members,
    pub(super) report: &'a Report,
    /// The report as it would have been at some earlier moments.
    pub(super) over_time: Vec<Report>,
    /// What the outcomes were read from, and its SHA-256.
    pub(super) outcomes: (String, String),
}

pub(super) fn document(made: &Made<'_>) -> anyhow::Result<String> {
    let config = &made.question.config;
    let name = shlex::try_quote(&config.name)?;
    let assigned = Rows::tsv(Hash::default(), assignments::COLUMNS);
    let assigned = assignments::write(made.service, &config.name, 0, assigned)?;
    let exposed = Rows::tsv(Hash::default(), exposures::COLUMNS);
    let all = ExposureScan::default();
    let exposed = exposures::write(made.service, &config.name, &all, exposed)?;
    let inputs = vec![
        (format!("exp assignments {name}"), assigned.to_string()),
        (format!("exp exposures {name}"), exposed.to_string()),
        made.outcomes.clone(),
    ];
    let words: Vec<String> = std::env::args().collect();
    let words = std::iter::once("exp").chain(words.iter().skip(1).map(String::as_str));
    Ok(page::render(&Page {
        report: made.report,
        description: config.description.as_deref(),
        over_time: over_time(made),
        days: days(made),
        history: &made.question.history,
        command: shlex::try_join(words)?,
        inputs,
        made_at_secs: made.question.now_secs,
    }))
}

/// Of each metric with a window the comparison of its verdict, or else the first; without a window, what is known now
/// says nothing of what was known then.
fn over_time(made: &Made<'_>) -> Vec<Vec<Moment>> {
    let metrics = made.report.metrics.iter().enumerate();
    let series = metrics.map(|(index, metric)| {
        if metric.window_secs.is_none() {
            return Vec::new();
        }
        let variant = metric.verdict.variant.as_deref();
        let reports = made.over_time.iter().chain([made.report]);
        let moments = reports.filter_map(|report| {
            let mut comparisons = report.metrics[index].comparisons.iter();
            let comparison =
                comparisons.find(|c| variant.is_none_or(|variant| c.variant == variant))?;
            Some(Moment {
                at_secs: report.to_secs,
                interval: text::interval(comparison)?,
            })
        });
        moments.collect()
    });
    series.collect()
}

/// How many actors were assigned on each day of UTC, by variant.
fn days(made: &Made<'_>) -> Vec<Day> {
    const MOST: u64 = 3660;
    let until = made.report.to_secs;
    let members = made.members.members.iter();
    let within = members.filter(|member| member.assigned_at_secs <= until);
    let Some(first) = within.clone().map(|member| member.assigned_at_secs).min() else {
        return Vec::new();
    };
    let (first, last) = (first / DAY, until / DAY);
    if last - first >= MOST {
        return Vec::new();
    }
    let variants = made.question.config.variants.len();
    let mut days: Vec<Day> = (first..=last)
        .map(|day| Day {
            begins_at_secs: day * DAY,
            actors: vec![0; variants],
        })
        .collect();
    for member in within {
        let day = member.assigned_at_secs / DAY - first;
        if let Some(day) = usize::try_from(day).ok().and_then(|day| days.get_mut(day)) {
            day.actors[usize::from(member.variant)] += 1;
        }
    }
    days
}
