//! The audit log: what changed, and what it was before and after. Data only.

use serde::{Deserialize, Serialize};

use super::config::{ExperimentConfig, ExperimentState};
use super::values::VariantValues;
use super::variant::VariantConfig;
use crate::bucketing::Bucketing;
use crate::coverage::Coverage;
use crate::metric::{AnalysisConfig, MetricConfig, Population};
use crate::number::Finite;

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct ChangeRecord {
    /// The experiment's name.
    pub experiment: String,
    /// What was done: `created`, `updated`, `state=running`, `state=paused`, `state=archived`,
    /// `concluded=<winner>`, `set_weights`, `enrolling=<true or false>`, `coverage=<share>`, `values`, `metrics`,
    /// `override=<actor>:<variant>`, `override_cleared=<actor>`, `unassigned=<count>`, `exposures_pruned=<count>`,
    /// `renamed=<name>`, `deleted` or `repaired=<code>`.
    pub mutation: String,
    /// The operator who did it, where the call or the store's handle named one.
    pub actor: Option<String>,
    /// When, in seconds since the Unix epoch.
    pub timestamp_secs: u64,
    /// What it was before and what it is after. `None` for an entry another program wrote.
    pub detail: Option<ChangeDetail>,
}

/// The two sides of a change. Each holds the fields that the change is about, as far as they are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct ChangeDetail {
    /// The values before; empty for a creation.
    pub before: ChangeSide,
    /// The values after.
    pub after: ChangeSide,
}

/// The values on one side of a change; what is not set is not part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ChangeSide {
    /// The name, where that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The lifecycle state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ExperimentState>,
    /// The winner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<String>,
    /// The variants with their weights, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variants: Option<Vec<VariantConfig>>,
    /// The description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The exclusion group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusion_group: Option<String>,
    /// How actors become buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucketing: Option<Bucketing>,
    /// What is hashed in place of the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Whether newcomers may enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrolling: Option<bool>,
    /// The share of the newcomers who enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// What each variant stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<VariantValues>,
    /// The variant that the others are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// How sure an interval is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Finite>,
    /// The number of actors at which the always-valid intervals are narrowest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuning_actors: Option<u64>,
    /// Whose outcomes are analysed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub population: Option<Population>,
    /// What it is judged by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Vec<MetricConfig>>,
    /// The variant of the override of the actor whom the mutation names.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// When that override expires, in seconds since the Unix epoch.
    #[serde(
        rename = "override_expires_at_secs",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_at_secs: Option<u64>,
    /// What that override is for.
    #[serde(rename = "override_reason", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// All that a configuration says; of how it is analysed, what is not as it is by default.
impl From<&ExperimentConfig> for ChangeSide {
    fn from(config: &ExperimentConfig) -> Self {
        let AnalysisConfig {
            control,
            confidence,
            tuning_actors,
            population,
            metrics,
        } = &config.analysis;
        let default = AnalysisConfig::default();
        Self {
            name: None,
            state: Some(config.state),
            winner: config.winner.clone(),
            variants: Some(config.variants.clone()),
            description: config.description.clone(),
            exclusion_group: config.exclusion_group.clone(),
            bucketing: Some(config.bucketing),
            salt: config.salt.clone(),
            enrolling: Some(config.enrolling),
            coverage: Some(config.coverage),
            values: Some(config.values.clone()).filter(|values| !values.is_empty()),
            control: control.clone(),
            confidence: Some(*confidence).filter(|set| *set != default.confidence),
            tuning_actors: Some(*tuning_actors).filter(|set| *set != default.tuning_actors),
            population: Some(*population).filter(|set| *set != default.population),
            metrics: Some(metrics.clone()).filter(|set| *set != default.metrics),
            pinned: None,
            expires_at_secs: None,
            reason: None,
        }
    }
}

/// Which entries of the audit log are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeScan<'a> {
    /// Of this experiment; if `None`, of all, including deleted ones.
    pub experiment: Option<&'a str>,
    /// From this second on.
    pub since_secs: u64,
    /// At most so many, the newest; 0 means all.
    pub limit: usize,
}

/// What was removed when actors were unassigned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Unassigned {
    /// Their assignments.
    pub assignments: u64,
    /// Their kept exposures.
    pub exposures: u64,
}
