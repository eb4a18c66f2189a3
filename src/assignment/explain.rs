//! Why an actor gets what it gets: the rules' verdict laid open, with the numbers behind it.

use serde::{Deserialize, Serialize};

use super::request::Situation;
use crate::bucketing::{Bucketing, coverage_bucket, select, total_weight, weight_threshold};
use crate::coverage::Coverage;
use crate::error::ExperimentError;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::rule::AssignmentReason;

/// What the next `assign` of an actor would do, and why. Nothing was written to find out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The experiment's name.
    pub experiment: String,
    /// The actor.
    pub actor: String,
    /// The answer of the rule that decides.
    pub reason: AssignmentReason,
    /// The variant the actor gets; `None` if it is refused.
    pub variant: Option<String>,
    /// The experiment's state.
    pub state: ExperimentState,
    /// The variant pinned to the actor, and whether the experiment still has it.
    #[serde(rename = "override")]
    pub pinned: Option<PinnedVariant>,
    /// The stored assignment's variant.
    pub assignment: Option<String>,
    /// The exclusion group.
    pub exclusion_group: Option<String>,
    /// Another experiment of the group in which the actor has an assignment, the first by name.
    pub sibling: Option<String>,
    /// Whether the actor could enter as a newcomer. Told whatever rule decides.
    pub coverage: CoverageTrace,
    /// Where the actor's bucket falls. Told whatever rule decides.
    pub bucketing: BucketTrace,
}

/// A variant pinned to the actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedVariant {
    /// The variant's name.
    pub variant: String,
    /// Whether the experiment still has it; if not, the override is ignored.
    pub exists: bool,
}

/// Whether the experiment covers the actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageTrace {
    /// The share of the newcomers who enter.
    pub share: Coverage,
    /// The actor's bucket for this, from 0 to 9999; it has nothing to do with the one that selects a
    /// variant.
    pub bucket: u64,
    /// Whether the bucket is within the share.
    pub covers: bool,
}

impl CoverageTrace {
    fn of(config: &ExperimentConfig, actor: &str) -> Self {
        let bucket = coverage_bucket(config.hashed(), actor);
        Self {
            share: config.coverage,
            bucket,
            covers: config.coverage.admits(bucket),
        }
    }
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
    /// Lays the verdict in a situation open.
    ///
    /// # Errors
    /// As [`Situation::verdict`].
    pub fn of(situation: Situation) -> Result<Self, ExperimentError> {
        let verdict = situation.verdict()?;
        let (reason, variant) = (verdict.reason, verdict.variant.map(str::to_owned));
        let Some(config) = situation.config else {
            return Err(ExperimentError::NotFound(situation.experiment));
        };
        Ok(Self {
            reason,
            variant,
            state: config.state,
            pinned: situation.override_variant.map(|variant| PinnedVariant {
                exists: config.variant(&variant).is_some(),
                variant,
            }),
            assignment: situation.assignment.map(|stored| stored.variant),
            sibling: situation.sibling,
            coverage: CoverageTrace::of(&config, &situation.actor),
            bucketing: BucketTrace::of(&config, &situation.actor),
            exclusion_group: config.exclusion_group,
            experiment: situation.experiment,
            actor: situation.actor,
        })
    }
}
