//! What may become of an override.

use super::effect::{Effect, Write};
use super::mutation::MutationFacts;
use crate::error::{ConfigProblem, ExperimentError};
use crate::experiment::{ChangeDetail, ChangeSide, ExperimentConfig, Override, has_expired};
use crate::outcome::LAST_SECOND;
use crate::validation::{validate_actor, validate_reason};

/// What an override says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pin<'a> {
    pub(super) variant: &'a str,
    pub(super) expires_at_secs: Option<u64>,
    pub(super) reason: Option<&'a str>,
}

impl<'a> Pin<'a> {
    fn of(stored: &'a Override) -> Self {
        Self {
            variant: &stored.variant,
            expires_at_secs: stored.expires_at_secs,
            reason: stored.reason.as_deref(),
        }
    }

    fn side(self) -> ChangeSide {
        ChangeSide {
            pinned: Some(self.variant.to_owned()),
            expires_at_secs: self.expires_at_secs,
            reason: self.reason.map(str::to_owned),
            ..ChangeSide::default()
        }
    }
}

pub(super) fn set_override(
    current: &ExperimentConfig,
    actor: &str,
    pin: Pin<'_>,
    facts: &impl MutationFacts,
) -> Result<Option<Effect>, ExperimentError> {
    validate_actor(&current.name, actor)?;
    validate_reason(&current.name, pin.reason)?;
    current.require_variant(pin.variant)?;
    let invalid = |problem| ExperimentError::InvalidConfig {
        experiment: current.name.clone(),
        problem,
    };
    if has_expired(pin.expires_at_secs, facts.now_secs()) {
        return Err(invalid(ConfigProblem::ExpiryPassed));
    }
    if pin.expires_at_secs > Some(LAST_SECOND) {
        return Err(invalid(ConfigProblem::TooLate));
    }
    let before = facts.override_of(actor)?;
    let drops_assignment = before
        .as_ref()
        .is_some_and(|before| before.has_expired(facts.now_secs()));
    let before = before.as_ref().map(Pin::of);
    if before == Some(pin) {
        return Ok(None);
    }
    Ok(Some(Effect {
        mutation: format!("override={actor}:{}", pin.variant),
        detail: ChangeDetail {
            before: before.map(Pin::side).unwrap_or_default(),
            after: pin.side(),
        },
        write: Write::SetOverride {
            new: Override {
                experiment: current.name.clone(),
                actor: actor.to_owned(),
                variant: pin.variant.to_owned(),
                created_at_secs: facts.now_secs(),
                expires_at_secs: pin.expires_at_secs,
                reason: pin.reason.map(str::to_owned),
                operator: None,
            },
            drops_assignment,
        },
    }))
}

pub(super) fn clear_override(
    actor: &str,
    facts: &impl MutationFacts,
) -> Result<Option<Effect>, ExperimentError> {
    let Some(before) = facts.override_of(actor)? else {
        return Ok(None);
    };
    Ok(Some(Effect {
        mutation: format!("override_cleared={actor}"),
        detail: ChangeDetail {
            before: Pin::of(&before).side(),
            after: ChangeSide::default(),
        },
        write: Write::ClearOverride {
            actor: actor.to_owned(),
        },
    }))
}
