//! What a mutation writes, once the rules have decided it.

use std::cell::{Cell, RefCell};

use super::PgExperimentStore;
use super::connection::{Connection, Values};
use super::experiments::{self, LOCKED};
use super::failure::Failure;
use super::locks::{CLOSE_GATE, LOCK_ACTORS, LOCK_EXPERIMENT, TAKE_TURNS};
use super::migrations;
use super::records::{self, Timing};
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{ChangeRecord, ExperimentState, Override};
use crate::lifecycle::{self, Mutation, MutationFacts, Write};
use crate::store::Expected;

/// Drops an actor's assignment if an override made it.
const DROP_OVERRIDDEN: &str = "DELETE FROM autumn_experiment_assignments
    WHERE experiment = $1 AND actor = $2 AND is_override";

/// What the rules may ask about the experiment of a mutation.
struct Subject<'a> {
    db: RefCell<&'a mut Connection>,
    experiment: &'a str,
    store: &'a PgExperimentStore,
    /// Why a question has no answer; whoever runs the step decides by it what comes next.
    failure: Cell<Option<Failure>>,
}

impl Subject<'_> {
    fn ask<T>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentStoreError> {
        read(&mut self.db.borrow_mut()).map_err(|failure| {
            self.failure.set(Some(failure));
            ExperimentStoreError::Lost {
                store: self.store.location(),
                doing: "read what is stored",
                reason: None,
            }
        })
    }

    fn exists(&self, sql: &'static str, values: Values<'_>) -> Result<bool, ExperimentStoreError> {
        self.ask(|db| Ok(db.one(sql, values)?.try_get(0)?))
    }
}

impl MutationFacts for Subject<'_> {
    fn has_assignments(&self, variant: &str) -> Result<bool, ExperimentStoreError> {
        self.exists(
            "SELECT EXISTS (SELECT FROM autumn_experiment_assignments
             WHERE experiment = $1 AND variant = $2)",
            &[&self.experiment, &variant],
        )
    }

    fn has_any_assignment(&self) -> Result<bool, ExperimentStoreError> {
        self.exists(
            "SELECT EXISTS (SELECT FROM autumn_experiment_assignments WHERE experiment = $1)",
            &[&self.experiment],
        )
    }

    fn override_of(&self, actor: &str) -> Result<Option<Override>, ExperimentStoreError> {
        self.ask(|db| records::override_of(db, self.experiment, actor))
    }

    fn has_any_override(&self) -> Result<bool, ExperimentStoreError> {
        self.exists(
            "SELECT EXISTS (SELECT FROM autumn_experiment_overrides WHERE experiment = $1)",
            &[&self.experiment],
        )
    }

    fn has_any_exposure(&self) -> Result<bool, ExperimentStoreError> {
        self.exists(
            "SELECT EXISTS (SELECT FROM exp_exposures WHERE experiment = $1)",
            &[&self.experiment],
        )
    }

    fn state_of(&self, name: &str) -> Result<Option<ExperimentState>, ExperimentStoreError> {
        let found = self.ask(|db| experiments::load(self.store.address(), db, LOCKED, name))?;
        Ok(found.map(|stored| stored.config.state))
    }

    fn now_secs(&self) -> u64 {
        self.store.clock.now_secs()
    }
}

impl PgExperimentStore {
    /// All mutations of a call, inside the caller's transaction.
    pub(super) fn apply_all(
        &self,
        db: &mut Connection,
        expected: &[Expected<'_>],
        mutations: &[Mutation<'_>],
        operator: Option<&str>,
    ) -> Result<Vec<Option<ChangeRecord>>, Failure> {
        db.row(TAKE_TURNS, &[])?;
        let actors: Vec<&str> = mutations
            .iter()
            .filter_map(Mutation::actor)
            .filter(|actor| experiments::is_storable(actor))
            .collect();
        if !actors.is_empty() {
            db.rows(LOCK_ACTORS, &[&actors])?;
        }
        let mut names: Vec<&str> = expected
            .iter()
            .map(|expected| expected.experiment)
            .collect();
        names.extend(mutations.iter().map(Mutation::experiment));
        names.extend(mutations.iter().filter_map(Mutation::next_name));
        names.retain(|name| experiments::is_storable(name));
        names.sort_unstable();
        names.dedup();
        for lock in [LOCK_EXPERIMENT, CLOSE_GATE] {
            for name in &names {
                db.row(lock, &[name])?;
            }
        }
        for expected in expected {
            let found = experiments::load(self.address(), db, LOCKED, expected.experiment)?;
            expected.verify(found.as_ref().map(|stored| &stored.config))?;
        }
        let mutations = mutations.iter();
        mutations
            .map(|mutation| apply(self, db, mutation, operator))
            .collect()
    }
}

fn apply(
    store: &PgExperimentStore,
    db: &mut Connection,
    mutation: &Mutation<'_>,
    operator: Option<&str>,
) -> Result<Option<ChangeRecord>, Failure> {
    let name = mutation.experiment();
    let stored = experiments::load(store.address(), db, LOCKED, name)?;
    let current = stored.as_ref().map(|stored| &stored.config);
    let step = {
        let subject = Subject {
            db: RefCell::new(db),
            experiment: name,
            store,
            failure: Cell::new(None),
        };
        let decided = lifecycle::decide(mutation, current, &subject);
        if let Some(failure) = subject.failure.take() {
            return Err(failure);
        }
        decided?
    };
    let Some(step) = step else { return Ok(None) };
    let now = store.given_time();
    let timing = match step.write {
        Write::Config(_) | Write::Rename(_) => Timing::Experiment,
        _ => Timing::Clock,
    };
    match step.write {
        Write::Config(config) => experiments::save(db, current, &config, now)?,
        Write::SetOverride {
            new,
            drops_assignment,
        } => {
            if drops_assignment {
                db.execute(DROP_OVERRIDDEN, &[&name, &new.actor])?;
            }
            let operator = operator.map(str::to_owned);
            records::set_override(db, &Override { operator, ..new }, now)?;
        }
        Write::Delete => delete(db, name)?,
        Write::Rename(to) => {
            if migrations::inspect(db)?.was_adopted {
                return Err(ExperimentError::NameIsShared(name.to_owned()).into());
            }
            rename(db, name, &to, now)?;
        }
        Write::ClearOverride { actor } => {
            db.execute(DROP_OVERRIDDEN, &[&name, &actor])?;
            db.execute(
                "DELETE FROM autumn_experiment_overrides WHERE experiment = $1 AND actor = $2",
                &[&name, &actor],
            )?;
        }
    }
    let mut change = ChangeRecord {
        experiment: mutation.next_name().unwrap_or(name).to_owned(),
        mutation: step.mutation,
        actor: operator.map(str::to_owned),
        timestamp_secs: 0,
        detail: Some(step.detail),
    };
    change.timestamp_secs = records::append_change(db, &change, now, timing)?;
    Ok(Some(change))
}

/// Removes an experiment of which nothing is kept but its log.
fn delete(db: &mut Connection, name: &str) -> Result<(), Failure> {
    for sql in [
        "DELETE FROM autumn_experiments WHERE name = $1",
        "DELETE FROM exp_weight_periods WHERE experiment = $1",
        "DELETE FROM exp_assignment_counts WHERE experiment = $1",
    ] {
        db.execute(sql, &[&name])?;
    }
    Ok(())
}

/// Gives such an experiment another name, and its log with it.
fn rename(db: &mut Connection, name: &str, to: &str, now: Option<i64>) -> Result<(), Failure> {
    db.execute(
        "UPDATE autumn_experiments
         SET name = $2, updated_at = coalesce(to_timestamp($3::bigint), clock_timestamp())
         WHERE name = $1",
        &[&name, &to, &now],
    )?;
    for sql in [
        // They are left of an experiment that was deleted by hand.
        "DELETE FROM exp_weight_periods WHERE experiment = $2",
        "UPDATE exp_weight_periods SET experiment = $2 WHERE experiment = $1",
        "DELETE FROM exp_assignment_counts WHERE experiment = $1",
        "UPDATE autumn_experiment_changes SET experiment = $2 WHERE experiment = $1",
    ] {
        db.execute(sql, &[&name, &to])?;
    }
    Ok(())
}

/// The error of a step that was refused because somebody else was faster, again and again.
pub(super) fn gave_up(store: &PgExperimentStore) -> ExperimentError {
    ExperimentStoreError::Busy {
        store: store.location(),
        waited_secs: store.lock_timeout().as_secs(),
    }
    .into()
}
