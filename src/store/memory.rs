//! The readable reference: everything in maps behind one lock. Nothing survives the process.
//!
//! The work of a call does not grow with the number of experiments, of group siblings or of stored
//! assignments: each question is one probe of a map, and the counts that the rules ask for are kept
//! rather than taken. Looking something up allocates nothing but what is given back.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap as StdHashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use indexmap::IndexMap;
use smol_str::SmolStr;

use crate::bucketing::Allocation;
use crate::clock::Clock;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{
    Assignment, ChangeRecord, ExperimentConfig, Override, VariantConfig, VariantCount,
};
use crate::exposure::ExposureRecord;
use crate::rules::assignment::{self, AssignmentFacts};
use crate::rules::lifecycle::{self, Mutation, MutationFacts, Write};
use crate::store::{AssignRequest, Assigned, ExperimentStore, Situation};
use crate::validation::{validate_actor, validate_request_id};

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
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A map whose hash is quick for short keys and is seeded anew in every map, so that nobody can choose
/// actors that collide.
type HashMap<K, V> = StdHashMap<K, V, foldhash::fast::RandomState>;

/// An experiment's place in [`State::experiments`]. Experiments are never deleted.
type ExperimentId = usize;

#[derive(Default)]
struct State {
    ids: HashMap<String, ExperimentId>,
    experiments: Vec<Experiment>,
    /// Exclusion group → actor → the experiments of the group that hold an assignment of the actor.
    groups: HashMap<String, HashMap<SmolStr, Vec<ExperimentId>>>,
}

struct Experiment {
    config: ExperimentConfig,
    /// Of `config`.
    allocation: Allocation,
    /// Every variant it ever had; an assignment points here, so this only grows.
    variants: Vec<KnownVariant>,
    /// By actor. What a lookup costs is its trips to memory that is not in a cache, so the table is
    /// small, the entries lie in the order of their arrival, and most actors' names fit into them.
    assignments: IndexMap<SmolStr, StoredAssignment, foldhash::fast::RandomState>,
    overrides: BTreeMap<Box<str>, PinnedVariant>,
    /// Oldest first.
    changes: Vec<ChangeRecord>,
    /// Oldest first.
    exposures: Vec<ExposureRecord>,
}

struct KnownVariant {
    name: String,
    assigned: u64,
    overridden: u64,
}

#[derive(Clone, Copy)]
struct StoredAssignment {
    /// A place in [`Experiment::variants`].
    variant: u32,
    is_override: bool,
    at_secs: u64,
}

struct PinnedVariant {
    variant: String,
    at_secs: u64,
}

impl State {
    fn find(&self, name: &str) -> Option<(ExperimentId, &Experiment)> {
        let id = *self.ids.get(name)?;
        Some((id, &self.experiments[id]))
    }

    fn experiment(&self, name: &str) -> Option<&Experiment> {
        self.find(name).map(|(_, experiment)| experiment)
    }

    /// Another experiment than `except` that holds an assignment of the actor, in this group.
    fn sibling(&self, group: &str, actor: &str, except: Option<ExperimentId>) -> Option<&str> {
        let holders = self.groups.get(group)?.get(actor)?;
        let id = holders.iter().find(|&&id| Some(id) != except)?;
        Some(&self.experiments[*id].config.name)
    }

    fn facts<'a>(&'a self, name: &str, actor: &'a str) -> Facts<'a> {
        Facts {
            state: self,
            found: self.find(name),
            actor,
        }
    }

    fn put_assignment(&mut self, id: ExperimentId, actor: &str, variant: &str, new: Placement) {
        let experiment = &mut self.experiments[id];
        let stored = StoredAssignment {
            variant: experiment.known_variant(variant),
            is_override: new.is_override,
            at_secs: new.at_secs,
        };
        *experiment.count(stored) += 1;
        if let Some(replaced) = experiment.assignments.insert(actor.into(), stored) {
            *experiment.count(replaced) -= 1;
        } else if let Some(group) = &experiment.config.exclusion_group {
            let holders = self.groups.entry(group.clone()).or_default();
            holders.entry(actor.into()).or_default().push(id);
        }
    }

    fn drop_override(&mut self, id: ExperimentId, actor: &str) {
        let experiment = &mut self.experiments[id];
        experiment.overrides.remove(actor);
        let made_by_override = experiment
            .assignments
            .get(actor)
            .copied()
            .filter(|stored| stored.is_override);
        let Some(stored) = made_by_override else {
            return;
        };
        experiment.assignments.swap_remove(actor);
        *experiment.count(stored) -= 1;
        if let Some(group) = &experiment.config.exclusion_group
            && let Some(holders) = self.groups.get_mut(group)
            && let Some(ids) = holders.get_mut(actor)
        {
            ids.retain(|&holder| holder != id);
            if ids.is_empty() {
                holders.remove(actor);
            }
        }
    }

    fn put_config(&mut self, config: ExperimentConfig) -> ExperimentId {
        if let Some(&id) = self.ids.get(&config.name) {
            // The group changes only while it is a draft, which has no assignments to re-index.
            let experiment = &mut self.experiments[id];
            experiment.allocation = config.allocation();
            experiment.config = config;
            return id;
        }
        let id = self.experiments.len();
        self.ids.insert(config.name.clone(), id);
        self.experiments.push(Experiment {
            allocation: config.allocation(),
            config,
            variants: Vec::new(),
            assignments: IndexMap::default(),
            overrides: BTreeMap::new(),
            changes: Vec::new(),
            exposures: Vec::new(),
        });
        id
    }
}

impl Experiment {
    /// Where that variant is in `variants`; it is entered if it is new there.
    fn known_variant(&mut self, name: &str) -> u32 {
        let known = self.variants.iter().position(|known| known.name == name);
        let place = known.unwrap_or_else(|| {
            self.variants.push(KnownVariant {
                name: name.to_owned(),
                assigned: 0,
                overridden: 0,
            });
            self.variants.len() - 1
        });
        // Four billion names would not fit into memory.
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    fn variant_of(&self, stored: StoredAssignment) -> &str {
        &self.variants[stored.variant as usize].name
    }

    fn count(&mut self, stored: StoredAssignment) -> &mut u64 {
        let variant = &mut self.variants[stored.variant as usize];
        if stored.is_override {
            &mut variant.overridden
        } else {
            &mut variant.assigned
        }
    }

    fn assignment(&self, actor: &str) -> Option<Assignment> {
        let (actor, stored) = self.assignments.get_key_value(actor)?;
        Some(Assignment {
            experiment: self.config.name.clone(),
            actor: actor.to_string(),
            variant: self.variant_of(*stored).to_owned(),
            is_override: stored.is_override,
            assigned_at_secs: stored.at_secs,
        })
    }

    fn variant_count(&self, variant: &VariantConfig) -> VariantCount {
        let known = self.variants.iter().find(|v| v.name == variant.name);
        VariantCount {
            variant: variant.name.clone(),
            assigned: known.map_or(0, |v| v.assigned),
            overridden: known.map_or(0, |v| v.overridden),
        }
    }
}

impl MutationFacts for Option<&Experiment> {
    fn has_assignments(&self, variant: &str) -> Result<bool, ExperimentStoreError> {
        let known = self.and_then(|e| e.variants.iter().find(|known| known.name == variant));
        Ok(known.is_some_and(|known| known.assigned + known.overridden > 0))
    }

    fn override_variant(&self, actor: &str) -> Result<Option<String>, ExperimentStoreError> {
        let pinned = self.and_then(|e| e.overrides.get(actor));
        Ok(pinned.map(|pinned| pinned.variant.clone()))
    }
}

#[derive(Clone, Copy)]
struct Placement {
    is_override: bool,
    at_secs: u64,
}

/// One actor in one experiment, read under the lock.
struct Facts<'a> {
    state: &'a State,
    found: Option<(ExperimentId, &'a Experiment)>,
    actor: &'a str,
}

impl<'a> Facts<'a> {
    fn config(&self) -> Option<&'a ExperimentConfig> {
        self.found.map(|(_, experiment)| &experiment.config)
    }

    fn subject(&self) -> Option<(&'a ExperimentConfig, &'a Allocation)> {
        self.found.map(|(_, e)| (&e.config, &e.allocation))
    }

    fn sibling(&self) -> Option<&'a str> {
        let (id, experiment) = self.found?;
        let group = experiment.config.exclusion_group.as_ref()?;
        self.state.sibling(group, self.actor, Some(id))
    }
}

impl AssignmentFacts for Facts<'_> {
    fn override_variant(&self) -> Result<Option<Cow<'_, str>>, ExperimentStoreError> {
        let pinned = self.found.and_then(|(_, e)| e.overrides.get(self.actor));
        Ok(pinned.map(|pinned| Cow::Borrowed(&*pinned.variant)))
    }

    fn assignment(&self) -> Result<Option<(Cow<'_, str>, bool)>, ExperimentStoreError> {
        Ok(self.found.and_then(|(_, experiment)| {
            let stored = experiment.assignments.get(self.actor)?;
            let name = experiment.variant_of(*stored);
            Some((Cow::Borrowed(name), stored.is_override))
        }))
    }

    fn assigned_in_sibling(&self) -> Result<bool, ExperimentStoreError> {
        Ok(self.sibling().is_some())
    }
}

impl ExperimentStore for InMemoryExperimentStore {
    fn get(&self, experiment: &str) -> Result<Option<ExperimentConfig>, ExperimentError> {
        Ok(self.read().experiment(experiment).map(|e| e.config.clone()))
    }

    fn list(&self) -> Result<Vec<ExperimentConfig>, ExperimentError> {
        let state = self.read();
        let mut all: Vec<_> = state.experiments.iter().map(|e| e.config.clone()).collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn mutate(&self, mutation: &Mutation<'_>) -> Result<Option<ChangeRecord>, ExperimentError> {
        let mut state = self.write();
        let name = mutation.experiment();
        let current = state.experiment(name);
        let step = lifecycle::decide(mutation, current.map(|e| &e.config), &current)?;
        let Some(step) = step else { return Ok(None) };
        let at_secs = self.clock.now_secs();
        let id = match step.write {
            Write::Config(mut config) => {
                config.updated_at_secs = at_secs;
                state.put_config(config)
            }
            Write::SetOverride { actor, variant } => {
                let id = state.ids[name];
                let pinned = PinnedVariant { variant, at_secs };
                let overrides = &mut state.experiments[id].overrides;
                overrides.insert(actor.into_boxed_str(), pinned);
                id
            }
            Write::ClearOverride { actor } => {
                let id = state.ids[name];
                state.drop_override(id, &actor);
                id
            }
        };
        let change = ChangeRecord {
            experiment: name.to_owned(),
            mutation: step.mutation,
            actor: self.operator.as_deref().map(str::to_owned),
            timestamp_secs: at_secs,
            detail: Some(step.detail),
        };
        state.experiments[id].changes.push(change.clone());
        Ok(Some(change))
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

    fn record_assignment(
        &self,
        experiment: &str,
        actor: &str,
        variant: &str,
        is_override: bool,
    ) -> Result<String, ExperimentError> {
        validate_actor(experiment, actor)?;
        let mut state = self.write();
        let facts = state.facts(experiment, actor);
        let kept = assignment::admit(experiment, variant, is_override, facts.config(), &facts)?;
        if let Some(kept) = kept {
            return Ok(kept.into_owned());
        }
        let id = state.ids[experiment];
        let at_secs = self.clock.now_secs();
        let placement = Placement {
            is_override,
            at_secs,
        };
        state.put_assignment(id, actor, variant, placement);
        Ok(variant.to_owned())
    }

    fn get_override(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<Option<String>, ExperimentError> {
        let state = self.read();
        let pinned = MutationFacts::override_variant(&state.experiment(experiment), actor)?;
        Ok(pinned)
    }

    fn overrides(&self, experiment: &str) -> Result<Vec<Override>, ExperimentError> {
        let state = self.read();
        let found = state.experiment(experiment);
        let overrides = found.into_iter().flat_map(|e| &e.overrides);
        Ok(overrides
            .map(|(actor, pinned)| Override {
                experiment: experiment.to_owned(),
                actor: actor.to_string(),
                variant: pinned.variant.clone(),
                created_at_secs: pinned.at_secs,
            })
            .collect())
    }

    fn has_assignment_in_group(
        &self,
        group: &str,
        actor: &str,
        except: &str,
    ) -> Result<bool, ExperimentError> {
        let state = self.read();
        let except = state.ids.get(except).copied();
        Ok(state.sibling(group, actor, except).is_some())
    }

    fn situation(&self, experiment: &str, actor: &str) -> Result<Situation, ExperimentError> {
        let state = self.read();
        let facts = state.facts(experiment, actor);
        let found = facts.found.map(|(_, experiment)| experiment);
        Ok(Situation {
            experiment: experiment.to_owned(),
            actor: actor.to_owned(),
            config: found.map(|e| e.config.clone()),
            override_variant: facts.override_variant()?.map(Cow::into_owned),
            assignment: found.and_then(|e| e.assignment(actor)),
            sibling: facts.sibling().map(str::to_owned),
        })
    }

    fn variant_counts(&self, experiment: &str) -> Result<Vec<VariantCount>, ExperimentError> {
        let state = self.read();
        Ok(state.experiment(experiment).map_or_else(Vec::new, |e| {
            e.config
                .variants
                .iter()
                .map(|v| e.variant_count(v))
                .collect()
        }))
    }

    fn history(
        &self,
        experiment: &str,
        limit: usize,
    ) -> Result<Vec<ChangeRecord>, ExperimentError> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        let state = self.read();
        Ok(state.experiment(experiment).map_or_else(Vec::new, |e| {
            e.changes.iter().rev().take(limit).cloned().collect()
        }))
    }

    fn record_exposure(&self, exposure: &ExposureRecord) -> Result<(), ExperimentError> {
        validate_actor(&exposure.experiment, &exposure.actor)?;
        validate_request_id(&exposure.experiment, exposure.request_id.as_deref())?;
        let mut state = self.write();
        let Some(&id) = state.ids.get(&exposure.experiment) else {
            return Err(ExperimentError::NotFound(exposure.experiment.clone()));
        };
        let experiment = &mut state.experiments[id];
        experiment.config.require_variant(&exposure.variant)?;
        experiment.exposures.push(exposure.clone());
        Ok(())
    }

    fn exposures(&self, experiment: &str) -> Result<Vec<ExposureRecord>, ExperimentError> {
        let state = self.read();
        let found = state.experiment(experiment);
        Ok(found.map_or_else(Vec::new, |e| e.exposures.clone()))
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    /// Assignment and exposure are one step under the lock.
    fn assign(&self, request: &AssignRequest<'_>) -> Result<Assigned, ExperimentError> {
        let AssignRequest {
            experiment, actor, ..
        } = *request;
        validate_actor(experiment, actor)?;
        validate_request_id(experiment, request.request_id)?;
        if !request.keep_exposure {
            // Most calls are repeats, which write nothing and need not keep others out.
            let state = self.read();
            let facts = state.facts(experiment, actor);
            let decision = assignment::decide(experiment, actor, facts.subject(), &facts)?;
            if !decision.store {
                return Ok(decision.into());
            }
        }
        let mut state = self.write();
        let facts = state.facts(experiment, actor);
        let decision = assignment::decide(experiment, actor, facts.subject(), &facts)?;
        let store = decision.store;
        let assigned = Assigned::from(decision);
        let id = state.ids[experiment];
        if store {
            let placement = Placement {
                is_override: assigned.is_override(),
                at_secs: self.clock.now_secs(),
            };
            state.put_assignment(id, actor, &assigned.variant, placement);
        }
        if let Some(exposure) = request.exposure_of(&assigned, self.clock) {
            state.experiments[id].exposures.push(exposure);
        }
        Ok(assigned)
    }
}
