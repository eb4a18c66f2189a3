//! The audit log: changes to rows and back.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use crate::experiment::{ChangeDetail, ChangeRecord, ChangeScan};
use crate::store::transfer::seconds;

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

/// The entries that are wanted, newest first. Those of an experiment that is neither there nor deleted are not shown.
pub(super) fn find(
    db: &Connection,
    wanted: &ChangeScan<'_>,
) -> rusqlite::Result<Vec<ChangeRecord>> {
    // SQLite takes a negative limit for none.
    let limit = match wanted.limit {
        0 => -1,
        limit => i64::try_from(limit).unwrap_or(i64::MAX),
    };
    let since = seconds(wanted.since_secs);
    let mut query;
    let rows = if let Some(name) = wanted.experiment {
        query = db.prepare_cached(OF_ONE)?;
        query.query_map(params![since, limit, name], read)?
    } else {
        query = db.prepare_cached(OF_ALL)?;
        query.query_map(params![since, limit], read)?
    };
    rows.collect()
}

/// One search of the index, from the newest entry on.
const OF_ONE: &str = "SELECT ?3, mutation, operator, changed_at, detail FROM changes
    WHERE experiment_id = (
        SELECT id FROM experiments WHERE name = ?3
        UNION ALL SELECT id FROM deleted_experiments WHERE name = ?3)
    AND changed_at >= ?1 ORDER BY id DESC LIMIT ?2";

const OF_ALL: &str = "SELECT coalesce(e.name, d.name), c.mutation, c.operator, c.changed_at, c.detail
    FROM changes c
    LEFT JOIN experiments e ON e.id = c.experiment_id
    LEFT JOIN deleted_experiments d ON d.id = c.experiment_id
    WHERE c.changed_at >= ?1 AND (e.id IS NOT NULL OR d.id IS NOT NULL) ORDER BY c.id DESC LIMIT ?2";

/// Reads the experiment's name, and what follows on it in `changes`.
fn read(row: &Row<'_>) -> rusqlite::Result<ChangeRecord> {
    Ok(ChangeRecord {
        experiment: row.get(0)?,
        mutation: row.get(1)?,
        actor: row.get(2)?,
        timestamp_secs: row.get(3)?,
        detail: read_detail(row, 4)?,
    })
}

/// What was before and after a change, from its JSON.
pub(super) fn read_detail(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<ChangeDetail>> {
    let detail: Option<String> = row.get(column)?;
    let detail = detail.map(|json| serde_json::from_str(&json)).transpose();
    detail.map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}
