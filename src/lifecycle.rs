//! What a mutation does to an experiment: the table of states, what may be removed, what is logged.

use crate::coverage::Coverage;
use crate::error::{ConfigProblem, ExperimentError, ExperimentStoreError};
use crate::experiment::{
    ChangeDetail, ChangeSide, ExperimentConfig, ExperimentState, VariantConfig,
};
use crate::metric::MetricConfig;
use crate::validation::{
    validate_actor, validate_control, validate_description, validate_metrics, validate_variants,
};

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

/// What a store has to write, together with the entry for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The data.
    pub write: Write,
    /// The text of the log entry.
    pub mutation: String,
    /// Both sides of the change.
    pub detail: ChangeDetail,
}

impl Effect {
    /// Whether a new [period of weights](crate::WeightPeriod) begins with it: the experiment was there, and its
    /// list of variants becomes another.
    #[must_use]
    pub fn begins_weight_period(&self, current: Option<&ExperimentConfig>) -> bool {
        match (&self.write, current) {
            (Write::Config(next), Some(current)) => next.variants != current.variants,
            _ => false,
        }
    }
}

/// The text of the log entry for so many exposures that were pruned.
#[must_use]
pub fn pruned(exposures: u64) -> String {
    format!("exposures_pruned={exposures}")
}

/// The data that an [`Effect`] changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The experiment becomes this, with the time of the change.
    Config(ExperimentConfig),
    /// This variant is pinned to this actor.
    SetOverride {
        /// Whom.
        actor: String,
        /// The variant's name.
        variant: String,
    },
    /// The actor's override goes, and the actor's assignment if an override made it.
    ClearOverride {
        /// Whose.
        actor: String,
    },
}

/// Decides a mutation: its effect, or `None` if all is as asked already.
///
/// # Errors
/// The refusal, or whatever `facts` failed with.
pub fn decide(
    mutation: &Mutation<'_>,
    current: Option<&ExperimentConfig>,
    facts: &impl MutationFacts,
) -> Result<Option<Effect>, ExperimentError> {
    match *mutation {
        Mutation::Insert(config) | Mutation::Upsert(config) => {
            let replace_draft = matches!(mutation, Mutation::Upsert(_));
            create(config, current, replace_draft, facts).map(Some)
        }
        Mutation::SetState {
            experiment,
            state,
            winner,
        } => set_state(experiment, current, state, winner),
        Mutation::SetVariants {
            experiment,
            variants,
        } => {
            let current = known_and_not_archived(experiment, current)?;
            set_variants(current, variants, facts)
        }
        Mutation::SetDescription {
            experiment,
            description,
        } => {
            let current = known_and_not_archived(experiment, current)?;
            set_description(current, description)
        }
        Mutation::SetCoverage {
            experiment,
            coverage,
        } => {
            let current = known_and_not_archived(experiment, current)?;
            set_coverage(current, coverage)
        }
        Mutation::SetMetrics {
            experiment,
            metrics,
        } => {
            let current = known_and_not_archived(experiment, current)?;
            set_metrics(current, metrics)
        }
        Mutation::SetOverride {
            experiment,
            actor,
            variant,
        } => {
            let current = known_and_not_archived(experiment, current)?;
            set_override(current, actor, variant, facts)
        }
        Mutation::ClearOverride { experiment, actor } => {
            known_and_not_archived(experiment, current)?;
            clear_override(actor, facts)
        }
    }
}

fn known_and_not_archived<'a>(
    experiment: &str,
    config: Option<&'a ExperimentConfig>,
) -> Result<&'a ExperimentConfig, ExperimentError> {
    match config {
        None => Err(ExperimentError::NotFound(experiment.to_owned())),
        Some(config) if config.state == ExperimentState::Archived => {
            Err(ExperimentError::Archived(experiment.to_owned()))
        }
        Some(config) => Ok(config),
    }
}

fn create(
    config: &ExperimentConfig,
    current: Option<&ExperimentConfig>,
    replace_draft: bool,
    facts: &impl MutationFacts,
) -> Result<Effect, ExperimentError> {
    config.validate()?;
    let replaced = match current {
        None => None,
        Some(current) => match current.state {
            ExperimentState::Draft if replace_draft => Some(current),
            ExperimentState::Archived => {
                return Err(ExperimentError::Archived(config.name.clone()));
            }
            state => return Err(ExperimentError::AlreadyExists(config.name.clone(), state)),
        },
    };
    if let Some(draft) = replaced {
        // An application resets a running experiment to a draft, and its assignments stay.
        require_unused(draft, &config.variants, facts)?;
        if draft.exclusion_group != config.exclusion_group && facts.has_any_assignment()? {
            return Err(ExperimentError::GroupInUse(config.name.clone()));
        }
    }
    Ok(Effect {
        write: Write::Config(config.clone()),
        mutation: if replaced.is_some() {
            "updated"
        } else {
            "created"
        }
        .to_owned(),
        detail: ChangeDetail {
            before: replaced.map(ChangeSide::from).unwrap_or_default(),
            after: ChangeSide::from(config),
        },
    })
}

fn set_state(
    experiment: &str,
    current: Option<&ExperimentConfig>,
    state: ExperimentState,
    winner: Option<&str>,
) -> Result<Option<Effect>, ExperimentError> {
    let current = current.ok_or_else(|| ExperimentError::NotFound(experiment.to_owned()))?;
    if current.state == ExperimentState::Archived {
        return match state {
            ExperimentState::Archived => Ok(None),
            _ => Err(ExperimentError::Archived(experiment.to_owned())),
        };
    }
    let invalid = |problem| ExperimentError::InvalidConfig {
        experiment: experiment.to_owned(),
        problem,
    };
    let (winner, mutation) = match state {
        ExperimentState::Draft => return Err(invalid(ConfigProblem::BackToDraft)),
        ExperimentState::Running => {
            // An application that starts a concluded experiment again leaves its winner.
            if current.state == ExperimentState::Running && current.winner.is_none() {
                return Ok(None);
            }
            (None, "state=running".to_owned())
        }
        ExperimentState::Concluded => {
            let winner = winner.ok_or_else(|| invalid(ConfigProblem::WinnerMissing))?;
            current.require_variant(winner)?;
            if current.deciding_winner() == Some(winner) {
                return Ok(None);
            }
            (Some(winner.to_owned()), format!("concluded={winner}"))
        }
        ExperimentState::Archived => (current.winner.clone(), "state=archived".to_owned()),
    };
    let next = ExperimentConfig {
        state,
        winner,
        ..current.clone()
    };
    Ok(Some(Effect {
        mutation,
        detail: ChangeDetail {
            before: state_and_winner(current),
            after: state_and_winner(&next),
        },
        write: Write::Config(next),
    }))
}

fn set_variants(
    current: &ExperimentConfig,
    variants: &[VariantConfig],
    facts: &impl MutationFacts,
) -> Result<Option<Effect>, ExperimentError> {
    if current.state == ExperimentState::Concluded {
        return Err(ExperimentError::Concluded(current.name.clone()));
    }
    if variants == current.variants {
        return Ok(None);
    }
    validate_variants(&current.name, variants)?;
    let next = ExperimentConfig {
        variants: variants.to_vec(),
        ..current.clone()
    };
    validate_control(current, &next)?;
    require_unused(current, variants, facts)?;
    let weights = |variants: &[VariantConfig]| ChangeSide {
        variants: Some(variants.to_vec()),
        ..ChangeSide::default()
    };
    Ok(Some(Effect {
        write: Write::Config(next),
        mutation: "set_weights".to_owned(),
        detail: ChangeDetail {
            before: weights(&current.variants),
            after: weights(variants),
        },
    }))
}

/// A variant that actors are assigned to is in every next list.
fn require_unused(
    current: &ExperimentConfig,
    next: &[VariantConfig],
    facts: &impl MutationFacts,
) -> Result<(), ExperimentError> {
    for dropped in &current.variants {
        let kept = next.iter().any(|variant| variant.name == dropped.name);
        if !kept && facts.has_assignments(&dropped.name)? {
            return Err(ExperimentError::VariantInUse {
                experiment: current.name.clone(),
                variant: dropped.name.clone(),
            });
        }
    }
    Ok(())
}

fn set_description(
    current: &ExperimentConfig,
    description: Option<&str>,
) -> Result<Option<Effect>, ExperimentError> {
    let next = ExperimentConfig {
        description: description.map(str::to_owned),
        ..current.clone()
    };
    if next.description == current.description {
        return Ok(None);
    }
    // Of what is not changed another program may have made what would be refused here.
    validate_description(&current.name, description)?;
    let side = |config: &ExperimentConfig| ChangeSide {
        description: config.description.clone(),
        ..ChangeSide::default()
    };
    Ok(Some(Effect {
        mutation: "updated".to_owned(),
        detail: ChangeDetail {
            before: side(current),
            after: side(&next),
        },
        write: Write::Config(next),
    }))
}

fn set_coverage(
    current: &ExperimentConfig,
    coverage: Coverage,
) -> Result<Option<Effect>, ExperimentError> {
    if current.state == ExperimentState::Concluded {
        return Err(ExperimentError::Concluded(current.name.clone()));
    }
    if coverage == current.coverage {
        return Ok(None);
    }
    let side = |coverage| ChangeSide {
        coverage: Some(coverage),
        ..ChangeSide::default()
    };
    Ok(Some(Effect {
        write: Write::Config(ExperimentConfig {
            coverage,
            ..current.clone()
        }),
        mutation: format!("coverage={coverage}"),
        detail: ChangeDetail {
            before: side(current.coverage),
            after: side(coverage),
        },
    }))
}

/// Metrics may change as long as anybody may look at them; one that is new after the start is exploratory.
fn set_metrics(
    current: &ExperimentConfig,
    metrics: &[MetricConfig],
) -> Result<Option<Effect>, ExperimentError> {
    if metrics == current.analysis.metrics {
        return Ok(None);
    }
    validate_metrics(&current.name, metrics)?;
    let mut next = current.clone();
    next.analysis.metrics = metrics.to_vec();
    let side = |metrics: &[MetricConfig]| ChangeSide {
        metrics: Some(metrics.to_vec()),
        ..ChangeSide::default()
    };
    Ok(Some(Effect {
        mutation: "metrics".to_owned(),
        detail: ChangeDetail {
            before: side(&current.analysis.metrics),
            after: side(metrics),
        },
        write: Write::Config(next),
    }))
}

fn set_override(
    current: &ExperimentConfig,
    actor: &str,
    variant: &str,
    facts: &impl MutationFacts,
) -> Result<Option<Effect>, ExperimentError> {
    validate_actor(&current.name, actor)?;
    current.require_variant(variant)?;
    let before = facts.override_variant(actor)?;
    if before.as_deref() == Some(variant) {
        return Ok(None);
    }
    Ok(Some(Effect {
        mutation: format!("override={actor}:{variant}"),
        detail: ChangeDetail {
            before: pinned(before),
            after: pinned(Some(variant.to_owned())),
        },
        write: Write::SetOverride {
            actor: actor.to_owned(),
            variant: variant.to_owned(),
        },
    }))
}

fn clear_override(
    actor: &str,
    facts: &impl MutationFacts,
) -> Result<Option<Effect>, ExperimentError> {
    let Some(variant) = facts.override_variant(actor)? else {
        return Ok(None);
    };
    Ok(Some(Effect {
        mutation: format!("override_cleared={actor}"),
        detail: ChangeDetail {
            before: pinned(Some(variant)),
            after: pinned(None),
        },
        write: Write::ClearOverride {
            actor: actor.to_owned(),
        },
    }))
}

fn state_and_winner(config: &ExperimentConfig) -> ChangeSide {
    ChangeSide {
        state: Some(config.state),
        winner: config.winner.clone(),
        ..ChangeSide::default()
    }
}

fn pinned(variant: Option<String>) -> ChangeSide {
    ChangeSide {
        pinned: variant,
        ..ChangeSide::default()
    }
}
