//! The store in one SQLite file, for any number of threads and processes of one machine.
//!
//! # What survives what
//! The journal mode is WAL and the synchronous level FULL: a commit is appended to the write-ahead
//! log beside the file (`-wal`) and synced to the disk before the call returns.
//! - **A killed process**: all that was committed stays, the step in hand is undone as a whole; the
//!   next process to open the store sees to that.
//! - **A power cut**: the same, as far as the disk keeps what it reported as synced. With NORMAL in
//!   place of FULL the last commits could be lost: a variant that somebody has been shown would be
//!   forgotten, and after a change of weights the actor might get another one.
//!
//! WAL, because readers then don't wait for a writer nor a writer for readers, and because a commit
//! syncs two times where a rollback journal syncs four. A closing process doesn't move the log into
//! the file (that would cost more syncs on every call); a commit does once the log has grown to 64
//! pages, and empties it. So **the file alone is not the store**: with `-wal` beside it, copy it by SQLite's backup.
//!
//! # How steps are atomic
//! Every write runs in one `BEGIN IMMEDIATE` transaction, which takes the only write lock before it
//! reads; it waits for that lock as long as the busy timeout says, in order: writers stand in a queue
//! (`locks.rs`), so that nobody is overtaken again and again. Assignment and exposure are one
//! commit. A new store is built under another name and moved into place.
//!
//! # What is noticed
//! In every transaction, before anything else is read, the schema must be one that this version knows: a newer
//! version may migrate the store while others have it open, and these are refused from then on.
//!
//! After every transaction, and before its result is returned, the files must still be those at their
//! names: what is written to a file that was removed or replaced is lost with the last who has it open.
//!
//! # Rooms
//! | file | job |
//! |---|---|
//! | `place.rs`, `identity.rs` | what is at a store's name and beside it |
//! | `open.rs`, `staging.rs`, `durable.rs`, `journal.rs` | opening a store, and making one so that a power cut leaves all of it or nothing |
//! | `migrations.rs` | the schema's history |
//! | `handle.rs`, `steps.rs` | the connection; one transaction, and what has to hold before and after it |
//! | `file_system.rs`, `open_sealed.rs`, `seal.rs` | file systems that a store is refused on; reading a file where nothing can be written |
//! | `locks.rs`, `neighbours.rs`, `write_ahead_log.rs` | waiting for the write lock, in order; whether the files are still at their names; keeping the write-ahead log short |
//! | `experiments.rs`, `deleted.rs`, `periods.rs`, `actors.rs`, `overrides.rs`, `exposures.rs`, `outcomes.rs`, `changes.rs` | rows |
//! | `choice.rs`, `columns.rs`, `types.rs`, `ids.rs` | what of a row is read or found in more places than one |
//! | `scans.rs`, `query.rs` | records, or the rows of a user's own query, shown one after another by a connection of their own |
//! | `many/`, `mutation.rs` | many actors; changes |
//! | `failure.rs` | the errors of SQLite and of the system, sorted into what a caller can tell apart |
//! | `survey/`, `backup.rs`, `replace.rs`, `checkpoint.rs`, `transfer/` | `exp store info` and `check`; backup and restore; emptying the log; copying to and from a file |

mod actors;
mod backup;
mod changes;
mod checkpoint;
mod choice;
mod columns;
mod deleted;
mod durable;
mod experiments;
mod exposures;
mod failure;
mod file_system;
mod handle;
mod identity;
mod ids;
mod journal;
mod locks;
mod many;
mod migrations;
mod mutation;
mod neighbours;
mod open;
mod open_sealed;
mod outcomes;
mod overrides;
mod periods;
mod place;
mod query;
mod replace;
mod scans;
mod seal;
mod staging;
mod steps;
mod survey;
mod transfer;
mod types;
mod write_ahead_log;

use rusqlite::Connection;

use self::actors::Actor;
use self::experiments::Stored;
use self::failure::Failure;
pub use self::handle::SqliteExperimentStore;
use self::locks::Hold;
pub use self::open::SqliteAccess;
pub use self::replace::SqliteRestore;
pub use self::transfer::SqliteCopy;
use crate::assignment::{AssignManyRequest, AssignRequest, Assigned, EachPart, Situation};
use crate::clock::Clock;
use crate::error::ExperimentError;
use crate::experiment::{
    AssignmentRecord, ChangeRecord, ChangeScan, ExperimentConfig, ExperimentState, Override,
    Unassigned, VariantCount, WeightPeriod,
};
use crate::exposure::{ExposureRecord, ExposureScan, ExposureSink, ExposureTotal};
use crate::lifecycle::{self, Mutation};
use crate::outcome::{Outcome, OutcomeScan, Tracked};
use crate::store::transfer::seconds;
use crate::store::{Each, Expected, ExperimentStore};

impl SqliteExperimentStore {
    /// What the actor gets, if nothing has to be stored for that.
    fn assign_by_reading(
        &self,
        request: &AssignRequest<'_>,
    ) -> Result<Option<Assigned>, ExperimentError> {
        self.read("read an assignment", |db| {
            let stored = load_known(db, request.experiment)?;
            let found = Actor::load(db, &stored, request.actor, self.clock)?;
            let assigned = decide(request, &stored, &found)?;
            Ok((!assigned.stored).then_some(assigned))
        })
    }

    /// Logs what was removed of an experiment.
    fn log(
        &self,
        db: &Connection,
        stored: &Stored,
        mutation: String,
        operator: Option<&str>,
    ) -> rusqlite::Result<()> {
        let now = self.now();
        let change = ChangeRecord {
            experiment: stored.config.name.clone(),
            mutation,
            actor: operator.or(self.operator.as_deref()).map(str::to_owned),
            timestamp_secs: u64::try_from(now).unwrap_or(0),
            detail: None,
        };
        changes::append(db, stored.id, &change, now)
    }

    fn is_running(&self, experiment: &str) -> Result<bool, ExperimentError> {
        self.read("read an experiment", |db| {
            Ok(experiments::state(db, experiment)? == Some(ExperimentState::Running))
        })
    }
}

impl ExperimentStore for SqliteExperimentStore {
    fn get(&self, experiment: &str) -> Result<Option<ExperimentConfig>, ExperimentError> {
        self.read("read an experiment", |db| {
            Ok(experiments::load(db, experiment)?.map(|stored| stored.config))
        })
    }

    fn list(&self) -> Result<Vec<ExperimentConfig>, ExperimentError> {
        self.read("list the experiments", |db| {
            let all = experiments::load_all(db)?;
            Ok(all.into_iter().map(|stored| stored.config).collect())
        })
    }

    fn mutate_all(
        &self,
        expected: &[Expected<'_>],
        mutations: &[Mutation<'_>],
        operator: Option<&str>,
    ) -> Result<Vec<Option<ChangeRecord>>, ExperimentError> {
        self.write("write a change", |db| {
            for expected in expected {
                let stored = experiments::load(db, expected.experiment)?;
                expected.verify(stored.as_ref().map(|stored| &stored.config))?;
            }
            let operator = operator.or(self.operator.as_deref());
            let mutations = mutations.iter();
            mutations
                .map(|mutation| mutation::apply(db, mutation, operator, self.clock))
                .collect()
        })
    }

    fn overrides(&self, experiment: &str) -> Result<Vec<Override>, ExperimentError> {
        self.read("list the overrides", |db| {
            let Some(stored) = experiments::load(db, experiment)? else {
                return Ok(Vec::new());
            };
            Ok(overrides::all(db, &stored)?)
        })
    }

    fn has_assignment_in_group(
        &self,
        actor: &str,
        group: &str,
        exclude_experiment: &str,
    ) -> Result<bool, ExperimentError> {
        self.read("read the assignments of a group", |db| {
            let except = exclude_experiment;
            Ok(actors::is_in_group(db, group, actor, except, self.clock)?)
        })
    }

    fn situation(&self, experiment: &str, actor: &str) -> Result<Situation, ExperimentError> {
        self.read("read an assignment", |db| {
            let mut situation = Situation::unknown(experiment, actor);
            if let Some(stored) = experiments::load(db, experiment)? {
                situation.at_secs = self.clock.now_secs();
                let clock = Clock::Fixed(situation.at_secs);
                let found = Actor::load(db, &stored, actor, clock)?;
                situation.pinned = overrides::find(db, &stored, actor)?;
                situation.assignment = found.assignment()?;
                situation.sibling = found.sibling(db)?;
                situation.config = Some(stored.config);
            }
            Ok(situation)
        })
    }

    fn variant_counts(&self, experiment: &str) -> Result<Vec<VariantCount>, ExperimentError> {
        self.read("count the assignments", |db| {
            let stored = experiments::load(db, experiment)?;
            let totals = stored.map(|stored| periods::totals(db, &stored));
            Ok(totals.transpose()?.unwrap_or_default())
        })
    }

    fn changes(&self, scan: &ChangeScan<'_>) -> Result<Vec<ChangeRecord>, ExperimentError> {
        self.read("read the audit log", |db| Ok(changes::find(db, scan)?))
    }

    fn exposure_totals(&self, actor: &str) -> Result<Vec<ExposureTotal>, ExperimentError> {
        self.read("count the exposures", |db| {
            Ok(exposures::totals(db, actor)?)
        })
    }

    fn unassign(
        &self,
        experiment: &str,
        actors: &[&str],
        operator: Option<&str>,
    ) -> Result<Unassigned, ExperimentError> {
        self.write_long("remove assignments", |db| {
            let stored = load_known(db, experiment)?;
            lifecycle::require_unassignable(&stored.config)?;
            let unassigned = Unassigned {
                assignments: actors::unassign(db, &stored, actors)?,
                exposures: exposures::remove(db, &stored, actors)? as u64,
            };
            if unassigned != Unassigned::default() {
                let mutation = lifecycle::unassigned(unassigned.assignments);
                self.log(db, &stored, mutation, operator)?;
            }
            Ok(unassigned)
        })
    }

    fn record_exposure(&self, exposure: &ExposureRecord) -> Result<(), ExperimentError> {
        exposure.validate()?;
        self.write("store an exposure", |db| {
            let stored = load_known(db, &exposure.experiment)?;
            stored.config.require_variant(&exposure.variant)?;
            Ok(exposures::append(db, &stored, exposure)?)
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
        self.write_long("remove exposures", |db| {
            let stored = load_known(db, experiment)?;
            let pruned = exposures::prune(db, &stored, seconds(before_secs))? as u64;
            if pruned > 0 {
                self.log(db, &stored, lifecycle::pruned(pruned), operator)?;
            }
            Ok(pruned)
        })
    }

    fn weight_periods(&self, experiment: &str) -> Result<Vec<WeightPeriod>, ExperimentError> {
        self.read("count the assignments", |db| {
            let stored = experiments::load(db, experiment)?;
            let periods = stored.map(|stored| periods::load(db, &stored));
            Ok(periods.transpose()?.unwrap_or_default())
        })
    }

    fn track(&self, outcomes: &[Outcome]) -> Result<Tracked, ExperimentError> {
        outcomes.iter().try_for_each(Outcome::validate)?;
        let hold = if outcomes.len() > 1 {
            Hold::Long
        } else {
            Hold::Short
        };
        self.transaction("store outcomes", Some(hold), |db| {
            Ok(outcomes::track(db, outcomes)?)
        })
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

    /// Assignment and exposure are one commit. A repeat that keeps no exposure only reads.
    fn assign(&self, request: &AssignRequest<'_>) -> Result<Assigned, ExperimentError> {
        request.validate()?;
        // What needs no write must not wait for the lock, and works where nothing can be written.
        if (!request.keep_exposure || !self.is_running(request.experiment)?)
            && let Some(assigned) = self.assign_by_reading(request)?
        {
            return Ok(assigned);
        }
        self.write("store an assignment", |db| {
            let stored = load_known(db, request.experiment)?;
            let found = Actor::load(db, &stored, request.actor, self.clock)?;
            let assigned = decide(request, &stored, &found)?;
            if assigned.stored {
                found.put_assignment(db, &assigned.variant, assigned.is_override, self.now())?;
            }
            if let Some(exposure) = request.exposure_of(&assigned, self.clock) {
                exposures::append(db, &stored, &exposure)?;
            }
            Ok(assigned)
        })
    }
}

fn load_known(db: &Connection, experiment: &str) -> Result<Stored, Failure> {
    let stored = experiments::load(db, experiment)?;
    stored.ok_or_else(|| ExperimentError::NotFound(experiment.to_owned()).into())
}

fn decide(
    request: &AssignRequest<'_>,
    stored: &Stored,
    found: &Actor<'_>,
) -> Result<Assigned, ExperimentError> {
    let allocation = stored.config.allocation();
    request.decide(&stored.config, &allocation, found.facts())
}

impl ExposureSink for SqliteExperimentStore {
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
