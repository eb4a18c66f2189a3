//! Outcomes: what actors did that a metric counts. They belong to no experiment.

use serde::{Deserialize, Serialize};

use crate::error::{ConfigProblem, ExperimentError, Field};
use crate::number::Finite;
use crate::text::is_blank;
use crate::validation::{MAX_ACTOR_BYTES, actor_problem, name_problem, text_problem};

/// The last second of the year 9999.
pub(crate) const LAST_SECOND: u64 = 253_402_300_799;

/// What an actor did that a metric counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// Who did it.
    pub actor: String,
    /// The column that metrics count.
    pub metric: String,
    /// The value that is counted.
    pub value: Finite,
    /// When, in seconds since the Unix epoch.
    pub timestamp_secs: u64,
    /// Of all outcomes of a metric with the same id only the first is kept. It can't be empty or blank.
    pub id: Option<String>,
}

impl Outcome {
    /// Checks that a store can hold it.
    ///
    /// # Errors
    /// Its actor, its metric or its id [can't be stored](ExperimentError::InvalidOutcome).
    pub fn validate(&self) -> Result<(), ExperimentError> {
        match outcome_problem(self) {
            None => Ok(()),
            Some(problem) => Err(ExperimentError::InvalidOutcome(problem)),
        }
    }
}

/// What keeps a store from holding this outcome.
#[must_use]
pub fn outcome_problem(outcome: &Outcome) -> Option<ConfigProblem> {
    let id = outcome.id.as_deref();
    actor_problem(&outcome.actor)
        .or_else(|| name_problem(Field::OutcomeMetric, &outcome.metric))
        .or_else(|| id_problem(id?))
        .or_else(|| (outcome.timestamp_secs > LAST_SECOND).then_some(ConfigProblem::TooLate))
}

/// An empty id is that of a script whose variable is not set: it would be the same for every outcome.
fn id_problem(id: &str) -> Option<ConfigProblem> {
    if id.chars().all(is_blank) {
        Some(ConfigProblem::Empty(Field::OutcomeId))
    } else {
        text_problem(Field::OutcomeId, id, MAX_ACTOR_BYTES)
    }
}

/// What became of outcomes that a store was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Tracked {
    /// How many are kept.
    pub recorded: u64,
    /// How many are not kept, because the store already had an outcome of their metric with their id.
    pub repeated: u64,
}

/// Which outcomes are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct OutcomeScan<'a> {
    /// Of these metrics; of all if there are none.
    pub metrics: &'a [&'a str],
}
