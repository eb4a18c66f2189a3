//! What a store has to write for a mutation.

use crate::experiment::{ChangeDetail, ExperimentConfig, Override};

/// What a store has to write, together with the entry for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The data.
    pub write: Write,
    /// The text of the log entry.
    pub mutation: String,
    /// Both sides of the change.
    pub detail: ChangeDetail,
}

impl Effect {
    /// Whether a new [period of weights](crate::WeightPeriod) begins with it: the experiment was there, and its
    /// list of variants becomes another.
    #[must_use]
    pub fn begins_weight_period(&self, current: Option<&ExperimentConfig>) -> bool {
        match (&self.write, current) {
            (Write::Config(next), Some(current)) => next.variants != current.variants,
            _ => false,
        }
    }
}

/// The text of the log entry for so many exposures that were pruned.
#[must_use]
pub fn pruned(exposures: u64) -> String {
    format!("exposures_pruned={exposures}")
}

/// The text of the log entry for so many assignments that were taken back.
#[must_use]
pub fn unassigned(assignments: u64) -> String {
    format!("unassigned={assignments}")
}

/// The data that an [`Effect`] changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The experiment becomes this, with the time of the change.
    Config(ExperimentConfig),
    /// The actor has this override, in place of the one before. The store adds the operator of the change.
    SetOverride {
        /// The override.
        new: Override,
        /// Whether the actor's assignment goes if an override made it: what was pinned before has expired, and the
        /// assignment that it made counts as none.
        drops_assignment: bool,
    },
    /// The actor's override goes, and the actor's assignment if an override made it.
    ClearOverride {
        /// Whose.
        actor: String,
    },
    /// The experiment goes. Its log stays, under its name.
    Delete,
    /// The experiment has this name from now on, and so does its log.
    Rename(String),
}
