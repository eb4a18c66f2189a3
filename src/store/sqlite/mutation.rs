//! What a mutation writes, once the rules have decided it.

use rusqlite::Connection;

use super::actors::{self, Actor};
use super::changes;
use super::experiments::{self, Stored};
use super::failure::Failure;
use super::periods;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{ChangeRecord, ExperimentState, Override};
use crate::lifecycle::{self, Mutation, MutationFacts, Write};

/// The experiment that a mutation is about, and what is pinned to the actor whom it names.
struct Subject<'a> {
    experiment: Option<&'a Stored>,
    /// The `idx` of each variant that has an assignment.
    in_use: Vec<usize>,
    pinned: Option<&'a str>,
}

impl MutationFacts for Subject<'_> {
    fn has_assignments(&self, variant: &str) -> Result<bool, ExperimentStoreError> {
        let index = self.experiment.and_then(|stored| stored.index_of(variant));
        Ok(index.is_some_and(|index| self.in_use.contains(&index)))
    }

    fn has_any_assignment(&self) -> Result<bool, ExperimentStoreError> {
        Ok(!self.in_use.is_empty())
    }

    fn override_of(&self, actor: &str) -> Result<Option<Override>, ExperimentStoreError> {
        Ok(self.pinned.map(str::to_owned).map(|variant| Override {
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

/// Decides one mutation and writes it with its change, inside the caller's transaction.
pub(super) fn apply(
    db: &Connection,
    mutation: &Mutation<'_>,
    operator: Option<&str>,
    now: i64,
) -> Result<Option<ChangeRecord>, Failure> {
    let stored = experiments::load(db, mutation.experiment())?;
    let stored = stored.as_ref();
    let pinned = match (stored, mutation.actor()) {
        (Some(stored), Some(actor)) => actors::pinned(db, stored, actor)?,
        _ => None,
    };
    let in_use = stored.map(|stored| periods::in_use(db, stored.id));
    let subject = Subject {
        experiment: stored,
        in_use: in_use.transpose()?.unwrap_or_default(),
        pinned,
    };
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
        (Write::SetOverride { actor, variant, .. }, Some(stored)) => {
            actors::put_override(db, stored, &actor, &variant, now)?;
            stored.id
        }
        (Write::Delete | Write::Rename(_), Some(stored)) => stored.id,
        (Write::ClearOverride { actor }, Some(stored)) => {
            Actor::load(db, stored, &actor)?.drop_overridden(db)?;
            actors::delete_override(db, stored, &actor)?;
            stored.id
        }
        // The rules refuse an override of an experiment that is not there.
        (_, None) => {
            let name = mutation.experiment().to_owned();
            return Err(ExperimentError::NotFound(name).into());
        }
    };
    let change = ChangeRecord {
        experiment: mutation.experiment().to_owned(),
        mutation: step.mutation,
        actor: operator.map(str::to_owned),
        timestamp_secs: u64::try_from(now).unwrap_or(0),
        detail: Some(step.detail),
    };
    changes::append(db, id, &change, now)?;
    Ok(Some(change))
}
