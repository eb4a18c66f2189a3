//! Overrides: domain types to rows and back.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::experiments::Stored;
use crate::assignment::StoredOverride;
use crate::experiment::Override;
use crate::store::transfer::seconds;

/// Whether the experiment has an override at all.
pub(super) fn has_any(db: &Connection, experiment: &Stored) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM overrides WHERE experiment_id = ?1)")?
        .query_row([experiment.id], |row| row.get(0))
}

/// The override of an actor, whether it has expired or not. Its variant may have been removed from the experiment
/// since.
pub(super) fn pinned<'a>(
    db: &Connection,
    experiment: &'a Stored,
    actor: &str,
) -> rusqlite::Result<Option<StoredOverride<'a>>> {
    let mut query = db.prepare_cached(
        "SELECT variant, expires_at FROM overrides WHERE experiment_id = ?1 AND actor = ?2",
    )?;
    let found = query.query_row(params![experiment.id, actor], |row| {
        Ok(StoredOverride {
            variant: experiment.variant_name(row.get(0)?)?,
            expires_at_secs: row.get(1)?,
        })
    });
    found.optional()
}

/// Stores an override, in place of the one that the actor may have.
pub(super) fn put(db: &Connection, experiment: &Stored, new: &Override) -> rusqlite::Result<()> {
    let index = experiment.require_index(&new.variant)?;
    insert(db, experiment.id, index, new)
}

/// Inserts the row of an override, whose variant has this `idx`.
pub(super) fn insert(
    db: &Connection,
    experiment: i64,
    variant: usize,
    new: &Override,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO overrides
             (experiment_id, actor, variant, created_at, expires_at, reason, operator)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        experiment,
        new.actor,
        variant,
        seconds(new.created_at_secs),
        new.expires_at_secs.map(seconds),
        new.reason,
        new.operator
    ])?;
    Ok(())
}

/// Removes the actor's override, if there is one.
pub(super) fn delete(db: &Connection, experiment: &Stored, actor: &str) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM overrides WHERE experiment_id = ?1 AND actor = ?2")?
        .execute(params![experiment.id, actor])?;
    Ok(())
}

/// All that is stored of the actor's override.
pub(super) fn find(
    db: &Connection,
    experiment: &Stored,
    actor: &str,
) -> rusqlite::Result<Option<Override>> {
    let sql = format!("{SELECT} AND actor = ?2");
    let mut query = db.prepare_cached(&sql)?;
    let found = query.query_row(params![experiment.id, actor], |row| read(experiment, row));
    found.optional()
}

/// All overrides of an experiment, sorted by actor.
pub(super) fn all(db: &Connection, experiment: &Stored) -> rusqlite::Result<Vec<Override>> {
    let sql = format!("{SELECT} ORDER BY actor");
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map([experiment.id], |row| read(experiment, row))?;
    rows.collect()
}

const SELECT: &str = "SELECT actor, variant, created_at, expires_at, reason, operator
    FROM overrides WHERE experiment_id = ?1";

fn read(experiment: &Stored, row: &Row<'_>) -> rusqlite::Result<Override> {
    Ok(Override {
        experiment: experiment.config.name.clone(),
        actor: row.get(0)?,
        variant: experiment.variant_name(row.get(1)?)?.to_owned(),
        created_at_secs: row.get(2)?,
        expires_at_secs: row.get(3)?,
        reason: row.get(4)?,
        operator: row.get(5)?,
    })
}
