//! The store in a Postgres database, for any number of machines, in the tables of the Autumn web
//! framework: an application of it may use them at the same time.
//!
//! # How steps are atomic
//! Every write is one transaction. Who writes about an actor holds the advisory lock that the
//! application takes, too: `hashtext(actor)`, until the end of the transaction. An assignment shares
//! the experiment's gate, a mutation closes it (`0002_additions.sql` says how), so that no assignment
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
//! The methods block, and must not be called on a worker of an async runtime (tokio panics): use
//! [`ExperimentService::assign_async`](crate::ExperimentService::assign_async) or `spawn_blocking`.
//! Handles may be dropped anywhere.

mod application;
mod assign;
mod bulk;
mod experiments;
mod failure;
mod locks;
mod migrations;
mod mutation;
mod options;
mod pool;
mod survey;
mod tls;
mod transfer;
mod watch;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use self::experiments::ONE;
use self::failure::Failure;
pub use self::options::PgOptions;
use self::pool::{Connection, Loan, Pool};
pub use self::transfer::PgCopy;
use self::watch::{Memory, Watch};
use crate::bulk::{Answers, AssignManyRequest};
use crate::clock::Clock;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{Assignment, ChangeRecord, ExperimentConfig, Override, VariantCount};
use crate::exposure::{ExposureRecord, ExposureSink};
use crate::rules::lifecycle::Mutation;
use crate::store::{AssignRequest, Assigned, Expected, ExperimentStore, Situation};
use crate::validation::{validate_actor, validate_request_id};

/// A store in a Postgres database. Cloning gives another handle to the same connections.
#[derive(Clone)]
pub struct PgExperimentStore {
    pool: Arc<Pool>,
    operator: Option<Arc<str>>,
    clock: Clock,
    watch: Option<Arc<Watch>>,
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
        let pool = Pool::new(options);
        drop(pool.get()?);
        Ok(Self {
            pool,
            operator: None,
            clock: Clock::System,
            watch: None,
        })
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
        let mut client = pool::connect(options)?;
        let failed = |error| failure::sort(options, "make its tables", error);
        let before = migrations::inspect(&mut client).map_err(failed)?;
        if before.version >= migrations::latest() {
            return Ok(false);
        }
        migrations::migrate(&mut client).map_err(failed)?;
        Ok(true)
    }

    /// Whether an application that knows only the plain hash had made the tables before `exp` came.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_adopted(&self) -> Result<bool, ExperimentError> {
        self.read("read the schema", |db| {
            Ok(migrations::inspect(&mut db.client)?.was_adopted)
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
        let watch = Watch::start(self.pool.options(), self.read_all()?)?;
        self.watch = Some(Arc::new(watch));
        Ok(self)
    }

    /// How many refreshes of a [watched](Self::watched) store have failed so far.
    #[must_use]
    pub fn failed_refreshes(&self) -> u64 {
        self.memory().map_or(0, Memory::failures)
    }

    /// How long ago the experiments of a [watched](Self::watched) store were read; `None` for any
    /// other.
    #[must_use]
    pub fn refreshed_ago(&self) -> Option<Duration> {
        self.memory().map(Memory::age)
    }

    fn memory(&self) -> Option<&Memory> {
        self.watch.as_ref().map(|watch| &*watch.memory)
    }

    fn read_all(&self) -> Result<Vec<ExperimentConfig>, ExperimentError> {
        self.read("list the experiments", |db| {
            experiments::all(self.address(), db)
        })
    }

    /// Has what this handle has changed seen at once.
    fn remember_changes(&self) {
        let Some(memory) = self.memory() else { return };
        let ticket = memory.ticket();
        match self.read_all() {
            Ok(experiments) => memory.keep(ticket, experiments),
            // The change is made, and the thread goes on trying.
            Err(_) => memory.count_failure(),
        }
    }

    fn address(&self) -> &str {
        self.pool.options().address()
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

    fn sort(&self, doing: &'static str, error: postgres::Error) -> ExperimentStoreError {
        failure::sort(self.pool.options(), doing, error)
    }

    fn failed(&self, doing: &'static str, failure: Failure) -> ExperimentError {
        match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Postgres(error) => self.sort(doing, error).into(),
        }
    }

    /// Runs a step that writes nothing. If a connection that was open before turns out to be lost, it
    /// is taken once more on another.
    fn read<T>(
        &self,
        doing: &'static str,
        step: impl Fn(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        let mut repeated = false;
        loop {
            let mut loan = self.pool.get()?;
            match loan.run(&step) {
                Err(Failure::Postgres(error))
                    if failure::is_lost(&error) && loan.is_used && !repeated =>
                {
                    repeated = true;
                    drop(loan);
                    thread::sleep(pool::PAUSE);
                }
                done => return done.map_err(|failure| self.failed(doing, failure)),
            }
        }
    }

    /// Runs a step in one transaction; it is committed if the step succeeds. If somebody else was
    /// faster in a way that only shows on writing, it is taken again.
    fn write<T>(
        &self,
        doing: &'static str,
        step: impl FnMut(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        self.write_on(&mut self.pool.get()?, doing, step)
    }

    /// The same on a connection that is there already.
    fn write_on<T>(
        &self,
        loan: &mut Loan,
        doing: &'static str,
        mut step: impl FnMut(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        let begun = Instant::now();
        loop {
            match loan.run(|db| in_transaction(db, &mut step)) {
                Err(Failure::Postgres(error)) if failure::is_conflict(&error) => {
                    if begun.elapsed() > self.lock_timeout() {
                        return Err(mutation::gave_up(self));
                    }
                }
                done => return done.map_err(|failure| self.failed(doing, failure)),
            }
        }
    }
}

fn in_transaction<T>(
    db: &mut Connection,
    step: &mut impl FnMut(&mut Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    db.client.batch_execute("BEGIN")?;
    match step(db) {
        Ok(done) => {
            db.client.batch_execute("COMMIT")?;
            Ok(done)
        }
        Err(failure) => {
            // On a connection that is lost the server does it.
            let _ = db.client.batch_execute("ROLLBACK");
            Err(failure)
        }
    }
}

impl ExperimentStore for PgExperimentStore {
    fn get(&self, experiment: &str) -> Result<Option<ExperimentConfig>, ExperimentError> {
        // One that is not known may have been created a moment ago.
        if let Some(known) = self.memory().and_then(|memory| memory.get(experiment)) {
            return Ok(Some(known));
        }
        self.read("read an experiment", |db| {
            let found = experiments::load(self.address(), db, ONE, experiment)?;
            Ok(found.map(|stored| stored.config))
        })
    }

    fn list(&self) -> Result<Vec<ExperimentConfig>, ExperimentError> {
        match self.memory() {
            Some(memory) => Ok(memory.list()),
            None => self.read_all(),
        }
    }

    fn mutate_all(
        &self,
        expected: &[Expected<'_>],
        mutations: &[Mutation<'_>],
    ) -> Result<Vec<Option<ChangeRecord>>, ExperimentError> {
        let changes = self.write("write a change", |db| {
            mutation::apply_all(self, db, expected, mutations)
        })?;
        self.remember_changes();
        Ok(changes)
    }

    fn get_assignment(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<Option<Assignment>, ExperimentError> {
        Ok(self.read_situation(experiment, actor)?.0.assignment)
    }

    fn record_assignment(
        &self,
        experiment: &str,
        actor: &str,
        variant: &str,
        is_override: bool,
    ) -> Result<String, ExperimentError> {
        self.record_variant(experiment, actor, variant, is_override)
    }

    fn get_override(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<Option<String>, ExperimentError> {
        self.read("read an override", |db| {
            experiments::pinned(db, experiment, actor)
        })
    }

    fn overrides(&self, experiment: &str) -> Result<Vec<Override>, ExperimentError> {
        self.read("list the overrides", |db| {
            experiments::overrides(db, experiment)
        })
    }

    fn has_assignment_in_group(
        &self,
        group: &str,
        actor: &str,
        except: &str,
    ) -> Result<bool, ExperimentError> {
        if ![group, actor, except]
            .iter()
            .all(|text| experiments::is_storable(text))
        {
            return Ok(false);
        }
        self.read("read the assignments of a group", |db| {
            let found = db.row(
                "SELECT 1 FROM autumn_experiment_assignments a
                 JOIN autumn_experiments e ON e.name = a.experiment
                 WHERE a.actor = $2 AND e.exclusion_group = $1 AND e.name <> $3 LIMIT 1",
                &[&group, &actor, &except],
            )?;
            Ok(found.is_some())
        })
    }

    fn situation(&self, experiment: &str, actor: &str) -> Result<Situation, ExperimentError> {
        Ok(self.read_situation(experiment, actor)?.0)
    }

    fn variant_counts(&self, experiment: &str) -> Result<Vec<VariantCount>, ExperimentError> {
        self.read("count the assignments", |db| {
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
        self.read("read the audit log", |db| {
            experiments::changes(self.address(), db, experiment, limit)
        })
    }

    fn record_exposure(&self, exposure: &ExposureRecord) -> Result<(), ExperimentError> {
        validate_actor(&exposure.experiment, &exposure.actor)?;
        validate_request_id(&exposure.experiment, exposure.request_id.as_deref())?;
        self.write("store an exposure", |db| {
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
        self.read("read the exposures", |db| {
            experiments::exposures(db, experiment)
        })
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn assign_many(&self, request: &AssignManyRequest<'_>) -> Result<Answers, ExperimentError> {
        self.assign_in_bulk(request)
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
