//! What an experiment is, and what is kept of it. Data only.

mod change;
mod change_kind;
mod config;
mod records;
mod values;
mod variant;

pub use self::change::{ChangeDetail, ChangeRecord, ChangeScan, ChangeSide, Unassigned};
pub use self::change_kind::ChangeKind;
pub use self::config::{ExperimentConfig, ExperimentState};
pub(crate) use self::records::has_expired;
pub use self::records::{Assignment, AssignmentRecord, Override, VariantCount, WeightPeriod};
pub use self::values::{VariantValues, json_type};
pub use self::variant::VariantConfig;
