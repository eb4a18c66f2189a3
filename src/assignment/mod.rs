//! Who gets which variant.
//!
//! | where | what |
//! |---|---|
//! | `rules` | the rules, in order: standing, then entry; pure |
//! | `verdict` | what they answer |
//! | `request` | what is asked of a store for one actor, and all that decides it |
//! | `many`, `parts`, `order` | the same for many actors, answers in parts, and the order in which they are taken |
//! | `explain` | a verdict laid open |
//!
//! A store applies the rules inside its transaction, between reading and writing, so that the decision and
//! the write are one atomic step.

mod explain;
mod many;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod order;
mod parts;
mod request;
mod rules;
mod verdict;

pub use self::explain::{BucketTrace, CoverageTrace, Explanation, PinnedVariant};
pub use self::many::{Answers, AssignManyRequest, Keep};
pub use self::parts::{AnsweredPart, EachPart, Gathered};
pub use self::request::{AssignRequest, Assigned, Situation};
pub use self::rules::{Candidate, Facts, Question, StoredOverride, StoredVariant, decide};
pub use self::verdict::Verdict;
