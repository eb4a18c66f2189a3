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
//!
//! # Rooms
//! | file | job |
//! |---|---|
//! | `wire.rs` | one connection's protocol, driven by the calling thread; deadlines |
//! | `dial.rs`, `tls.rs`, `options.rs` | which hosts, how much TLS, how long |
//! | `session.rs`, `pace.rs` | whose session it is, and what it is set to; how long a call may take |
//! | `connection.rs`, `values.rs` | statements, transactions, and the check of the schema that goes with each; parameters and their types |
//! | `pool.rs` | connections on loan |
//! | `memory.rs`, `watch.rs` | the experiments that were read: to try an assignment at once, and to answer from where they are watched; the thread that keeps them fresh |
//! | `version.rs`, `migrations.rs`, `functions.sql` | the schema's versions, and what keeps a program of another version from deciding |
//! | `experiments.rs`, `situation.rs`, `periods.rs`, `records.rs` | rows to domain types and back: experiments; all that decides an actor's assignment; the periods of weights and their counts; the audit log and overrides |
//! | `scans.rs`, `outcomes.rs` | assignments, exposures and outcomes, one after another, and how they are kept and removed |
//! | `query.rs` | a query of a user's own |
//! | `locks.rs`, `steps.rs` | every lock, in the order in which they are taken; one transaction, again where that is safe |
//! | `handle.rs`, `mod.rs` | the store: how it is opened, and what it does |
//! | `assign.rs`, `many/`, `mutation.rs` | one actor; many, in batches and in turn; changes |
//! | `failure.rs` | the server's errors, sorted into what a caller can tell apart |
//! | `application.rs` | the application's record of its own migrations |
//! | `survey.rs`, `survey/schema.rs`, `transfer/` | `exp store info` and `check`; copying to and from a database |

mod application;
mod assign;
mod connection;
mod dial;
mod experiments;
mod failure;
mod handle;
mod locks;
mod many;
mod memory;
mod migrations;
mod mutation;
mod options;
mod outcomes;
mod pace;
mod periods;
mod pool;
mod query;
mod records;
mod scans;
mod session;
mod situation;
mod steps;
mod survey;
mod tls;
mod transfer;
mod url;
mod values;
mod version;
mod watch;
mod wire;

use self::experiments::ONE;
pub use self::handle::PgExperimentStore;
use self::memory::Memory;
pub use self::options::PgOptions;
use self::pace::Pace;
pub use self::transfer::PgCopy;
pub use self::url::PgDefaults;
use crate::assignment::{AssignManyRequest, AssignRequest, Assigned, EachPart, Situation};
use crate::clock::Clock;
use crate::error::ExperimentError;
use crate::experiment::{
    AssignmentRecord, ChangeRecord, ChangeScan, ExperimentConfig, Override, Unassigned,
    VariantCount, WeightPeriod,
};
use crate::exposure::{ExposureRecord, ExposureScan, ExposureSink, ExposureTotal};
use crate::lifecycle::Mutation;
use crate::outcome::{Outcome, OutcomeScan, Tracked};
use crate::store::{Each, Expected, ExperimentStore};

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
        // Whether an exposure is kept of a draft is found by reading all exposures.
        let reads_all = |mutation: &Mutation<'_>| {
            matches!(mutation, Mutation::Delete { .. } | Mutation::Rename { .. })
        };
        let pace = if mutations.iter().any(reads_all) {
            Pace::Long
        } else {
            Pace::Quick
        };
        let changes = self.write("write a change", pace, |db| {
            self.apply_all(db, expected, mutations, operator)
        })?;
        self.remember_changes();
        Ok(changes)
    }

    /// Also of an experiment that the application has deleted.
    fn get_override(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<Option<String>, ExperimentError> {
        self.read("read an override", Pace::Quick, |db| {
            let pinned = records::override_of(db, experiment, actor)?;
            let now = self.clock.now_secs();
            let pinned = pinned.filter(|pinned| !pinned.has_expired(now));
            Ok(pinned.map(|pinned| pinned.variant))
        })
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
                 WHERE a.actor = $2 AND e.exclusion_group = $1 AND e.name <> $3
                    AND NOT (a.is_override
                        AND exp_has_expired(a.experiment, $2, to_timestamp($4::bigint)))
                 LIMIT 1",
                &[&group, &actor, &exclude_experiment, &self.now()],
            )?;
            Ok(found.is_some())
        })
    }

    fn situation(&self, experiment: &str, actor: &str) -> Result<Situation, ExperimentError> {
        Ok(self.read_situation(experiment, actor)?.0)
    }

    fn variant_counts(&self, experiment: &str) -> Result<Vec<VariantCount>, ExperimentError> {
        self.read(
            "count the assignments",
            Pace::Long,
            |db| match experiments::load(self.address(), db, ONE, experiment)? {
                Some(stored) => periods::totals(db, experiment, &stored.config.variants),
                None => Ok(Vec::new()),
            },
        )
    }

    fn changes(&self, scan: &ChangeScan<'_>) -> Result<Vec<ChangeRecord>, ExperimentError> {
        self.read("read the audit log", Pace::Long, |db| {
            records::changes(self.address(), db, scan)
        })
    }

    fn unassign(
        &self,
        experiment: &str,
        actors: &[&str],
        operator: Option<&str>,
    ) -> Result<Unassigned, ExperimentError> {
        let operator = operator.or(self.operator());
        let actors = actors.iter().copied();
        let actors: Vec<&str> = actors
            .filter(|actor| experiments::is_storable(actor))
            .collect();
        self.write("take assignments back", Pace::Unbounded, |db| {
            self.take_back(db, experiment, &actors, operator)
        })
    }

    fn exposure_totals(&self, actor: &str) -> Result<Vec<ExposureTotal>, ExperimentError> {
        self.exposure_totals_of(actor)
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

    fn scan_assignments(
        &self,
        experiment: &str,
        each: Each<'_, AssignmentRecord>,
    ) -> Result<(), ExperimentError> {
        self.scan_assignments_of(experiment, each)
    }

    fn scan_exposures(
        &self,
        experiment: &str,
        scan: &ExposureScan,
        each: Each<'_, ExposureRecord>,
    ) -> Result<(), ExperimentError> {
        self.scan_exposures_of(experiment, scan, each)
    }

    fn prune_exposures(
        &self,
        experiment: &str,
        before_secs: u64,
        operator: Option<&str>,
    ) -> Result<u64, ExperimentError> {
        let operator = operator.or(self.operator());
        self.write("remove exposures", Pace::Unbounded, |db| {
            self.prune(db, experiment, before_secs, operator)
        })
    }

    /// Its time does not grow with the assignments: their counts are kept.
    fn weight_periods(&self, experiment: &str) -> Result<Vec<WeightPeriod>, ExperimentError> {
        self.read("read the weight periods", Pace::Long, |db| {
            periods::of(db, experiment)
        })
    }

    fn track(&self, outcomes: &[Outcome]) -> Result<Tracked, ExperimentError> {
        self.track_all(outcomes)
    }

    fn scan_outcomes(
        &self,
        scan: &OutcomeScan<'_>,
        each: Each<'_, Outcome>,
    ) -> Result<(), ExperimentError> {
        self.scan_outcomes_of(scan, each)
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn assign_many_in_parts(
        &self,
        request: &AssignManyRequest<'_>,
        each: EachPart<'_>,
    ) -> Result<(), ExperimentError> {
        self.settle_many(request, each)
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
