//! A file as the target of a copy.

use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, ffi, params};

use super::super::durable;
use super::super::experiments;
use super::super::journal::{self, Mode};
use super::super::open::{self, APPLICATION_ID, SqliteAccess, UNFINISHED_ID};
use super::super::open_sealed::sealed;
use super::super::place::{BESIDE, LOG, Place, SHARED_MEMORY};
use super::super::staging;
use super::super::{Failure, SqliteExperimentStore};
use super::records::{CopiedExperiment, append};
use super::source::Scan;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::location::StoreLocation;
use crate::store::transfer::is_not_empty;
use crate::store::transfer::{Record, Source as _, Tally, Target};

const WRITING: &str = "be copied into";

/// A copy that becomes a store in a new file. Until it is finished it is beside it, under the same
/// name and `.unfinished`, and nobody else can open that.
#[derive(Debug)]
pub struct SqliteCopy {
    place: Place,
    unfinished: Place,
    db: Option<Connection>,
    /// Sees what is in the file itself, once all is written.
    sealed: Option<Connection>,
    known: HashMap<String, CopiedExperiment>,
}

impl SqliteCopy {
    /// A copy that becomes a store in this file.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        let place = Place::new(path.as_ref());
        Self {
            unfinished: place.unfinished(),
            place,
            db: None,
            sealed: None,
            known: HashMap::new(),
        }
    }

    fn failed(&self, error: rusqlite::Error) -> ExperimentError {
        let timeout = SqliteExperimentStore::BUSY_TIMEOUT;
        self.unfinished.failed(WRITING, timeout, error).into()
    }

    fn refused(&self, error: &io::Error) -> ExperimentError {
        self.place.refused(WRITING, error).into()
    }

    fn not_empty(&self) -> ExperimentError {
        let store = self.place.store();
        ExperimentStoreError::NotEmpty { store }.into()
    }

    fn connection(&mut self) -> Result<&mut Connection, ExperimentError> {
        let place = &self.place;
        let closed = || place.backend(WRITING, "no copy was begun");
        Ok(self.db.as_mut().ok_or_else(closed)?)
    }

    /// Has the file to itself until the connection is closed, whoever else would read it or copy into
    /// it.
    fn take_alone(&mut self) -> Result<(), ExperimentError> {
        let timeout = SqliteExperimentStore::BUSY_TIMEOUT;
        let opened = open::unfinished(&self.unfinished, timeout);
        let taken = opened.map_err(ExperimentError::from).and_then(|opened| {
            let db = opened.connection;
            let taken = db
                .pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))
                .and_then(|()| db.execute_batch("BEGIN EXCLUSIVE; COMMIT"));
            self.db = Some(db);
            taken.map_err(|error| self.failed(error))
        });
        // Whoever had it until now may have finished, and this be the file that was moved.
        if let Err(finished) = self.require_absent() {
            self.db = None;
            return Err(finished);
        }
        taken
    }

    fn close(&mut self) -> Result<(), ExperimentError> {
        self.sealed = None;
        match self.db.take().map(Connection::close) {
            Some(Err((_, error))) => Err(self.failed(error)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn require_absent(&self) -> Result<(), ExperimentError> {
        if self.place.path.exists() || self.place.path.is_symlink() {
            let found = fs::metadata(&self.place.path);
            if found.is_ok_and(|found| found.is_file() && found.len() == 0) {
                let store = self.place.store();
                return Err(ExperimentStoreError::Occupied { store }.into());
            }
            return Err(self.not_empty());
        }
        Ok(())
    }

    /// SQLite leaves its own files, without content, beside the name at which a file was before it was
    /// moved.
    fn remove_empty_neighbours(&self) {
        let log = self.unfinished.beside(LOG);
        let is_empty = fs::metadata(&log).is_ok_and(|found| found.is_file() && found.len() == 0);
        if self.unfinished.path.exists() || !(is_empty || fs::symlink_metadata(&log).is_err()) {
            return;
        }
        for file in [log, self.unfinished.beside(SHARED_MEMORY)] {
            // They are in the way of nobody.
            let _ = fs::remove_file(file);
        }
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
            let store = self.unfinished.store();
            return Err(ExperimentStoreError::NotEmpty { store }.into());
        }
        let begun = note_progress(self.connection()?, &text, found.records());
        begun.map_err(|error| self.failed(error))?;
        Ok(Some(found.records()))
    }

    /// Takes the file and finds how much of the copy is in it.
    fn take(&mut self, tally: &Tally, restart: bool) -> Result<u64, ExperimentError> {
        self.require_absent()?;
        self.place.require_usable()?;
        if !self.unfinished.path.exists() {
            // It has no log, so what is committed is in the file that is moved in the end.
            let timeout = SqliteExperimentStore::BUSY_TIMEOUT;
            open::create(&self.unfinished, timeout, Mode::Rollback, UNFINISHED_ID)?;
        }
        self.take_alone().inspect_err(|refused| {
            // Another copy was finished just before that file was made anew.
            if is_not_empty(refused) {
                let _ = fs::remove_file(&self.unfinished.path);
            }
        })?;
        let unfinished = self.unfinished.clone();
        // It may have been complete but for its move.
        journal::set(self.connection()?, &unfinished, WRITING, Mode::Rollback)?;
        let Some(written) = self.progress(tally, restart)? else {
            let store = self.place.store();
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

    /// Writes records after the first `written`.
    fn write(&mut self, written: u64, records: &[Record]) -> Result<(), ExperimentError> {
        let mut known = std::mem::take(&mut self.known);
        let store = self.place.store();
        let db = self.connection()?;
        let done = append(db, &store, &mut known, written, records);
        self.known = known;
        done.map_err(|failure| match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Sqlite(error) => self.failed(error),
        })
    }

    /// Makes it a file like every store, and looks at what is in it.
    fn complete_file(&mut self) -> Result<(), ExperimentError> {
        let unfinished = self.unfinished.clone();
        let db = self.connection()?;
        let completed = format!(
            "BEGIN IMMEDIATE; DROP TABLE copy_progress; PRAGMA application_id = {APPLICATION_ID}; COMMIT"
        );
        let done = db
            .execute_batch(&completed)
            .and_then(|()| db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false));
        done.map_err(|error| self.failed(error))?;
        journal::set(
            self.connection()?,
            &unfinished,
            WRITING,
            Mode::WriteAheadLog,
        )?;
        unfinished.require_no_log(WRITING)?;
        let sealed = sealed(&unfinished);
        self.sealed = Some(sealed.map_err(|error| self.failed(error))?);
        Ok(())
    }

    /// Throws the file away if it could not be synced: what was written may not be on the disk, and a
    /// later sync would not say so, as the system reports a failed one once and forgets it.
    fn unless_unsynced<T>(
        &mut self,
        done: Result<T, ExperimentError>,
    ) -> Result<T, ExperimentError> {
        if done.as_ref().is_err_and(was_not_synced) {
            self.close()?;
            let beside = BESIDE.map(|suffix| self.unfinished.beside(suffix));
            for file in [self.unfinished.path.clone()].iter().chain(&beside) {
                // Best effort: what failed is reported in any case.
                let _ = fs::remove_file(file);
            }
        }
        done
    }
}

fn was_not_synced(error: &ExperimentError) -> bool {
    let ExperimentError::Store(ExperimentStoreError::Backend { source, .. }) = error else {
        return false;
    };
    let code = source
        .downcast_ref()
        .and_then(rusqlite::Error::sqlite_error);
    code.is_some_and(|code| code.extended_code == ffi::SQLITE_IOERR_FSYNC)
}

fn is_in_progress(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'copy_progress')";
    db.query_row(sql, [], |row| row.get(0))
}

/// Marks the file as a copy of this tally, of which so much is written.
fn note_progress(db: &mut Connection, tally: &str, written: u64) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.pragma_update(None, "application_id", UNFINISHED_ID)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS copy_progress (tally TEXT NOT NULL, written INTEGER NOT NULL)",
    )?;
    transaction.execute(
        "INSERT INTO copy_progress (tally, written) VALUES (?1, ?2)",
        params![tally, written],
    )?;
    transaction.commit()
}

/// Whether the unfinished copy in the file is of this tally, and how far it is; `None` if there is
/// none.
fn unfinished(
    db: &mut Connection,
    tally: &str,
    restart: bool,
) -> rusqlite::Result<Option<(bool, u64)>> {
    if !is_in_progress(db)? {
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
            "deleted_experiments",
            "weight_periods",
            "assignment_counts",
            "outcomes",
            "metrics",
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
        let taken = self.take(tally, restart);
        self.unless_unsynced(taken)
    }

    fn append(&mut self, written: u64, records: &[Record]) -> Result<(), ExperimentError> {
        let written = self.write(written, records);
        self.unless_unsynced(written)
    }

    fn seal(&mut self) -> Result<(), ExperimentError> {
        let sealed = self.complete_file();
        self.unless_unsynced(sealed)
    }

    fn tally(&mut self) -> Result<Tally, ExperimentError> {
        let timeout = SqliteExperimentStore::BUSY_TIMEOUT;
        let unfinished = self.unfinished.clone();
        let failed = |error| unfinished.failed("be read back", timeout, error).into();
        if let Some(db) = &self.sealed {
            return Tally::of(&mut Scan { db, failed });
        }
        let db = &*self.connection()?;
        Tally::of(&mut Scan { db, failed })
    }

    fn finish(&mut self) -> Result<(), ExperimentError> {
        let unfinished = self.unfinished.clone();
        unfinished.require_no_log(WRITING)?;
        // Under the lock, so that it is this file that is moved.
        unfinished.require_in_place(self.connection()?)?;
        match staging::move_to_new_name(&unfinished.path, &self.place.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let store = self.place.store();
                return Err(ExperimentStoreError::Occupied { store }.into());
            }
            moved => moved.map_err(|error| self.refused(&error))?,
        }
        let synced = durable::sync_directory(self.place.directory());
        synced.map_err(|error| self.refused(&error))?;
        self.close()?;
        self.remove_empty_neighbours();
        Ok(())
    }

    fn complete(&mut self) -> Result<Option<Tally>, ExperimentError> {
        let timeout = SqliteExperimentStore::BUSY_TIMEOUT;
        let place = &self.place;
        if !place.path.exists() {
            return Ok(None);
        }
        let store = match SqliteExperimentStore::open_as(&place.path, SqliteAccess::Read, timeout) {
            Err(ExperimentStoreError::NotAStore { .. }) => return Ok(None),
            opened => opened?,
        };
        let mut tally = None;
        store.view(&mut |view| {
            tally = Some(Tally::of(view)?);
            Ok(())
        })?;
        // Whoever moved it may have been killed before this.
        let synced = durable::sync_directory(place.directory());
        synced.map_err(|error| self.refused(&error))?;
        self.remove_empty_neighbours();
        Ok(tally)
    }

    fn store(&self) -> StoreLocation {
        self.place.store()
    }

    fn location(&mut self) -> Option<String> {
        self.place.location()
    }
}
