//! What an experiment has rows of: entries of its log, and overrides.

use tokio_postgres::Row;

use super::connection::Connection;
use super::experiments::{damaged, is_storable, unsigned};
use super::failure::Failure;
use crate::experiment::{ChangeRecord, Override};

/// What an entry of the log gets its time from, where none is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timing {
    /// The experiment, which was written just before: its row, the period that it may have begun and the
    /// entry have one time.
    Experiment,
    /// The database's clock.
    Clock,
}

/// Returns the time of the entry, which is later than that of the one before it.
pub(super) fn append_change(
    db: &mut Connection,
    change: &ChangeRecord,
    now: Option<i64>,
    timing: Timing,
) -> Result<u64, Failure> {
    let detail = change.detail.as_ref();
    let detail = detail.and_then(|detail| serde_json::to_string(detail).ok());
    let row = db.row(
        "INSERT INTO autumn_experiment_changes (experiment, mutation, actor, changed_at, detail)
         VALUES ($1, $2, $3, coalesce(to_timestamp($4::bigint),
            (SELECT updated_at FROM autumn_experiments WHERE name = $1 AND $6), clock_timestamp()),
            $5::text::jsonb)
         RETURNING floor(extract(epoch FROM changed_at))::bigint",
        &[
            &change.experiment,
            &change.mutation,
            &change.actor,
            &now,
            &detail,
            &(timing == Timing::Experiment),
        ],
    )?;
    Ok(unsigned(row.map_or(Ok(0), |row| row.try_get(0))?))
}

/// The log of an experiment, newest first.
pub(super) fn changes(
    store: &str,
    db: &mut Connection,
    name: &str,
    limit: usize,
) -> Result<Vec<ChangeRecord>, Failure> {
    if !is_storable(name) {
        return Ok(Vec::new());
    }
    // NULL is no limit.
    let limit = (limit > 0).then(|| i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = db.rows(
        "SELECT c.mutation, c.actor, floor(extract(epoch FROM c.changed_at))::bigint,
                c.detail::text
         FROM autumn_experiment_changes c
         WHERE c.experiment = $1 ORDER BY c.id DESC LIMIT $2",
        &[&name, &limit],
    )?;
    rows.iter().map(|row| change(store, name, row)).collect()
}

/// An entry of the log: its mutation, its operator, its time and its detail are the row's first
/// columns.
pub(super) fn change(store: &str, name: &str, row: &Row) -> Result<ChangeRecord, Failure> {
    let at: i64 = row.try_get(2)?;
    let detail: Option<&str> = row.try_get(3)?;
    let detail = detail.map(serde_json::from_str).transpose();
    let unreadable = |_| damaged(store, format!("a change of {name:?} has unreadable detail"));
    Ok(ChangeRecord {
        experiment: name.to_owned(),
        mutation: row.try_get(0)?,
        actor: row.try_get(1)?,
        timestamp_secs: unsigned(at),
        detail: detail.map_err(unreadable)?,
    })
}

pub(super) fn pinned(
    db: &mut Connection,
    experiment: &str,
    actor: &str,
) -> Result<Option<String>, Failure> {
    if !is_storable(experiment) || !is_storable(actor) {
        return Ok(None);
    }
    let row = db.row(
        "SELECT variant FROM autumn_experiment_overrides WHERE experiment = $1 AND actor = $2",
        &[&experiment, &actor],
    )?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// All overrides of an experiment, sorted by actor.
pub(super) fn overrides(db: &mut Connection, experiment: &str) -> Result<Vec<Override>, Failure> {
    if !is_storable(experiment) {
        return Ok(Vec::new());
    }
    let rows = db.rows(
        "SELECT actor, variant, floor(extract(epoch FROM created_at))::bigint
         FROM autumn_experiment_overrides WHERE experiment = $1 ORDER BY actor COLLATE \"C\"",
        &[&experiment],
    )?;
    let pinned = |row: &Row| {
        let at: i64 = row.try_get(2)?;
        Ok(Override {
            experiment: experiment.to_owned(),
            actor: row.try_get(0)?,
            variant: row.try_get(1)?,
            created_at_secs: unsigned(at),
            expires_at_secs: None,
            reason: None,
            operator: None,
        })
    };
    rows.iter().map(pinned).collect()
}
