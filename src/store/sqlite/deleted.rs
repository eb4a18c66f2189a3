//! The names of deleted experiments, whose log stays under their ids until an experiment of the name goes on with it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::ids;

/// Keeps the log of an experiment that goes.
pub(super) fn enter(db: &Connection, id: i64, name: &str) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO deleted_experiments (id, name) VALUES (?1, ?2)")?
        .execute(params![id, name])?;
    Ok(())
}

/// The id of the deleted experiment of that name, for one that goes on with its log.
pub(super) fn take(db: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("DELETE FROM deleted_experiments WHERE name = ?1 RETURNING id")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// The id of the deleted experiment of that name, which is entered if it is new.
pub(super) fn id_of(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    let mut find = db.prepare_cached("SELECT id FROM deleted_experiments WHERE name = ?1")?;
    if let Some(known) = find.query_row([name], |row| row.get(0)).optional()? {
        return Ok(known);
    }
    let id = ids::free_experiment(db)?;
    enter(db, id, name)?;
    Ok(id)
}

/// The names of all, by their ids.
pub(super) fn names(db: &Connection) -> rusqlite::Result<HashMap<i64, String>> {
    let mut query = db.prepare("SELECT id, name FROM deleted_experiments")?;
    let names = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    names.collect()
}
