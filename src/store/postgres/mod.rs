//! The store in a Postgres database, for any number of machines, in the tables of the Autumn web
//! framework: an application of it may use them at the same time.
//!
//! # How steps are atomic
//! Every write is one transaction. Who writes about an actor holds the advisory lock that the
//! application takes, too: `hashtext(actor)`, until the end of the transaction. An assignment shares
//! the experiment's gate, a mutation closes it (`functions.sql` says how), so that no assignment
//! is committed after the experiment was archived, and no variant goes that somebody is getting.
//!
//! # Round trips
//! An assignment reads all that decides it in one; what is stored already is answered with that, its
//! exposure included. A first one takes a second, a function in the database that stores what the
//! rules decided if all that they saw is still so; otherwise the store begins anew. Once a pool has
//! seen a running experiment it also says, with the question, what the buckets would give, and either
//! takes one, unless the experiment was changed meanwhile.
//!
//! # In a server
//! [`PgExperimentStore::watched`] serves the experiments from memory.
//!
//! # In an async program
//! The methods block the thread that calls them, also a worker of an async runtime: they work there, and
//! keep it from doing anything else meanwhile. Better use
//! [`ExperimentService::assign_async`](crate::ExperimentService::assign_async) or `spawn_blocking`.
//! Dropping a handle waits for nothing.
//!
//! # Behind a pooler
//! Nothing is kept in a session that a pooler lends out: statements are unnamed, every lock belongs to a
//! transaction, and isolation and timeouts are set in each. So PgBouncer works in session mode and in
//! transaction mode. A [watched](PgExperimentStore::watched) store is not told of changes there, as the next
//! client of the session would be told as well; it finds them by reading the experiments after each
//! [refresh interval](PgOptions::refresh_interval). Where there is no pooler in between, statements are
//! prepared and settings are made once.
//!
//! # How long a call may take
//! The server is told to give up after the lock and the statement timeout of the [options](PgOptions);
//! a server that does not even say that is given up a few seconds later, with
//! [`Silent`](ExperimentStoreError::Silent).

mod application;
mod assign;
mod connection;
mod dial;
mod experiments;
mod failure;
mod locks;
mod many;
mod memory;
mod migrations;
mod mutation;
mod options;
mod pace;
mod pool;
mod records;
mod session;
mod steps;
mod survey;
mod tls;
mod transfer;
mod values;
mod version;
mod watch;
mod wire;

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use self::connection::Connection;
use self::experiments::{ONE, Stored};
use self::failure::{Failure, Fault};
use self::memory::Memory;
use self::migrations::For;
pub use self::options::PgOptions;
use self::pace::Pace;
use self::pool::Pool;
pub use self::transfer::PgCopy;
use self::watch::Watch;
use crate::assignment::{Answers, AssignManyRequest, AssignRequest, Assigned, Situation};
use crate::clock::Clock;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{ChangeRecord, ExperimentConfig, Override, VariantCount};
use crate::exposure::{ExposureRecord, ExposureSink};
use crate::lifecycle::Mutation;
use crate::location::StoreLocation;
use crate::store::{Expected, ExperimentStore};

/// A store in a Postgres database. Cloning gives another handle to the same connections.
#[derive(Clone)]
pub struct PgExperimentStore {
    pool: Arc<Pool>,
    operator: Option<Arc<str>>,
    clock: Clock,
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

    /// Whether an application that knows only the plain hash had made the tables before `exp` came.
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
    fn watched_memory(&self) -> Option<&Memory> {
        self.watch.get().map(|_| &*self.pool.memory)
    }

    fn read_all(&self) -> Result<Vec<Stored>, ExperimentError> {
        self.read("list the experiments", Pace::Long, |db| {
            experiments::all(self.address(), db)
        })
    }

    /// Has what this handle has changed seen at once.
    fn remember_changes(&self) {
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

    fn address(&self) -> &str {
        self.pool.options().address()
    }

    fn location(&self) -> StoreLocation {
        self.pool.options().location()
    }

    fn lock_timeout(&self) -> Duration {
        self.pool.options().lock_timeout
    }

    fn operator(&self) -> Option<&str> {
        self.operator.as_deref()
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.now_secs()).unwrap_or(i64::MAX)
    }

    /// When a change is made: by the database's clock, which is the application's as well, unless the
    /// time is given.
    fn given_time(&self) -> Option<i64> {
        match self.clock {
            Clock::System => None,
            Clock::Fixed(_) => Some(self.now()),
        }
    }

    fn sort(&self, doing: &'static str, fault: Fault) -> ExperimentStoreError {
        failure::sort(self.pool.options(), doing, fault)
    }

    fn failed(&self, doing: &'static str, failure: Failure) -> ExperimentError {
        match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Fault(fault) => self.sort(doing, fault).into(),
        }
    }
}

impl ExperimentStore for PgExperimentStore {
    fn get(&self, experiment: &str) -> Result<Option<ExperimentConfig>, ExperimentError> {
        // One that is not known may have been created a moment ago.
        if let Some(known) = self
            .watched_memory()
            .and_then(|memory| memory.get(experiment))
        {
            return Ok(Some(known.config.clone()));
        }
        self.read("read an experiment", Pace::Quick, |db| {
            let found = experiments::load(self.address(), db, ONE, experiment)?;
            Ok(found.map(|stored| stored.config))
        })
    }

    fn list(&self) -> Result<Vec<ExperimentConfig>, ExperimentError> {
        if let Some(known) = self.watched_memory().and_then(Memory::list) {
            return Ok(known);
        }
        let all = self.read_all()?.into_iter();
        Ok(all.map(|stored| stored.config).collect())
    }

    /// Reads the experiments; a [watched](Self::watched) store serves them from then on.
    fn preload(&self) -> Result<(), ExperimentError> {
        let ticket = self.pool.memory.ticket();
        let experiments = self.read_all()?;
        if let Some(memory) = self.watched_memory() {
            memory.keep_all(ticket, experiments);
        }
        Ok(())
    }

    fn mutate_all(
        &self,
        expected: &[Expected<'_>],
        mutations: &[Mutation<'_>],
        operator: Option<&str>,
    ) -> Result<Vec<Option<ChangeRecord>>, ExperimentError> {
        let operator = operator.or(self.operator());
        let changes = self.write("write a change", Pace::Quick, |db| {
            self.apply_all(db, expected, mutations, operator)
        })?;
        self.remember_changes();
        Ok(changes)
    }

    fn overrides(&self, experiment: &str) -> Result<Vec<Override>, ExperimentError> {
        self.read("list the overrides", Pace::Long, |db| {
            records::overrides(db, experiment)
        })
    }

    fn has_assignment_in_group(
        &self,
        actor: &str,
        group: &str,
        exclude_experiment: &str,
    ) -> Result<bool, ExperimentError> {
        if ![group, actor, exclude_experiment]
            .iter()
            .all(|text| experiments::is_storable(text))
        {
            return Ok(false);
        }
        self.read("read the assignments of a group", Pace::Quick, |db| {
            let found = db.row(
                "SELECT 1 FROM autumn_experiment_assignments a
                 JOIN autumn_experiments e ON e.name = a.experiment
                 WHERE a.actor = $2 AND e.exclusion_group = $1 AND e.name <> $3 LIMIT 1",
                &[&group, &actor, &exclude_experiment],
            )?;
            Ok(found.is_some())
        })
    }

    fn situation(&self, experiment: &str, actor: &str) -> Result<Situation, ExperimentError> {
        Ok(self.read_situation(experiment, actor)?.0)
    }

    fn variant_counts(&self, experiment: &str) -> Result<Vec<VariantCount>, ExperimentError> {
        self.read("count the assignments", Pace::Long, |db| {
            let Some(stored) = experiments::load(self.address(), db, ONE, experiment)? else {
                return Ok(Vec::new());
            };
            let rows = db.rows(
                "SELECT variant, is_override, count(*) FROM autumn_experiment_assignments
                 WHERE experiment = $1 GROUP BY variant, is_override",
                &[&experiment],
            )?;
            let variants = stored.config.variants.iter();
            let mut counts: Vec<VariantCount> = variants
                .map(|variant| VariantCount {
                    variant: variant.name.clone(),
                    assigned: 0,
                    overridden: 0,
                })
                .collect();
            for row in rows {
                let variant: &str = row.try_get(0)?;
                let is_override: bool = row.try_get(1)?;
                let count: i64 = row.try_get(2)?;
                if let Some(counted) = counts.iter_mut().find(|known| known.variant == variant) {
                    let side = if is_override {
                        &mut counted.overridden
                    } else {
                        &mut counted.assigned
                    };
                    *side = experiments::unsigned(count);
                }
            }
            Ok(counts)
        })
    }

    fn history(
        &self,
        experiment: &str,
        limit: usize,
    ) -> Result<Vec<ChangeRecord>, ExperimentError> {
        self.read("read the audit log", Pace::Long, |db| {
            records::changes(self.address(), db, experiment, limit)
        })
    }

    fn record_exposure(&self, exposure: &ExposureRecord) -> Result<(), ExperimentError> {
        exposure.validate()?;
        self.write("store an exposure", Pace::Quick, |db| {
            let name = &exposure.experiment;
            db.row(locks::SHARE_GATE, &[name])?;
            let stored = experiments::load(self.address(), db, ONE, name)?;
            let stored = stored.ok_or_else(|| ExperimentError::NotFound(name.clone()))?;
            stored.config.require_variant(&exposure.variant)?;
            let at = i64::try_from(exposure.timestamp_secs).unwrap_or(i64::MAX);
            db.execute(
                "INSERT INTO exp_exposures
                    (experiment, variant, actor, request_id, is_override, exposed_at)
                 VALUES ($1, $2, $3, $4, $5, to_timestamp($6::bigint))",
                &[
                    name,
                    &exposure.variant,
                    &exposure.actor,
                    &exposure.request_id,
                    &exposure.is_override,
                    &at,
                ],
            )?;
            Ok(())
        })
    }

    fn exposures(&self, experiment: &str) -> Result<Vec<ExposureRecord>, ExperimentError> {
        self.read("read the exposures", Pace::Long, |db| {
            records::exposures(db, experiment)
        })
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn assign_many(&self, request: &AssignManyRequest<'_>) -> Result<Answers, ExperimentError> {
        self.settle_many(request)
    }

    /// Assignment and exposure are one commit. One round trip if it is stored already or the experiment
    /// was seen before, two otherwise; more only while somebody else changes the same.
    fn assign(&self, request: &AssignRequest<'_>) -> Result<Assigned, ExperimentError> {
        self.assign_one(request)
    }
}

impl ExposureSink for PgExperimentStore {
    fn record(&self, exposure: ExposureRecord) {
        if let Err(error) = self.record_exposure(&exposure) {
            tracing::error!(
                experiment = exposure.experiment,
                variant = exposure.variant,
                actor = exposure.actor,
                %error,
                "experiment_exposure_lost"
            );
        }
    }
}
