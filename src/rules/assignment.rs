//! Who gets which variant: rules 1 to 7, in order. What is found out is asked for only when a rule
//! needs it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::bucketing::Allocation;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::validation::validate_actor;

/// What the rules may ask of a store about one actor in one experiment.
///
/// All answers must come from one consistent view; for a decision that is going to be written, from
/// inside the transaction that writes it.
pub trait AssignmentFacts {
    /// The variant pinned to the actor, whether it still exists or not.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn override_variant(&self) -> Result<Option<Cow<'_, str>>, ExperimentStoreError>;

    /// The variant stored for the actor, and whether an override made it.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn assignment(&self) -> Result<Option<(Cow<'_, str>, bool)>, ExperimentStoreError>;

    /// Whether the actor has an assignment, of either kind, in another experiment of the group.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn assigned_in_sibling(&self) -> Result<bool, ExperimentStoreError>;
}

/// Why an actor got the variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentReason {
    /// The experiment is concluded; this is the winner.
    Concluded,
    /// Pinned to the actor by an override.
    Override,
    /// Stored by an earlier call.
    Sticky,
    /// Chosen by the actor's bucket just now.
    Assigned,
}

impl AssignmentReason {
    /// The serialised name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Concluded => "concluded",
            Self::Override => "override",
            Self::Sticky => "sticky",
            Self::Assigned => "assigned",
        }
    }
}

/// What the rules decided for one actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The variant the actor gets.
    pub variant: Cow<'a, str>,
    /// The rule that chose it.
    pub reason: AssignmentReason,
    /// Whether the assignment, stored already or now, is an override's.
    pub is_override: bool,
    /// Whether it must be stored as the actor's assignment; otherwise it is there already, or the
    /// experiment is concluded.
    pub store: bool,
}

/// Applies rules 1 to 7 of an assignment. An actor who is to be stored must be
/// [storable](crate::actor_problem). `found` is the experiment, if there is one of that name, and
/// how it allocates its actors.
///
/// # Errors
/// The refusal of the rule that decides, or whatever `facts` failed with.
pub fn decide<'a>(
    experiment: &str,
    actor: &str,
    found: Option<(&'a ExperimentConfig, &Allocation)>,
    facts: &'a impl AssignmentFacts,
) -> Result<Decision<'a>, ExperimentError> {
    let (config, allocation) = found.ok_or_else(|| not_found(experiment))?;
    known_and_not_archived(experiment, Some(config))?;
    if config.state == ExperimentState::Concluded {
        let winner = config.winner.as_deref();
        let winner = winner.ok_or_else(|| ExperimentError::NoWinner(experiment.to_owned()))?;
        return Ok(Decision {
            variant: Cow::Borrowed(winner),
            reason: AssignmentReason::Concluded,
            is_override: false,
            store: false,
        });
    }
    require_running(config)?;
    if let Some(pinned) = facts.override_variant()?
        && config.variant(&pinned).is_some()
    {
        let stored = matches!(facts.assignment()?, Some((variant, true)) if variant == pinned);
        if !stored {
            validate_actor(experiment, actor)?;
        }
        return Ok(Decision {
            variant: pinned,
            reason: AssignmentReason::Override,
            is_override: true,
            store: !stored,
        });
    }
    if let Some((variant, is_override)) = facts.assignment()? {
        return Ok(Decision {
            variant,
            reason: AssignmentReason::Sticky,
            is_override,
            store: false,
        });
    }
    // An actor whom another program has stored is served, though this one would not store such a one.
    validate_actor(experiment, actor)?;
    require_no_sibling(config, facts)?;
    match allocation.variant(actor) {
        None => Err(ExperimentError::NoVariant(experiment.to_owned())),
        Some(index) => Ok(Decision {
            variant: Cow::Borrowed(&config.variants[index].name),
            reason: AssignmentReason::Assigned,
            is_override: false,
            store: true,
        }),
    }
}

/// Decides whether a given variant may be stored as the actor's assignment: `None` if it may, the
/// stored variant if that one stands.
///
/// # Errors
/// The experiment is unknown, archived or not running, or has no such variant; the actor is not
/// [storable](crate::actor_problem); the exclusion group forbids it; or `facts` failed.
pub fn admit<'a>(
    experiment: &str,
    actor: &str,
    variant: &str,
    is_override: bool,
    config: Option<&'a ExperimentConfig>,
    facts: &'a impl AssignmentFacts,
) -> Result<Option<Cow<'a, str>>, ExperimentError> {
    let config = known_and_not_archived(experiment, config)?;
    require_running(config)?;
    config.require_variant(variant)?;
    if !is_override && let Some((stored, _)) = facts.assignment()? {
        return Ok(Some(stored));
    }
    validate_actor(experiment, actor)?;
    if !is_override {
        require_no_sibling(config, facts)?;
    }
    Ok(None)
}

/// Rule 1, shared with the lifecycle.
pub(super) fn known_and_not_archived<'a>(
    experiment: &str,
    config: Option<&'a ExperimentConfig>,
) -> Result<&'a ExperimentConfig, ExperimentError> {
    match config {
        None => Err(not_found(experiment)),
        Some(config) if config.state == ExperimentState::Archived => {
            Err(ExperimentError::Archived(experiment.to_owned()))
        }
        Some(config) => Ok(config),
    }
}

fn not_found(experiment: &str) -> ExperimentError {
    ExperimentError::NotFound(experiment.to_owned())
}

fn require_running(config: &ExperimentConfig) -> Result<(), ExperimentError> {
    if config.state == ExperimentState::Running {
        Ok(())
    } else {
        Err(ExperimentError::NotRunning(
            config.name.clone(),
            config.state,
        ))
    }
}

fn require_no_sibling(
    config: &ExperimentConfig,
    facts: &impl AssignmentFacts,
) -> Result<(), ExperimentError> {
    match &config.exclusion_group {
        Some(group) if facts.assigned_in_sibling()? => Err(ExperimentError::ExcludedByGroup(
            config.name.clone(),
            group.clone(),
        )),
        _ => Ok(()),
    }
}
