//! The file as a whole: how much is in it, and whether it can be true.

use std::fs;

use rusqlite::Connection;

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
}

fn integrity(db: &Connection) -> Result<Vec<String>, Failure> {
    let mut query = db.prepare("PRAGMA integrity_check")?;
    let lines = query.query_map([], |row| row.get::<_, String>(0))?;
    let lines: rusqlite::Result<Vec<String>> = lines.collect();
    let mut lines = lines?;
    lines.retain(|line| line != "ok");
    Ok(lines)
}
