//! Opening a file: whether it is a store, and of which version; making one where nothing is.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::durable;
use super::journal::{self, Mode};
use super::locks::wait_for_lock;
use super::migrations;
use super::place::{LOG, Place};
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
pub(super) fn store(
    place: &Place,
    access: SqliteAccess,
    busy_timeout: Duration,
) -> Result<(Connection, Arc<WriteAheadLog>), ExperimentStoreError> {
    marked(place, access, busy_timeout, &[APPLICATION_ID])
}

/// Opens a copy that is being written, or that is complete but for its move.
pub(super) fn unfinished(
    place: &Place,
    busy_timeout: Duration,
) -> Result<(Connection, Arc<WriteAheadLog>), ExperimentStoreError> {
    let marks = [UNFINISHED_ID, APPLICATION_ID];
    marked(place, SqliteAccess::ReadWrite, busy_timeout, &marks)
}

fn marked(
    place: &Place,
    access: SqliteAccess,
    busy_timeout: Duration,
    marks: &[i64],
) -> Result<(Connection, Arc<WriteAheadLog>), ExperimentStoreError> {
    // Never read the file except through SQLite: closing a second descriptor of it would drop the
    // locks that other handles of this process hold.
    place.require_file()?;
    let log_file = place.beside(LOG);
    let is_new_log = !log_file.exists();
    let failed = |error| place.failed("open", busy_timeout, error);
    let mode = match access {
        SqliteAccess::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        SqliteAccess::ReadWrite | SqliteAccess::Create => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&place.path, flags).map_err(failed)?;
    wait_for_lock(&mut connection, busy_timeout).map_err(failed)?;
    let application_id: i64 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(failed)?;
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
            Err(ExperimentStoreError::ReadOnly { store }) => {
                Err(ExperimentStoreError::NotMigrated { store })
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
    match migrations::migrate(&mut connection).map_err(failed)? {
        migrations::SchemaState::Current => Ok((connection, log)),
        migrations::SchemaState::Newer(found) => Err(place.newer_schema(found)),
    }
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

/// Opens a file that this process has to itself, to read what is in it: nothing that another connection
/// keeps in memory, nor what is in a log beside it. No lock is taken.
pub(super) fn sealed(place: &Place) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri(&place.path, "immutable=1"), flags)
}

/// The name of a file with what SQLite is told about it.
pub(super) fn uri(path: &Path, told: &str) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push('?');
    uri.push_str(told);
    uri
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch("PRAGMA synchronous = FULL")
}
