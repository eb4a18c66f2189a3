//! What the model knows of an experiment.

use std::collections::BTreeMap;

use super::command::{Draft, Entry, Values};

/// An override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pinned {
    pub(crate) variant: String,
    /// The second from which on it counts as none.
    pub(crate) ends: Option<u64>,
    pub(crate) reason: Option<String>,
}

/// What is known of an experiment from outside.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Experiment {
    pub(crate) state: String,
    pub(crate) winner: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) variants: Vec<(String, u32)>,
    pub(crate) entry: Entry,
    pub(crate) values: Values,
    /// Actor → variant, and whether an override chose it.
    pub(crate) assignments: BTreeMap<String, (String, bool)>,
    /// The variants of each weight period, and in which of them each actor was assigned.
    pub(crate) periods: Vec<Vec<(String, u32)>>,
    pub(crate) assigned_in: BTreeMap<String, usize>,
    pub(crate) overrides: BTreeMap<String, Pinned>,
    /// Actor, variant, and whether an override chose it.
    pub(crate) exposures: Vec<(String, String, bool)>,
}

impl Experiment {
    pub(super) fn new(draft: &Draft, state: &str) -> Self {
        Self {
            state: state.to_owned(),
            group: draft.group.clone(),
            variants: draft.variants.clone(),
            periods: vec![draft.variants.clone()],
            entry: draft.entry.clone(),
            values: draft.values.clone(),
            ..Self::default()
        }
    }

    pub(super) fn has(&self, variant: &str) -> bool {
        self.variants.iter().any(|(name, _)| name == variant)
    }

    pub(super) fn set_variants(&mut self, next: &[(String, u32)]) {
        if self.variants != next {
            self.variants = next.to_vec();
            self.periods.push(next.to_vec());
        }
        let variants = &self.variants;
        let is_there = |kept: &String| variants.iter().any(|(name, _)| name == kept);
        self.values.retain(|variant, _| is_there(variant));
    }

    /// The override that counts at that second.
    pub(super) fn pinned(&self, actor: &str, now: u64) -> Option<&Pinned> {
        let pinned = self.overrides.get(actor)?;
        pinned.ends.is_none_or(|ends| now < ends).then_some(pinned)
    }

    /// The assignment that counts at that second: one that an override made which has ended does not.
    pub(super) fn stored(&self, actor: &str, now: u64) -> Option<&(String, bool)> {
        let has_ended = self.overrides.contains_key(actor) && self.pinned(actor, now).is_none();
        let stored = self.assignments.get(actor);
        stored.filter(|(_, is_override)| !(has_ended && *is_override))
    }

    /// What is stored of the actor already is not stored again.
    pub(super) fn put(&mut self, actor: &str, chosen: (String, bool), now: u64) {
        if self.stored(actor, now) != Some(&chosen) {
            let present = self.periods.len() - 1;
            self.assigned_in.insert(actor.to_owned(), present);
            self.assignments.insert(actor.to_owned(), chosen);
        }
    }

    pub(super) fn remove(&mut self, actor: &str) -> bool {
        self.assigned_in.remove(actor);
        self.assignments.remove(actor).is_some()
    }

    /// Whether a variant would be new beside others that have values.
    pub(super) fn would_lack_a_value(&self, next: &[(String, u32)]) -> bool {
        let keeps_values = next.iter().any(|(name, _)| self.values.contains_key(name));
        keeps_values && next.iter().any(|(name, _)| !self.has(name))
    }

    pub(super) fn would_drop_a_variant_in_use(&self, next: &[(String, u32)]) -> bool {
        let in_use = |name: &String| self.assignments.values().any(|(held, _)| held == name);
        let is_kept = |name: &String| next.iter().any(|(kept, _)| kept == name);
        let mut variants = self.variants.iter();
        variants.any(|(name, _)| !is_kept(name) && in_use(name))
    }

    pub(super) fn is_used(&self) -> bool {
        let nothing = (
            self.assignments.is_empty(),
            self.overrides.is_empty(),
            self.exposures.is_empty(),
        );
        nothing != (true, true, true)
    }
}
