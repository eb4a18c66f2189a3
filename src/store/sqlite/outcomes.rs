//! Outcomes: domain types to rows and back.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{optional_text, text};
use super::experiments::contradiction;
use super::failure::Failure;

use crate::number::Finite;
use crate::outcome::{Outcome, OutcomeScan, Tracked};
use crate::store::Each;
use crate::store::transfer::seconds;

/// Keeps them.
pub(super) fn track(db: &Connection, outcomes: &[Outcome]) -> rusqlite::Result<Tracked> {
    let mut metrics = HashMap::new();
    let mut tracked = Tracked::default();
    for outcome in outcomes {
        let metric = match metrics.get(&*outcome.metric) {
            Some(&known) => known,
            None => metric(db, &outcome.metric)?,
        };
        metrics.insert(&*outcome.metric, metric);
        if append(db, metric, outcome)? {
            tracked.recorded += 1;
        } else {
            tracked.repeated += 1;
        }
    }
    Ok(tracked)
}

/// The number of a metric, which is entered if it is new.
pub(super) fn metric(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    let mut find = db.prepare_cached("SELECT id FROM metrics WHERE name = ?1")?;
    if let Some(known) = find.query_row([name], |row| row.get(0)).optional()? {
        return Ok(known);
    }
    // A number that outcomes refer to is not free, even if the metric itself is lost.
    db.prepare_cached(
        "INSERT INTO metrics (id, name) VALUES (1 + max(
             coalesce((SELECT max(id) FROM metrics), 0),
             coalesce((SELECT max(metric_id) FROM outcomes), 0)), ?1)",
    )?
    .execute([name])?;
    Ok(db.last_insert_rowid())
}

/// Keeps one, unless there is one of its metric and its id. Says whether it did.
pub(super) fn append(db: &Connection, metric: i64, outcome: &Outcome) -> rusqlite::Result<bool> {
    let kept = db
        .prepare_cached(
            "INSERT INTO outcomes (metric_id, actor, value, happened_at, outcome_id)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            metric,
            outcome.actor,
            outcome.value.get(),
            seconds(outcome.timestamp_secs),
            outcome.id
        ])?;
    Ok(kept > 0)
}

/// Those that are wanted, in the order in which they were kept.
pub(super) fn scan(
    db: &Connection,
    wanted: &OutcomeScan<'_>,
    each: Each<'_, Outcome>,
) -> Result<(), Failure> {
    let metrics = metrics(db)?;
    let mut record = Outcome {
        actor: String::new(),
        metric: String::new(),
        value: Finite::default(),
        timestamp_secs: 0,
        id: None,
    };
    let mut last = None;
    let mut query = db.prepare(SELECT)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let metric: i64 = row.get(0)?;
        let Some(name) = metrics.get(&metric) else {
            return Err(contradiction(format!("an outcome is of metric number {metric}")).into());
        };
        if !wanted.metrics.is_empty() && !wanted.metrics.contains(&&**name) {
            continue;
        }
        if last.replace(metric) != Some(metric) {
            name.clone_into(&mut record.metric);
        }
        read(row, &mut record)?;
        each(&record)?;
    }
    Ok(())
}

/// The names of the metrics, by their numbers.
pub(super) fn metrics(db: &Connection) -> rusqlite::Result<HashMap<i64, String>> {
    let mut query = db.prepare("SELECT id, name FROM metrics")?;
    let metrics = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    metrics.collect()
}

/// All outcomes, each of which [`read`] reads.
pub(super) const SELECT: &str =
    "SELECT metric_id, actor, value, happened_at, outcome_id FROM outcomes ORDER BY id";

/// Reads all of a row but the metric.
pub(super) fn read(row: &Row<'_>, into: &mut Outcome) -> rusqlite::Result<()> {
    text(row, 1, &mut into.actor)?;
    into.value = value(row, 2)?;
    into.timestamp_secs = row.get(3)?;
    optional_text(row, 4, &mut into.id)
}

pub(super) fn value(row: &Row<'_>, column: usize) -> rusqlite::Result<Finite> {
    let value = Finite::new(row.get(column)?);
    value.ok_or_else(|| contradiction("its value is not finite".to_owned()))
}
