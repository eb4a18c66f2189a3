//! What the memory store holds, and what the rules may ask of it.

use std::collections::{HashMap as StdHashMap, HashSet};

use smol_str::SmolStr;

use super::experiment::{Experiment, StoredAssignment};
use super::log::Log;
use crate::assignment::Facts;
use crate::experiment::{ExperimentConfig, Unassigned};
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
    pub(super) log: Log,
    /// Oldest first.
    pub(super) outcomes: Vec<Outcome>,
    /// Metric and id of the outcomes that have an id.
    pub(super) outcome_ids: HashSet<(String, String)>,
    /// Exclusion group → actor → the experiments of the group that hold an assignment of the actor.
    pub(super) groups: HashMap<String, HashMap<SmolStr, Vec<ExperimentId>>>,
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

    /// Writes a configuration, at that time.
    pub(super) fn put_config(&mut self, config: ExperimentConfig, now_secs: u64) -> ExperimentId {
        if let Some(&id) = self.ids.get(&config.name) {
            // The rules keep the group of one that has assignments, so there is nothing to re-index.
            self.experiments[id].put_config(config, now_secs);
            return id;
        }
        let id = self.experiments.len();
        self.ids.insert(config.name.clone(), id);
        self.experiments.push(Experiment::new(config, now_secs));
        id
    }
}

#[derive(Clone, Copy)]
pub(super) struct Placement {
    pub(super) is_override: bool,
    pub(super) at_secs: u64,
}
