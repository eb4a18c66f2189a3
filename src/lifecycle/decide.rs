//! Which effect a mutation has, and what it may do to a whole experiment: create it, and move it from state to
//! state.

use super::effect::{Effect, Write};
use super::mutation::{Mutation, MutationFacts};
use super::naming::{delete, rename};
use super::overrides::Pin;
use super::overrides::{clear_override, set_override};
use super::parts::{
    require_not_concluded, require_unused, set_coverage, set_description, set_enrolling,
    set_metrics, set_values, set_variants, set_weights,
};
use crate::error::{ConfigProblem, ExperimentError};
use crate::experiment::{ChangeDetail, ChangeSide, ExperimentConfig, ExperimentState};
use crate::validation::validate_declared;

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
            values,
        } => {
            let current = known_and_not_archived(experiment, current)?;
            set_variants(current, variants, values, facts)
        }
        Mutation::SetWeights {
            experiment,
            weights,
        } => {
            let current = known_and_not_archived(experiment, current)?;
            set_weights(current, weights, facts)
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
        Mutation::SetEnrolling {
            experiment,
            enrolling,
        } => {
            let current = known_and_not_archived(experiment, current)?;
            set_enrolling(current, enrolling)
        }
        Mutation::SetValues { experiment, values } => {
            let current = known_and_not_archived(experiment, current)?;
            set_values(current, values)
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
            expires_at_secs,
            reason,
        } => {
            let current = known_and_not_archived(experiment, current)?;
            let pin = Pin {
                variant,
                expires_at_secs,
                reason,
            };
            set_override(current, actor, pin, facts)
        }
        Mutation::ClearOverride { experiment, actor } => {
            known_and_not_archived(experiment, current)?;
            clear_override(actor, facts)
        }
        Mutation::Delete { experiment } => {
            delete(known_and_not_archived(experiment, current)?, facts)
        }
        Mutation::Rename { experiment, to } => {
            rename(known_and_not_archived(experiment, current)?, to, facts)
        }
    }
}

/// Whether assignments of the experiment may be taken back. A store calls it inside its transaction.
///
/// # Errors
/// It is concluded or archived: what it was decided by stays.
pub fn require_unassignable(config: &ExperimentConfig) -> Result<(), ExperimentError> {
    known_and_not_archived(&config.name, Some(config))?;
    require_not_concluded(config)
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
    validate_declared(config, current.filter(|_| replace_draft))?;
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
        ExperimentState::Paused => match current.state {
            ExperimentState::Paused => return Ok(None),
            ExperimentState::Running => (None, "state=paused".to_owned()),
            other => return Err(ExperimentError::NotRunning(experiment.to_owned(), other)),
        },
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

fn state_and_winner(config: &ExperimentConfig) -> ChangeSide {
    ChangeSide {
        state: Some(config.state),
        winner: config.winner.clone(),
        ..ChangeSide::default()
    }
}
