//! Why an actor gets what it gets: the rules' decision laid open, with the numbers behind it.

use serde::{Deserialize, Serialize};

use crate::bucketing::{Bucketing, select, total_weight, weight_threshold};
use crate::error::ExperimentError;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::rules::assignment::AssignmentReason;
use crate::store::Situation;

/// What the next `assign` of an actor would do, and why. Nothing was written to find out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The experiment's name.
    pub experiment: String,
    /// The actor.
    pub actor: String,
    /// What comes out.
    pub outcome: Outcome,
    /// The variant the actor gets; `None` if it is refused.
    pub variant: Option<String>,
    /// The experiment's state.
    pub state: ExperimentState,
    /// The variant pinned to the actor, and whether the experiment still has it.
    #[serde(rename = "override")]
    pub pinned: Option<Pinned>,
    /// The stored assignment's variant.
    pub assignment: Option<String>,
    /// The exclusion group.
    pub exclusion_group: Option<String>,
    /// Another experiment of the group in which the actor has an assignment, the first by name.
    pub sibling: Option<String>,
    /// Where the actor's bucket falls. Told whatever rule decides.
    pub bucketing: BucketTrace,
}

/// Which rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Refused: the experiment is archived.
    Archived,
    /// The winner.
    Concluded,
    /// Refused: the experiment is a draft.
    NotRunning,
    /// The pinned variant.
    Override,
    /// The stored variant.
    Sticky,
    /// Refused: the actor is in another experiment of the group.
    Excluded,
    /// The variant that the bucket selects; it would be stored.
    Assigned,
    /// Refused: all weights are zero.
    NoVariant,
    /// Refused: the experiment is concluded without a winner.
    NoWinner,
}

impl Outcome {
    /// The serialised name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "archived",
            Self::Concluded => "concluded",
            Self::NotRunning => "not_running",
            Self::Override => "override",
            Self::Sticky => "sticky",
            Self::Excluded => "excluded",
            Self::Assigned => "assigned",
            Self::NoVariant => "no_variant",
            Self::NoWinner => "no_winner",
        }
    }

    /// The number of the rule, from 1 to 7, in the order in which the rules are tried.
    #[must_use]
    pub fn rule(self) -> u8 {
        match self {
            Self::Archived => 1,
            Self::Concluded | Self::NoWinner => 2,
            Self::NotRunning => 3,
            Self::Override => 4,
            Self::Sticky => 5,
            Self::Excluded => 6,
            Self::Assigned | Self::NoVariant => 7,
        }
    }
}

/// A variant pinned to the actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The variant's name.
    pub variant: String,
    /// Whether the experiment still has it; if not, the override is ignored.
    pub exists: bool,
}

/// From the actor to a variant by way of the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketTrace {
    /// The hash used.
    pub hash: Bucketing,
    /// What was hashed with the actor in place of the experiment's name.
    pub salt: Option<String>,
    /// The actor's bucket, from 0 to 9999.
    pub bucket: u64,
    /// The sum of all weights.
    pub total_weight: u64,
    /// `bucket * total_weight / 10000`, rounded down.
    pub threshold: u64,
    /// The variant whose share of the weights holds the threshold; `None` if all weights are 0.
    pub variant: Option<String>,
}

impl BucketTrace {
    fn of(config: &ExperimentConfig, actor: &str) -> Self {
        let bucket = config.bucketing.bucket(config.hashed(), actor);
        let total_weight = total_weight(config.weights());
        Self {
            hash: config.bucketing,
            salt: config.salt.clone(),
            bucket,
            total_weight,
            threshold: weight_threshold(bucket, total_weight),
            variant: select(bucket, config.weights()).map(|i| config.variants[i].name.clone()),
        }
    }
}

impl Explanation {
    /// Lays the decision in a situation open.
    ///
    /// # Errors
    /// The experiment is unknown.
    pub fn of(situation: Situation) -> Result<Self, ExperimentError> {
        let (outcome, variant) = match situation.decide() {
            Ok(decision) => {
                let outcome = match decision.reason {
                    AssignmentReason::Concluded => Outcome::Concluded,
                    AssignmentReason::Override => Outcome::Override,
                    AssignmentReason::Sticky => Outcome::Sticky,
                    AssignmentReason::Assigned => Outcome::Assigned,
                };
                (outcome, Some(decision.variant.into_owned()))
            }
            Err(ExperimentError::Archived(_)) => (Outcome::Archived, None),
            Err(ExperimentError::NotRunning(..)) => (Outcome::NotRunning, None),
            Err(ExperimentError::ExcludedByGroup(..)) => (Outcome::Excluded, None),
            Err(ExperimentError::NoVariant(_)) => (Outcome::NoVariant, None),
            Err(ExperimentError::NoWinner(_)) => (Outcome::NoWinner, None),
            Err(other) => return Err(other),
        };
        let Some(config) = situation.config else {
            return Err(ExperimentError::NotFound(situation.experiment));
        };
        Ok(Self {
            outcome,
            variant,
            state: config.state,
            pinned: situation.override_variant.map(|variant| Pinned {
                exists: config.variant(&variant).is_some(),
                variant,
            }),
            assignment: situation.assignment.map(|stored| stored.variant),
            sibling: situation.sibling,
            bucketing: BucketTrace::of(&config, &situation.actor),
            exclusion_group: config.exclusion_group,
            experiment: situation.experiment,
            actor: situation.actor,
        })
    }
}
