//! The audit log: changes to rows and back.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use crate::experiment::{ChangeDetail, ChangeRecord};

/// Appends an entry.
pub(super) fn append(
    db: &Connection,
    experiment: i64,
    change: &ChangeRecord,
    at: i64,
) -> rusqlite::Result<()> {
    let detail = change.detail.as_ref().map(serde_json::to_string);
    let detail = detail
        .transpose()
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    db.prepare_cached(
        "INSERT INTO changes (experiment_id, mutation, operator, changed_at, detail)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        experiment,
        change.mutation,
        change.actor,
        at,
        detail
    ])?;
    Ok(())
}

/// The entries of an experiment, newest first.
pub(super) fn of_experiment(
    db: &Connection,
    name: &str,
    limit: usize,
) -> rusqlite::Result<Vec<ChangeRecord>> {
    let mut query = db.prepare_cached(
        "SELECT c.mutation, c.operator, c.changed_at, c.detail
         FROM experiments e JOIN changes c ON c.experiment_id = e.id
         WHERE e.name = ?1 ORDER BY c.id DESC LIMIT ?2",
    )?;
    // SQLite takes a negative limit for none.
    let limit = match limit {
        0 => -1,
        limit => i64::try_from(limit).unwrap_or(i64::MAX),
    };
    let rows = query.query_map(params![name, limit], |row| {
        Ok(ChangeRecord {
            experiment: name.to_owned(),
            mutation: row.get(0)?,
            actor: row.get(1)?,
            timestamp_secs: row.get(2)?,
            detail: read_detail(row, 3)?,
        })
    })?;
    rows.collect()
}

/// What was before and after a change, from its JSON.
pub(super) fn read_detail(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<ChangeDetail>> {
    let detail: Option<String> = row.get(column)?;
    let detail = detail.map(|json| serde_json::from_str(&json)).transpose();
    detail.map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}
