//! What is wrong with a configuration, and where.

use std::fmt;

use crate::field::{ConfigField, MetricField};
use crate::metric::MetricKind;
use crate::text::Quoted;

/// A part of what the caller gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// A field of the configuration.
    Config(ConfigField),
    /// The name of the variant at this position, counted from 0.
    Variant(usize),
    /// The value of the variant at this position, counted from 0.
    Value(usize),
    /// The reason of an override.
    Reason,
    /// The actor.
    Actor,
    /// The request id.
    RequestId,
    /// A field of the metric at this position, counted from 0.
    Metric(usize, MetricField),
    /// The metric of an outcome.
    OutcomeMetric,
    /// The id of an outcome.
    OutcomeId,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(field) => write!(f, "its {field}"),
            Self::Variant(index) => write!(f, "the name of variant {}", index + 1),
            Self::Value(index) => write!(f, "the value of variant {}", index + 1),
            Self::Reason => f.write_str("the reason"),
            Self::Actor => f.write_str("the actor"),
            Self::RequestId => f.write_str("the request id"),
            Self::Metric(_, field) => write!(f, "its {field}"),
            Self::OutcomeMetric => f.write_str("the metric"),
            Self::OutcomeId => f.write_str("the id"),
        }
    }
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// Nothing, or only characters that leave no mark: white space, and what is invisible.
    #[error("{0} is empty or blank")]
    Empty(Field),
    /// A control character in a name, or NUL anywhere.
    #[error("{0} contains a control character")]
    ControlCharacter(Field),
    /// White space at the edge of a name that is declared; one that is stored may have it.
    #[error("{0} begins or ends with white space")]
    BlankEdge(Field),
    /// More bytes than a store takes.
    #[error("{field} is {bytes} bytes long; at most {limit} are allowed")]
    TooLong {
        /// Where.
        field: Field,
        /// Its length in bytes.
        bytes: usize,
        /// The longest allowed, in bytes.
        limit: usize,
    },
    /// A time that databases can't hold, or that was given in milliseconds.
    #[error("the time is after the year 9999")]
    TooLate,
    /// No variant at all.
    #[error("it has no variants")]
    NoVariants,
    /// More variants than an experiment may have.
    #[error("it has {count} variants; at most {limit} are allowed")]
    TooManyVariants {
        /// How many it has.
        count: usize,
        /// The most allowed.
        limit: usize,
    },
    /// Two variants of one name.
    #[error("variant {} is declared twice", Quoted(.0))]
    DuplicateVariant(String),
    /// Concluded, and no winner.
    #[error("it is concluded but names no winner")]
    WinnerMissing,
    /// The winner is not one of the variants.
    #[error("its winner {} is not one of its variants", Quoted(.0))]
    WinnerUnknown(String),
    /// A winner on an experiment that is not concluded.
    #[error("it names a winner but is not concluded")]
    WinnerNotConcluded,
    /// A number, a cap or another value that the field does not take.
    #[error("{field} can't be {value}; it must be {allowed}")]
    OutOfRange {
        /// Where.
        field: Field,
        /// The value, as text.
        value: String,
        /// What the field takes.
        allowed: String,
    },
    /// The control is not one of the variants.
    #[error("its control {} is not one of its variants", Quoted(.0))]
    ControlUnknown(String),
    /// More metrics than an experiment may have.
    #[error("it has {count} metrics; at most {limit} are allowed")]
    TooManyMetrics {
        /// How many it has.
        count: usize,
        /// The most allowed.
        limit: usize,
    },
    /// Two metrics of one name.
    #[error("metric {} is declared twice", Quoted(.0))]
    DuplicateMetric(String),
    /// What is wrong with one metric.
    #[error("metric {}: {problem}", Quoted(.name))]
    InMetric {
        /// The metric's name.
        name: String,
        /// What it is.
        problem: Box<ConfigProblem>,
    },
    /// A metric without what its kind or its role needs.
    #[error("it is a {is} but has no {field}")]
    MetricLacks {
        /// Its position, counted from 0.
        metric: usize,
        /// Its kind or its role.
        is: &'static str,
        /// What it lacks.
        field: MetricField,
    },
    /// A metric with what its kind does not take.
    #[error("it is a {kind}, which takes no {field}")]
    MetricTakesNo {
        /// Its position, counted from 0.
        metric: usize,
        /// Its kind.
        kind: MetricKind,
        /// What it has all the same.
        field: MetricField,
    },
    /// A column that every outcome has, and that is no metric's value.
    #[error("{field} is {}, which is reserved for actors or times", Quoted(.column))]
    ReservedColumn {
        /// Where.
        field: Field,
        /// The column's name.
        column: String,
    },
    /// A value for a variant that does not exist.
    #[error("it has a value for variant {}, but no such variant", Quoted(.0))]
    ValueUnknown(String),
    /// Some variants have a value, and this one has none.
    #[error("variant {} has no value, but another variant has one", Quoted(.0))]
    ValueMissing(String),
    /// A value that is null, or holds it: a file can't say that.
    #[error("the value of variant {} contains null, which is not allowed", Quoted(.0))]
    ValueNull(String),
    /// Tables and lists that are nested deeper than a store takes.
    #[error("the value of variant {} is nested more than {limit} levels deep", Quoted(.variant))]
    ValueTooDeep {
        /// The variant.
        variant: String,
        /// The most levels allowed.
        limit: usize,
    },
    /// Values of two JSON types.
    #[error("the value of variant {} is of type {found}, but that of variant {} is of type {expected}", Quoted(.variant), Quoted(.other))]
    ValueTypes {
        /// A variant.
        variant: String,
        /// The type of its value, as JSON calls it.
        found: &'static str,
        /// Another variant.
        other: String,
        /// The type of its value.
        expected: &'static str,
    },
    /// An override that would have expired before it is set.
    #[error("the expiry of the override is in the past")]
    ExpiryPassed,
    /// A state that a store never moves an experiment to.
    #[error("an experiment can't go back to draft")]
    BackToDraft,
    /// Another program has stored a list of variants that neither program can read.
    #[error("its variants can't be read")]
    VariantsUnreadable,
}
