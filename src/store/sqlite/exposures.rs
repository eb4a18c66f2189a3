//! Exposures: domain types to rows and back. They have no index, so whatever looks for some reads through all.

use rusqlite::{Connection, params};

use super::choice::Choice;
use super::experiments::Stored;
use crate::exposure::{ExposureRecord, ExposureTotal};

pub(super) const APPEND: &str =
    "INSERT INTO exposures (experiment_id, variant, actor, request_id, exposed_at)
    VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) fn append(
    db: &Connection,
    experiment: &Stored,
    exposure: &ExposureRecord,
) -> rusqlite::Result<()> {
    let choice = Choice {
        variant: experiment.require_index(&exposure.variant)?,
        is_override: exposure.is_override,
    };
    db.prepare_cached(APPEND)?.execute(params![
        experiment.id,
        choice.encode(),
        exposure.actor,
        exposure.request_id,
        exposure.timestamp_secs
    ])?;
    Ok(())
}

/// Removes the exposures of before that second, but the first of each actor to each variant, by an override and
/// without one. Returns how many there were.
pub(super) fn prune(db: &Connection, experiment: &Stored, before: i64) -> rusqlite::Result<usize> {
    db.execute(
        "DELETE FROM exposures WHERE id IN (
             SELECT id FROM (
                 SELECT id, exposed_at, row_number() OVER (
                     PARTITION BY actor, variant ORDER BY exposed_at, id) AS place
                 FROM exposures WHERE experiment_id = ?1)
             WHERE place > 1 AND exposed_at < ?2)",
        params![experiment.id, before],
    )
}

/// Removes the exposures of these actors, of which each is read once. Returns how many there were.
pub(super) fn remove(
    db: &Connection,
    experiment: &Stored,
    actors: &[&str],
) -> rusqlite::Result<usize> {
    let actors = serde_json::to_string(actors)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    db.execute(
        "DELETE FROM exposures
         WHERE experiment_id = ?1 AND actor IN (SELECT value FROM json_each(?2))",
        params![experiment.id, actors],
    )
}

/// Whether an exposure of the experiment is kept.
pub(super) fn has_any(db: &Connection, experiment: &Stored) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM exposures WHERE experiment_id = ?1)")?
        .query_row([experiment.id], |row| row.get(0))
}

/// How often the actor was shown what, in all experiments.
pub(super) fn totals(db: &Connection, actor: &str) -> rusqlite::Result<Vec<ExposureTotal>> {
    let mut query = db.prepare_cached(
        "SELECT e.name AS experiment, v.name AS variant, x.variant < 0 AS is_override,
             count(*), min(x.exposed_at), max(x.exposed_at)
         FROM exposures x
         JOIN experiments e ON e.id = x.experiment_id
         JOIN variants v ON v.experiment_id = e.id
             AND v.idx = CASE WHEN x.variant < 0 THEN -1 - x.variant ELSE x.variant END
         WHERE x.actor = ?1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )?;
    let totals = query.query_map([actor], |row| {
        Ok(ExposureTotal {
            experiment: row.get(0)?,
            variant: row.get(1)?,
            is_override: row.get(2)?,
            exposures: row.get(3)?,
            first_secs: row.get(4)?,
            last_secs: row.get(5)?,
        })
    })?;
    totals.collect()
}
