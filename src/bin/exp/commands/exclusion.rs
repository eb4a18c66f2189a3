//! What an exclusion group keeps from its experiment, as a status shows it.

use experiments::readiness::{ConcernKind, StartConcern, group_concern};
use experiments::{ExperimentConfig, ExperimentService, ExperimentState, HeldByGroup};
use schemars::JsonSchema;
use serde::Serialize;

use super::ready;
use crate::output::text::{Text, safe, wrapped};

/// What an exclusion group keeps from its experiment; nothing, if there is no group.
#[derive(Default, Serialize, JsonSchema)]
pub(super) struct Exclusion {
    /// The actors who can't enter, because they are in other experiments of the exclusion group.
    held_by_group: HeldByGroup,
    /// Whether the running experiments of the exclusion group leave hardly any newcomers; null if they leave enough, or
    /// if the experiment takes none.
    group_concern: Option<GroupConcern>,
    #[serde(skip)]
    concern: Option<StartConcern>,
}

/// The running experiments that leave hardly any newcomers.
#[derive(Serialize, JsonSchema)]
struct GroupConcern {
    /// The share of the newcomers that they leave, from 0 to 1. At 0 the first of them takes everybody who reaches it first.
    left: f64,
    /// Their names.
    experiments: Vec<String>,
    /// The same in words, and what to do.
    message: String,
}

impl Exclusion {
    pub(super) fn read(
        config: &ExperimentConfig,
        service: &ExperimentService,
    ) -> anyhow::Result<Self> {
        if config.exclusion_group.is_none() {
            return Ok(Self::default());
        }
        let all = service.list()?;
        let held = service.held_by_group(config, &all)?;
        let is_over = matches!(
            config.state,
            ExperimentState::Concluded | ExperimentState::Archived
        );
        // What takes no newcomers lacks none.
        let rivals = if is_over || !config.enrolling {
            &[]
        } else {
            &*all
        };
        let concern = group_concern(config, rivals, &held);
        Ok(Self {
            group_concern: concern.as_ref().and_then(GroupConcern::of),
            held_by_group: held,
            concern,
        })
    }

    pub(super) fn write(&self, text: &mut Text) {
        let Some(concern) = &self.concern else {
            return;
        };
        let told = match &self.group_concern {
            Some(concern) => concern.message.clone(),
            // A fact of every group that has held a test; nothing needs to be done.
            None => concern.to_string(),
        };
        wrapped(text, "", &safe(&told));
    }
}

impl GroupConcern {
    fn of(concern: &StartConcern) -> Option<Self> {
        let (left, experiments) = match &concern.kind {
            ConcernKind::GroupTaken { by, .. } => (0.0, vec![by.clone()]),
            ConcernKind::GroupScarce { left, by, .. } => (*left, by.clone()),
            _ => return None,
        };
        Some(Self {
            left,
            experiments,
            message: ready::sentence(concern),
        })
    }
}
