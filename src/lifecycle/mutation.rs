//! What somebody asks for, and what the rules may ask of a store for it.

use crate::coverage::Coverage;
use crate::error::ExperimentStoreError;
use crate::experiment::{
    ExperimentConfig, ExperimentState, Override, VariantConfig, VariantValues,
};
use crate::metric::MetricConfig;

/// A change that somebody asks for.
#[derive(Debug, Clone, Copy)]
pub enum Mutation<'a> {
    /// Create an experiment that must not exist yet, in any state.
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
        /// What all of them stand for, if that changes, too. Otherwise each keeps its value, and one that is new
        /// in an experiment with values is refused.
        values: Option<&'a VariantValues>,
    },
    /// Change the weights of these variants, and leave the others as they are. One that is not there comes to the end.
    SetWeights {
        /// The experiment's name.
        experiment: &'a str,
        /// The variants, each with its next weight.
        weights: &'a [VariantConfig],
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
    /// Let newcomers in, or keep them out.
    SetEnrolling {
        /// The experiment's name.
        experiment: &'a str,
        /// Whether they may enter.
        enrolling: bool,
    },
    /// Replace what the variants stand for.
    SetValues {
        /// The experiment's name.
        experiment: &'a str,
        /// All new values.
        values: &'a VariantValues,
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
        /// When it expires and counts as none, in seconds since the Unix epoch; `None` if it has no end.
        expires_at_secs: Option<u64>,
        /// What it is for.
        reason: Option<&'a str>,
    },
    /// Take an override back, and drop the assignment that it made.
    ClearOverride {
        /// The experiment's name.
        experiment: &'a str,
        /// Whose.
        actor: &'a str,
    },
    /// Remove a draft of which nothing is kept but its log.
    Delete {
        /// The experiment's name.
        experiment: &'a str,
    },
    /// Give such a draft another name.
    Rename {
        /// The experiment's name.
        experiment: &'a str,
        /// Its next name.
        to: &'a str,
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
            | Self::SetWeights { experiment, .. }
            | Self::SetDescription { experiment, .. }
            | Self::SetCoverage { experiment, .. }
            | Self::SetEnrolling { experiment, .. }
            | Self::SetValues { experiment, .. }
            | Self::SetMetrics { experiment, .. }
            | Self::SetOverride { experiment, .. }
            | Self::ClearOverride { experiment, .. }
            | Self::Delete { experiment }
            | Self::Rename { experiment, .. } => experiment,
        }
    }

    /// The name that the experiment is to have from then on, if it is another.
    #[must_use]
    pub fn next_name(&self) -> Option<&'a str> {
        match *self {
            Self::Rename { to, .. } => Some(to),
            _ => None,
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

    /// The override of an actor, whether it has expired or not.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn override_of(&self, actor: &str) -> Result<Option<Override>, ExperimentStoreError>;

    /// Whether the experiment has an override, expired or not.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn has_any_override(&self) -> Result<bool, ExperimentStoreError>;

    /// Whether an exposure of the experiment is kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn has_any_exposure(&self) -> Result<bool, ExperimentStoreError>;

    /// The state of another experiment, if there is one of that name. It is asked about the
    /// [next name](Mutation::next_name) of a mutation only.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn state_of(&self, name: &str) -> Result<Option<ExperimentState>, ExperimentStoreError>;

    /// The time of the mutation, in seconds since the Unix epoch.
    fn now_secs(&self) -> u64;
}
