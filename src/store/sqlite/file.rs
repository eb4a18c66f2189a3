//! The file itself: where it is, whether it is ours, how a new one is born. No experiment here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME, ErrorCode, OpenFlags};

use super::locks::wait_for_lock;
use super::migrations;
use crate::error::ExperimentStoreError;

/// Marks a file as an exp store: "EXP1" in SQLite's `application_id`.
pub(super) const APPLICATION_ID: i64 = 0x4558_5031;

/// SQLite's default, in bytes. Twice as much would make sorted bulk a little faster, and every single
/// assignment slower: it writes three pages to the log, and the next process reads them.
const PAGE_SIZE: i64 = 4096;

/// Pages of write-ahead log after which a commit moves it into the file and empties it. Every process
/// that opens the store alone reads the whole log, so a short one keeps start-up short.
const LOG_PAGES: i32 = 64;

/// The same while many actors are assigned, as emptying it costs several syncs.
const BULK_LOG_PAGES: i32 = 64_000;

/// The smallest page of SQLite, in bytes. It takes a shorter file for an empty database.
const SMALLEST_DATABASE: u64 = 512;

/// Where a store is, and how to tell of its failures.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn new(path: &Path) -> Self {
        // A name that SQLite would take for something else, such as `:memory:`, is a file's name.
        let path = if path.is_relative() {
            Path::new(".").join(path)
        } else {
            path.to_owned()
        };
        Self { path }
    }

    pub(super) fn name(&self) -> String {
        let path = self.path.strip_prefix(".").unwrap_or(&self.path);
        path.to_string_lossy().into_owned()
    }

    pub(super) fn backend(
        &self,
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> ExperimentStoreError {
        ExperimentStoreError::Backend {
            store: self.name(),
            doing,
            source: source.into(),
        }
    }

    pub(super) fn not_a_store(&self, found: impl Into<String>) -> ExperimentStoreError {
        ExperimentStoreError::NotAStore {
            store: self.name(),
            found: found.into(),
        }
    }

    /// The log of a store that is not there: SQLite would replay it over a new store of that name.
    pub(super) fn orphaned_log(&self) -> Option<ExperimentStoreError> {
        let beside = |suffix: &str| {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            Self::new(Path::new(&path))
        };
        let holds_something = |log: &Self| fs::metadata(&log.path).is_ok_and(|log| log.len() > 0);
        let mut logs = ["-wal", "-journal"].map(beside).into_iter();
        let log = logs.find(holds_something)?;
        // In between another process may have brought the store into being, and begun its log.
        (!self.path.exists()).then(|| ExperimentStoreError::OrphanedLog {
            store: self.name(),
            log: log.name(),
        })
    }

    /// Sorts a SQLite error into the failures that a caller can tell apart.
    pub(super) fn failed(
        &self,
        doing: &'static str,
        busy_timeout: Duration,
        error: rusqlite::Error,
    ) -> ExperimentStoreError {
        let store = self.name();
        match &error {
            rusqlite::Error::SqliteFailure(cause, _) => match cause.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => ExperimentStoreError::Busy {
                    store,
                    waited_secs: busy_timeout.as_secs(),
                },
                ErrorCode::ReadOnly => ExperimentStoreError::ReadOnly { store },
                ErrorCode::DatabaseCorrupt => ExperimentStoreError::Corrupt {
                    store,
                    found: error.to_string(),
                },
                // SQLite does not tell why; nearly always it is this.
                ErrorCode::CannotOpen => {
                    let denied = io::ErrorKind::PermissionDenied;
                    let what = "SQLite cannot open it, or a file beside it";
                    self.backend(doing, io::Error::new(denied, what))
                }
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
}

/// How [`SqliteExperimentStore::open_as`](super::SqliteExperimentStore::open_as) opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqliteAccess {
    /// To read it only: every write is [refused](ExperimentStoreError::ReadOnly).
    Read,
    /// To read and write the store that is there.
    ReadWrite,
    /// To read and write; a store is made if nothing is there.
    Create,
}

/// Opens the store that is there, bringing an older schema up to date.
pub(super) fn open(
    place: &Place,
    access: SqliteAccess,
    busy_timeout: Duration,
) -> Result<(Connection, Arc<Log>), ExperimentStoreError> {
    // Never read the file except through SQLite: closing a second descriptor of it would drop the
    // locks that other handles of this process hold.
    match fs::metadata(&place.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if place.path.is_symlink() {
                return Err(place.not_a_store("a symbolic link to nothing"));
            }
            let store = place.name();
            let missing = ExperimentStoreError::Missing { store };
            return Err(place.orphaned_log().unwrap_or(missing));
        }
        Err(error) => return Err(place.backend("open", error)),
        Ok(found) if found.is_dir() => return Err(place.not_a_store("a directory")),
        Ok(found) if !found.is_file() => return Err(place.not_a_store("not a regular file")),
        Ok(found) if found.len() == 0 => return Err(place.not_a_store("an empty file")),
        Ok(found) if found.len() < SMALLEST_DATABASE => {
            return Err(place.not_a_store("too short for an SQLite database"));
        }
        Ok(_) => {}
    }
    let failed = |error| place.failed("open", busy_timeout, error);
    let access = match access {
        SqliteAccess::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        SqliteAccess::ReadWrite | SqliteAccess::Create => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&place.path, flags).map_err(failed)?;
    wait_for_lock(&mut connection, busy_timeout).map_err(failed)?;
    let application_id: i64 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(failed)?;
    if application_id != APPLICATION_ID {
        return Err(place.not_a_store(match application_id {
            0 => "an SQLite database of another program".to_owned(),
            id => format!("an SQLite database of another program (application id {id:#010x})"),
        }));
    }
    configure(&connection).map_err(failed)?;
    let log = Log::watch(&mut connection).map_err(failed)?;
    match migrations::migrate(&mut connection).map_err(failed)? {
        migrations::Outcome::Current => Ok((connection, log)),
        migrations::Outcome::Newer(found) => Err(ExperimentStoreError::NewerSchema {
            store: place.name(),
            found,
            supported: migrations::latest(),
        }),
    }
}

/// Brings a store into being, in one step: it is built under another name and moved into place, so
/// that nobody ever finds half of one. If another process was faster, its store stands.
pub(super) fn create(place: &Place, busy_timeout: Duration) -> Result<(), ExperimentStoreError> {
    let failed = |error| place.failed("create", busy_timeout, error);
    // The kind alone: what the system says may name the file under which it is built.
    let io_failed = |error: io::Error| place.backend("create", io::Error::from(error.kind()));
    if let Some(orphaned) = place.orphaned_log() {
        return Err(orphaned);
    }
    let directory = place.path.parent().unwrap_or(Path::new("."));
    create_directory(directory).map_err(io_failed)?;
    let unfinished = tempfile::Builder::new()
        .prefix(".exp-new-store-")
        .tempfile_in(directory)
        .map_err(io_failed)?
        .into_temp_path();

    let mut connection = Connection::open(&unfinished).map_err(failed)?;
    connection
        .pragma_update(None, "page_size", PAGE_SIZE)
        .map_err(failed)?;
    connection
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(failed)?;
    migrations::migrate(&mut connection).map_err(failed)?;
    // The mode is a property of the file; it stays WAL for everybody who opens it.
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;

    match unfinished.persist_noclobber(&place.path) {
        Ok(()) => sync_directory(directory).map_err(io_failed),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io_failed(error.error)),
    }
}

/// Page cache in KiB, as SQLite wants it: negative. Its own default, and what sorted input needs.
const CACHE: i64 = -2_000;
const BULK_CACHE: i64 = -65_536;

/// How long the write-ahead log is, and how long it may become.
///
/// SQLite's own automatic checkpoint moves the log into the file, but leaves it to the next writer to
/// begin it anew; and the next process, which finds the log and nothing that says it was moved, goes
/// on appending. So the log of a store that is used by one short process after another would grow
/// without end, and be read by each.
#[derive(Debug)]
pub(super) struct Log {
    pages: AtomicI32,
    limit: AtomicI32,
}

impl Log {
    /// Has the connection tell the length after each commit, in place of SQLite's checkpoint.
    fn watch(connection: &mut Connection) -> rusqlite::Result<Arc<Self>> {
        let log = Arc::new(Self {
            pages: AtomicI32::new(0),
            limit: AtomicI32::new(LOG_PAGES),
        });
        let told = Arc::clone(&log);
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            told.pages.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(log)
    }

    /// Empties the log if it is long, unless somebody else is at it: then it is left to them. What
    /// was committed is safe in any case, so a failure is none of the caller's.
    pub(super) fn tend(&self, connection: &mut Connection) {
        if self.pages.load(Ordering::Relaxed) < self.limit.load(Ordering::Relaxed) {
            return;
        }
        let moved = wait_for_lock(connection, Duration::ZERO)
            .and_then(|()| connection.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::TRUNCATE));
        match moved {
            Ok(_) => self.pages.store(0, Ordering::Relaxed),
            Err(error) => tracing::debug!(%error, "the write-ahead log was not emptied"),
        }
    }

    /// Settings for a call with many actors.
    pub(super) fn begin_bulk(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.limit.store(BULK_LOG_PAGES, Ordering::Relaxed);
        connection.pragma_update(None, "cache_size", BULK_CACHE)
    }

    /// Back to the settings of one actor, with the log emptied, so that nobody else has to.
    pub(super) fn end_bulk(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        self.limit.store(LOG_PAGES, Ordering::Relaxed);
        self.tend(connection);
        connection.pragma_update(None, "cache_size", CACHE)
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch("PRAGMA synchronous = FULL")
}

#[cfg(unix)]
fn create_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

#[cfg(not(unix))]
fn create_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

/// A new name is safe from a power cut once its directory is.
#[cfg(unix)]
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
pub(super) fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}
