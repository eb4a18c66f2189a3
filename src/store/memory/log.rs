//! The audit log, which is found by the name of an experiment.

use std::collections::HashMap;

use crate::experiment::{ChangeRecord, ChangeScan};

#[derive(Default)]
pub(super) struct Log {
    /// Oldest first.
    changes: Vec<ChangeRecord>,
    /// The places of the entries of each name, in order.
    by_name: HashMap<String, Vec<usize>>,
}

impl Log {
    /// Appends an entry.
    pub(super) fn push(&mut self, change: ChangeRecord) {
        let places = self.by_name.entry(change.experiment.clone());
        places.or_default().push(self.changes.len());
        self.changes.push(change);
    }

    /// The entries that are wanted, newest first.
    pub(super) fn find(&self, wanted: &ChangeScan<'_>) -> Vec<ChangeRecord> {
        let limit = match wanted.limit {
            0 => usize::MAX,
            limit => limit,
        };
        let is_late = |change: &&ChangeRecord| change.timestamp_secs >= wanted.since_secs;
        match wanted.experiment {
            None => {
                let all = self.changes.iter().rev();
                all.filter(is_late).take(limit).cloned().collect()
            }
            Some(name) => {
                let places = self.by_name.get(name).into_iter().flatten().rev();
                let changes = places.map(|&place| &self.changes[place]);
                changes.filter(is_late).take(limit).cloned().collect()
            }
        }
    }

    /// Moves the entries of one name to another, among those that it has.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let moved = self.by_name.remove(from).unwrap_or_default();
        for &place in &moved {
            to.clone_into(&mut self.changes[place].experiment);
        }
        let places = self.by_name.entry(to.to_owned()).or_default();
        places.extend(moved);
        places.sort_unstable();
    }
}
