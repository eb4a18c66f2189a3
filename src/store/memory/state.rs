//! What the memory store holds, and what the rules may ask of it.

use std::collections::{BTreeMap, HashMap as StdHashMap, HashSet};

use indexmap::IndexMap;
use smol_str::SmolStr;

use crate::assignment::{Facts, StoredOverride, StoredVariant};
use crate::bucketing::Allocation;
use crate::error::ExperimentStoreError;
use crate::experiment::{
    Assignment, ChangeRecord, ChangeScan, ExperimentConfig, ExperimentState, Override, Unassigned,
    VariantConfig, VariantCount, WeightPeriod,
};
use crate::exposure::ExposureRecord;
use crate::lifecycle::{Mutation, MutationFacts};
use crate::outcome::Outcome;

/// A map whose hash is quick for short keys and is seeded anew in every map, so that nobody can choose
/// actors that collide.
type HashMap<K, V> = StdHashMap<K, V, foldhash::fast::RandomState>;

/// An experiment's place in [`State::experiments`]. One that is deleted leaves its place empty of all but its
/// configuration, and no name leads there.
pub(super) type ExperimentId = usize;

#[derive(Default)]
pub(super) struct State {
    /// How often the lock was taken for writing.
    pub(super) writers: u64,
    pub(super) ids: HashMap<String, ExperimentId>,
    pub(super) experiments: Vec<Experiment>,
    /// The audit log, oldest first.
    changes: Vec<ChangeRecord>,
    /// The places in it of the entries of each name.
    changes_of: HashMap<String, Vec<usize>>,
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
    pub(super) expires_at_secs: Option<u64>,
    pub(super) reason: Option<String>,
    pub(super) operator: Option<String>,
}

impl PinnedVariant {
    fn as_stored(&self) -> StoredOverride<'_> {
        StoredOverride {
            variant: &self.variant,
            expires_at_secs: self.expires_at_secs,
        }
    }

    pub(super) fn record(&self, experiment: &str, actor: &str) -> Override {
        Override {
            experiment: experiment.to_owned(),
            actor: actor.to_owned(),
            variant: self.variant.clone(),
            created_at_secs: self.at_secs,
            expires_at_secs: self.expires_at_secs,
            reason: self.reason.clone(),
            operator: self.operator.clone(),
        }
    }
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
    /// assignment of the actor which counts.
    pub(super) fn sibling(
        &self,
        group: &str,
        actor: &str,
        except: Option<ExperimentId>,
        now: impl Fn() -> u64 + Copy,
    ) -> Option<&str> {
        let holders = self.groups.get(group)?.get(actor)?.iter();
        let others = holders.filter(|&&id| Some(id) != except);
        let others = others.map(|&id| &self.experiments[id]);
        let counting = others.filter(|other| other.facts(actor, now).stored.is_some());
        counting.map(|other| &*other.config.name).min()
    }

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

    /// What is known of the actor in that experiment.
    pub(super) fn facts(
        &self,
        id: ExperimentId,
        actor: &str,
        now: impl Fn() -> u64 + Copy,
    ) -> Facts<'_> {
        let facts = self.experiments[id].facts(actor, now);
        Facts {
            // Only where it decides.
            in_sibling: facts.stored.is_none() && self.sibling_of(id, actor, now).is_some(),
            ..facts
        }
    }

    /// The first by name of the other experiments of its group that hold an assignment of the actor which
    /// counts.
    pub(super) fn sibling_of(
        &self,
        id: ExperimentId,
        actor: &str,
        now: impl Fn() -> u64 + Copy,
    ) -> Option<&str> {
        let group = self.experiments[id].config.exclusion_group.as_ref()?;
        self.sibling(group, actor, Some(id), now)
    }

    /// Removes the assignments of these actors, and their exposures.
    pub(super) fn unassign(&mut self, id: ExperimentId, actors: &[&str]) -> Unassigned {
        let mut unassigned = Unassigned::default();
        for actor in actors {
            unassigned.assignments += u64::from(self.drop_assignment(id, actor));
        }
        let actors: HashSet<&str> = actors.iter().copied().collect();
        let exposures = &mut self.experiments[id].exposures;
        let before = exposures.len();
        exposures.retain(|exposure| !actors.contains(&*exposure.actor));
        unassigned.exposures = (before - exposures.len()) as u64;
        unassigned
    }

    /// Appends an entry to the log.
    pub(super) fn log(&mut self, change: ChangeRecord) {
        let places = self.changes_of.entry(change.experiment.clone());
        places.or_default().push(self.changes.len());
        self.changes.push(change);
    }

    pub(super) fn changes(&self, scan: &ChangeScan<'_>) -> Vec<ChangeRecord> {
        let limit = if scan.limit == 0 {
            usize::MAX
        } else {
            scan.limit
        };
        let is_late = |change: &&ChangeRecord| change.timestamp_secs >= scan.since_secs;
        match scan.experiment {
            None => {
                let all = self.changes.iter().rev();
                all.filter(is_late).take(limit).cloned().collect()
            }
            Some(name) => {
                let places = self.changes_of.get(name).into_iter().flatten().rev();
                let changes = places.map(|&place| &self.changes[place]);
                changes.filter(is_late).take(limit).cloned().collect()
            }
        }
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
        let moved = self.changes_of.remove(from).unwrap_or_default();
        for &place in &moved {
            to.clone_into(&mut self.changes[place].experiment);
        }
        let places = self.changes_of.entry(to.to_owned()).or_default();
        places.extend(moved);
        places.sort_unstable();
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
        let stored = experiment.assignments.get(actor);
        if stored.is_some_and(|stored| stored.is_override()) {
            self.drop_assignment(id, actor);
        }
    }

    /// Removes the actor's assignment. `false` if there is none.
    pub(super) fn drop_assignment(&mut self, id: ExperimentId, actor: &str) -> bool {
        let experiment = &mut self.experiments[id];
        let Some(stored) = experiment.assignments.swap_remove(actor) else {
            return false;
        };
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
        true
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
            exposures: Vec::new(),
            periods: vec![period],
        });
        id
    }
}

impl Experiment {
    /// What counts of what it holds of the actor.
    pub(super) fn facts(&self, actor: &str, now: impl Fn() -> u64) -> Facts<'_> {
        let pinned = self.overrides.get(actor).map(PinnedVariant::as_stored);
        let stored = self.assignments.get(actor).map(|stored| StoredVariant {
            variant: self.variant_of(*stored),
            is_override: stored.is_override(),
        });
        Facts::at(now, pinned, stored)
    }

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
        let found = self.experiment.and_then(|experiment| {
            let pinned = experiment.overrides.get(actor)?;
            Some(pinned.record(&experiment.config.name, actor))
        });
        Ok(found)
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

#[derive(Clone, Copy)]
pub(super) struct Placement {
    pub(super) is_override: bool,
    pub(super) at_secs: u64,
}
