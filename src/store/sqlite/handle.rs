//! A handle to a store: what it holds, and what it is opened with.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::journal::Mode;
use super::locks::{self, Queue};
use super::neighbours::Neighbours;
use super::open::{self, APPLICATION_ID, SqliteAccess};
use super::place::Place;
use super::seal::Seal;
use super::write_ahead_log::WriteAheadLog;
use crate::clock::Clock;
use crate::error::ExperimentStoreError;

/// A store in one SQLite file. Cloning gives another handle to the same connection; handles of other
/// connections, threads and processes may use the file at the same time.
///
/// As an [`ExposureSink`](crate::ExposureSink) it keeps the exposures that it is given, each in a
/// transaction of its own; a failure is reported as a `tracing` event, as a sink has no other way. To have
/// exposure and assignment in one commit use
/// [`with_stored_exposures`](crate::ExperimentService::with_stored_exposures) instead.
#[derive(Clone)]
pub struct SqliteExperimentStore {
    pub(super) connection: Arc<Mutex<Connection>>,
    pub(super) write_ahead_log: Arc<WriteAheadLog>,
    pub(super) queue: Arc<Queue>,
    pub(super) place: Arc<Place>,
    pub(super) neighbours: Arc<Neighbours>,
    pub(super) seal: Option<Seal>,
    pub(super) busy_timeout: Duration,
    pub(super) operator: Option<Arc<str>>,
    pub(super) clock: Clock,
}

impl std::fmt::Debug for SqliteExperimentStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteExperimentStore")
            .field("path", &self.place.path)
            .field("operator", &self.operator)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl SqliteExperimentStore {
    /// How long a call waits for the lock of another process, unless it is told otherwise.
    pub const BUSY_TIMEOUT: Duration = locks::BUSY_TIMEOUT;

    /// Opens the store in this file.
    ///
    /// # Errors
    /// As [`open_as`](Self::open_as).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ExperimentStoreError> {
        Self::open_as(path, SqliteAccess::ReadWrite, Self::BUSY_TIMEOUT)
    }

    /// Opens the store in this file; if nothing is there, makes a new one, which only its owner can
    /// read (mode 0600), and the directories that are missing (mode 0700).
    ///
    /// # Errors
    /// As [`open_as`](Self::open_as).
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self, ExperimentStoreError> {
        Self::open_as(path, SqliteAccess::Create, Self::BUSY_TIMEOUT)
    }

    /// Opens the store in this file for one way of using it. `busy_timeout` is how long this call,
    /// and every later one of the handle, waits for the lock of another process.
    ///
    /// # Errors
    /// Nothing is [there](ExperimentStoreError::Missing), or [something
    /// else](ExperimentStoreError::NotAStore), or only the [log](ExperimentStoreError::OrphanedWriteAheadLog)
    /// of a store, or a store of a [newer version](ExperimentStoreError::NewerSchema), or one that has
    /// [several names](ExperimentStoreError::HardLinked), is [mounted
    /// alone](ExperimentStoreError::MountedAlone) or is [on another
    /// machine](ExperimentStoreError::OnNetwork); something [stands
    /// where](ExperimentStoreError::Obstructed) SQLite keeps its files; it is damaged, locked or not
    /// accessible; or it cannot be made.
    pub fn open_as(
        path: impl AsRef<Path>,
        access: SqliteAccess,
        busy_timeout: Duration,
    ) -> Result<Self, ExperimentStoreError> {
        let place = Place::new(path.as_ref());
        place.require_safe_file_system()?;
        let opened = match open::store(&place, access, busy_timeout) {
            Err(ExperimentStoreError::Missing { .. }) if access == SqliteAccess::Create => {
                open::create(&place, busy_timeout, Mode::WriteAheadLog, APPLICATION_ID)?;
                open::store(&place, access, busy_timeout)?
            }
            opened => opened?,
        };
        Ok(Self {
            queue: Arc::new(Queue::of(&opened.connection)),
            connection: Arc::new(Mutex::new(opened.connection)),
            write_ahead_log: opened.log,
            seal: opened.seal,
            neighbours: Arc::new(Neighbours::of(&place)),
            place: Arc::new(place),
            busy_timeout,
            operator: None,
            clock: Clock::System,
        })
    }

    /// A handle to the same connection whose changes are logged as this operator's.
    #[must_use]
    pub fn with_operator(mut self, operator: impl Into<String>) -> Self {
        self.operator = Some(Arc::from(operator.into()));
        self
    }

    /// A handle to the same connection that takes the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// A handle whose calls wait this long for the lock of another process. A handle that shares the
    /// connection waits for the calls of the others as long as those take.
    #[must_use]
    pub fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    pub(super) fn now(&self) -> i64 {
        i64::try_from(self.clock.now_secs()).unwrap_or(i64::MAX)
    }

    // A panic inside a transaction has rolled it back, so the connection can go on.
    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
