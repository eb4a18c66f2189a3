//! Another file in the store's place, and the store away from it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::SqliteExperimentStore;
use super::backup::{complete, renamed};
use super::durable;
use super::file_system::can_write;
use super::identity::is_same_file;
use super::journal::{self, Mode};
use super::locks::{POLL, wait_for_lock};
use super::open::APPLICATION_ID;
use super::place::{BESIDE, LOG, Place, ROLLBACK_JOURNAL, SHARED_MEMORY, as_written, named};
use super::staging::{self, Purpose, Staging};
use super::transfer::Scan;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::store::survey::StoreFinding;
use crate::store::transfer::Tally;

const RESTORING: &str = "restore";
const REPLACING: &str = "be replaced";
const RETIRING: &str = "be retired";

/// A backup that is about to take the place of a store. Dropped before that, it leaves everything as it was.
pub struct SqliteRestore {
    backup: Place,
    /// The store's place, without the links that lead to it.
    place: Place,
    staging: Staging,
}

impl SqliteRestore {
    /// Copies the backup to the directory of the store at `path`, where a store may be or not, and brings
    /// its schema up to date there. This process must not have the backup open as a store: it would lose its
    /// locks.
    ///
    /// # Errors
    /// The backup is none, or a part of it is in a log beside it; it can't be read or copied.
    pub fn prepare(path: &Path, backup: &Path) -> Result<Self, ExperimentError> {
        let backup = Place::new(backup);
        let named = Place::new(path);
        named.require_safe_file_system()?;
        backup.require_file()?;
        if is_same_file(&backup.beside(""), &named.beside("")) {
            return Err(backup.backend(RESTORING, "it is the store itself").into());
        }
        backup.require_no_log(RESTORING)?;
        let place = Place::new(&named.beside(""));
        let refused = |error: io::Error| place.refused(REPLACING, &error);
        durable::create_directories(place.directory()).map_err(refused)?;
        let staging = Staging::begin(&place.path, Purpose::Restored).map_err(refused)?;
        let failed = |error: io::Error| backup.refused(RESTORING, &error);
        let mut source = File::open(&backup.path).map_err(failed)?;
        // The disk that fills up is that of the store.
        copy(&mut source, &staging.file()).map_err(refused)?;
        // Who began a log meanwhile may have changed the file while it was copied.
        backup.require_no_log(RESTORING)?;
        let restore = Self {
            backup,
            place,
            staging,
        };
        drop(restore.store()?);
        Ok(restore)
    }

    fn store(&self) -> Result<SqliteExperimentStore, ExperimentError> {
        let store = SqliteExperimentStore::open(self.staging.file());
        Ok(store.map_err(|error| renamed(error, &self.backup))?)
    }

    /// What is wrong with the backup, as [`check`](SqliteExperimentStore::check) finds it.
    ///
    /// # Errors
    /// It can't be read.
    pub fn check(&self) -> Result<Vec<StoreFinding>, ExperimentError> {
        self.store()?.check().map_err(|error| match error {
            ExperimentError::Store(error) => renamed(error, &self.backup).into(),
            other => other,
        })
    }

    /// Puts the backup in the store's place, and gives the name under which the store that was there is kept,
    /// with all that was in its log. That takes one step: after a crash either of the two is in place. When
    /// it returns, it survives a power cut. A store that is so damaged that SQLite can't lock it is kept with
    /// its log beside it, and must not be in use. Where only a log was left of the store, that is kept and named.
    ///
    /// # Errors
    /// Somebody [uses the store](ExperimentStoreError::Busy) for longer than `busy_timeout`; what is in its
    /// place is [something else](ExperimentStoreError::NotAStore); a file can't be moved.
    pub fn finish(self, busy_timeout: Duration) -> Result<Option<PathBuf>, ExperimentError> {
        complete(&Place::new(&self.staging.file()))
            .map_err(|error| renamed(error, &self.backup))?;
        let kept = free_name(&self.place.path);
        if !self.place.path.exists() {
            let log = self.put_where_nothing_is(&kept)?;
            return Ok(log.map(|log| as_written(&log).to_owned()));
        }
        self.exchange(&kept, busy_timeout)?;
        Ok(Some(as_written(&kept).to_owned()))
    }

    fn exchange(self, kept: &Path, busy_timeout: Duration) -> Result<(), ExperimentError> {
        let Self { place, staging, .. } = self;
        let refused = |error: io::Error| ExperimentError::from(place.refused(REPLACING, &error));
        let exchange = || {
            like(&place.path, &staging.file()).map_err(refused)?;
            // Under that name the backup loses nothing if this is the last step, and no later run removes it,
            // nor the store that is there afterwards.
            staging.finish_at(kept).map_err(refused)?;
            staging::exchange(kept, &place.path).map_err(refused)?;
            sync_name(&place, REPLACING, kept)
        };
        if let Some(mut db) = lockable(&place, busy_timeout)? {
            return alone(&mut db, &place, REPLACING, busy_timeout, |_| exchange());
        }
        keep_logs(&place, kept).map_err(refused)?;
        exchange()
    }

    /// Gives the name of the log that was there, if one was.
    fn put_where_nothing_is(self, kept: &Path) -> Result<Option<PathBuf>, ExperimentError> {
        let Self { place, staging, .. } = self;
        // As long as one is there, nobody makes a store of that name.
        let had_log = place.log_with_content().is_some();
        let logs = if had_log {
            keep_logs(&place, kept)
        } else {
            Ok(())
        };
        logs.and_then(|()| staging.finish())
            .and_then(|()| durable::sync_directory(place.directory()))
            .map_err(|error| place.refused(REPLACING, &error))?;
        Ok(had_log.then(|| staging::with_suffix(kept, LOG)))
    }
}

impl SqliteExperimentStore {
    /// Checks that [`retire`](Self::retire) could rename the file, before it is copied for nothing.
    ///
    /// # Errors
    /// Something has the [new name](ExperimentStoreError::Occupied) already; nothing can be [written
    /// there](ExperimentStoreError::ReadOnly).
    pub fn require_retirable(&self) -> Result<(), ExperimentError> {
        let (place, name) = self.retired();
        if fs::symlink_metadata(&name).is_ok() {
            let store = Place::new(as_written(&name)).store();
            return Err(ExperimentStoreError::Occupied { store }.into());
        }
        let directory = place.directory();
        if !can_write(directory) {
            let store = self.place.store();
            return Err(ExperimentStoreError::ReadOnly { store }.into());
        }
        Ok(())
    }

    /// The file itself, and what it is called once it is retired.
    fn retired(&self) -> (Place, PathBuf) {
        let place = Place::new(&self.place.beside(""));
        let name = place.retired_name();
        (place, name)
    }

    /// Renames the file, with all that is in the log, so that nobody goes on using it by mistake; only if it
    /// holds what this tally is of, and nobody else uses it. Gives its new name. The handle is of no use after
    /// that.
    ///
    /// # Errors
    /// Somebody [uses the store](ExperimentStoreError::Busy), or has changed it; something has that name
    /// already; the file can't be renamed.
    pub fn retire(&self, copied: &Tally) -> Result<PathBuf, ExperimentError> {
        let mut db = self.lock();
        let (place, name) = self.retired();
        self.require_in_place(&db, None)?;
        alone(&mut db, &self.place, RETIRING, self.busy_timeout, |db| {
            let failed = |error| self.failed(RETIRING, error);
            if Tally::of(&mut Scan { db, failed })? != *copied {
                let changed = "it was changed after it was copied: copy it again to another place";
                return Err(self.place.backend(RETIRING, changed).into());
            }
            staging::move_to_new_name(&place.path, &name)
                .map_err(|error| self.place.refused(RETIRING, &error))?;
            sync_name(&place, RETIRING, &name)
        })?;
        Ok(as_written(&name).to_owned())
    }
}

/// Runs `step` while nobody else has the store, with the log moved into the file and gone. It may move the file:
/// whoever waits for the lock finds that out, and no log beside it. If it fails, the store is as it was.
fn alone<T>(
    db: &mut Connection,
    place: &Place,
    doing: &'static str,
    timeout: Duration,
    step: impl FnOnce(&Connection) -> Result<T, ExperimentError>,
) -> Result<T, ExperimentError> {
    let failed = |error| place.failed(doing, timeout, error);
    wait_for_lock(db, timeout).map_err(failed)?;
    let since = Instant::now();
    leave_log(db, place, doing, since, timeout)?;
    let locked = || {
        loop {
            let lock = db.transaction_with_behavior(TransactionBehavior::Exclusive);
            let lock = lock.map_err(failed)?;
            // Whoever had the lock before may have moved it.
            place.require_in_place(&lock)?;
            if Mode::of(&lock).map_err(failed)? == Mode::Rollback {
                // SQLite ignores it if the log can't be removed.
                place.require_no_log(doing)?;
                break step(&lock);
            }
            drop(lock);
            // Somebody has opened it in between, and begun a log again.
            leave_log(db, place, doing, since, timeout)?;
        }
    };
    let done = locked();
    if done.is_err() && place.require_in_place(db).is_ok() {
        // In the other mode it is a whole store too, only slower.
        let _ = journal::set(db, place, doing, Mode::WriteAheadLog);
    }
    done
}

/// Has the new name of the store survive a power cut.
fn sync_name(place: &Place, doing: &'static str, name: &Path) -> Result<(), ExperimentError> {
    let synced = durable::sync_directory(place.directory());
    Ok(synced.map_err(|error| {
        let name = named(name);
        let problem = format!("it is {name} now, but a power cut may undo that: {error}");
        place.backend(doing, problem)
    })?)
}

/// SQLite doesn't wait for others who have the store open.
fn leave_log(
    db: &Connection,
    place: &Place,
    doing: &'static str,
    since: Instant,
    timeout: Duration,
) -> Result<(), ExperimentStoreError> {
    loop {
        match journal::set(db, place, doing, Mode::Rollback) {
            Err(ExperimentStoreError::Busy { .. }) if since.elapsed() < timeout => {
                thread::sleep(POLL);
            }
            Err(ExperimentStoreError::Busy { store, .. }) => {
                return Err(ExperimentStoreError::Busy {
                    store,
                    waited_secs: timeout.as_secs(),
                });
            }
            left => return left,
        }
    }
}

/// A connection to the store that is there; `None` if it is too damaged to be locked.
fn lockable(
    place: &Place,
    busy_timeout: Duration,
) -> Result<Option<Connection>, ExperimentStoreError> {
    match place.require_file() {
        Err(ExperimentStoreError::NotAStore { .. }) if place.path.is_file() => return Ok(None),
        found => found?,
    }
    let connect = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(&place.path, flags)?;
        wait_for_lock(&mut db, busy_timeout)?;
        let id: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
        db.execute_batch("SELECT count(*) FROM sqlite_schema")?;
        Ok((db, id))
    };
    match connect() {
        Ok((db, APPLICATION_ID)) => Ok(Some(db)),
        Ok(_) => Err(place.not_a_store("an SQLite database of another program")),
        Err(error) if is_damage(&error) => Ok(None),
        Err(error) => Err(place.failed(REPLACING, busy_timeout, error)),
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Copies the logs of a store that SQLite can't move into it, before they are removed: beside the file that
/// takes its place they would damage that.
fn keep_logs(place: &Place, kept: &Path) -> io::Result<()> {
    for suffix in [LOG, ROLLBACK_JOURNAL] {
        let log = place.beside(suffix);
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            copy(&mut File::open(&log)?, &staging::with_suffix(kept, suffix))?;
        }
    }
    durable::sync_directory(place.directory())?;
    for suffix in BESIDE {
        match fs::remove_file(place.beside(suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    durable::sync_directory(place.directory())
}

/// The first name after the store's that nothing has, nor the logs beside it.
fn free_name(store: &Path) -> PathBuf {
    let first = staging::with_suffix(store, ".before-restore");
    let others = (2..=u32::MAX).map(|n| staging::with_suffix(&first, &format!("-{n}")));
    let is_free = |name: &PathBuf| {
        let files = ["", ROLLBACK_JOURNAL, LOG, SHARED_MEMORY];
        let mut files = files
            .map(|suffix| staging::with_suffix(name, suffix))
            .into_iter();
        files.all(|file| fs::symlink_metadata(file).is_err())
    };
    let mut names = std::iter::once(first.clone()).chain(others);
    names.find(is_free).unwrap_or(first)
}

/// Copies a file so that it survives a power cut; an empty file of its owner's may be there.
fn copy(source: &mut File, to: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut target = options.open(to)?;
    io::copy(source, &mut target)?;
    target.sync_all()
}

/// Gives a file the owner and the permissions of another: whoever used the one uses the other.
#[cfg(unix)]
fn like(model: &Path, file: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let (wanted, found) = (fs::metadata(model)?, fs::metadata(file)?);
    if (wanted.uid(), wanted.gid()) != (found.uid(), found.gid()) {
        chown(file, Some(wanted.uid()), Some(wanted.gid()))?;
    }
    fs::set_permissions(file, wanted.permissions())
}

#[cfg(not(unix))]
fn like(_model: &Path, _file: &Path) -> io::Result<()> {
    Ok(())
}
