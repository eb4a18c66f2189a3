//! One arm of an experiment. Data only.

use serde::{Deserialize, Serialize};

/// One arm of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct VariantConfig {
    /// Unique within the experiment.
    pub name: String,
    /// Relative to the other weights; they need not add up to anything. `0` disables the variant
    /// for new actors without removing it.
    pub weight: u32,
}

impl VariantConfig {
    /// A variant of this name and relative weight.
    #[must_use]
    pub fn new(name: impl Into<String>, weight: u32) -> Self {
        Self {
            name: name.into(),
            weight,
        }
    }
}
