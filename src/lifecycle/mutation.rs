//! What somebody asks for, and what the rules may ask of a store for it.

use crate::coverage::Coverage;
use crate::error::ExperimentStoreError;
use crate::experiment::{ExperimentConfig, ExperimentState, VariantConfig};
use crate::metric::MetricConfig;

/// A change that somebody asks for.
#[derive(Debug, Clone, Copy)]
pub enum Mutation<'a> {
    /// Create an experiment that must not be there in any state.
    Insert(&'a ExperimentConfig),
    /// Create an experiment, or replace the draft of that name.
    Upsert(&'a ExperimentConfig),
    /// Move to a state; the winner matters only for [`ExperimentState::Concluded`].
    SetState {
        /// The experiment's name.
        experiment: &'a str,
        /// Where it is to go.
        state: ExperimentState,
        /// The variant everybody is to get.
        winner: Option<&'a str>,
    },
    /// Replace the list of variants.
    SetVariants {
        /// The experiment's name.
        experiment: &'a str,
        /// The whole new list.
        variants: &'a [VariantConfig],
    },
    /// Replace the description.
    SetDescription {
        /// The experiment's name.
        experiment: &'a str,
        /// What it is about; `None` for nothing.
        description: Option<&'a str>,
    },
    /// Replace the share of the newcomers who enter.
    SetCoverage {
        /// The experiment's name.
        experiment: &'a str,
        /// The new share.
        coverage: Coverage,
    },
    /// Replace the metrics.
    SetMetrics {
        /// The experiment's name.
        experiment: &'a str,
        /// The whole new list.
        metrics: &'a [MetricConfig],
    },
    /// Pin a variant to an actor.
    SetOverride {
        /// The experiment's name.
        experiment: &'a str,
        /// Whom.
        actor: &'a str,
        /// The variant's name.
        variant: &'a str,
    },
    /// Take an override back, and drop the assignment that it made.
    ClearOverride {
        /// The experiment's name.
        experiment: &'a str,
        /// Whose.
        actor: &'a str,
    },
}

impl<'a> Mutation<'a> {
    /// The name of the experiment it is about.
    #[must_use]
    pub fn experiment(&self) -> &'a str {
        match *self {
            Self::Insert(config) | Self::Upsert(config) => &config.name,
            Self::SetState { experiment, .. }
            | Self::SetVariants { experiment, .. }
            | Self::SetDescription { experiment, .. }
            | Self::SetCoverage { experiment, .. }
            | Self::SetMetrics { experiment, .. }
            | Self::SetOverride { experiment, .. }
            | Self::ClearOverride { experiment, .. } => experiment,
        }
    }

    /// The actor whose override it is about.
    #[must_use]
    pub fn actor(&self) -> Option<&'a str> {
        match *self {
            Self::SetOverride { actor, .. } | Self::ClearOverride { actor, .. } => Some(actor),
            _ => None,
        }
    }
}

/// What the rules may ask of a store about the experiment that a mutation is about. All answers must
/// come from inside the transaction that writes the result.
pub trait MutationFacts {
    /// Whether any actor's stored assignment is this variant.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn has_assignments(&self, variant: &str) -> Result<bool, ExperimentStoreError>;

    /// Whether anybody has an assignment in the experiment, of whatever variant.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn has_any_assignment(&self) -> Result<bool, ExperimentStoreError>;

    /// The variant pinned to an actor.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn override_variant(&self, actor: &str) -> Result<Option<String>, ExperimentStoreError>;
}
