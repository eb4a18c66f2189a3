//! The fields of a configuration and of a metric, each described once: what it is called, what it may hold,
//! where it is, and what it is about. Files, their schema, validation, plans, the audit log and the commands
//! that show an experiment all go by these tables.
//!
//! A new field is an entry here, a field of the structs in `experiment` or `metric`, and a flag of
//! `exp create` where it has one. A field of an experiment is also a column in each store.

mod config;
mod entries;
mod kind;
mod metric;

pub use self::config::ConfigField;
pub use self::kind::{
    FieldKind, FieldValue, MAX_DESCRIPTION_BYTES, MAX_METRICS, MAX_NAME_BYTES, MAX_TUNING_ACTORS,
    MAX_VALUE_BYTES, MAX_VALUE_DEPTH, MAX_VARIANTS, RESERVED_COLUMNS,
};
pub use self::metric::MetricField;
