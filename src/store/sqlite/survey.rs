//! The file as a whole: how much is in it, whether it can be true, a copy of it.

mod content;
mod restore;
mod schema;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use rusqlite::Connection;

use self::restore::Repair;
use super::file;
use super::{Failure, SqliteExperimentStore, migrations};
use crate::error::ExperimentError;
use crate::store::survey::{Found, StoreFinding, StoreInfo};

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

    /// Reads all of the file, as one view, and returns what is wrong with it: with its structure, its
    /// tables, each row, and what the rows say of each other.
    ///
    /// # Errors
    /// When the store can't be read at all, for want of memory for example.
    pub fn check(&self) -> Result<Vec<StoreFinding>, ExperimentError> {
        self.read("be checked", |db| Ok(examine(db)?.into_vec()))
    }

    /// Mends what [`check`](Self::check) finds and calls repairable, all in one transaction, and returns
    /// what was mended. The audit log of each experiment gets an entry for each of it.
    ///
    /// # Errors
    /// When the store fails. Then nothing has changed.
    pub fn repair(&self) -> Result<Vec<StoreFinding>, ExperimentError> {
        self.write("be repaired", |db| {
            let repair = Repair {
                db,
                operator: self.operator.as_deref(),
                now: self.now(),
            };
            let mut mended = Vec::new();
            // What was mended may bring to light what could not be read before.
            for _ in 0..REPAIR_PASSES {
                let mut found = examine(db)?.into_vec();
                found.retain(|finding| finding.repairable);
                if found.is_empty() {
                    break;
                }
                let mut seen = HashSet::new();
                for finding in &found {
                    // What is wrong with several rows is mended, and logged, once.
                    if seen.insert((finding.code, &finding.subject)) {
                        repair.mend(finding)?;
                    }
                }
                mended.append(&mut found);
            }
            Ok(mended)
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
        Ok(())
    }
}

/// How often a repair looks at the store anew.
const REPAIR_PASSES: usize = 3;

/// What a damaged file says of its tables would only mislead, and so would rows without a table.
fn examine(db: &Connection) -> Result<Found, Failure> {
    let mut found = Found::default();
    schema::structure(db, &mut found)?;
    if found.is_empty() {
        schema::schema(db, &mut found)?;
    }
    if found.is_empty() {
        content::examine(db, &mut found)?;
    }
    Ok(found)
}
