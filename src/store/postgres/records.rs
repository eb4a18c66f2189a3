//! What an experiment has rows of: entries of the log, and overrides.

use serde_json::Value;
use tokio_postgres::Row;

use super::connection::Connection;
use super::experiments::{damaged, is_storable, unsigned};
use super::failure::Failure;
use crate::experiment::{ChangeDetail, ChangeRecord, ChangeScan, Override};
use crate::store::transfer::seconds;

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
            &detail(change),
            &(timing == Timing::Experiment),
        ],
    )?;
    Ok(unsigned(row.map_or(Ok(0), |row| row.try_get(0))?))
}

/// The detail of a change as it is stored. `jsonb` has other numbers than JSON, and no NUL in a text, so the values of
/// variants are in it as the text of their JSON.
pub(super) fn detail(change: &ChangeRecord) -> Option<String> {
    let mut detail = serde_json::to_value(change.detail.as_ref()?).ok()?;
    for values in sides(&mut detail) {
        *values = Value::String(values.to_string());
    }
    Some(detail.to_string())
}

fn read_detail(stored: &str) -> serde_json::Result<ChangeDetail> {
    let mut detail = serde_json::from_str(stored)?;
    for values in sides(&mut detail) {
        if let Some(text) = values.as_str() {
            *values = serde_json::from_str(text)?;
        }
    }
    serde_json::from_value(detail)
}

/// The values of variants on either side.
fn sides(detail: &mut Value) -> impl Iterator<Item = &mut Value> {
    let sides = detail.as_object_mut().into_iter();
    let sides = sides.flat_map(|sides| sides.values_mut());
    sides.filter_map(|side| side.get_mut("values"))
}

macro_rules! changes {
    ($of:literal) => {
        concat!(
            "SELECT c.mutation, c.actor, floor(extract(epoch FROM c.changed_at))::bigint,
                c.detail::text, c.experiment::text
             FROM autumn_experiment_changes c
             WHERE ",
            $of,
            "($1 = 0 OR extract(epoch FROM c.changed_at) >= $1) ORDER BY c.id DESC LIMIT $2"
        )
    };
}

/// Entries of the log, newest first.
pub(super) fn changes(
    store: &str,
    db: &mut Connection,
    scan: &ChangeScan<'_>,
) -> Result<Vec<ChangeRecord>, Failure> {
    let since = seconds(scan.since_secs);
    // NULL is no limit.
    let limit = (scan.limit > 0).then(|| i64::try_from(scan.limit).unwrap_or(i64::MAX));
    let rows = match scan.experiment {
        None => db.rows(changes!(""), &[&since, &limit])?,
        Some(name) if is_storable(name) => {
            db.rows(changes!("c.experiment = $3 AND "), &[&since, &limit, &name])?
        }
        Some(_) => return Ok(Vec::new()),
    };
    let change = |row: &Row| change(store, row.try_get(4)?, row);
    rows.iter().map(change).collect()
}

/// An entry of the log: its mutation, its operator, its time and its detail are the row's first
/// columns.
pub(super) fn change(store: &str, name: &str, row: &Row) -> Result<ChangeRecord, Failure> {
    let at: i64 = row.try_get(2)?;
    let detail: Option<&str> = row.try_get(3)?;
    let detail = detail.map(read_detail).transpose();
    let unreadable = |_: serde_json::Error| {
        damaged(store, format!("a change of {name:?} has unreadable detail"))
    };
    Ok(ChangeRecord {
        experiment: name.to_owned(),
        mutation: row.try_get(0)?,
        actor: row.try_get(1)?,
        timestamp_secs: unsigned(at),
        detail: detail.map_err(unreadable)?,
    })
}

/// What an override says, as [`pinned`] reads it.
macro_rules! pin {
    () => {
        "variant, floor(extract(epoch FROM created_at))::bigint, \
         floor(extract(epoch FROM expires_at))::bigint, reason, operator"
    };
}

/// The override of that actor. What it says begins at this column.
pub(super) fn pinned(
    row: &Row,
    at: usize,
    experiment: &str,
    actor: &str,
) -> Result<Override, Failure> {
    let created_at: i64 = row.try_get(at + 1)?;
    let expires_at: Option<i64> = row.try_get(at + 2)?;
    Ok(Override {
        experiment: experiment.to_owned(),
        actor: actor.to_owned(),
        variant: row.try_get(at)?,
        created_at_secs: unsigned(created_at),
        expires_at_secs: expires_at.map(unsigned),
        reason: row.try_get(at + 3)?,
        operator: row.try_get(at + 4)?,
    })
}

/// The override of an actor, whether it has expired or not.
pub(super) fn override_of(
    db: &mut Connection,
    experiment: &str,
    actor: &str,
) -> Result<Option<Override>, Failure> {
    if !is_storable(experiment) || !is_storable(actor) {
        return Ok(None);
    }
    let row = db.row(
        concat!(
            "SELECT ",
            pin!(),
            " FROM autumn_experiment_overrides WHERE experiment = $1 AND actor = $2"
        ),
        &[&experiment, &actor],
    )?;
    row.map(|row| pinned(&row, 0, experiment, actor))
        .transpose()
}

/// All overrides of an experiment, sorted by actor.
pub(super) fn overrides(db: &mut Connection, experiment: &str) -> Result<Vec<Override>, Failure> {
    if !is_storable(experiment) {
        return Ok(Vec::new());
    }
    let rows = db.rows(
        concat!(
            "SELECT ",
            pin!(),
            ", actor FROM autumn_experiment_overrides WHERE experiment = $1 ORDER BY actor COLLATE \"C\""
        ),
        &[&experiment],
    )?;
    let pinned = |row: &Row| pinned(row, 0, experiment, row.try_get(5)?);
    rows.iter().map(pinned).collect()
}

/// All overrides, sorted by experiment and actor; [`whose`] reads them.
pub(super) const OVERRIDES: &str = concat!(
    "SELECT ",
    pin!(),
    ", experiment, actor FROM autumn_experiment_overrides \
     ORDER BY experiment COLLATE \"C\", actor COLLATE \"C\""
);

/// An override, from the columns of [`OVERRIDES`].
pub(super) fn whose(row: &Row) -> Result<Override, Failure> {
    pinned(row, 0, row.try_get(5)?, row.try_get(6)?)
}

/// Sets an override of an actor, in place of the one that there was. Without a time it is the database's.
pub(super) fn set_override(
    db: &mut Connection,
    pinned: &Override,
    now: Option<i64>,
) -> Result<(), Failure> {
    db.execute(
        "INSERT INTO autumn_experiment_overrides
            (experiment, actor, variant, created_at, expires_at, reason, operator)
         VALUES ($1, $2, $3, coalesce(to_timestamp($4::bigint), clock_timestamp()),
            to_timestamp($5::bigint), $6, $7)
         ON CONFLICT (experiment, actor) DO UPDATE
         SET variant = excluded.variant, created_at = excluded.created_at,
            expires_at = excluded.expires_at, reason = excluded.reason, operator = excluded.operator",
        &[
            &pinned.experiment,
            &pinned.actor,
            &pinned.variant,
            &now,
            &pinned.expires_at_secs.map(seconds),
            &pinned.reason,
            &pinned.operator,
        ],
    )?;
    Ok(())
}
