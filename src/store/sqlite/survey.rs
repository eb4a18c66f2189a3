//! The file as a whole: how much is in it, whether it can be true, a copy of it.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::file;
use super::{Failure, SqliteExperimentStore, experiments, migrations};
use crate::error::ExperimentError;
use crate::store::survey::{StoreInfo, contradictions, counted};

/// Each finds a name and a count. Then follow of what the name is, what is counted, and what is wrong
/// with it; none finds anything in a sound store.
const INVARIANTS: &[(&str, &str, &str, &str)] = &[
    (
        "SELECT e.name, count(*) FROM assignments a
         JOIN experiments e ON e.space_id = a.space_id AND e.slot = a.slot
         LEFT JOIN variants v ON v.experiment_id = e.id
             AND v.idx = CASE WHEN a.variant < 0 THEN -1 - a.variant ELSE a.variant END
         WHERE v.position IS NULL GROUP BY e.name",
        "experiment",
        "assignment",
        "of a variant that it does not have",
    ),
    (
        "SELECT e.name, count(*) FROM assignments a
         JOIN experiments e ON e.space_id = a.space_id AND e.slot = a.slot
         WHERE e.state = 'draft' GROUP BY e.name",
        "experiment",
        "assignment",
        "in a draft",
    ),
    (
        "SELECT s.exclusion_group, count(*) FROM (
             SELECT space_id FROM assignments WHERE variant >= 0
             GROUP BY space_id, actor HAVING count(*) > 1
         ) twice JOIN spaces s ON s.id = twice.space_id
         WHERE s.exclusion_group IS NOT NULL GROUP BY s.exclusion_group",
        "group",
        "actor",
        "assigned in two of its experiments",
    ),
    (
        "SELECT 'a removed one', count(*) FROM assignments a
         LEFT JOIN experiments e ON e.space_id = a.space_id AND e.slot = a.slot
         WHERE e.id IS NULL HAVING count(*) > 0",
        "experiment",
        "assignment",
        "of an experiment that is not there",
    ),
    (
        "SELECT e.name, sum(abs(v.assigned + v.overridden - (
             SELECT count(*) FROM assignments a
             WHERE a.space_id = e.space_id AND a.slot = e.slot AND a.variant IN (v.idx, -1 - v.idx)
         ))) AS off
         FROM experiments e JOIN variants v ON v.experiment_id = e.id
         GROUP BY e.name HAVING off > 0",
        "experiment",
        "assignment",
        "more or less than it counts",
    ),
    (
        "SELECT name, 1 FROM experiments
         WHERE id NOT IN (SELECT experiment_id FROM changes)",
        "experiment",
        "experiment",
        "without an entry in the audit log",
    ),
];

impl SqliteExperimentStore {
    /// What the store is and how much it holds.
    ///
    /// # Errors
    /// When the store fails.
    pub fn info(&self) -> Result<StoreInfo, ExperimentError> {
        let bytes = fs::metadata(&self.place.path).map_or(0, |file| file.len());
        self.read("count what it holds", |db| {
            let count = |table: &str| -> rusqlite::Result<u64> {
                db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                    row.get(0)
                })
            };
            Ok(StoreInfo {
                store: self.place.name(),
                engine: format!("SQLite {}", rusqlite::version()),
                schema: u32::try_from(migrations::latest()).unwrap_or(u32::MAX),
                adopted: false,
                bytes,
                experiments: count("experiments")?,
                assignments: count("assignments")?,
                overrides: count("overrides")?,
                exposures: count("exposures")?,
                changes: count("changes")?,
            })
        })
    }

    /// Whether the file is whole, and what is in it can be true: what is wrong, one sentence each. It
    /// reads all of it, as one view.
    ///
    /// # Errors
    /// When the store can't be read at all.
    pub fn check(&self) -> Result<Vec<String>, ExperimentError> {
        self.read("check it", |db| {
            let mut found = integrity(db)?;
            if !found.is_empty() {
                // What a damaged file says of its content would only mislead.
                return Ok(found);
            }
            let all = experiments::load_all(db)?;
            let configs: Vec<_> = all.into_iter().map(|stored| stored.config).collect();
            found.extend(contradictions(&configs));
            for (sql, subject, noun, what) in INVARIANTS {
                let mut query = db.prepare(sql)?;
                let mut rows = query.query([])?;
                while let Some(row) = rows.next()? {
                    let name: String = row.get(0)?;
                    found.push(counted(subject, &name, row.get(1)?, noun, what));
                }
            }
            Ok(found)
        })
    }

    /// Writes a copy of the store, as it is at this moment, to a new file; others go on using the
    /// store. The copy is a store of its own.
    ///
    /// # Errors
    /// Something is at `path` already, or it can't be written; or the store fails.
    pub fn backup(&self, path: &Path) -> Result<(), ExperimentError> {
        let target = file::Place::new(path);
        let refused = |error| target.backend("write a copy", error);
        let directory = target.path.parent().unwrap_or(Path::new("."));
        if target.path.exists() || target.path.is_symlink() {
            let there = std::io::Error::other("something is there already");
            return Err(refused(there).into());
        }
        // Under another name until it is complete.
        let unfinished = tempfile::Builder::new()
            .prefix(".exp-backup-")
            .tempfile_in(directory)
            .map_err(|error| refused(std::io::Error::from(error.kind())))?
            .into_temp_path();
        let db = self.lock();
        let failed = |error| self.failed("be copied", error);
        let name = unfinished.to_string_lossy();
        db.execute("VACUUM INTO ?1", [&*name]).map_err(failed)?;
        drop(db);
        let copy = Connection::open(&unfinished).map_err(failed)?;
        copy.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(failed)?;
        copy.close().map_err(|(_, error)| failed(error))?;
        unfinished
            .persist_noclobber(&target.path)
            .map_err(|error| refused(error.error))?;
        file::sync_directory(directory).map_err(refused)?;
        Ok(())
    }
}

fn integrity(db: &Connection) -> Result<Vec<String>, Failure> {
    let mut query = db.prepare("PRAGMA integrity_check")?;
    let lines = query.query_map([], |row| row.get::<_, String>(0))?;
    let lines: rusqlite::Result<Vec<String>> = lines.collect();
    let mut lines = lines?;
    lines.retain(|line| line != "ok");
    Ok(lines)
}
