//! What a failure of SQLite or of the system means for a store.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{ErrorCode, ffi};

use super::migrations;
use super::place::{BESIDE, Place, named};
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::system::SystemRefusal;

/// How many files SQLite may have to open at once for one statement.
const FILES_AT_ONCE: usize = 5;

/// Why a step was not taken.
pub(super) enum Failure {
    Refused(ExperimentError),
    Sqlite(rusqlite::Error),
}

impl From<ExperimentError> for Failure {
    fn from(refusal: ExperimentError) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Place {
    pub(super) fn backend(
        &self,
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> ExperimentStoreError {
        ExperimentStoreError::Backend {
            store: self.store(),
            doing,
            source: source.into(),
        }
    }

    pub(super) fn newer_schema(&self, found: i64) -> ExperimentStoreError {
        ExperimentStoreError::NewerSchema {
            store: self.store(),
            found,
            supported: migrations::latest(),
        }
    }

    /// A failure of the system. The names that it was given may be those of a file in the making.
    pub(super) fn refused(&self, doing: &'static str, error: &io::Error) -> ExperimentStoreError {
        self.backend(doing, without_names(error))
    }

    /// Sorts a SQLite error into the failures that a caller can tell apart.
    pub(super) fn failed(
        &self,
        doing: &'static str,
        busy_timeout: Duration,
        error: rusqlite::Error,
    ) -> ExperimentStoreError {
        let store = self.store();
        match &error {
            rusqlite::Error::SqliteFailure(cause, _) => match cause.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => ExperimentStoreError::Busy {
                    store,
                    waited_secs: busy_timeout.as_secs(),
                },
                ErrorCode::ReadOnly if cause.extended_code == ffi::SQLITE_READONLY_DBMOVED => {
                    self.replaced(self.name())
                }
                ErrorCode::ReadOnly => ExperimentStoreError::ReadOnly { store },
                ErrorCode::DatabaseCorrupt => ExperimentStoreError::Corrupt {
                    store,
                    found: error.to_string(),
                },
                ErrorCode::CannotOpen => self.backend(doing, self.why_not_opened()),
                ErrorCode::NotADatabase => self.not_a_store("not an SQLite database"),
                _ => self.backend(doing, error),
            },
            // Without the text of the statement.
            rusqlite::Error::SqlInputError { msg, .. } => self.backend(doing, msg.clone()),
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => ExperimentStoreError::Corrupt {
                store,
                found: error.to_string(),
            },
            _ => self.backend(doing, error),
        }
    }

    /// The same for an error of a commit: if the disk failed, the commit may be on it or not.
    pub(super) fn commit_failed(
        &self,
        doing: &'static str,
        busy_timeout: Duration,
        error: rusqlite::Error,
    ) -> ExperimentStoreError {
        if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
            return ExperimentStoreError::Unconfirmed {
                store: self.store(),
                doing,
                source: error.into(),
            };
        }
        self.failed(doing, busy_timeout, error)
    }

    /// SQLite says only that it could not open a file. The files themselves must not be opened to see:
    /// closing them would drop the locks that other handles of this process hold.
    fn why_not_opened(&self) -> io::Error {
        let directories: Vec<_> = (0..FILES_AT_ONCE)
            .map(|_| fs::File::open(self.directory()))
            .collect();
        for error in directories.into_iter().filter_map(Result::err) {
            if SystemRefusal::of(&error) == Some(SystemRefusal::TooManyFiles) {
                return error;
            }
        }
        let files = [self.path.clone()].into_iter();
        let mut files = files.chain(BESIDE.map(|suffix| self.beside(suffix)));
        match files.find(|file| is_denied(file)) {
            Some(file) => {
                let what = format!("no permission to read and write {}", named(&file));
                io::Error::new(io::ErrorKind::PermissionDenied, what)
            }
            None => io::Error::other("SQLite cannot open it, or a file beside it"),
        }
    }
}

/// What the system said, without the names of files that some errors carry.
fn without_names(error: &io::Error) -> io::Error {
    let code = error.raw_os_error();
    code.map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

#[cfg(unix)]
fn is_denied(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(path, Access::READ_OK | Access::WRITE_OK) == Err(rustix::io::Errno::ACCESS)
}

#[cfg(not(unix))]
fn is_denied(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().readonly())
}
