//! Everything that can go wrong, typed. A message says what happened and to which experiment, with
//! names escaped so that it can be shown anywhere; what to type next is the command line's to say.

mod config;
mod store;

use std::fmt;

pub use self::config::{ConfigProblem, Field};
pub use self::store::{ExperimentStoreError, StoreErrorKind};

use crate::experiment::{ExperimentState, VariantConfig};
use crate::rule::AssignmentReason;
use crate::text::Quoted;

/// Why the library refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// No experiment with that name.
    #[error("experiment {} not found", Quoted(.0))]
    NotFound(String),
    /// Only a running experiment assigns; this one is a draft, is paused, or was concluded meanwhile.
    #[error("experiment {} is not running: it is {}", Quoted(.0), adjective(*.1))]
    NotRunning(String, ExperimentState),
    /// The experiment is concluded, and what was asked would change who gets which variant.
    #[error("experiment {} is concluded: who gets which variant is fixed", Quoted(.0))]
    Concluded(String),
    /// The experiment is archived; nothing about it changes any more.
    #[error("experiment {} is archived", Quoted(.0))]
    Archived(String),
    /// The actor has an assignment in another experiment of the exclusion group (experiment, group).
    #[error("experiment {} excludes this actor, who is in another experiment of group {}", Quoted(.0), Quoted(.1))]
    ExcludedByGroup(String, String),
    /// The actor is new, and an entry rule keeps newcomers such as this one out.
    #[error("experiment {} does not enrol this actor: {}", Quoted(.experiment), why_not_enrolled(*.reason))]
    NotEnrolled {
        /// The experiment's name.
        experiment: String,
        /// What the rule answered.
        reason: AssignmentReason,
    },
    /// All weights are zero.
    #[error("experiment {} has no variant to assign: all weights are 0", Quoted(.0))]
    NoVariant(String),
    /// The experiment has no variant of that name.
    #[error("experiment {} has no variant {}", Quoted(.experiment), Quoted(.variant))]
    UnknownVariant {
        /// The experiment's name.
        experiment: String,
        /// The name that was given.
        variant: String,
        /// The names it has, in order.
        known: Vec<String>,
    },
    /// An experiment with that name exists already, in that state.
    #[error("experiment {} exists already: it is {}", Quoted(.0), adjective(*.1))]
    AlreadyExists(String, ExperimentState),
    /// The variant would be removed while actors hold it, and so would the others.
    #[error("{}", in_use(.variant, .others))]
    VariantInUse {
        /// The experiment's name.
        experiment: String,
        /// The variant that would have gone.
        variant: String,
        /// Its weight, unless another program has stored variants that can't be read.
        weight: Option<u32>,
        /// The others that actors hold and that would have gone with it.
        others: Vec<VariantConfig>,
    },
    /// Another operator has changed the experiment since it was looked at.
    #[error("experiment {} was changed meanwhile", Quoted(.0))]
    ChangedMeanwhile(String),
    /// Another operator has deleted the experiment, or given it another name, since it was looked at.
    #[error("experiment {} was deleted or renamed meanwhile", Quoted(.0))]
    DeletedMeanwhile(String),
    /// What was given cannot be stored.
    #[error("experiment {}: {problem}", Quoted(.experiment))]
    InvalidConfig {
        /// The experiment's name as given.
        experiment: String,
        /// What is wrong, and where.
        problem: ConfigProblem,
    },
    /// An outcome that cannot be stored.
    #[error("{0}")]
    InvalidOutcome(ConfigProblem),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ExperimentStoreError),
    /// The exclusion group would change while actors are assigned, who may be in another experiment of
    /// the group.
    #[error("experiment {} has assignments, so its exclusion group can't change", Quoted(.0))]
    GroupInUse(String),
    /// Only a draft can be deleted or renamed; this one is in that state.
    #[error("experiment {} is not a draft: it is {}", Quoted(.0), adjective(*.1))]
    NotDraft(String, ExperimentState),
    /// The draft can't be deleted or renamed, as something is kept of it.
    #[error("experiment {} has {used_by}", Quoted(.experiment))]
    InUse {
        /// The experiment's name.
        experiment: String,
        /// What is kept of it.
        used_by: UsedBy,
    },
    /// The experiment can't be renamed: an application that shares the store knows it by its name.
    #[error("experiment {} can't be renamed: an application uses these tables, and knows it by its name", Quoted(.0))]
    NameIsShared(String),
    /// The experiment is concluded, and another program has stored no winner.
    #[error("experiment {} is concluded without a winner", Quoted(.0))]
    NoWinner(String),
}

/// What keeps a draft from being deleted or renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsedBy {
    /// Assignments.
    Assignments,
    /// Overrides.
    Overrides,
    /// Exposures.
    Exposures,
}

impl fmt::Display for UsedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assignments => "assignments",
            Self::Overrides => "overrides",
            Self::Exposures => "exposures",
        })
    }
}

/// The state as a sentence has it after "it is".
fn in_use(variant: &str, others: &[VariantConfig]) -> String {
    if others.is_empty() {
        let variant = Quoted(variant);
        return format!("cannot delete variant {variant} because it has active assignments");
    }
    let others = others
        .iter()
        .map(|other| format!(", {}", Quoted(&other.name)));
    format!(
        "cannot delete variants {}{} because they have active assignments",
        Quoted(variant),
        others.collect::<String>()
    )
}

fn adjective(state: ExperimentState) -> &'static str {
    match state {
        ExperimentState::Draft => "a draft",
        other => other.as_str(),
    }
}

/// The rest of the sentence about an actor who may not enter.
fn why_not_enrolled(reason: AssignmentReason) -> &'static str {
    match reason {
        AssignmentReason::Closed => "it is closed to newcomers",
        AssignmentReason::NotCovered => "the actor is outside its coverage",
        // No entry rule answers with these.
        AssignmentReason::Archived
        | AssignmentReason::Concluded
        | AssignmentReason::NoWinner
        | AssignmentReason::NotRunning
        | AssignmentReason::Override
        | AssignmentReason::Sticky
        | AssignmentReason::Excluded
        | AssignmentReason::Assigned
        | AssignmentReason::NoVariant => reason.as_str(),
    }
}

/// What kind of failure an [`ExperimentError`] is.
///
/// Whatever follows from an error (an exit status, an HTTP status, whether it concerns one actor) is one match
/// on this. It is exhaustive on purpose: a new kind does not compile before each of them has been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// [`ExperimentError::NotFound`].
    NotFound,
    /// [`ExperimentError::NotRunning`].
    NotRunning,
    /// [`ExperimentError::Concluded`].
    Concluded,
    /// [`ExperimentError::Archived`].
    Archived,
    /// [`ExperimentError::ExcludedByGroup`].
    ExcludedByGroup,
    /// [`ExperimentError::NotEnrolled`], with what the rule answered.
    NotEnrolled(AssignmentReason),
    /// [`ExperimentError::NoVariant`].
    NoVariant,
    /// [`ExperimentError::UnknownVariant`].
    UnknownVariant,
    /// [`ExperimentError::AlreadyExists`].
    AlreadyExists,
    /// [`ExperimentError::VariantInUse`].
    VariantInUse,
    /// [`ExperimentError::ChangedMeanwhile`], [`ExperimentError::DeletedMeanwhile`].
    ChangedMeanwhile,
    /// [`ExperimentError::InvalidConfig`].
    InvalidConfig,
    /// [`ExperimentError::InvalidOutcome`].
    InvalidOutcome,
    /// [`ExperimentError::GroupInUse`].
    GroupInUse,
    /// [`ExperimentError::NotDraft`].
    NotDraft,
    /// [`ExperimentError::InUse`].
    InUse,
    /// [`ExperimentError::NameIsShared`].
    NameIsShared,
    /// [`ExperimentError::NoWinner`].
    NoWinner,
    /// [`ExperimentError::Store`], with what kind of failure of the store it is.
    Store(StoreErrorKind),
}

impl ExperimentError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(..) => ErrorKind::NotFound,
            Self::NotRunning(..) => ErrorKind::NotRunning,
            Self::Concluded(..) => ErrorKind::Concluded,
            Self::Archived(..) => ErrorKind::Archived,
            Self::ExcludedByGroup(..) => ErrorKind::ExcludedByGroup,
            Self::NotEnrolled { reason, .. } => ErrorKind::NotEnrolled(*reason),
            Self::NoVariant(..) => ErrorKind::NoVariant,
            Self::UnknownVariant { .. } => ErrorKind::UnknownVariant,
            Self::AlreadyExists(..) => ErrorKind::AlreadyExists,
            Self::VariantInUse { .. } => ErrorKind::VariantInUse,
            Self::ChangedMeanwhile(..) | Self::DeletedMeanwhile(..) => ErrorKind::ChangedMeanwhile,
            Self::InvalidConfig { .. } => ErrorKind::InvalidConfig,
            Self::InvalidOutcome(..) => ErrorKind::InvalidOutcome,
            Self::GroupInUse(..) => ErrorKind::GroupInUse,
            Self::NotDraft(..) => ErrorKind::NotDraft,
            Self::InUse { .. } => ErrorKind::InUse,
            Self::NameIsShared(..) => ErrorKind::NameIsShared,
            Self::NoWinner(..) => ErrorKind::NoWinner,
            Self::Store(failure) => ErrorKind::Store(failure.kind()),
        }
    }

    /// The name of the experiment that it is about, unless the store failed.
    #[must_use]
    pub fn experiment(&self) -> Option<&str> {
        match self {
            Self::NotFound(experiment)
            | Self::NotRunning(experiment, _)
            | Self::Concluded(experiment)
            | Self::Archived(experiment)
            | Self::ExcludedByGroup(experiment, _)
            | Self::NoVariant(experiment)
            | Self::UnknownVariant { experiment, .. }
            | Self::NotEnrolled { experiment, .. }
            | Self::AlreadyExists(experiment, _)
            | Self::VariantInUse { experiment, .. }
            | Self::ChangedMeanwhile(experiment)
            | Self::DeletedMeanwhile(experiment)
            | Self::InvalidConfig { experiment, .. }
            | Self::GroupInUse(experiment)
            | Self::NotDraft(experiment, _)
            | Self::InUse { experiment, .. }
            | Self::NameIsShared(experiment)
            | Self::NoWinner(experiment) => Some(experiment),
            Self::InvalidOutcome(_) | Self::Store(_) => None,
        }
    }
}
