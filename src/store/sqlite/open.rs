//! Opening a file: whether it is a store, and of which version; making one where nothing is.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::durable;
use super::journal::{self, Mode};
use super::locks::wait_for_lock;
use super::migrations;
use super::open_sealed::sealed;
use super::place::{LOG, Place};
use super::seal::Seal;
use super::staging::{Purpose, Staging};
use super::write_ahead_log::WriteAheadLog;
use crate::error::ExperimentStoreError;

/// What is being done while there is no store yet.
const CREATE: &str = "create";

/// Marks a file as an exp store: "EXP1" in SQLite's `application_id`.
pub(super) const APPLICATION_ID: i64 = 0x4558_5031;

/// Marks a file into which a copy is being written, which is no store yet: "EXPU".
pub(super) const UNFINISHED_ID: i64 = 0x4558_5055;

/// SQLite's default, in bytes. Twice as much would make many sorted actors a little faster, and every single
/// assignment slower: it writes three pages to the log, and the next process reads them.
const PAGE_SIZE: i64 = 4096;

/// How often a file is opened that is replaced by another one meanwhile.
const TRIES: usize = 5;

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

/// A file that was opened.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) log: Arc<WriteAheadLog>,
    /// How the file was, if nothing can be written beside it.
    pub(super) seal: Option<Seal>,
}

/// Opens the store that is there, bringing an older schema up to date.
pub(super) fn store(
    place: &Place,
    access: SqliteAccess,
    busy_timeout: Duration,
) -> Result<Opened, ExperimentStoreError> {
    marked(place, access, busy_timeout, &[APPLICATION_ID])
}

/// Opens a copy that is being written, or that is complete but for its move.
pub(super) fn unfinished(
    place: &Place,
    busy_timeout: Duration,
) -> Result<Opened, ExperimentStoreError> {
    let marks = [UNFINISHED_ID, APPLICATION_ID];
    marked(place, SqliteAccess::ReadWrite, busy_timeout, &marks)
}

fn marked(
    place: &Place,
    access: SqliteAccess,
    busy_timeout: Duration,
    marks: &[i64],
) -> Result<Opened, ExperimentStoreError> {
    let open = || marked_in_place(place, access, busy_timeout, marks);
    let is_replaced = |opened: &Result<Opened, ExperimentStoreError>| {
        matches!(opened, Err(ExperimentStoreError::Replaced { .. }))
    };
    let mut opened = open();
    for _ in 1..TRIES {
        if is_replaced(&opened) {
            opened = open();
        }
    }
    opened
}

fn marked_in_place(
    place: &Place,
    access: SqliteAccess,
    busy_timeout: Duration,
    marks: &[i64],
) -> Result<Opened, ExperimentStoreError> {
    // Never read the file except through SQLite: closing a second descriptor of it would drop the
    // locks that other handles of this process hold.
    place.require_file()?;
    let log_file = place.beside(LOG);
    let is_new_log = !log_file.exists();
    let failed = |error| place.failed("open", busy_timeout, error);
    let (mut connection, application_id, seal) = match connect(place, access, busy_timeout) {
        // Which of the two it is depends on what refuses to have a file made beside it.
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
            ) =>
        {
            let seal = place.seal()?.ok_or_else(|| failed(error))?;
            let connection = sealed(place).map_err(failed)?;
            let id = id_of(&connection).map_err(failed)?;
            (connection, id, Some(seal))
        }
        opened => {
            let (connection, id) = opened.map_err(failed)?;
            if let Err(replaced) = place.require_in_place(&connection) {
                // It waited for a lock meanwhile. What is beside the name now belongs to another file, and
                // would be moved into this one.
                keep_log(&connection).map_err(failed)?;
                return Err(replaced);
            }
            (connection, id, None)
        }
    };
    if !marks.contains(&application_id) {
        return Err(match application_id {
            UNFINISHED_ID => ExperimentStoreError::Unfinished {
                store: place.store(),
            },
            0 => place.not_a_store("an SQLite database of another program"),
            id => place.not_a_store(format!(
                "an SQLite database of another program (application id {id:#010x})"
            )),
        });
    }
    if access == SqliteAccess::Read && migrations::is_older(&connection).map_err(failed)? {
        // What is written differently can be read only once it is brought up to date.
        drop(connection);
        return match marked(place, SqliteAccess::ReadWrite, busy_timeout, marks) {
            Ok(migrated) => {
                drop(migrated);
                marked(place, access, busy_timeout, marks)
            }
            Err(other) => Err(other),
        };
    }
    configure(&connection).map_err(failed)?;
    let log = WriteAheadLog::watch(&mut connection).map_err(failed)?;
    // SQLite syncs the name of a log that it makes, and ignores it if that fails.
    if is_new_log && log_file.exists() {
        let directory = log_file.parent().unwrap_or(Path::new("."));
        durable::sync_directory(directory).map_err(|error| place.refused("open", &error))?;
    }
    match migrations::migrate(&mut connection) {
        Ok(migrations::SchemaState::Current) => Ok(Opened {
            connection,
            log,
            seal,
        }),
        Ok(migrations::SchemaState::Newer(found)) => Err(place.newer_schema(found)),
        Err(error) => Err(match failed(error) {
            ExperimentStoreError::ReadOnly { store } => ExperimentStoreError::NotMigrated { store },
            other => other,
        }),
    }
}

/// Opens the file and reads its mark, which is the first that SQLite reads.
fn connect(
    place: &Place,
    access: SqliteAccess,
    busy_timeout: Duration,
) -> rusqlite::Result<(Connection, i64)> {
    let mode = match access {
        SqliteAccess::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        SqliteAccess::ReadWrite | SqliteAccess::Create => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&place.path, flags)?;
    wait_for_lock(&mut connection, busy_timeout)?;
    let id = id_of(&connection)?;
    Ok((connection, id))
}

fn id_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

/// Makes a new store, in one step: it is built under another name and moved into place, so that nobody
/// ever finds half of one. If another process was faster, its store stands.
pub(super) fn create(
    place: &Place,
    busy_timeout: Duration,
    mode: Mode,
    mark: i64,
) -> Result<(), ExperimentStoreError> {
    let failed = |error| place.failed(CREATE, busy_timeout, error);
    let refused = |error: io::Error| place.refused(CREATE, &error);
    place.require_usable()?;
    durable::create_directories(place.directory()).map_err(refused)?;
    let staging = Staging::begin(&place.path, Purpose::NewStore).map_err(refused)?;
    let built = Place::new(&staging.file());

    let mut connection = Connection::open(&built.path).map_err(failed)?;
    connection
        .pragma_update(None, "page_size", PAGE_SIZE)
        .map_err(failed)?;
    connection
        .pragma_update(None, "application_id", mark)
        .map_err(failed)?;
    migrations::migrate(&mut connection).map_err(failed)?;
    journal::set(&connection, place, CREATE, mode)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    built.require_no_log(CREATE)?;

    match staging.finish() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        moved => moved
            .and_then(|()| durable::sync_directory(place.directory()))
            .map_err(refused),
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    keep_log(connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch("PRAGMA synchronous = FULL")
}

/// Has the connection leave the log as it is when it is closed.
fn keep_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}
