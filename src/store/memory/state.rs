//! What the memory store holds, and what the rules may ask of it.

use std::collections::{BTreeMap, HashMap as StdHashMap, HashSet};

use indexmap::IndexMap;
use smol_str::SmolStr;

use crate::assignment::{Facts, StoredVariant};
use crate::bucketing::Allocation;
use crate::error::ExperimentStoreError;
use crate::experiment::{
    Assignment, ChangeRecord, ExperimentConfig, VariantConfig, VariantCount, WeightPeriod,
};
use crate::exposure::ExposureRecord;
use crate::lifecycle::{Mutation, MutationFacts};
use crate::outcome::Outcome;

/// A map whose hash is quick for short keys and is seeded anew in every map, so that nobody can choose
/// actors that collide.
type HashMap<K, V> = StdHashMap<K, V, foldhash::fast::RandomState>;

/// An experiment's place in [`State::experiments`]. Experiments are never deleted.
pub(super) type ExperimentId = usize;

#[derive(Default)]
pub(super) struct State {
    /// How often the lock was taken for writing.
    pub(super) writers: u64,
    pub(super) ids: HashMap<String, ExperimentId>,
    pub(super) experiments: Vec<Experiment>,
    /// Oldest first.
    pub(super) outcomes: Vec<Outcome>,
    /// Metric and id of the outcomes that have an id.
    pub(super) outcome_ids: HashSet<(String, String)>,
    /// Exclusion group → actor → the experiments of the group that hold an assignment of the actor.
    pub(super) groups: HashMap<String, HashMap<SmolStr, Vec<ExperimentId>>>,
}

pub(super) struct Experiment {
    pub(super) config: ExperimentConfig,
    /// Of `config`.
    pub(super) allocation: Allocation,
    /// Every variant it ever had; an assignment points here, so this only grows.
    pub(super) variants: Vec<String>,
    /// By actor. What a lookup costs is its trips to memory that is not in a cache, so the table is
    /// small, the entries lie in the order of their arrival, and most actors' names fit into them.
    pub(super) assignments: IndexMap<SmolStr, StoredAssignment, foldhash::fast::RandomState>,
    pub(super) overrides: BTreeMap<Box<str>, PinnedVariant>,
    /// Oldest first.
    pub(super) changes: Vec<ChangeRecord>,
    /// Oldest first.
    pub(super) exposures: Vec<ExposureRecord>,
    /// In order; the last one is the present one.
    pub(super) periods: Vec<Period>,
}

/// How many assignments buckets made, and how many overrides made.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) assigned: u64,
    pub(super) overridden: u64,
}

impl Counts {
    fn is_empty(self) -> bool {
        self.assigned + self.overridden == 0
    }
}

/// A period of weights.
#[derive(Clone)]
pub(super) struct Period {
    pub(super) from_secs: u64,
    pub(super) variants: Vec<VariantConfig>,
    /// Of each of [`Experiment::variants`], as far as any was assigned.
    pub(super) counts: Vec<Counts>,
}

/// Sixteen bytes, as there may be millions.
#[derive(Clone, Copy)]
pub(super) struct StoredAssignment {
    pub(super) at_secs: u64,
    /// A place in [`Experiment::periods`].
    pub(super) period: u32,
    /// Twice a place in [`Experiment::variants`], and one more if an override made it.
    choice: u32,
}

impl StoredAssignment {
    /// The place of its variant in [`Experiment::variants`].
    pub(super) fn variant(self) -> usize {
        (self.choice / 2) as usize
    }

    pub(super) fn is_override(self) -> bool {
        self.choice % 2 == 1
    }
}

#[derive(Clone)]
pub(super) struct PinnedVariant {
    pub(super) variant: String,
    pub(super) at_secs: u64,
}

impl State {
    pub(super) fn find(&self, name: &str) -> Option<(ExperimentId, &Experiment)> {
        let id = *self.ids.get(name)?;
        Some((id, &self.experiments[id]))
    }

    pub(super) fn experiment(&self, name: &str) -> Option<&Experiment> {
        self.find(name).map(|(_, experiment)| experiment)
    }

    /// The first by name of the experiments of this group, other than `except`, that hold an
    /// assignment of the actor.
    pub(super) fn sibling(
        &self,
        group: &str,
        actor: &str,
        except: Option<ExperimentId>,
    ) -> Option<&str> {
        let holders = self.groups.get(group)?.get(actor)?.iter();
        let others = holders.filter(|&&id| Some(id) != except);
        others.map(|&id| &*self.experiments[id].config.name).min()
    }

    /// A state with only what these mutations may ask for or change.
    pub(super) fn excerpt(&self, mutations: &[Mutation<'_>]) -> Self {
        let mut excerpt = Self::default();
        for mutation in mutations {
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

    /// What is known of the actor in that experiment.
    pub(super) fn facts(&self, id: ExperimentId, actor: &str) -> Facts<'_> {
        let experiment = &self.experiments[id];
        let pinned = experiment.overrides.get(actor);
        let stored = experiment.assignments.get(actor);
        Facts {
            pinned: pinned.map(|pinned| &*pinned.variant),
            stored: stored.map(|stored| StoredVariant {
                variant: experiment.variant_of(*stored),
                is_override: stored.is_override(),
            }),
            // Only where it decides.
            in_sibling: stored.is_none() && self.sibling_of(id, actor).is_some(),
        }
    }

    /// The first by name of the other experiments of its group that hold an assignment of the actor.
    pub(super) fn sibling_of(&self, id: ExperimentId, actor: &str) -> Option<&str> {
        let group = self.experiments[id].config.exclusion_group.as_ref()?;
        self.sibling(group, actor, Some(id))
    }

    pub(super) fn put_assignment(
        &mut self,
        id: ExperimentId,
        actor: &str,
        variant: &str,
        new: Placement,
    ) {
        let experiment = &mut self.experiments[id];
        let stored = StoredAssignment {
            at_secs: new.at_secs,
            period: experiment.period(),
            choice: experiment.known_variant(variant) * 2 + u32::from(new.is_override),
        };
        *experiment.count(stored) += 1;
        if let Some(replaced) = experiment.assignments.insert(actor.into(), stored) {
            *experiment.count(replaced) -= 1;
        } else if let Some(group) = &experiment.config.exclusion_group {
            let holders = self.groups.entry(group.clone()).or_default();
            holders.entry(actor.into()).or_default().push(id);
        }
    }

    pub(super) fn drop_override(&mut self, id: ExperimentId, actor: &str) {
        let experiment = &mut self.experiments[id];
        experiment.overrides.remove(actor);
        let made_by_override = experiment
            .assignments
            .get(actor)
            .copied()
            .filter(|stored| stored.is_override());
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

    #[cfg(feature = "conformance")]
    pub(super) fn overwrite_state(&mut self, name: &str, state: crate::ExperimentState) {
        if let Some(&id) = self.ids.get(name) {
            self.experiments[id].config.state = state;
        }
    }

    /// Writes a configuration; other variants than before begin a new period of weights at `now_secs`.
    pub(super) fn put_config(&mut self, config: ExperimentConfig, now_secs: u64) -> ExperimentId {
        let period = Period {
            from_secs: now_secs,
            variants: config.variants.clone(),
            counts: Vec::new(),
        };
        if let Some(&id) = self.ids.get(&config.name) {
            // The rules keep the group of one that has assignments, so there is nothing to re-index.
            let experiment = &mut self.experiments[id];
            if experiment.config.variants != config.variants {
                experiment.periods.push(period);
            }
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
            periods: vec![period],
        });
        id
    }
}

impl Experiment {
    /// Where that variant is in `variants`; it is entered if it is new there.
    pub(super) fn known_variant(&mut self, name: &str) -> u32 {
        let known = self.variants.iter().position(|known| known == name);
        let place = known.unwrap_or_else(|| {
            self.variants.push(name.to_owned());
            self.variants.len() - 1
        });
        // Two billion names would not fit into memory.
        u32::try_from(place).unwrap_or(u32::MAX / 2)
    }

    pub(super) fn variant_of(&self, stored: StoredAssignment) -> &str {
        &self.variants[stored.variant()]
    }

    /// The present period's place in `periods`.
    pub(super) fn period(&self) -> u32 {
        u32::try_from(self.periods.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    pub(super) fn count(&mut self, stored: StoredAssignment) -> &mut u64 {
        let counts = &mut self.periods[stored.period as usize].counts;
        let place = stored.variant();
        if counts.len() <= place {
            counts.resize(place + 1, Counts::default());
        }
        let counts = &mut counts[place];
        if stored.is_override() {
            &mut counts.overridden
        } else {
            &mut counts.assigned
        }
    }

    pub(super) fn assignment(&self, actor: &str) -> Option<Assignment> {
        let (actor, stored) = self.assignments.get_key_value(actor)?;
        Some(Assignment {
            experiment: self.config.name.clone(),
            actor: actor.to_string(),
            variant: self.variant_of(*stored).to_owned(),
            is_override: stored.is_override(),
            assigned_at_secs: stored.at_secs,
        })
    }

    /// What a period has of a variant.
    fn counts_of(&self, period: &Period, variant: &str) -> Counts {
        let known = self.variants.iter().position(|known| known == variant);
        let counts = known.and_then(|place| period.counts.get(place));
        counts.copied().unwrap_or_default()
    }

    pub(super) fn weight_periods(&self) -> Vec<WeightPeriod> {
        let periods = (0..).zip(&self.periods).map(|(number, period)| {
            let variants = period.variants.iter();
            let counts = variants.map(|variant| {
                let counts = self.counts_of(period, &variant.name);
                VariantCount {
                    variant: variant.name.clone(),
                    assigned: counts.assigned,
                    overridden: counts.overridden,
                }
            });
            WeightPeriod {
                period: number,
                from_secs: period.from_secs,
                counts: counts.collect(),
                variants: period.variants.clone(),
            }
        });
        periods.collect()
    }
}

impl MutationFacts for Option<&Experiment> {
    fn has_assignments(&self, variant: &str) -> Result<bool, ExperimentStoreError> {
        let Some(experiment) = self else {
            return Ok(false);
        };
        let mut periods = experiment.periods.iter();
        Ok(periods.any(|period| !experiment.counts_of(period, variant).is_empty()))
    }

    fn has_any_assignment(&self) -> Result<bool, ExperimentStoreError> {
        // Of a copy for trying things on the counts are whole, and the assignments are not.
        let periods = self.iter().flat_map(|e| &e.periods);
        let mut counts = periods.flat_map(|period| &period.counts);
        Ok(counts.any(|counts| !counts.is_empty()))
    }

    fn override_variant(&self, actor: &str) -> Result<Option<String>, ExperimentStoreError> {
        let pinned = self.and_then(|e| e.overrides.get(actor));
        Ok(pinned.map(|pinned| pinned.variant.clone()))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Placement {
    pub(super) is_override: bool,
    pub(super) at_secs: u64,
}
