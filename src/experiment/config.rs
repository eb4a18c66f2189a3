//! What an experiment is. Data only: what makes it valid is in `validation`, what happens to it in `lifecycle`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::values::VariantValues;
use super::variant::VariantConfig;
use crate::bucketing::{Allocation, Bucketing};
use crate::coverage::Coverage;
use crate::metric::AnalysisConfig;

/// Where an experiment is in its life. [`Archived`](Self::Archived) is terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExperimentState {
    /// Declared; assigns nobody yet.
    Draft,
    /// Assigns actors and records exposures.
    Running,
    /// Gives nobody a variant for the time being; nothing is forgotten.
    Paused,
    /// Everybody gets the winner; nothing is recorded.
    Concluded,
    /// Over. Nothing about it changes any more.
    Archived,
}

impl ExperimentState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 5] = [
        Self::Draft,
        Self::Running,
        Self::Paused,
        Self::Concluded,
        Self::Archived,
    ];

    /// The state of that serialised name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether it has started and is not over: it runs, or will run again.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }

    /// The serialised name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Paused => "paused",
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

/// The configuration of one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
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
    /// Whether newcomers may enter. Whoever is in a variant stays in it.
    #[serde(default = "yes")]
    pub enrolling: bool,
    /// The share of the newcomers who enter. Whoever is in a variant stays in it.
    #[serde(default)]
    pub coverage: Coverage,
    /// What each variant stands for. Apart from the variants, as another program may rewrite those.
    #[serde(default)]
    pub values: VariantValues,
    /// How it is analysed, and by which metrics it is judged. Its fields stand beside the others in JSON.
    #[serde(flatten)]
    pub analysis: AnalysisConfig,
    /// When the store last changed it, in seconds since the Unix epoch. The store sets it; 0 before.
    #[serde(default)]
    pub updated_at_secs: u64,
}

fn yes() -> bool {
    true
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
            enrolling: true,
            coverage: Coverage::FULL,
            values: VariantValues::default(),
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

    /// Sets whether newcomers may enter.
    #[must_use]
    pub fn enrolling(mut self, enrolling: bool) -> Self {
        self.enrolling = enrolling;
        self
    }

    /// Sets what each variant stands for.
    #[must_use]
    pub fn values(mut self, values: VariantValues) -> Self {
        self.values = values;
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
            ExperimentState::Draft | ExperimentState::Running | ExperimentState::Paused => None,
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

    /// How many of 10000 newcomers enter while it runs: as many as it covers; none if it is closed to them, or if
    /// all weights are 0.
    #[must_use]
    pub fn newcomers_per_10000(&self) -> u64 {
        let takes_newcomers = self.enrolling && self.weights().any(|weight| weight > 0);
        if takes_newcomers {
            self.coverage.per_10000()
        } else {
            0
        }
    }

    /// The variant of that name.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<&VariantConfig> {
        self.variants.iter().find(|variant| variant.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `fixtures/entry.tsv` holds experiment, salt, actor, plain, mixed and coverage bucket.
    #[test]
    fn known_answers_of_entry() {
        let table = include_str!("../../fixtures/entry.tsv");
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
