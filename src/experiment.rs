//! What an experiment is: its configuration and its records. Data only: what makes it valid is in
//! `validation`, what happens to it in `lifecycle`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bucketing::{Allocation, Bucketing};
use crate::coverage::Coverage;
use crate::metric::{AnalysisConfig, MetricConfig, Population};
use crate::number::Finite;

/// Where an experiment is in its life. [`Archived`](Self::Archived) is terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentState {
    /// Declared; assigns nobody yet.
    Draft,
    /// Assigns actors and records exposures.
    Running,
    /// Everybody gets the winner; nothing is recorded.
    Concluded,
    /// Over. Nothing about it changes any more.
    Archived,
}

impl ExperimentState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 4] = [Self::Draft, Self::Running, Self::Concluded, Self::Archived];

    /// The state of that serialised name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The serialised name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Concluded => "concluded",
            Self::Archived => "archived",
        }
    }
}

impl fmt::Display for ExperimentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One arm of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VariantConfig {
    /// Unique within the experiment.
    pub name: String,
    /// Relative to the other weights; they need not add up to anything. `0` disables the variant
    /// for new actors without removing it.
    pub weight: u32,
}

impl VariantConfig {
    /// A variant of this name and relative weight.
    #[must_use]
    pub fn new(name: impl Into<String>, weight: u32) -> Self {
        Self {
            name: name.into(),
            weight,
        }
    }
}

/// The configuration of one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentConfig {
    /// Unique in the store.
    pub name: String,
    /// What it is about, for people.
    pub description: Option<String>,
    /// Where it is in its life.
    pub state: ExperimentState,
    /// The arms. Their order decides who gets which.
    pub variants: Vec<VariantConfig>,
    /// The variant everybody gets; only a concluded experiment, or an archived one that was
    /// concluded before, has one.
    pub winner: Option<String>,
    /// Experiments of one group never share an actor (overrides aside).
    pub exclusion_group: Option<String>,
    /// How actors become buckets.
    #[serde(default)]
    pub bucketing: Bucketing,
    /// What is hashed with an actor in place of the name.
    #[serde(default)]
    pub salt: Option<String>,
    /// The share of the newcomers who enter. Whoever is in a variant stays in it.
    #[serde(default)]
    pub coverage: Coverage,
    /// How it is analysed, and by which metrics it is judged. Its fields stand beside the others in JSON.
    #[serde(flatten)]
    pub analysis: AnalysisConfig,
    /// When the store last changed it, in seconds since the Unix epoch. The store sets it; 0 before.
    #[serde(default)]
    pub updated_at_secs: u64,
}

impl ExperimentConfig {
    /// A draft with these variants.
    #[must_use]
    pub fn new(name: impl Into<String>, variants: Vec<VariantConfig>) -> Self {
        Self {
            name: name.into(),
            description: None,
            state: ExperimentState::Draft,
            variants,
            winner: None,
            exclusion_group: None,
            bucketing: Bucketing::default(),
            salt: None,
            coverage: Coverage::FULL,
            analysis: AnalysisConfig::default(),
            updated_at_secs: 0,
        }
    }

    /// Sets the description.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Puts it into an exclusion group.
    #[must_use]
    pub fn exclusion_group(mut self, group: impl Into<String>) -> Self {
        self.exclusion_group = Some(group.into());
        self
    }

    /// Sets how actors become buckets.
    #[must_use]
    pub fn bucketing(mut self, bucketing: Bucketing) -> Self {
        self.bucketing = bucketing;
        self
    }

    /// Sets what is hashed with an actor in place of the name.
    #[must_use]
    pub fn salt(mut self, salt: impl Into<String>) -> Self {
        self.salt = Some(salt.into());
        self
    }

    /// Sets the share of the newcomers who enter.
    #[must_use]
    pub fn coverage(mut self, coverage: Coverage) -> Self {
        self.coverage = coverage;
        self
    }

    /// Sets how it is analysed, and by which metrics it is judged.
    #[must_use]
    pub fn analysis(mut self, analysis: AnalysisConfig) -> Self {
        self.analysis = analysis;
        self
    }

    /// The variant that the others are compared with: the one that it names, or else the first.
    #[must_use]
    pub fn control(&self) -> Option<&VariantConfig> {
        let named = self.analysis.control.as_deref();
        let named = named.and_then(|named| self.variant(named));
        named.or_else(|| self.variants.first())
    }

    /// What is hashed with an actor: the salt, or else the name.
    #[must_use]
    pub fn hashed(&self) -> &str {
        self.salt.as_deref().unwrap_or(&self.name)
    }

    /// Whether it gives every actor the bucket that another experiment does.
    #[must_use]
    pub fn has_buckets_of(&self, other: &Self) -> bool {
        self.bucketing == other.bucketing && self.hashed() == other.hashed()
    }

    /// The winner, if it decides anything. An application that starts a concluded experiment again leaves
    /// the winner, which then decides nothing.
    #[must_use]
    pub fn deciding_winner(&self) -> Option<&str> {
        match self.state {
            ExperimentState::Draft | ExperimentState::Running => None,
            ExperimentState::Concluded | ExperimentState::Archived => self.winner.as_deref(),
        }
    }

    /// The weights of its variants, in order.
    pub fn weights(&self) -> impl Iterator<Item = u32> + Clone {
        self.variants.iter().map(|variant| variant.weight)
    }

    /// How it allocates its actors.
    #[must_use]
    pub fn allocation(&self) -> Allocation {
        Allocation::new(self.bucketing, self.hashed(), self.weights())
            .with_coverage(self.hashed(), self.coverage)
    }

    /// The variant of that name.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<&VariantConfig> {
        self.variants.iter().find(|variant| variant.name == name)
    }
}

/// The stored, sticky variant of one actor in one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct Override {
    /// The experiment's name.
    pub experiment: String,
    /// Who gets it.
    pub actor: String,
    /// The variant's name. It may have been removed since; then the override is ignored.
    pub variant: String,
    /// When it was set, in seconds since the Unix epoch.
    pub created_at_secs: u64,
}

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// The experiment's name.
    pub experiment: String,
    /// What was done: `created`, `updated`, `state=running`, `state=archived`,
    /// `concluded=<winner>`, `set_weights`, `coverage=<share>`, `metrics`, `override=<actor>:<variant>`,
    /// `override_cleared=<actor>` or `exposures_pruned=<count>`.
    pub mutation: String,
    /// The operator who did it, where the call or the store's handle named one.
    pub actor: Option<String>,
    /// When, in seconds since the Unix epoch.
    pub timestamp_secs: u64,
    /// What it was before and what it is after. `None` for an entry another program wrote.
    pub detail: Option<ChangeDetail>,
}

/// The two sides of a change. Each holds those of the fields the change is about that are set there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeDetail {
    /// The values before; empty for a creation.
    pub before: ChangeSide,
    /// The values after.
    pub after: ChangeSide,
}

/// The values on one side of a change; what is not set is not part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangeSide {
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
    /// The share of the newcomers who enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
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
            state: Some(config.state),
            winner: config.winner.clone(),
            variants: Some(config.variants.clone()),
            description: config.description.clone(),
            exclusion_group: config.exclusion_group.clone(),
            bucketing: Some(config.bucketing),
            salt: config.salt.clone(),
            coverage: Some(config.coverage),
            control: control.clone(),
            confidence: Some(*confidence).filter(|set| *set != default.confidence),
            tuning_actors: Some(*tuning_actors).filter(|set| *set != default.tuning_actors),
            population: Some(*population).filter(|set| *set != default.population),
            metrics: Some(metrics.clone()).filter(|set| *set != default.metrics),
            pinned: None,
        }
    }
}

/// How many stored assignments one variant has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `fixtures/entry.tsv` holds experiment, salt, actor, plain, mixed and coverage bucket.
    #[test]
    fn known_answers_of_entry() {
        let table = include_str!("../fixtures/entry.tsv");
        let rows = table.lines().filter(|line| !line.starts_with('#'));
        for row in rows.clone() {
            let [experiment, salt, actor, plain, mixed, entry] =
                row.split('\t').collect::<Vec<_>>()[..]
            else {
                panic!("six columns: {row:?}");
            };
            let mut config = ExperimentConfig::new(experiment, Vec::new());
            config.salt = Some(salt.to_owned()).filter(|salt| !salt.is_empty());
            for (bucketing, bucket) in [(Bucketing::Fnv1a, plain), (Bucketing::Fnv1aMixed, mixed)] {
                config.bucketing = bucketing;
                assert_eq!(config.allocation().bucket(actor).to_string(), bucket);
            }
            let entry: u64 = entry.parse().unwrap();
            for (parts, covers) in [(entry, false), (entry + 1, true)] {
                config.coverage = Coverage::of_10000(parts).unwrap();
                assert_eq!(config.allocation().covers(actor), covers, "{row}");
            }
            config.coverage = Coverage::FULL;
            assert!(config.allocation().covers(actor));
        }
        assert!(rows.count() > 5);
    }
}
