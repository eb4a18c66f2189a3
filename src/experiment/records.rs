//! What a store holds of the actors of an experiment. Data only.

use serde::{Deserialize, Serialize};

use super::variant::VariantConfig;

/// The stored, sticky variant of one actor in one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Assignment {
    /// The experiment's name.
    pub experiment: String,
    /// Who is assigned.
    pub actor: String,
    /// The variant's name.
    pub variant: String,
    /// Whether an override made it, rather than the actor's bucket.
    pub is_override: bool,
    /// When it was stored, in seconds since the Unix epoch.
    pub assigned_at_secs: u64,
}

/// A stored assignment as a scan shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct AssignmentRecord {
    /// The experiment's name.
    pub experiment: String,
    /// Who is assigned.
    pub actor: String,
    /// The variant's name.
    pub variant: String,
    /// Whether an override made it, rather than the actor's bucket.
    pub is_override: bool,
    /// When it was stored, in seconds since the Unix epoch.
    pub assigned_at_secs: u64,
    /// The [period](WeightPeriod) in which it was made.
    pub weight_period: u32,
}

/// The time between two changes of an experiment's variants or weights. Each assignment belongs to the one in
/// which it was made, by the order of transactions: seconds would be too coarse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct WeightPeriod {
    /// Counted from 0, from the experiment's creation on.
    pub period: u32,
    /// When it began, in seconds since the Unix epoch.
    pub from_secs: u64,
    /// The variants with their weights that held in it, in order.
    pub variants: Vec<VariantConfig>,
    /// How many of the stored assignments were made in it, in the order of `variants`.
    pub counts: Vec<VariantCount>,
}

/// A variant that staff or QA have given to one actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Override {
    /// The experiment's name.
    pub experiment: String,
    /// Who gets it.
    pub actor: String,
    /// The variant's name. It may have been removed since; then the override is ignored.
    pub variant: String,
    /// When it was set, in seconds since the Unix epoch.
    pub created_at_secs: u64,
    /// When it expires and counts as none, in seconds since the Unix epoch; `None` if it has no end.
    #[serde(default)]
    pub expires_at_secs: Option<u64>,
    /// What it is for.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who set it, as far as the store knows.
    #[serde(default)]
    pub operator: Option<String>,
}

impl Override {
    /// Whether it has expired by then. An expired override counts as none, and so does the assignment that it
    /// made.
    #[must_use]
    pub fn has_expired(&self, now_secs: u64) -> bool {
        has_expired(self.expires_at_secs, now_secs)
    }
}

/// Whether an override that counts as none from the second `expires_at_secs` on has expired by `now_secs`.
#[must_use]
pub(crate) fn has_expired(expires_at_secs: Option<u64>, now_secs: u64) -> bool {
    expires_at_secs.is_some_and(|expires_at| expires_at <= now_secs)
}

/// How many stored assignments one variant has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct VariantCount {
    /// The variant's name.
    pub variant: String,
    /// Assignments that the actors' buckets made.
    pub assigned: u64,
    /// Assignments that overrides made.
    pub overridden: u64,
}

impl VariantCount {
    /// The sums over all periods of weights, for each of these variants.
    #[must_use]
    pub fn totals(variants: &[VariantConfig], periods: &[WeightPeriod]) -> Vec<Self> {
        let total = |variant: &VariantConfig| {
            let counts = periods.iter().flat_map(|period| &period.counts);
            let none = Self {
                variant: variant.name.clone(),
                assigned: 0,
                overridden: 0,
            };
            counts
                .filter(|count| count.variant == variant.name)
                .fold(none, |sum, count| Self {
                    assigned: sum.assigned + count.assigned,
                    overridden: sum.overridden + count.overridden,
                    ..sum
                })
        };
        variants.iter().map(total).collect()
    }
}
