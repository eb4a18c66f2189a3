//! What a mutation writes, once the rules have decided it.

use rusqlite::Connection;

use super::actors::Actor;
use super::experiments::{self, Stored};
use super::failure::Failure;
use super::{changes, exposures, overrides, periods};
use crate::clock::Clock;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{ChangeRecord, ExperimentState, Override};
use crate::lifecycle::{self, Mutation, MutationFacts, Write};
use crate::store::transfer::seconds;

/// The experiment that a mutation is about, and what the rules may ask of it.
struct Subject<'a> {
    experiment: Option<&'a Stored>,
    /// The `idx` of each variant that has an assignment.
    in_use: Vec<usize>,
    /// Of the actor whom the mutation names.
    pinned: Option<Override>,
    has_any_override: bool,
    has_any_exposure: bool,
    /// Of the experiment that has the next name.
    next_state: Option<ExperimentState>,
    now_secs: u64,
}

impl<'a> Subject<'a> {
    /// Reads no more than is asked about such a mutation.
    fn load(
        db: &Connection,
        mutation: &Mutation<'_>,
        experiment: Option<&'a Stored>,
        now_secs: u64,
    ) -> rusqlite::Result<Self> {
        let mut subject = Self {
            experiment,
            in_use: Vec::new(),
            pinned: None,
            has_any_override: false,
            has_any_exposure: false,
            next_state: None,
            now_secs,
        };
        let Some(stored) = experiment else {
            return Ok(subject);
        };
        subject.in_use = periods::in_use(db, stored.id)?;
        if let Some(actor) = mutation.actor() {
            subject.pinned = overrides::find(db, stored, actor)?;
        }
        if matches!(mutation, Mutation::Delete { .. } | Mutation::Rename { .. }) {
            subject.has_any_override = overrides::has_any(db, stored)?;
            subject.has_any_exposure = exposures::has_any(db, stored)?;
        }
        if let Some(name) = mutation.next_name() {
            subject.next_state = experiments::state(db, name)?;
        }
        Ok(subject)
    }
}

impl MutationFacts for Subject<'_> {
    fn has_assignments(&self, variant: &str) -> Result<bool, ExperimentStoreError> {
        let index = self.experiment.and_then(|stored| stored.index_of(variant));
        Ok(index.is_some_and(|index| self.in_use.contains(&index)))
    }

    fn has_any_assignment(&self) -> Result<bool, ExperimentStoreError> {
        Ok(!self.in_use.is_empty())
    }

    fn override_of(&self, _actor: &str) -> Result<Option<Override>, ExperimentStoreError> {
        Ok(self.pinned.clone())
    }

    fn has_any_override(&self) -> Result<bool, ExperimentStoreError> {
        Ok(self.has_any_override)
    }

    fn has_any_exposure(&self) -> Result<bool, ExperimentStoreError> {
        Ok(self.has_any_exposure)
    }

    fn state_of(&self, _name: &str) -> Result<Option<ExperimentState>, ExperimentStoreError> {
        Ok(self.next_state)
    }

    fn now_secs(&self) -> u64 {
        self.now_secs
    }
}

/// Decides one mutation and writes it with its change, inside the caller's transaction.
pub(super) fn apply(
    db: &Connection,
    mutation: &Mutation<'_>,
    operator: Option<&str>,
    clock: Clock,
) -> Result<Option<ChangeRecord>, Failure> {
    let name = mutation.experiment();
    let now_secs = clock.now_secs();
    let now = seconds(now_secs);
    let stored = experiments::load(db, name)?;
    let stored = stored.as_ref();
    let subject = Subject::load(db, mutation, stored, now_secs)?;
    let config = stored.map(|stored| &stored.config);
    let step = lifecycle::decide(mutation, config, &subject)?;
    let Some(step) = step else { return Ok(None) };
    let begins_period = step.begins_weight_period(config);
    let id = match (step.write, stored) {
        (Write::Config(next), current) => {
            let id = experiments::save(db, current, &next, now)?;
            match current {
                None => periods::begin(db, id, 0, &next.variants, now)?,
                Some(current) if begins_period => {
                    let period = current.weight_period.saturating_add(1);
                    periods::begin(db, id, period, &next.variants, now)?;
                }
                Some(_) => {}
            }
            id
        }
        (
            Write::SetOverride {
                new,
                drops_assignment,
            },
            Some(stored),
        ) => {
            if drops_assignment {
                Actor::load(db, stored, &new.actor, clock)?.drop_overridden(db)?;
            }
            let operator = operator.map(str::to_owned);
            overrides::put(db, stored, &Override { operator, ..new })?;
            stored.id
        }
        (Write::ClearOverride { actor }, Some(stored)) => {
            Actor::load(db, stored, &actor, clock)?.drop_overridden(db)?;
            overrides::delete(db, stored, &actor)?;
            stored.id
        }
        (Write::Delete, Some(stored)) => {
            experiments::delete(db, stored)?;
            stored.id
        }
        (Write::Rename(to), Some(stored)) => {
            experiments::rename(db, stored, &to, now)?;
            stored.id
        }
        // The rules refuse all this of an experiment that is not there.
        (_, None) => return Err(ExperimentError::NotFound(name.to_owned()).into()),
    };
    let change = ChangeRecord {
        experiment: mutation.next_name().unwrap_or(name).to_owned(),
        mutation: step.mutation,
        actor: operator.map(str::to_owned),
        timestamp_secs: now_secs,
        detail: Some(step.detail),
    };
    changes::append(db, id, &change, now)?;
    Ok(Some(change))
}
