//! The file as a whole: how much is in it, and whether it can be true.

mod assignments;
mod content;
mod lossy;
mod restore;
mod rows;
mod schema;

use std::fs;

use rusqlite::Connection;

use self::restore::Repair;
use super::{Failure, SqliteExperimentStore, migrations};
use crate::error::ExperimentError;
use crate::store::survey::{StoreFinding, StoreInfo, Surveyed};

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
                outcomes: count("outcomes")?,
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
                let found = examine(db)?;
                if found.repairs().is_empty() {
                    break;
                }
                for (code, subject) in found.repairs() {
                    repair.mend(*code, subject)?;
                }
                let found = found.into_vec().into_iter();
                mended.extend(found.filter(|finding| finding.repairable));
            }
            Ok(mended)
        })
    }
}

/// How often a repair looks at the store anew.
const REPAIR_PASSES: usize = 3;

/// What a damaged file says of its tables would only mislead, and so would rows without a table.
fn examine(db: &Connection) -> Result<Surveyed, Failure> {
    let mut found = Surveyed::default();
    schema::structure(db, &mut found)?;
    if found.is_empty() {
        schema::schema(db, &mut found)?;
    }
    if found.is_empty() {
        content::examine(db, &mut found)?;
    }
    Ok(found)
}
