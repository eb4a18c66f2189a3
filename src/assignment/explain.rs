//! Why an actor gets what it gets: the rules' verdict laid open, with the numbers behind it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::request::Situation;
use crate::bucketing::{Bucketing, coverage_bucket, select, total_weight, weight_threshold};
use crate::coverage::Coverage;
use crate::error::ExperimentError;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::rule::AssignmentReason;

/// What the next `assign` of an actor would do, and why. Nothing was written to find out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
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
    /// What the variant stands for, if it has a value.
    #[serde(default)]
    pub value: Option<Value>,
    /// The actor's override, and whether it decides anything.
    #[serde(rename = "override")]
    pub pinned: Option<PinnedVariant>,
    /// The stored assignment's variant.
    pub assignment: Option<String>,
    /// When that was stored, in seconds since the Unix epoch.
    #[serde(default)]
    pub assigned_at_secs: Option<u64>,
    /// Whether an override made it.
    #[serde(default)]
    pub assigned_by_override: bool,
    /// The exclusion group.
    pub exclusion_group: Option<String>,
    /// Another experiment of the group in which the actor has an assignment, the first by name.
    pub sibling: Option<String>,
    /// Whether newcomers may enter. Set whichever rule decides.
    pub enrolling: bool,
    /// Whether the actor could enter as a newcomer. Set whichever rule decides.
    pub coverage: CoverageTrace,
    /// Where the actor's bucket falls. Set whichever rule decides.
    pub bucketing: BucketTrace,
}

/// A variant pinned to the actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct PinnedVariant {
    /// The variant's name.
    pub variant: String,
    /// Whether the experiment still has it; if not, the override is ignored.
    pub exists: bool,
    /// When it was set, in seconds since the Unix epoch.
    #[serde(default)]
    pub created_at_secs: u64,
    /// When it expires and counts as none, in seconds since the Unix epoch; `None` if it has no end.
    #[serde(default)]
    pub expires_at_secs: Option<u64>,
    /// Whether it has expired; then it is ignored, and so is the assignment that it made.
    #[serde(default)]
    pub has_expired: bool,
    /// What it is for.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who set it, as far as the store knows.
    #[serde(default)]
    pub operator: Option<String>,
}

/// Whether the experiment covers the actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
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
    /// Explains the verdict in a situation.
    ///
    /// # Errors
    /// As [`Situation::verdict`].
    pub fn of(situation: Situation) -> Result<Self, ExperimentError> {
        let verdict = situation.verdict()?;
        let (reason, variant) = (verdict.reason, verdict.variant.map(str::to_owned));
        let (value, at_secs) = (verdict.value.cloned(), situation.at_secs);
        let stored = situation.assignment;
        let Some(config) = situation.config else {
            return Err(ExperimentError::NotFound(situation.experiment));
        };
        Ok(Self {
            reason,
            variant,
            state: config.state,
            value,
            pinned: situation.pinned.map(|pinned| PinnedVariant {
                exists: config.variant(&pinned.variant).is_some(),
                has_expired: pinned.has_expired(at_secs),
                variant: pinned.variant,
                created_at_secs: pinned.created_at_secs,
                expires_at_secs: pinned.expires_at_secs,
                reason: pinned.reason,
                operator: pinned.operator,
            }),
            assigned_at_secs: stored.as_ref().map(|stored| stored.assigned_at_secs),
            assigned_by_override: stored.as_ref().is_some_and(|stored| stored.is_override),
            assignment: stored.map(|stored| stored.variant),
            enrolling: config.enrolling,
            sibling: situation.sibling,
            coverage: CoverageTrace::of(&config, &situation.actor),
            bucketing: BucketTrace::of(&config, &situation.actor),
            exclusion_group: config.exclusion_group,
            experiment: situation.experiment,
            actor: situation.actor,
        })
    }
}
