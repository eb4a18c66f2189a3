//! What scans show: taken while the lock is held, and shown when it no longer is, so that whatever is shown it
//! may use the store. So the memory that this takes is not constant, which would mean little here.

use smol_str::SmolStr;

use super::experiment::{Experiment, StoredAssignment};
use super::state::State;
use crate::error::ExperimentError;
use crate::experiment::AssignmentRecord;
use crate::exposure::{ExposureRecord, ExposureScan, first_places};
use crate::outcome::{Outcome, OutcomeScan};
use crate::store::Each;

/// The assignments of an experiment.
pub(super) struct Assignments {
    experiment: String,
    variants: Vec<String>,
    by_actor: Vec<(SmolStr, StoredAssignment)>,
}

impl Assignments {
    /// Shows them, sorted by actor.
    pub(super) fn show(mut self, each: Each<'_, AssignmentRecord>) -> Result<(), ExperimentError> {
        self.by_actor
            .sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut record = AssignmentRecord {
            experiment: self.experiment,
            actor: String::new(),
            variant: String::new(),
            is_override: false,
            assigned_at_secs: 0,
            weight_period: 0,
        };
        for (actor, stored) in self.by_actor {
            record.actor.clear();
            record.actor.push_str(&actor);
            self.variants[stored.variant()].clone_into(&mut record.variant);
            record.is_override = stored.is_override();
            record.assigned_at_secs = stored.at_secs;
            record.weight_period = stored.period;
            each(&record)?;
        }
        Ok(())
    }
}

impl Experiment {
    pub(super) fn all_assignments(&self) -> Assignments {
        let all = self.assignments.iter();
        Assignments {
            experiment: self.config.name.clone(),
            variants: self.variants.clone(),
            by_actor: all
                .map(|(actor, stored)| (actor.clone(), *stored))
                .collect(),
        }
    }

    pub(super) fn exposures_of(&self, scan: &ExposureScan) -> Vec<ExposureRecord> {
        let is_late = |exposure: &&ExposureRecord| exposure.timestamp_secs >= scan.since_secs;
        if !scan.first_only {
            return self.exposures.iter().filter(is_late).cloned().collect();
        }
        let first = first_places(&self.exposures, |exposure| {
            Some(&exposure.actor).filter(|_| is_late(&exposure))
        });
        let exposures = self.exposures.iter().enumerate();
        let wanted = exposures.filter(|(place, _)| first.contains(place));
        wanted.map(|(_, exposure)| exposure.clone()).collect()
    }

    /// Removes those of before that second that say nothing new of an actor. Returns how many.
    pub(super) fn prune_exposures(&mut self, before_secs: u64) -> u64 {
        let first = first_places(&self.exposures, |exposure| {
            Some((&exposure.actor, &exposure.variant, exposure.is_override))
        });
        let exposures = self.exposures.iter().enumerate();
        let kept: Vec<bool> = exposures
            .map(|(place, exposure)| {
                first.contains(&place) || exposure.timestamp_secs >= before_secs
            })
            .collect();
        let before = self.exposures.len();
        let mut kept = kept.into_iter();
        self.exposures.retain(|_| kept.next().unwrap_or(true));
        (before - self.exposures.len()) as u64
    }
}

impl State {
    pub(super) fn outcomes_of(&self, scan: &OutcomeScan<'_>) -> Vec<Outcome> {
        let wanted = self.outcomes.iter();
        let wanted = wanted
            .filter(|outcome| scan.metrics.is_empty() || scan.metrics.contains(&&*outcome.metric));
        wanted.cloned().collect()
    }
}
