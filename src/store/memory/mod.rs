//! The readable reference: everything in maps behind one lock. Nothing survives the process.
//!
//! The work of a call does not grow with the number of experiments, of group siblings or of stored
//! assignments: each question is one probe of a map, and the counts that the rules ask for are kept
//! rather than taken. Looking something up allocates nothing but what is given back.

mod experiment;
mod log;
mod mutation;
mod scans;
mod state;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::experiment::Experiment;
use self::state::{ExperimentId, Placement, State};
use crate::assignment::{AssignRequest, Assigned, Situation};
use crate::clock::Clock;
use crate::error::ExperimentError;
#[cfg(feature = "conformance")]
use crate::experiment::ExperimentState;
use crate::experiment::{
    Assignment, AssignmentRecord, ChangeRecord, ChangeScan, ExperimentConfig, Override, Unassigned,
    WeightPeriod,
};
use crate::exposure::{ExposureRecord, ExposureScan};
use crate::lifecycle::{self, Mutation};
use crate::outcome::{Outcome, OutcomeScan, Tracked};
use crate::store::{Each, Expected, ExperimentStore};

/// A store in memory. Cloning gives another handle to the same data.
#[derive(Clone, Default)]
pub struct InMemoryExperimentStore {
    state: Arc<RwLock<State>>,
    operator: Option<Arc<str>>,
    clock: Clock,
}

impl std::fmt::Debug for InMemoryExperimentStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InMemoryExperimentStore")
            .field("operator", &self.operator)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl InMemoryExperimentStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle to the same data whose changes are logged as this operator's.
    #[must_use]
    pub fn with_operator(mut self, operator: impl Into<String>) -> Self {
        self.operator = Some(Arc::from(operator.into()));
        self
    }

    /// A handle to the same data that takes the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    // A panic can't leave the maps half-changed in a way that matters more than going on does.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.writers += 1;
        state
    }
}

/// Nobody else can reach it, so that the tests do what an application would.
#[cfg(feature = "conformance")]
impl crate::store::conformance::Application for InMemoryExperimentStore {
    fn reset_to_draft(&self, experiment: &str) {
        self.write()
            .overwrite_state(experiment, ExperimentState::Draft);
    }

    fn restart(&self, experiment: &str) {
        self.write()
            .overwrite_state(experiment, ExperimentState::Running);
    }

    fn remove_override(&self, experiment: &str, actor: &str) {
        let mut state = self.write();
        if let Some(&id) = state.ids.get(experiment) {
            state.experiments[id].overrides.remove(actor);
        }
    }
}

impl State {
    /// What the rules say to a request, and the experiment.
    fn decide(
        &self,
        request: &AssignRequest<'_>,
        clock: Clock,
    ) -> Result<(ExperimentId, Assigned), ExperimentError> {
        let Some((id, experiment)) = self.find(request.experiment) else {
            return Err(ExperimentError::NotFound(request.experiment.to_owned()));
        };
        let facts = self.facts(id, request.actor, || clock.now_secs());
        let assigned = request.decide(&experiment.config, &experiment.allocation, facts)?;
        Ok((id, assigned))
    }
}

impl ExperimentStore for InMemoryExperimentStore {
    fn get(&self, experiment: &str) -> Result<Option<ExperimentConfig>, ExperimentError> {
        Ok(self.read().experiment(experiment).map(|e| e.config.clone()))
    }

    fn list(&self) -> Result<Vec<ExperimentConfig>, ExperimentError> {
        let state = self.read();
        let experiments = state.ids.values().map(|&id| &state.experiments[id]);
        let mut all: Vec<_> = experiments.map(|e| e.config.clone()).collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn mutate_all(
        &self,
        expected: &[Expected<'_>],
        mutations: &[Mutation<'_>],
        operator: Option<&str>,
    ) -> Result<Vec<Option<ChangeRecord>>, ExperimentError> {
        let operator = operator.or(self.operator.as_deref());
        let mut state = self.write();
        let at_secs = self.clock.now_secs();
        for expected in expected {
            expected.verify(state.experiment(expected.experiment).map(|e| &e.config))?;
        }
        if mutations.len() > 1 {
            // Tried on a copy, as nothing may stay of a batch of which one is refused.
            let mut copy = state.excerpt(mutations);
            for mutation in mutations {
                copy.apply(mutation, operator, at_secs)?;
            }
        }
        mutations
            .iter()
            .map(|mutation| state.apply(mutation, operator, at_secs))
            .collect()
    }

    fn get_assignment(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<Option<Assignment>, ExperimentError> {
        let state = self.read();
        let experiment = state.experiment(experiment);
        Ok(experiment.and_then(|e| e.assignment(actor)))
    }

    fn get_override(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<Option<String>, ExperimentError> {
        let state = self.read();
        let found = state.experiment(experiment);
        let facts = found.map(|e| e.facts(actor, || self.clock.now_secs()));
        let pinned = facts.and_then(|facts| facts.pinned);
        Ok(pinned.map(str::to_owned))
    }

    fn overrides(&self, experiment: &str) -> Result<Vec<Override>, ExperimentError> {
        let state = self.read();
        let found = state.experiment(experiment);
        let overrides = found.into_iter().flat_map(|e| e.overrides.values());
        Ok(overrides.cloned().collect())
    }

    fn has_assignment_in_group(
        &self,
        actor: &str,
        group: &str,
        exclude_experiment: &str,
    ) -> Result<bool, ExperimentError> {
        let state = self.read();
        let except = state.ids.get(exclude_experiment).copied();
        let found = state.sibling(group, actor, except, || self.clock.now_secs());
        Ok(found.is_some())
    }

    fn situation(&self, experiment: &str, actor: &str) -> Result<Situation, ExperimentError> {
        let mut situation = Situation::unknown(experiment, actor);
        let state = self.read();
        if let Some((id, found)) = state.find(experiment) {
            let pinned = found.overrides.get(actor);
            let now_secs = self.clock.now_secs();
            situation.at_secs = now_secs;
            situation.pinned = pinned.cloned();
            situation.assignment = found.assignment(actor);
            situation.sibling = state.sibling_of(id, actor, || now_secs).map(str::to_owned);
            situation.config = Some(found.config.clone());
        }
        Ok(situation)
    }

    fn weight_periods(&self, experiment: &str) -> Result<Vec<WeightPeriod>, ExperimentError> {
        let state = self.read();
        let found = state.experiment(experiment);
        Ok(found.map_or_else(Vec::new, Experiment::weight_periods))
    }

    fn changes(&self, scan: &ChangeScan<'_>) -> Result<Vec<ChangeRecord>, ExperimentError> {
        Ok(self.read().log.find(scan))
    }

    fn record_exposure(&self, exposure: &ExposureRecord) -> Result<(), ExperimentError> {
        exposure.validate()?;
        let mut state = self.write();
        let Some(&id) = state.ids.get(&exposure.experiment) else {
            return Err(ExperimentError::NotFound(exposure.experiment.clone()));
        };
        let experiment = &mut state.experiments[id];
        experiment.config.require_variant(&exposure.variant)?;
        experiment.exposures.push(exposure.clone());
        Ok(())
    }

    fn scan_assignments(
        &self,
        experiment: &str,
        each: Each<'_, AssignmentRecord>,
    ) -> Result<(), ExperimentError> {
        let state = self.read();
        let found = state.experiment(experiment);
        let found = found.map(Experiment::all_assignments);
        drop(state);
        found.map_or(Ok(()), |found| found.show(each))
    }

    fn scan_exposures(
        &self,
        experiment: &str,
        scan: &ExposureScan,
        each: Each<'_, ExposureRecord>,
    ) -> Result<(), ExperimentError> {
        let state = self.read();
        let found = state.experiment(experiment);
        let found = found.map_or_else(Vec::new, |found| found.exposures_of(scan));
        drop(state);
        found.iter().try_for_each(each)
    }

    fn prune_exposures(
        &self,
        experiment: &str,
        before_secs: u64,
        operator: Option<&str>,
    ) -> Result<u64, ExperimentError> {
        let operator = operator.or(self.operator.as_deref());
        let mut state = self.write();
        let Some(&id) = state.ids.get(experiment) else {
            return Err(ExperimentError::NotFound(experiment.to_owned()));
        };
        let found = &mut state.experiments[id];
        let pruned = found.prune_exposures(before_secs);
        if pruned > 0 {
            state.log.push(ChangeRecord {
                experiment: experiment.to_owned(),
                mutation: lifecycle::pruned(pruned),
                actor: operator.map(str::to_owned),
                timestamp_secs: self.clock.now_secs(),
                detail: None,
            });
        }
        Ok(pruned)
    }

    fn unassign(
        &self,
        experiment: &str,
        actors: &[&str],
        operator: Option<&str>,
    ) -> Result<Unassigned, ExperimentError> {
        let operator = operator.or(self.operator.as_deref());
        let mut state = self.write();
        let Some(&id) = state.ids.get(experiment) else {
            return Err(ExperimentError::NotFound(experiment.to_owned()));
        };
        lifecycle::require_unassignable(&state.experiments[id].config)?;
        let unassigned = state.unassign(id, actors);
        if unassigned != Unassigned::default() {
            state.log.push(ChangeRecord {
                experiment: experiment.to_owned(),
                mutation: lifecycle::unassigned(unassigned.assignments),
                actor: operator.map(str::to_owned),
                timestamp_secs: self.clock.now_secs(),
                detail: None,
            });
        }
        Ok(unassigned)
    }

    fn track(&self, outcomes: &[Outcome]) -> Result<Tracked, ExperimentError> {
        outcomes.iter().try_for_each(Outcome::validate)?;
        let mut state = self.write();
        let mut tracked = Tracked::default();
        for outcome in outcomes {
            let key = outcome.id.clone().map(|id| (outcome.metric.clone(), id));
            if key.is_some_and(|key| !state.outcome_ids.insert(key)) {
                tracked.repeated += 1;
                continue;
            }
            tracked.recorded += 1;
            state.outcomes.push(outcome.clone());
        }
        Ok(tracked)
    }

    fn scan_outcomes(
        &self,
        scan: &OutcomeScan<'_>,
        each: Each<'_, Outcome>,
    ) -> Result<(), ExperimentError> {
        let found = self.read().outcomes_of(scan);
        found.iter().try_for_each(each)
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    /// Assignment and exposure are one step under the lock.
    fn assign(&self, request: &AssignRequest<'_>) -> Result<Assigned, ExperimentError> {
        request.validate()?;
        let mut read = None;
        if !request.keep_exposure {
            // Most calls are repeats, which write nothing and need not keep others out.
            let state = self.read();
            let decided = state.decide(request, self.clock)?;
            if !decided.1.stored {
                return Ok(decided.1);
            }
            read = Some((decided, state.writers));
        }
        let mut state = self.write();
        let (id, assigned) = match read {
            // Nobody has written since, so that it stands as it was read.
            Some((decided, writers)) if writers + 1 == state.writers => decided,
            _ => state.decide(request, self.clock)?,
        };
        if assigned.stored {
            let placement = Placement {
                is_override: assigned.is_override,
                at_secs: self.clock.now_secs(),
            };
            state.put_assignment(id, request.actor, &assigned.variant, placement);
        }
        if let Some(exposure) = request.exposure_of(&assigned, self.clock) {
            state.experiments[id].exposures.push(exposure);
        }
        Ok(assigned)
    }
}
