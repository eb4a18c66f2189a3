//! The file below its rows: the engine's own check, and whether every table, index and view is there.

use rusqlite::{Connection, ErrorCode, ffi};

use super::super::{Failure, migrations};
use super::lossy::lossy;
use crate::store::survey::{StoreFault, StoreFinding, Surveyed};

/// What the engine finds wrong with the file.
pub(super) fn structure(db: &Connection, found: &mut Surveyed) -> Result<(), Failure> {
    let lines = match integrity(db) {
        Err(rusqlite::Error::SqliteFailure(cause, _))
            if cause.code == ErrorCode::DatabaseCorrupt =>
        {
            vec![cause.to_string()]
        }
        lines => lines?,
    };
    for line in lines {
        if let Some(code) = failed_read(&line) {
            // Memory or the disk has failed, which says nothing of the file.
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into());
        }
        let is_of_index = is_of_index(&line);
        let finding = StoreFinding::new(StoreFault::Structure, "file", line);
        found.push(finding.repairable(is_of_index));
    }
    Ok(())
}

fn integrity(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut query = db.prepare("PRAGMA integrity_check")?;
    let lines = query.query_map([], |row| Ok(lossy(row, 0)))?;
    let lines: rusqlite::Result<Vec<String>> = lines.collect();
    let mut lines = lines?;
    lines.retain(|line| line != "ok");
    Ok(lines)
}

/// The code of a read that failed for another reason than what was read.
fn failed_read(line: &str) -> Option<i32> {
    let (_, code) = line.rsplit_once("error code=")?;
    let digits = code.split(|c: char| !c.is_ascii_digit()).next()?;
    let code: i32 = digits.parse().ok()?;
    // An extended code says more in its higher bytes; a short read is that of a file cut short.
    let is_short = code == ffi::SQLITE_IOERR_SHORT_READ;
    ([ffi::SQLITE_NOMEM, ffi::SQLITE_IOERR].contains(&(code & 0xff)) && !is_short).then_some(code)
}

/// Whether the line is about an index, which the rows say anew.
fn is_of_index(line: &str) -> bool {
    line.contains("missing from index") || line.starts_with("wrong # of entries in index")
}

/// A table, an index or a view as the migrations make it.
pub(super) struct Made {
    kind: String,
    pub(super) name: String,
    /// That it is of, or itself.
    table: String,
    pub(super) sql: String,
    columns: Vec<String>,
}

/// What is missing of the schema.
pub(super) fn schema(db: &Connection, found: &mut Surveyed) -> Result<(), Failure> {
    let present = list(db)?;
    for expected in expected()? {
        let is_same = |other: &&Made| other.kind == expected.kind && other.name == expected.name;
        let Made { kind, name, .. } = &expected;
        let Some(found_as) = present.iter().find(is_same) else {
            let message = format!("the {kind} {name} is missing");
            let has_table = || present.iter().any(|other| other.name == expected.table);
            let is_mended = kind == "view" || kind == "index" && has_table();
            let finding = StoreFinding::new(StoreFault::Schema, name, message);
            found.push(finding.repairable(is_mended));
            continue;
        };
        let missing = expected.columns.iter();
        for column in missing.filter(|column| !found_as.columns.contains(column)) {
            let message = format!("the column {column} of the {kind} {name} is missing");
            found.push(StoreFinding::new(StoreFault::Schema, name, message));
        }
    }
    Ok(())
}

/// All that the migrations make, in an empty database of their own.
pub(super) fn expected() -> Result<Vec<Made>, Failure> {
    let mut db = Connection::open_in_memory()?;
    migrations::migrate(&mut db)?;
    Ok(list(&db)?)
}

fn list(db: &Connection) -> rusqlite::Result<Vec<Made>> {
    let mut query = db.prepare(
        // Of a view whose table is missing it would be an error to ask.
        "SELECT type, name, tbl_name, sql, CASE WHEN type <> 'view' THEN
             (SELECT group_concat(c.name, char(10)) FROM pragma_table_info(s.name) c) END
         FROM sqlite_schema s WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC",
    )?;
    let made = query.query_map([], |row| {
        Ok(Made {
            kind: lossy(row, 0),
            name: lossy(row, 1),
            table: lossy(row, 2),
            sql: lossy(row, 3),
            columns: lossy(row, 4).lines().map(str::to_owned).collect(),
        })
    })?;
    made.collect()
}
