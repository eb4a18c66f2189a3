//! How each record of a copy is written to a file.

use std::collections::HashMap;

use rusqlite::{Connection, TransactionBehavior, params};

use super::super::Failure;
use super::super::changes;
use super::super::choice::Choice;
use super::super::experiments::{self, Stored};
use super::super::{deleted, exposures, outcomes, overrides, periods};
use crate::error::{ConfigProblem, ExperimentError, ExperimentStoreError};
use crate::experiment::ExperimentConfig;
use crate::location::StoreLocation;
use crate::store::transfer::{Record, not_alone, seconds};

/// What the rows of an experiment refer to.
#[derive(Debug)]
pub(super) struct CopiedExperiment {
    id: i64,
    space: i64,
    slot: i64,
    created_at: i64,
    /// By their `idx`; also those that are in no list any more.
    variants: Vec<String>,
}

impl From<Stored> for CopiedExperiment {
    fn from(stored: Stored) -> Self {
        Self {
            variants: stored.variant_names().map(str::to_owned).collect(),
            id: stored.id,
            space: stored.space,
            slot: stored.slot,
            created_at: stored.created_at,
        }
    }
}

/// Writes the records that follow on the first `written`, in one transaction.
pub(super) fn append(
    db: &mut Connection,
    store: &StoreLocation,
    known: &mut HashMap<String, CopiedExperiment>,
    written: u64,
    records: &[Record],
) -> Result<(), Failure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let moved = transaction.execute(
        "UPDATE copy_progress SET written = written + ?2 WHERE written = ?1",
        params![written, records.len()],
    )?;
    if moved == 0 {
        return Err(ExperimentError::from(not_alone(store.clone())).into());
    }
    let db = &*transaction;
    for record in records {
        append_one(db, store, known, record)?;
    }
    transaction.commit()?;
    Ok(())
}

/// A record that needs its experiment has no place in a file without it.
fn orphan(store: StoreLocation, experiment: &str) -> ExperimentStoreError {
    ExperimentStoreError::Corrupt {
        store,
        found: format!("it has entries of an experiment {experiment:?} that is not there"),
    }
}

/// The rows of an experiment that was copied before.
fn of<'a>(
    known: &'a mut HashMap<String, CopiedExperiment>,
    store: &StoreLocation,
    experiment: &str,
) -> Result<&'a mut CopiedExperiment, ExperimentError> {
    let found = known.get_mut(experiment);
    found.ok_or_else(|| orphan(store.clone(), experiment).into())
}

fn append_one(
    db: &Connection,
    store: &StoreLocation,
    known: &mut HashMap<String, CopiedExperiment>,
    record: &Record,
) -> Result<(), Failure> {
    match record {
        Record::Experiment {
            config,
            created_at_secs,
            periods,
        } => {
            require_distinct_variants(config)?;
            let created_at = seconds(*created_at_secs);
            let id = experiments::save(db, None, config, created_at)?;
            db.prepare_cached("UPDATE experiments SET updated_at = ?2 WHERE id = ?1")?
                .execute(params![id, seconds(config.updated_at_secs)])?;
            for (number, period) in (0..).zip(periods) {
                let from = seconds(period.from_secs);
                periods::begin(db, id, number, &period.variants, from)?;
            }
            if let Some(stored) = experiments::load(db, &config.name)? {
                known.insert(config.name.clone(), stored.into());
            }
        }
        Record::Override(pinned) => {
            let experiment = of(known, store, &pinned.experiment)?;
            let variant = experiment.variant(db, &pinned.variant)?;
            overrides::insert(db, experiment.id, variant, pinned)?;
        }
        Record::Change(change) => {
            let id = match known.get(&change.experiment) {
                Some(experiment) => experiment.id,
                None => deleted::id_of(db, &change.experiment)?,
            };
            changes::append(db, id, change, seconds(change.timestamp_secs))?;
        }
        Record::Exposure(exposure) => {
            let experiment = of(known, store, &exposure.experiment)?;
            let choice = Choice {
                variant: experiment.variant(db, &exposure.variant)?,
                is_override: exposure.is_override,
            };
            db.prepare_cached(exposures::APPEND)?.execute(params![
                experiment.id,
                choice.encode(),
                exposure.actor,
                exposure.request_id,
                seconds(exposure.timestamp_secs)
            ])?;
        }
        Record::Outcome(outcome) => {
            let metric = outcomes::metric(db, &outcome.metric)?;
            outcomes::append(db, metric, outcome)?;
        }
        Record::Assignment(assignment) => {
            let experiment = of(known, store, &assignment.experiment)?;
            let choice = Choice {
                variant: experiment.variant(db, &assignment.variant)?,
                is_override: assignment.is_override,
            };
            let after = seconds(assignment.assigned_at_secs) - experiment.created_at;
            db.prepare_cached(
                "INSERT INTO assignments
                     (space_id, actor, slot, variant, assigned_after, weight_period)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                experiment.space,
                assignment.actor,
                experiment.slot,
                choice.encode(),
                after,
                assignment.weight_period
            ])?;
            periods::count(db, experiment.id, assignment.weight_period, choice, 1)?;
        }
    }
    Ok(())
}

impl CopiedExperiment {
    /// The `idx` of a variant; one that was removed before the copy gets its row here.
    fn variant(&mut self, db: &Connection, name: &str) -> rusqlite::Result<usize> {
        if let Some(index) = self.variants.iter().position(|known| known == name) {
            return Ok(index);
        }
        let index = self.variants.len();
        db.execute(
            "INSERT INTO variants (experiment_id, idx, name, weight) VALUES (?1, ?2, ?3, 0)",
            params![self.id, index, name],
        )?;
        self.variants.push(name.to_owned());
        Ok(index)
    }
}

/// A file keeps a variant by its name, so that it can't hold two of one name, as a database can.
fn require_distinct_variants(config: &ExperimentConfig) -> Result<(), ExperimentError> {
    let is_twin = |problem: &ConfigProblem| matches!(problem, ConfigProblem::DuplicateVariant(_));
    match config.problems().into_iter().find(is_twin) {
        None => Ok(()),
        Some(problem) => Err(ExperimentError::InvalidConfig {
            experiment: config.name.clone(),
            problem,
        }),
    }
}
