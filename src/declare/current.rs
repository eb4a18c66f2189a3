//! What a store holds of an experiment, as far as a plan depends on it.

use crate::error::ExperimentStoreError;
use crate::experiment::{ExperimentConfig, VariantCount};
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
    pub(super) fn stored(&self) -> u64 {
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

    fn override_variant(&self, _actor: &str) -> Result<Option<String>, ExperimentStoreError> {
        Ok(None)
    }
}
