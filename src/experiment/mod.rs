//! What an experiment is, and what is kept of it. Data only.

mod change;
mod config;
mod records;
mod values;

pub use self::change::{ChangeDetail, ChangeRecord, ChangeScan, ChangeSide, Unassigned};
pub use self::config::{ExperimentConfig, ExperimentState, VariantConfig};
pub(crate) use self::records::has_expired;
pub use self::records::{Assignment, AssignmentRecord, Override, VariantCount, WeightPeriod};
pub use self::values::{VariantValues, json_type};
