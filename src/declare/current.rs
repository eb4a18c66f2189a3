//! What a store holds of an experiment, as far as a plan depends on it.

use crate::error::ExperimentStoreError;
use crate::experiment::{ExperimentConfig, ExperimentState, Override, VariantCount};
use crate::lifecycle::MutationFacts;

/// An experiment of a store, with how many hold its variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The experiment.
    pub config: ExperimentConfig,
    /// The stored assignments of its variants.
    pub counts: Vec<VariantCount>,
}

impl Current {
    /// How many stored assignments it has.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.counts.iter().map(|c| c.assigned + c.overridden).sum()
    }

    pub(super) fn stored_in(&self, variant: &str) -> u64 {
        let count = self.counts.iter().find(|count| count.variant == variant);
        count.map_or(0, |c| c.assigned + c.overridden)
    }
}

impl MutationFacts for Option<&Current> {
    fn has_assignments(&self, variant: &str) -> Result<bool, ExperimentStoreError> {
        Ok(self.is_some_and(|current| current.stored_in(variant) > 0))
    }

    fn has_any_assignment(&self) -> Result<bool, ExperimentStoreError> {
        Ok(self.is_some_and(|current| current.stored() > 0))
    }

    // A plan sets no override, deletes nothing and renames nothing, so that the rest is not asked.

    fn override_of(&self, _actor: &str) -> Result<Option<Override>, ExperimentStoreError> {
        Ok(None)
    }

    fn has_any_override(&self) -> Result<bool, ExperimentStoreError> {
        Ok(false)
    }

    fn has_any_exposure(&self) -> Result<bool, ExperimentStoreError> {
        Ok(false)
    }

    fn state_of(&self, _name: &str) -> Result<Option<ExperimentState>, ExperimentStoreError> {
        Ok(None)
    }

    fn now_secs(&self) -> u64 {
        0
    }
}
