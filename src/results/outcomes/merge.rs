//! From what each thread has added up to the totals.

use super::error::OutcomesError;
use super::plan::Fed;
use super::tally::{Counts, Frame, Tally, add};
use crate::results::totals::{ByColumn, MetricTotals, Totals};

/// What the threads have added up, the first of them first. There is at least one.
pub(super) fn totals(
    frame: &Frame<'_>,
    is_timed: bool,
    tallies: Vec<Tally<'_>>,
) -> Result<Totals, OutcomesError> {
    let mut counts = Counts::default();
    let mut accounts = Vec::new();
    let mut covariates = Vec::new();
    let mut by = None;
    for mut tally in tallies {
        tally.flush();
        counts.merge(tally.counts);
        if accounts.is_empty() {
            accounts = tally.accounts;
        } else {
            let width = frame.plan.account;
            for (place, more) in tally.accounts.into_iter().enumerate() {
                if place % width > 0 {
                    merge(&mut accounts[place], more);
                }
            }
        }
        // Where rows are told apart by their order, one thread reads them all.
        covariates = tally.covariates;
        by = tally.by;
    }
    if let (Some(seconds_line), Some(milliseconds_line)) =
        (counts.seconds_line, counts.milliseconds_line)
    {
        return Err(OutcomesError::MixedTimes {
            seconds_line,
            milliseconds_line,
        });
    }
    let limit = Tally::MOST_VALUES;
    let too_many = |by: &ByColumn| by.values.len() > limit;
    if let Some(ByColumn { column, .. }) = by.take_if(|by| too_many(by)) {
        return Err(OutcomesError::TooManyValues { column, limit });
    }
    // Outcomes from before anybody was assigned say nothing of how far the others are known.
    let assigned = frame.members.members.iter();
    let first = assigned.map(|member| member.assigned_at_secs).min();
    let first = first.and_then(|first| i64::try_from(first).ok());
    let to_secs = match counts.latest {
        Some(latest) if frame.until_latest && first.is_none_or(|first| first <= latest) => {
            frame.to_secs.min(latest)
        }
        _ => frame.to_secs,
    };
    for (assigned, [starting, never_starting]) in counts.before_late_start {
        if assigned > to_secs {
            counts.unknown_actors += starting + never_starting;
        } else {
            counts.before_start += starting;
        }
    }
    let metrics = frame.plan.metrics.iter().zip(covariates);
    let metrics = metrics.zip(counts.after_window);
    let metrics = metrics.map(|((fed, covariates), after_window)| MetricTotals {
        covariates,
        after_window,
        ..of_metric(fed, &accounts, frame.plan.account)
    });
    let secs = |secs: i64| u64::try_from(secs).unwrap_or(0);
    Ok(Totals {
        metrics: metrics.collect(),
        by,
        timed: is_timed,
        milliseconds: counts.milliseconds_line.is_some(),
        to_secs: secs(to_secs),
        latest_secs: counts.latest.map(secs),
        rows: counts.rows,
        unknown_actors: counts.unknown_actors,
        blank_ids: counts.blank_ids,
        before_start: counts.before_start,
        after_end: counts.after_end,
        in_future: counts.in_future,
        broken_rows: counts.broken_rows,
        broken: counts.broken,
    })
}

/// Adds another thread's sum. Two infinite sums have no sum of their own; the first stays.
fn merge(sum: &mut f64, more: f64) {
    let first = *sum;
    add(sum, more);
    if sum.is_nan() && !first.is_nan() {
        *sum = first;
    }
}

fn of_metric(fed: &Fed, accounts: &[f64], width: usize) -> MetricTotals {
    let of_actors = |place: usize| accounts.iter().skip(place).step_by(width);
    let known = |sum: &f64| if sum.is_nan() { 0.0 } else { *sum };
    let values = of_actors(fed.sum).map(known);
    let seen = of_actors(fed.sum).map(|sum| !sum.is_nan());
    let mut totals = MetricTotals {
        values: values.collect(),
        seen: seen.collect(),
        ..MetricTotals::default()
    };
    if fed.denominator.is_some() {
        let denominators = of_actors(fed.sum + 1);
        for (seen, sum) in totals.seen.iter_mut().zip(denominators.clone()) {
            *seen |= !sum.is_nan();
        }
        totals.denominators = denominators.map(known).collect();
    } else if fed.is_conversion {
        for value in &mut totals.values {
            *value = f64::from(u8::from(*value > 0.0));
        }
    }
    totals
}

impl Counts {
    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.unknown_actors += other.unknown_actors;
        self.blank_ids += other.blank_ids;
        self.before_start += other.before_start;
        self.after_end += other.after_end;
        self.in_future += other.in_future;
        self.broken_rows += other.broken_rows;
        self.latest = self.latest.max(other.latest);
        self.seconds_line = earlier(self.seconds_line, other.seconds_line);
        self.milliseconds_line = earlier(self.milliseconds_line, other.milliseconds_line);
        for (assigned, rows) in other.before_late_start {
            let known = self.before_late_start.entry(assigned).or_default();
            *known = [known[0] + rows[0], known[1] + rows[1]];
        }
        self.after_window.resize(other.after_window.len(), 0);
        for (rows, more) in self.after_window.iter_mut().zip(other.after_window) {
            *rows += more;
        }
        self.broken.extend(other.broken);
        self.broken.sort_by_key(|row| row.line);
        self.broken.truncate(Totals::MOST_BROKEN);
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}
