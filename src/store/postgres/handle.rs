//! A handle to the connections: how the store is opened, made and watched.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use super::connection::Connection;
use super::experiments::{self, Stored};
use super::failure::{self, CallError, Failure};
use super::memory::Memory;
use super::migrations::{self, For};
use super::options::PgOptions;
use super::pace::Pace;
use super::pool::Pool;
use super::watch::Watch;
use crate::clock::Clock;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::location::StoreLocation;

/// A store in a Postgres database. Cloning gives another handle to the same connections.
#[derive(Clone)]
pub struct PgExperimentStore {
    pub(super) pool: Arc<Pool>,
    operator: Option<Arc<str>>,
    pub(super) clock: Clock,
    /// Empty as long as it is not watched.
    watch: Arc<OnceLock<Watch>>,
}

impl std::fmt::Debug for PgExperimentStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgExperimentStore")
            .field("options", self.pool.options())
            .field("operator", &self.operator)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl PgExperimentStore {
    /// A store in the database of these options. The first connection is opened by this call.
    ///
    /// # Errors
    /// The database can't be reached, or lets nobody in by that name; it [has no
    /// store](ExperimentStoreError::Missing), or one without [what `exp`
    /// adds](ExperimentStoreError::NotMigrated), or one of a [newer
    /// version](ExperimentStoreError::NewerSchema).
    pub fn open(options: PgOptions) -> Result<Self, ExperimentStoreError> {
        let mut first = Connection::open(&options)?;
        let inspected = first.without_check(migrations::inspect);
        let schema = inspected.map_err(|fault| failure::sort(&options, failure::CONNECT, fault))?;
        migrations::require_usable(&options, schema)?;
        let store = Self::lazy(options);
        store.pool.add(first);
        Ok(store)
    }

    /// How old the experiments of a store may be that [`new`](Self::new) made and
    /// [`spawn_poll_listener`](Self::spawn_poll_listener) has watched.
    pub const DEFAULT_CACHE_TTL: Duration = Duration::from_secs(1);

    /// A store in the database of this address, as [`PgOptions::parse`] reads it. It is not connected to
    /// before the first call; an address that can't be read is that call's error.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::with_cache_ttl(url, Self::DEFAULT_CACHE_TTL)
    }

    /// The same, with another [refresh interval](PgOptions::refresh_interval) once it is watched. A store
    /// that is not watched keeps no experiments that could grow old.
    #[must_use]
    pub fn with_cache_ttl(url: impl Into<String>, ttl: Duration) -> Self {
        Self::lazy(PgOptions::read(&url.into()).refresh_interval(ttl))
    }

    /// A store in the database of these options, which is not connected to before the first call. What
    /// [`open`](Self::open) refuses is then that call's error; it takes no round trip of its own.
    #[must_use]
    pub fn lazy(options: PgOptions) -> Self {
        Self {
            pool: Pool::new(options),
            operator: None,
            clock: Clock::System,
            watch: Arc::default(),
        }
    }

    /// Makes what is missing in the database, and opens the store. What is there stays as it is.
    ///
    /// # Errors
    /// As [`open`](Self::open), or the user may not make tables.
    pub fn open_or_create(options: PgOptions) -> Result<Self, ExperimentStoreError> {
        Self::migrate(&options)?;
        Self::open(options)
    }

    /// Makes what is missing in the database: the tables, and what `exp` adds to those of an
    /// application. Any number of callers at once. Says whether anything was missing.
    ///
    /// # Errors
    /// The database can't be reached, or the user may not make tables.
    pub fn migrate(options: &PgOptions) -> Result<bool, ExperimentStoreError> {
        Self::migrate_for(options, For::Us)
    }

    /// The same, and records for an application of the Autumn framework that its own migration of these
    /// tables, `20260530300000`, is applied: it then makes none of its own and uses these. Without the
    /// record its migrations stop at a type that exists.
    ///
    /// Only for the database of such an application: another program that uses diesel would find a
    /// migration recorded that it doesn't have.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate).
    pub fn migrate_for_application(options: &PgOptions) -> Result<bool, ExperimentStoreError> {
        Self::migrate_for(options, For::Application)
    }

    fn migrate_for(options: &PgOptions, whom: For) -> Result<bool, ExperimentStoreError> {
        let mut db = Connection::open_unchecked(options)?;
        let migrated = migrations::migrate(&mut db, whom);
        migrated.map_err(|fault| failure::sort(options, "make its tables", fault))
    }

    /// Whether an application that knows only the plain hash uses the tables: it had made them before `exp` came, or they
    /// were [made for it](Self::migrate_for_application).
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_adopted(&self) -> Result<bool, ExperimentError> {
        self.read("read the schema", Pace::Quick, |db| {
            Ok(migrations::inspect(db)?.was_adopted)
        })
    }

    /// A handle to the same connections whose changes are logged as this operator's.
    #[must_use]
    pub fn with_operator(mut self, operator: impl Into<String>) -> Self {
        self.operator = Some(Arc::from(operator.into()));
        self
    }

    /// A handle to the same connections that takes the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// A handle, for a server, that serves the experiments from memory. A thread keeps them fresh: it
    /// is told of every change by the database, and reads them again after the [refresh
    /// interval](PgOptions::refresh_interval) in any case. The thread ends when the last clone of the
    /// handle is dropped.
    ///
    /// `get`, `list` and the assignments of an experiment that is not running are then as old as the
    /// last refresh, except that the handle's own changes are seen at once. Whether somebody is
    /// assigned in a running experiment is still decided in the database. While that is away, what
    /// was known last is served.
    ///
    /// # Errors
    /// The experiments can't be read the first time.
    pub fn watched(mut self) -> Result<Self, ExperimentError> {
        let ticket = self.pool.memory.ticket();
        self.pool.memory.keep_all(ticket, self.read_all()?);
        let started = Watch::start(self.pool.options(), Arc::clone(&self.pool.memory));
        let (watch, _) = started.map_err(|error| ExperimentStoreError::Backend {
            store: self.location(),
            doing: "watch its experiments",
            source: error.into(),
        })?;
        // Clones that were made before are not watched by that.
        self.watch = Arc::new(OnceLock::from(watch));
        Ok(self)
    }

    /// Has a store and all its clones watched from now on, as [`watched`](Self::watched) does, and reads
    /// the experiments again after that interval in any case. Until they are read for the first time,
    /// calls ask the database. The thread ends when the last clone of the store is dropped; one that is
    /// watched already gets no other.
    ///
    /// # Panics
    /// The system has no thread or no descriptor left.
    #[expect(
        clippy::must_use_candidate,
        clippy::needless_pass_by_value,
        reason = "the reference's signature"
    )]
    pub fn spawn_poll_listener(store: Arc<Self>, interval: Duration) -> JoinHandle<()> {
        let options = store.pool.options().clone().refresh_interval(interval);
        #[expect(
            clippy::expect_used,
            reason = "the reference's signature has no room for an error"
        )]
        let (watch, thread) = {
            let memory = &store.pool.memory;
            if store.watch.get().is_none() {
                // Whoever watched it before may have left it long ago.
                memory.forget();
            }
            Watch::start(&options, Arc::clone(memory)).expect("no thread to be had")
        };
        // A watch that is not needed ends its thread when it is dropped.
        drop(store.watch.set(watch));
        thread
    }

    /// How many refreshes of a [watched](Self::watched) store have failed so far.
    #[must_use]
    pub fn refresh_errors(&self) -> u64 {
        self.watched_memory().map_or(0, Memory::failures)
    }

    /// How long ago the experiments of a [watched](Self::watched) store were read; `None` for any
    /// other.
    #[must_use]
    pub fn refreshed_ago(&self) -> Option<Duration> {
        self.watched_memory().and_then(Memory::age)
    }

    /// The memory as far as calls may be answered from it.
    pub(super) fn watched_memory(&self) -> Option<&Memory> {
        self.watch.get().map(|_| &*self.pool.memory)
    }

    pub(super) fn read_all(&self) -> Result<Vec<Stored>, ExperimentError> {
        self.read("list the experiments", Pace::Long, |db| {
            experiments::all(self.address(), db)
        })
    }

    /// Has what this handle has changed seen at once.
    pub(super) fn remember_changes(&self) {
        let Some(memory) = self.watched_memory() else {
            return;
        };
        let ticket = memory.ticket();
        match self.read_all() {
            Ok(experiments) => memory.keep_all(ticket, experiments),
            // The change is made, and the thread goes on trying.
            Err(_) => memory.count_failure(),
        }
    }

    pub(super) fn address(&self) -> &str {
        self.pool.options().address()
    }

    pub(super) fn location(&self) -> StoreLocation {
        self.pool.options().location()
    }

    pub(super) fn lock_timeout(&self) -> Duration {
        self.pool.options().lock_timeout
    }

    pub(super) fn operator(&self) -> Option<&str> {
        self.operator.as_deref()
    }

    pub(super) fn now(&self) -> i64 {
        i64::try_from(self.clock.now_secs()).unwrap_or(i64::MAX)
    }

    /// When a change is made: by the database's clock, which is the application's as well, unless the
    /// time is given.
    pub(super) fn given_time(&self) -> Option<i64> {
        match self.clock {
            Clock::System => None,
            Clock::Fixed(_) => Some(self.now()),
        }
    }

    pub(super) fn sort(&self, doing: &'static str, fault: CallError) -> ExperimentStoreError {
        failure::sort(self.pool.options(), doing, fault)
    }

    pub(super) fn failed(&self, doing: &'static str, failure: Failure) -> ExperimentError {
        match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Call(fault) => self.sort(doing, fault).into(),
        }
    }
}
