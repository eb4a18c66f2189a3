//! What a mutation may ask for, and what it writes once the rules have decided it.

use super::experiment::Experiment;
use super::state::State;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{ChangeRecord, ExperimentState, Override};
use crate::lifecycle::{self, Mutation, MutationFacts, Write};

/// What a mutation is about, and when it is.
pub(super) struct Subject<'a> {
    pub(super) state: &'a State,
    pub(super) experiment: Option<&'a Experiment>,
    pub(super) now_secs: u64,
}

impl MutationFacts for Subject<'_> {
    fn has_assignments(&self, variant: &str) -> Result<bool, ExperimentStoreError> {
        let Some(experiment) = self.experiment else {
            return Ok(false);
        };
        let mut periods = experiment.periods.iter();
        Ok(periods.any(|period| !experiment.counts_of(period, variant).is_empty()))
    }

    fn has_any_assignment(&self) -> Result<bool, ExperimentStoreError> {
        // Of a copy for trying things on the counts are whole, and the assignments are not.
        let periods = self.experiment.iter().flat_map(|e| &e.periods);
        let mut counts = periods.flat_map(|period| &period.counts);
        Ok(counts.any(|counts| !counts.is_empty()))
    }

    fn override_of(&self, actor: &str) -> Result<Option<Override>, ExperimentStoreError> {
        let pinned = self.experiment.and_then(|e| e.overrides.get(actor));
        Ok(pinned.cloned())
    }

    fn has_any_override(&self) -> Result<bool, ExperimentStoreError> {
        Ok(self.experiment.is_some_and(|e| !e.overrides.is_empty()))
    }

    fn has_any_exposure(&self) -> Result<bool, ExperimentStoreError> {
        Ok(self.experiment.is_some_and(|e| !e.exposures.is_empty()))
    }

    fn state_of(&self, name: &str) -> Result<Option<ExperimentState>, ExperimentStoreError> {
        Ok(self.state.experiment(name).map(|e| e.config.state))
    }

    fn now_secs(&self) -> u64 {
        self.now_secs
    }
}

impl State {
    /// A state with only what these mutations may ask for or change.
    pub(super) fn excerpt(&self, mutations: &[Mutation<'_>]) -> Self {
        let mut excerpt = Self::default();
        for mutation in mutations {
            if let Some(other) = mutation.next_name().and_then(|name| self.experiment(name))
                && !excerpt.ids.contains_key(&other.config.name)
            {
                excerpt.put_config(other.config.clone(), 0);
            }
            let Some(experiment) = self.experiment(mutation.experiment()) else {
                continue;
            };
            let id = match excerpt.ids.get(&experiment.config.name) {
                Some(&id) => id,
                None => excerpt.put_config(experiment.config.clone(), 0),
            };
            let copy = &mut excerpt.experiments[id];
            copy.variants.clone_from(&experiment.variants);
            copy.periods.clone_from(&experiment.periods);
            if matches!(mutation, Mutation::Delete { .. } | Mutation::Rename { .. }) {
                copy.overrides.clone_from(&experiment.overrides);
                copy.exposures.clone_from(&experiment.exposures);
            }
            if let Some(actor) = mutation.actor() {
                if let Some((actor, stored)) = experiment.assignments.get_key_value(actor) {
                    copy.assignments.insert(actor.clone(), *stored);
                }
                if let Some((actor, pinned)) = experiment.overrides.get_key_value(actor) {
                    copy.overrides.insert(actor.clone(), pinned.clone());
                }
            }
        }
        excerpt
    }

    /// Decides one mutation and writes it with its change.
    pub(super) fn apply(
        &mut self,
        mutation: &Mutation<'_>,
        operator: Option<&str>,
        at_secs: u64,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        let name = mutation.experiment();
        let subject = Subject {
            state: self,
            experiment: self.experiment(name),
            now_secs: at_secs,
        };
        let current = subject.experiment.map(|e| &e.config);
        let step = lifecycle::decide(mutation, current, &subject)?;
        let Some(step) = step else { return Ok(None) };
        let operator = operator.map(str::to_owned);
        match step.write {
            Write::Config(mut config) => {
                config.updated_at_secs = at_secs;
                self.put_config(config, at_secs);
            }
            Write::SetOverride {
                new,
                drops_assignment,
            } => {
                let id = self.ids[name];
                if drops_assignment {
                    self.drop_override(id, &new.actor);
                }
                let actor = new.actor.clone().into_boxed_str();
                let operator = operator.clone();
                let overrides = &mut self.experiments[id].overrides;
                overrides.insert(actor, Override { operator, ..new });
            }
            Write::ClearOverride { actor } => {
                let id = self.ids[name];
                self.drop_override(id, &actor);
            }
            Write::Delete => self.delete(name),
            Write::Rename(to) => {
                self.rename(name, &to);
                let id = self.ids[&to];
                self.experiments[id].config.updated_at_secs = at_secs;
            }
        }
        let change = ChangeRecord {
            experiment: mutation.next_name().unwrap_or(name).to_owned(),
            mutation: step.mutation,
            actor: operator,
            timestamp_secs: at_secs,
            detail: Some(step.detail),
        };
        self.log.push(change.clone());
        Ok(Some(change))
    }

    /// Removes an experiment of which nothing is stored but its log.
    pub(super) fn delete(&mut self, name: &str) {
        self.ids.remove(name);
    }

    /// Gives such an experiment another name, under which its log is found from then on.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let Some(id) = self.ids.remove(from) else {
            return;
        };
        self.ids.insert(to.to_owned(), id);
        let experiment = &mut self.experiments[id];
        to.clone_into(&mut experiment.config.name);
        experiment.allocation = experiment.config.allocation();
        self.log.rename(from, to);
    }
}
