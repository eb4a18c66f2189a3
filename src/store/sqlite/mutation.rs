//! What a mutation writes, once the rules have decided it.

use rusqlite::Connection;

use super::actors::{self, Actor};
use super::changes;
use super::experiments::{self, Stored};
use super::failure::Failure;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::ChangeRecord;
use crate::rules::lifecycle::{self, Mutation, MutationFacts, Write};

/// The experiment that a mutation is about, and what is pinned to the actor whom it names.
struct Subject<'a> {
    experiment: Option<&'a Stored>,
    pinned: Option<&'a str>,
}

impl MutationFacts for Subject<'_> {
    fn has_assignments(&self, variant: &str) -> Result<bool, ExperimentStoreError> {
        Ok(self.experiment.is_some_and(|e| e.has_assignments(variant)))
    }

    fn has_any_assignment(&self) -> Result<bool, ExperimentStoreError> {
        Ok(self.experiment.is_some_and(Stored::has_any_assignment))
    }

    fn override_variant(&self, _actor: &str) -> Result<Option<String>, ExperimentStoreError> {
        Ok(self.pinned.map(str::to_owned))
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
    let subject = Subject {
        experiment: stored,
        pinned,
    };
    let step = lifecycle::decide(mutation, stored.map(|stored| &stored.config), &subject)?;
    let Some(step) = step else { return Ok(None) };
    let id = match (step.write, stored) {
        (Write::Config(config), current) => experiments::save(db, current, &config, now)?,
        (Write::SetOverride { actor, variant }, Some(stored)) => {
            actors::put_override(db, stored, &actor, &variant, now)?;
            stored.id
        }
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
