//! A file as the target of a copy.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::super::actors::{APPEND_EXPOSURE, Choice};
use super::super::experiments::{self, Stored};
use super::super::file::{self, Place, SqliteAccess};
use super::super::{Failure, SqliteExperimentStore};
use super::source::Scan;
use crate::error::{ConfigProblem, ExperimentError, ExperimentStoreError};
use crate::experiment::ExperimentConfig;
use crate::store::transfer::{Record, Tally, Target};
use crate::store::transfer::{not_alone, seconds};

/// A copy that becomes a store in a new file. Until it is finished it is beside it, under the same
/// name and `.unfinished`, and nobody else can open that.
#[derive(Debug)]
pub struct SqliteCopy {
    place: Place,
    unfinished: Place,
    db: Option<Connection>,
    known: HashMap<String, Known>,
}

/// What the rows of an experiment refer to.
#[derive(Debug)]
struct Known {
    id: i64,
    space: i64,
    slot: i64,
    created_at: i64,
    /// By their `idx`; also those that are in no list any more.
    variants: Vec<String>,
}

impl From<Stored> for Known {
    fn from(stored: Stored) -> Self {
        Self {
            variants: stored.variant_names().map(str::to_owned).collect(),
            id: stored.id,
            space: stored.space,
            slot: stored.slot,
            created_at: stored.created_at,
        }
    }
}

impl SqliteCopy {
    /// A copy that becomes a store in this file.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        let place = Place::new(path.as_ref());
        Self {
            unfinished: Place {
                path: beside(&place.path, ".unfinished"),
            },
            place,
            db: None,
            known: HashMap::new(),
        }
    }

    fn failed(&self, error: rusqlite::Error) -> ExperimentError {
        let timeout = SqliteExperimentStore::BUSY_TIMEOUT;
        let doing = "be copied into";
        self.unfinished.failed(doing, timeout, error).into()
    }

    fn refused(&self, error: io::Error) -> ExperimentError {
        self.place.backend("be copied into", error).into()
    }

    fn connection(&mut self) -> Result<&mut Connection, ExperimentError> {
        let closed = || io::Error::other("no copy was begun");
        match &mut self.db {
            Some(db) => Ok(db),
            None => Err(self.place.backend("be copied into", closed()).into()),
        }
    }

    /// Has the file to itself until the connection is closed, whoever else would read it or copy into
    /// it.
    fn take_alone(&mut self) -> Result<(), ExperimentError> {
        let timeout = SqliteExperimentStore::BUSY_TIMEOUT;
        if !self.unfinished.path.exists() {
            file::create(&self.unfinished, timeout)?;
        }
        let (db, _) = file::open(&self.unfinished, SqliteAccess::ReadWrite, timeout)?;
        let taken = db
            .pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))
            .and_then(|()| db.execute_batch("BEGIN EXCLUSIVE; COMMIT"));
        self.db = Some(db);
        taken.map_err(|error| self.failed(error))
    }

    /// What is committed is in the file that is moved in the end, not in a log beside it.
    fn do_without_log(&mut self) -> Result<(), ExperimentError> {
        let db = self.connection()?;
        let done = db.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()));
        done.map_err(|error| self.failed(error))
    }

    fn require_absent(&self) -> Result<(), ExperimentError> {
        if self.place.path.exists() || self.place.path.is_symlink() {
            let store = self.place.name();
            return Err(ExperimentStoreError::NotEmpty { store }.into());
        }
        Ok(())
    }

    /// How far the copy in the file is, if it is one of a source of this tally.
    fn progress(&mut self, tally: &Tally, restart: bool) -> Result<Option<u64>, ExperimentError> {
        let text = serde_json::to_string(tally).unwrap_or_default();
        let found = unfinished(self.connection()?, &text, restart);
        if let Some((is_of_this, written)) = found.map_err(|error| self.failed(error))? {
            return Ok(is_of_this.then_some(written));
        }
        // It is new, or it was complete when its finish was interrupted.
        let found = self.tally()?;
        if found.records() > 0 && found != *tally {
            let store = self.unfinished.name();
            return Err(ExperimentStoreError::NotEmpty { store }.into());
        }
        let db = self.connection()?;
        let begun = db
            .execute_batch(
                "CREATE TABLE copy_progress (tally TEXT NOT NULL, written INTEGER NOT NULL)",
            )
            .and_then(|()| {
                db.execute(
                    "INSERT INTO copy_progress (tally, written) VALUES (?1, ?2)",
                    params![text, found.records()],
                )
            });
        begun.map_err(|error| self.failed(error))?;
        Ok(Some(found.records()))
    }
}

/// Whether the unfinished copy in the file is of this tally, and how far it is; `None` if there is
/// none.
fn unfinished(
    db: &mut Connection,
    tally: &str,
    restart: bool,
) -> rusqlite::Result<Option<(bool, u64)>> {
    let there: bool = db.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'copy_progress')",
        [],
        |row| row.get(0),
    )?;
    if !there {
        return Ok(None);
    }
    if restart {
        let transaction = db.transaction()?;
        for table in [
            "spaces",
            "experiments",
            "variants",
            "assignments",
            "overrides",
            "exposures",
            "changes",
            "copy_progress",
        ] {
            transaction.execute(&format!("DELETE FROM {table}"), [])?;
        }
        transaction.execute(
            "INSERT INTO copy_progress (tally, written) VALUES (?1, 0)",
            [tally],
        )?;
        transaction.commit()?;
    }
    db.query_row(
        "SELECT tally = ?1, written FROM copy_progress",
        [tally],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .optional()
}

impl Target for SqliteCopy {
    fn begin(&mut self, tally: &Tally, restart: bool) -> Result<u64, ExperimentError> {
        self.require_absent()?;
        if let Some(orphaned) = self.place.orphaned_log() {
            return Err(orphaned.into());
        }
        let taken = self.take_alone();
        // Whoever had it until now may have finished, and this be the file that was moved.
        if let Err(finished) = self.require_absent() {
            self.db = None;
            return Err(finished);
        }
        taken?;
        self.do_without_log()?;
        let Some(written) = self.progress(tally, restart)? else {
            let store = self.place.name();
            return Err(ExperimentStoreError::OtherCopy { store }.into());
        };
        let all = experiments::load_all(self.connection()?);
        let all = all.map_err(|error| self.failed(error))?;
        let known = all.into_iter();
        self.known = known
            .map(|stored| (stored.config.name.clone(), stored.into()))
            .collect();
        Ok(written)
    }

    fn append(&mut self, written: u64, records: &[Record]) -> Result<(), ExperimentError> {
        let mut known = std::mem::take(&mut self.known);
        let name = self.place.name();
        let db = self.connection()?;
        let done = append(db, &name, &mut known, written, records);
        self.known = known;
        done.map_err(|failure| match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Sqlite(error) => self.failed(error),
        })
    }

    fn tally(&mut self) -> Result<Tally, ExperimentError> {
        let timeout = SqliteExperimentStore::BUSY_TIMEOUT;
        let unfinished = self.unfinished.clone();
        let failed = |error| unfinished.failed("be read back", timeout, error).into();
        let db = &*self.connection()?;
        Tally::of(&mut Scan { db, failed })
    }

    fn finish(&mut self) -> Result<(), ExperimentError> {
        let db = self.connection()?;
        let done = db
            .execute_batch("DROP TABLE copy_progress")
            // As every store is; it stays so for everybody who opens it.
            .and_then(|()| db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())))
            .and_then(|()| db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false));
        done.map_err(|error| self.failed(error))?;
        // Under the lock, so that it is this file that is moved.
        let complete = tempfile::TempPath::try_from_path(&self.unfinished.path);
        let complete = complete.map_err(|error| self.refused(error))?;
        if let Err(error) = complete.persist_noclobber(&self.place.path) {
            let (kept, error) = (error.path.keep(), error.error);
            kept.map_err(|error| self.refused(error.error))?;
            return Err(self.refused(error));
        }
        let directory = self.place.path.parent().unwrap_or(Path::new("."));
        file::sync_directory(directory).map_err(|error| self.refused(error))?;
        match self.db.take().map(Connection::close) {
            Some(Err((_, error))) => Err(self.failed(error)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn name(&self) -> String {
        self.place.name()
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}

fn append(
    db: &mut Connection,
    store: &str,
    known: &mut HashMap<String, Known>,
    written: u64,
    records: &[Record],
) -> Result<(), Failure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let moved = transaction.execute(
        "UPDATE copy_progress SET written = written + ?2 WHERE written = ?1",
        params![written, records.len()],
    )?;
    if moved == 0 {
        return Err(ExperimentError::from(not_alone(store.to_owned())).into());
    }
    let db = &*transaction;
    for record in records {
        append_one(db, store, known, record)?;
    }
    transaction.commit()?;
    Ok(())
}

/// A record of an experiment that is not there has no place in a file.
fn orphan(store: String, experiment: &str) -> ExperimentStoreError {
    ExperimentStoreError::Corrupt {
        store,
        found: format!("it has entries of an experiment {experiment:?} that is not there"),
    }
}

/// The rows of an experiment that was copied before.
fn of<'a>(
    known: &'a mut HashMap<String, Known>,
    store: &str,
    experiment: &str,
) -> Result<&'a mut Known, ExperimentError> {
    let found = known.get_mut(experiment);
    found.ok_or_else(|| orphan(store.to_owned(), experiment).into())
}

fn append_one(
    db: &Connection,
    store: &str,
    known: &mut HashMap<String, Known>,
    record: &Record,
) -> Result<(), Failure> {
    match record {
        Record::Experiment {
            config,
            created_at_secs,
        } => {
            require_distinct_variants(config)?;
            let created_at = seconds(*created_at_secs);
            let id = experiments::save(db, None, config, created_at)?;
            db.prepare_cached("UPDATE experiments SET updated_at = ?2 WHERE id = ?1")?
                .execute(params![id, seconds(config.updated_at_secs)])?;
            if let Some(stored) = experiments::load(db, &config.name)? {
                known.insert(config.name.clone(), stored.into());
            }
        }
        Record::Override(pinned) => {
            let experiment = of(known, store, &pinned.experiment)?;
            let variant = experiment.variant(db, &pinned.variant)?;
            db.prepare_cached(
                "INSERT INTO overrides (experiment_id, actor, variant, created_at)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                experiment.id,
                pinned.actor,
                variant,
                seconds(pinned.created_at_secs)
            ])?;
        }
        Record::Change(change) => {
            let experiment = of(known, store, &change.experiment)?;
            experiments::append_change(db, experiment.id, change, seconds(change.timestamp_secs))?;
        }
        Record::Exposure(exposure) => {
            let experiment = of(known, store, &exposure.experiment)?;
            let choice = Choice {
                variant: experiment.variant(db, &exposure.variant)?,
                is_override: exposure.is_override,
            };
            db.prepare_cached(APPEND_EXPOSURE)?.execute(params![
                experiment.id,
                choice.encode(),
                exposure.actor,
                exposure.request_id,
                seconds(exposure.timestamp_secs)
            ])?;
        }
        Record::Assignment(assignment) => {
            let experiment = of(known, store, &assignment.experiment)?;
            let choice = Choice {
                variant: experiment.variant(db, &assignment.variant)?,
                is_override: assignment.is_override,
            };
            let after = seconds(assignment.assigned_at_secs) - experiment.created_at;
            db.prepare_cached(
                "INSERT INTO assignments (space_id, actor, slot, variant, assigned_after)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                experiment.space,
                assignment.actor,
                experiment.slot,
                choice.encode(),
                after
            ])?;
            db.prepare_cached(
                "UPDATE variants SET assigned = assigned + ?3, overridden = overridden + ?4
                 WHERE experiment_id = ?1 AND idx = ?2",
            )?
            .execute(params![
                experiment.id,
                choice.variant,
                u8::from(!choice.is_override),
                u8::from(choice.is_override)
            ])?;
        }
    }
    Ok(())
}

/// A file keeps a variant by its name, so that it can't hold two of one name, as a database can.
fn require_distinct_variants(config: &ExperimentConfig) -> Result<(), ExperimentError> {
    let is_twin = |problem: &ConfigProblem| matches!(problem, ConfigProblem::DuplicateVariant(_));
    match config.problems().into_iter().find(is_twin) {
        None => Ok(()),
        Some(problem) => Err(ExperimentError::InvalidConfig {
            experiment: config.name.clone(),
            problem,
        }),
    }
}

impl Known {
    /// The `idx` of a variant; one that was removed before the copy gets its row here.
    fn variant(&mut self, db: &Connection, name: &str) -> rusqlite::Result<usize> {
        if let Some(index) = self.variants.iter().position(|known| known == name) {
            return Ok(index);
        }
        let index = self.variants.len();
        db.execute(
            "INSERT INTO variants (experiment_id, idx, name, weight) VALUES (?1, ?2, ?3, 0)",
            params![self.id, index, name],
        )?;
        self.variants.push(name.to_owned());
        Ok(index)
    }
}
