//! Ids and slots that are free. One that rows refer to is not, even if what had it is lost: the next one would
//! take the rows over.

use rusqlite::Connection;

/// Exposures are not searched, as they have no index.
const FREE_ID: &str = "SELECT 1 + max(0,
    coalesce((SELECT max(id) FROM experiments), 0),
    coalesce((SELECT max(id) FROM deleted_experiments), 0),
    coalesce((SELECT max(experiment_id) FROM variants), 0),
    coalesce((SELECT max(experiment_id) FROM weight_periods), 0),
    coalesce((SELECT max(experiment_id) FROM assignment_counts), 0),
    coalesce((SELECT max(experiment_id) FROM overrides), 0),
    coalesce((SELECT max(experiment_id) FROM changes), 0))";

const FREE_SPACE: &str = "SELECT 1 + max(0,
    coalesce((SELECT max(id) FROM spaces), 0),
    coalesce((SELECT max(space_id) FROM experiments), 0),
    coalesce((SELECT max(space_id) FROM assignments), 0))";

/// The id of the next experiment.
pub(super) fn free_experiment(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached(FREE_ID)?.query_row([], |row| row.get(0))
}

/// The id of the next space.
pub(super) fn free_space(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached(FREE_SPACE)?
        .query_row([], |row| row.get(0))
}

/// The slot of the next experiment in a space.
pub(super) fn free_slot(db: &Connection, space: i64) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT coalesce(max(slot) + 1, 0) FROM experiments WHERE space_id = ?1")?
        .query_row([space], |row| row.get(0))
}
