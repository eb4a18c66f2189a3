//! Whether a draft may go, or have another name: as long as nothing is kept of it but its log.

use super::effect::{Effect, Write};
use super::mutation::MutationFacts;
use crate::error::{ExperimentError, Field, UsedBy};
use crate::experiment::{ChangeDetail, ChangeSide, ExperimentConfig, ExperimentState};
use crate::field::ConfigField;
use crate::validation::validate_name;

pub(super) fn delete(
    current: &ExperimentConfig,
    facts: &impl MutationFacts,
) -> Result<Option<Effect>, ExperimentError> {
    require_unused_draft(current, facts)?;
    Ok(Some(Effect {
        write: Write::Delete,
        mutation: "deleted".to_owned(),
        detail: ChangeDetail {
            before: ChangeSide::from(current),
            after: ChangeSide::default(),
        },
    }))
}

pub(super) fn rename(
    current: &ExperimentConfig,
    to: &str,
    facts: &impl MutationFacts,
) -> Result<Option<Effect>, ExperimentError> {
    if current.name == to {
        return Ok(None);
    }
    require_unused_draft(current, facts)?;
    validate_name(to, Field::Config(ConfigField::Name))?;
    if let Some(state) = facts.state_of(to)? {
        return Err(ExperimentError::AlreadyExists(to.to_owned(), state));
    }
    let side = |name: &str| ChangeSide {
        name: Some(name.to_owned()),
        ..ChangeSide::default()
    };
    Ok(Some(Effect {
        write: Write::Rename(to.to_owned()),
        mutation: format!("renamed={to}"),
        detail: ChangeDetail {
            before: side(&current.name),
            after: side(to),
        },
    }))
}

fn require_unused_draft(
    current: &ExperimentConfig,
    facts: &impl MutationFacts,
) -> Result<(), ExperimentError> {
    if current.state != ExperimentState::Draft {
        return Err(ExperimentError::NotDraft(
            current.name.clone(),
            current.state,
        ));
    }
    // An application resets a running experiment to a draft, and what is stored of its actors stays.
    let used_by = if facts.has_any_assignment()? {
        UsedBy::Assignments
    } else if facts.has_any_override()? {
        UsedBy::Overrides
    } else if facts.has_any_exposure()? {
        UsedBy::Exposures
    } else {
        return Ok(());
    };
    Err(ExperimentError::InUse {
        experiment: current.name.clone(),
        used_by,
    })
}
