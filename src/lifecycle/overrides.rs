//! What may become of an override.

use super::effect::{Effect, Write};
use super::mutation::MutationFacts;
use crate::error::ExperimentError;
use crate::experiment::{ChangeDetail, ChangeSide, ExperimentConfig};
use crate::validation::validate_actor;

pub(super) fn set_override(
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

pub(super) fn clear_override(
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

fn pinned(variant: Option<String>) -> ChangeSide {
    ChangeSide {
        pinned: variant,
        ..ChangeSide::default()
    }
}
