//! What a mutation writes, once the rules have decided it.

use std::cell::{Cell, RefCell};

use tokio_postgres::Row;

use super::PgExperimentStore;
use super::connection::{Connection, Values};
use super::experiments::{self, LOCKED};
use super::failure::{CallError, Failure};
use super::locks::{CLOSE_GATE, LOCK_ACTORS, LOCK_EXPERIMENT, TAKE_TURNS};
use super::records::{self, Timing};
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{ChangeRecord, ExperimentState, Override};
use crate::lifecycle::{self, Mutation, MutationFacts, Write};
use crate::store::Expected;

/// What the rules may ask about the experiment of a mutation.
struct Subject<'a> {
    db: RefCell<&'a mut Connection>,
    experiment: &'a str,
    pinned: Option<String>,
    store: &'a PgExperimentStore,
    /// Why a question has no answer; whoever runs the step decides by it what comes next.
    fault: Cell<Option<CallError>>,
}

impl Subject<'_> {
    fn exists(&self, sql: &'static str, values: Values<'_>) -> Result<bool, ExperimentStoreError> {
        let found = self.db.borrow_mut().row(sql, values);
        let read = |row: Row| row.try_get(0).map_err(CallError::from);
        let found = found.and_then(|row| row.map_or(Ok(false), read));
        found.map_err(|fault| {
            self.fault.set(Some(fault));
            ExperimentStoreError::Lost {
                store: self.store.location(),
                doing: "read the assignments",
                reason: None,
            }
        })
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
        Ok(self.pinned.clone().map(|variant| Override {
            experiment: String::new(),
            actor: actor.to_owned(),
            variant,
            created_at_secs: 0,
            expires_at_secs: None,
            reason: None,
            operator: None,
        }))
    }

    fn has_any_override(&self) -> Result<bool, ExperimentStoreError> {
        Ok(false)
    }

    fn has_any_exposure(&self) -> Result<bool, ExperimentStoreError> {
        Ok(false)
    }

    fn state_of(&self, _name: &str) -> Result<Option<ExperimentState>, ExperimentStoreError> {
        Ok(None)
    }

    fn now_secs(&self) -> u64 {
        0
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
    let pinned = match mutation.actor() {
        Some(actor) => records::pinned(db, name, actor)?,
        None => None,
    };
    let current = stored.as_ref().map(|stored| &stored.config);
    let step = {
        let subject = Subject {
            db: RefCell::new(db),
            experiment: name,
            pinned,
            store,
            fault: Cell::new(None),
        };
        let decided = lifecycle::decide(mutation, current, &subject);
        if let Some(fault) = subject.fault.take() {
            return Err(fault.into());
        }
        decided?
    };
    let Some(step) = step else { return Ok(None) };
    let now = store.given_time();
    let timing = match step.write {
        Write::Config(_) => Timing::Experiment,
        _ => Timing::Clock,
    };
    match step.write {
        Write::Config(config) => experiments::save(db, current, &config, now)?,
        Write::SetOverride { actor, variant, .. } => {
            db.execute(
                "INSERT INTO autumn_experiment_overrides (experiment, actor, variant, created_at)
                 VALUES ($1, $2, $3, coalesce(to_timestamp($4::bigint), clock_timestamp()))
                 ON CONFLICT (experiment, actor) DO UPDATE
                 SET variant = excluded.variant, created_at = excluded.created_at",
                &[&name, &actor, &variant, &now],
            )?;
        }
        Write::Delete | Write::Rename(_) => {}
        Write::ClearOverride { actor } => {
            db.execute(
                "DELETE FROM autumn_experiment_assignments
                 WHERE experiment = $1 AND actor = $2 AND is_override",
                &[&name, &actor],
            )?;
            db.execute(
                "DELETE FROM autumn_experiment_overrides WHERE experiment = $1 AND actor = $2",
                &[&name, &actor],
            )?;
        }
    }
    let mut change = ChangeRecord {
        experiment: name.to_owned(),
        mutation: step.mutation,
        actor: operator.map(str::to_owned),
        timestamp_secs: 0,
        detail: Some(step.detail),
    };
    change.timestamp_secs = records::append_change(db, &change, now, timing)?;
    Ok(Some(change))
}

/// The error of a step that was refused because somebody else was faster, again and again.
pub(super) fn gave_up(store: &PgExperimentStore) -> ExperimentError {
    ExperimentStoreError::Busy {
        store: store.location(),
        waited_secs: store.lock_timeout().as_secs(),
    }
    .into()
}
