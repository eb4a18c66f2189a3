//! A copy of the whole file, made while others use it.

use std::path::Path;
use std::{fs, io};

use rusqlite::Connection;

use super::SqliteExperimentStore;
use super::durable;
use super::journal::{self, Mode};
use super::open::{self, SqliteAccess};
use super::place::Place;
use super::staging::{Purpose, Staging};
use crate::error::{ExperimentError, ExperimentStoreError};

const DOING: &str = "be backed up";

impl SqliteExperimentStore {
    /// Writes a copy of the store, as it is at this moment, to a new file; others may use the store
    /// meanwhile. The copy is a store of its own. Directories above it that are missing are made. When
    /// this returns, it survives a power cut.
    ///
    /// # Errors
    /// Something is at `path` [already](ExperimentStoreError::Occupied), or it can't be written; or the store fails. Nothing is at `path`
    /// then that was not there before.
    pub fn backup(&self, path: &Path) -> Result<(), ExperimentError> {
        let target = Place::new(path);
        let refused = |error: io::Error| target.refused("write a backup", &error);
        if target.path.exists() || target.path.is_symlink() {
            let store = target.store();
            return Err(ExperimentStoreError::Occupied { store }.into());
        }
        target.require_usable()?;
        durable::create_directories(target.directory()).map_err(refused)?;
        let staging = Staging::begin(&target.path, Purpose::Backup).map_err(refused)?;
        self.vacuum_into(&staging.file())?;
        self.require_in_place(&self.lock(), None)?;
        complete(&Place::new(&staging.file())).map_err(|error| renamed(error, &target))?;
        staging.finish().map_err(refused)?;
        if let Err(error) = durable::sync_directory(target.directory()) {
            // What may be gone after a power cut is no backup.
            let _ = fs::remove_file(&target.path);
            return Err(refused(error).into());
        }
        Ok(())
    }

    fn vacuum_into(&self, file: &Path) -> Result<(), ExperimentError> {
        let connection = self.lock();
        let copied = self.require_known_schema(&connection).and_then(|()| {
            connection.execute("VACUUM INTO CAST(?1 AS TEXT)", [bytes(file)])?;
            Ok(())
        });
        copied.map_err(|failure| self.reported(DOING, failure))
    }
}

/// Makes the copy like every store, and reads what was written as somebody would who finds it.
pub(super) fn complete(copy: &Place) -> Result<(), ExperimentStoreError> {
    let timeout = SqliteExperimentStore::BUSY_TIMEOUT;
    let failed = |error| copy.failed(DOING, timeout, error);
    let db = Connection::open(&copy.path).map_err(failed)?;
    journal::set(&db, copy, DOING, Mode::WriteAheadLog)?;
    db.close().map_err(|(_, error)| failed(error))?;
    copy.require_no_log(DOING)?;
    let opened = open::store(copy, SqliteAccess::Read, timeout)?;
    match Mode::of(&opened.connection).map_err(failed)? {
        Mode::WriteAheadLog => Ok(()),
        Mode::Rollback => Err(copy.backend(DOING, "its journal mode was not kept")),
    }
}

/// The error, of the file as others know it.
pub(super) fn renamed(error: ExperimentStoreError, known: &Place) -> ExperimentStoreError {
    let store = known.store();
    match error {
        ExperimentStoreError::Backend { doing, source, .. } => ExperimentStoreError::Backend {
            store,
            doing,
            source,
        },
        ExperimentStoreError::Corrupt { found, .. } => {
            ExperimentStoreError::Corrupt { store, found }
        }
        ExperimentStoreError::NotAStore { found, .. } => {
            ExperimentStoreError::NotAStore { store, found }
        }
        ExperimentStoreError::Unfinished { .. } => ExperimentStoreError::Unfinished { store },
        ExperimentStoreError::NewerSchema {
            found, supported, ..
        } => ExperimentStoreError::NewerSchema {
            store,
            found,
            supported,
        },
        other => other,
    }
}

#[cfg(unix)]
fn bytes(path: &Path) -> &[u8] {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes()
}

#[cfg(not(unix))]
fn bytes(path: &Path) -> std::borrow::Cow<'_, [u8]> {
    path.to_string_lossy().into_owned().into_bytes().into()
}
