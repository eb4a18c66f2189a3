//! A/B experiments: deterministic, sticky, race-free assignment of actors to variants, with
//! overrides, mutual exclusion groups, a lifecycle, an audit log and exposure events.
//!
//! # Map
//! | where | what |
//! |---|---|
//! | [`experiment`](ExperimentConfig) | configurations and records: data |
//! | [`field`](ConfigField) | each field of a configuration and of a metric, described once |
//! | [`metric`] | what an experiment is judged by, and how it is analysed: data |
//! | [`hypothesis`](exploratory_metrics) | pure: which metrics were chosen after the start |
//! | [`Outcome`] | what an actor did that a metric counts |
//! | [`validation`](ExperimentConfig::validate) | what makes a configuration valid |
//! | [`bucketing`] | pure: (experiment, actor) → bucket → variant |
//! | [`rule`](Rule) | the rules of assignment by name, and what each can answer |
//! | [`assignment`] | the rules, pure: who gets which variant, and why |
//! | [`Coverage`] | the share of the newcomers whom an experiment takes in |
//! | [`lifecycle`] | pure: what a mutation does in each state |
//! | [`store`] | the contract of a store, and the stores: memory, SQLite (feature `sqlite`), Postgres (feature `postgres`) |
//! | [`store::transfer`] | copying a store into another |
//! | [`exposure`](ExposureSink) | exposure events and the sinks without storage |
//! | [`service`](ExperimentService) | the front door |
//! | [`web`] | in an axum handler: who asks, which variant, and the status of an error (feature `axum`) |
//! | [`declare`] | experiments as code: file → findings → plan (feature `declare`) |
//! | [`suggest`] | the name that was probably meant (features `declare` and `stats`) |
//! | [`independence`] | pure: whether two experiments disturb each other |
//! | [`readiness`] | pure: what a careful colleague asks before an experiment starts |
//! | [`simulation`] | pure: the split some ids would get (feature `stats`) |
//! | [`results`] | who won: from assignments and outcomes to a report (feature `stats`) |
//! | [`stats`] | pure: how variants compare, and whether their numbers can be trusted (feature `stats`) |
//! | [`rows`] | rows of text from files and pipes: CSV, TSV, JSON Lines (feature `stats`) |
//! | [`IdShape`] | made-up ids to measure and simulate with |
//!
//! # What always holds
//! - The library prints nothing, never exits, and reads no environment.
//! - A rule exists once, in [`assignment`] or [`lifecycle`]; a store applies it inside its transaction.
//! - What is told to a caller is stored.

pub mod assignment;
pub mod bucketing;
mod clock;
mod coverage;
#[cfg(feature = "declare")]
pub mod declare;
mod error;
mod experiment;
mod exposure;
mod field;
mod group;
mod hypothesis;
mod ids;
pub mod independence;
pub mod lifecycle;
mod location;
pub mod metric;
mod number;
mod outcome;
pub mod readiness;
#[cfg(feature = "stats")]
pub mod results;
#[cfg(feature = "stats")]
pub mod rows;
mod rule;
mod service;
#[cfg(feature = "stats")]
pub mod simulation;
#[cfg(feature = "stats")]
pub mod stats;
pub mod store;
#[cfg(any(feature = "declare", feature = "stats"))]
pub mod suggest;
mod system;
pub mod text;
mod validation;
#[cfg(feature = "axum")]
pub mod web;

pub use assignment::{
    AnsweredPart, Answers, AssignManyRequest, AssignRequest, Assigned, BucketTrace, Candidate,
    CoverageTrace, EachPart, Explanation, Facts, Gathered, Keep, PinnedVariant, Question,
    Situation, StoredOverride, StoredVariant, Verdict,
};
pub use bucketing::{Allocation, Bucketing, experiment_bucket};
pub use clock::Clock;
pub use coverage::{Coverage, NotACoverage};
pub use error::{
    ConfigProblem, ErrorKind, ExperimentError, ExperimentStoreError, Field, StoreErrorKind, UsedBy,
};
pub use experiment::{
    Assignment, AssignmentRecord, ChangeDetail, ChangeKind, ChangeRecord, ChangeScan, ChangeSide,
    ExperimentConfig, ExperimentState, Override, Unassigned, VariantConfig, VariantCount,
    VariantValues, WeightPeriod, json_type,
};
pub use exposure::{
    ExposureRecord, ExposureScan, ExposureSink, ExposureTotal, NoOpExposureSink,
    RecordingExposureSink, TracingExposureSink,
};
pub use field::{
    ConfigField, FieldKind, FieldValue, MAX_DESCRIPTION_BYTES, MAX_METRICS, MAX_NAME_BYTES,
    MAX_TUNING_ACTORS, MAX_VALUE_BYTES, MAX_VALUE_DEPTH, MAX_VARIANTS, MetricField,
    RESERVED_COLUMNS,
};
pub use group::{HeldByGroup, Holder};
pub use hypothesis::exploratory_metrics;
pub use ids::IdShape;
pub use location::StoreLocation;
pub use metric::{AnalysisConfig, MetricConfig};
pub use number::{Finite, NotFinite, NumberRange};
pub use outcome::{Outcome, OutcomeScan, Tracked, outcome_problem};
pub use rule::{AssignmentReason, Rule};
pub use service::{ExperimentService, ExperimentSummary, VariantSummary};
pub use store::{Expected, ExperimentStore, InMemoryExperimentStore};
#[cfg(feature = "postgres")]
pub use store::{PgCopy, PgDefaults, PgExperimentStore, PgOptions};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use store::{RowSink, SqlValue};
#[cfg(feature = "sqlite")]
pub use store::{SqliteAccess, SqliteCopy, SqliteExperimentStore, SqliteRestore};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use store::{StoreFault, StoreFinding, StoreInfo};
pub use system::SystemRefusal;
/// The Postgres store, under the path that users of the reference know.
#[cfg(feature = "postgres")]
pub mod pg {
    pub use crate::store::PgExperimentStore;
}
pub use validation::{MAX_ACTOR_BYTES, actor_problem};
#[cfg(feature = "axum")]
pub use web::{ExperimentActor, ExperimentSession, Experiments};

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../docs/library.md")]
mod library {}
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../docs/switching.md")]
mod switching {}
