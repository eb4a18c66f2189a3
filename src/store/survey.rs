//! A store looked at as a whole: how much it holds, and whether what it holds can be true.

use serde::{Deserialize, Serialize};

use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::text::Quoted;

/// What a store is and how much it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreInfo {
    /// Its path, or its address without a password.
    pub store: String,
    /// The program that keeps it, with its version.
    pub engine: String,
    /// The version of its schema.
    pub schema: u32,
    /// Whether an application had made its tables before; never for a file.
    pub adopted: bool,
    /// Bytes on disk; in a database, of the tables and their indexes.
    pub bytes: u64,
    /// Experiments, in any state.
    pub experiments: u64,
    /// Stored assignments of all experiments.
    pub assignments: u64,
    /// Overrides of all experiments.
    pub overrides: u64,
    /// Kept exposures of all experiments.
    pub exposures: u64,
    /// Entries of the audit log.
    pub changes: u64,
}

/// What no store may say of these experiments, one sentence each.
pub(super) fn contradictions(experiments: &[ExperimentConfig]) -> Vec<String> {
    let mut found = Vec::new();
    for config in experiments {
        // An archived experiment keeps the winner that it had.
        let mut as_concluded = config.clone();
        if config.state == ExperimentState::Archived && config.winner.is_some() {
            as_concluded.state = ExperimentState::Concluded;
        }
        if let Err(invalid) = as_concluded.validate() {
            found.push(invalid.to_string());
        }
    }
    found
}

/// A sentence about an experiment or a group, with a count that is written for one and for many.
pub(super) fn counted(subject: &str, name: &str, count: i64, noun: &str, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{subject} {}: {count} {noun}{plural} {what}", Quoted(name))
}
