//! Many actors at once: what is asked, and what is answered.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, ExperimentError};
use crate::rules::assignment::AssignmentReason;
use crate::store::Assigned;

/// One call of [`ExperimentStore::assign_many`](crate::ExperimentStore::assign_many).
#[derive(Debug, Clone, Copy)]
pub struct AssignManyRequest<'a> {
    /// The experiment's name.
    pub experiment: &'a str,
    /// Who is to be assigned. An actor who comes twice is assigned the first time.
    pub actors: &'a [&'a str],
    /// What is stored of it.
    pub keep: Keep,
}

/// What is stored of assigning many actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: the answers say what would happen to each actor now. Of an actor who comes twice,
    /// both answers say so.
    Nothing,
    /// The assignments.
    Assignments,
    /// The assignments, and an exposure for each.
    AssignmentsAndExposures,
}

/// Why an actor among many got a variant, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManyReason {
    /// The experiment is concluded; this is the winner.
    Concluded,
    /// Pinned to the actor by an override.
    Override,
    /// Stored earlier.
    Sticky,
    /// Chosen by the actor's bucket just now.
    Assigned,
    /// No variant: the actor is in another experiment of the group.
    Excluded,
    /// No variant: all weights are zero.
    NoVariant,
}

impl ManyReason {
    /// Every reason, in the order of the rules.
    pub const ALL: [Self; 6] = [
        Self::Concluded,
        Self::Override,
        Self::Sticky,
        Self::Excluded,
        Self::Assigned,
        Self::NoVariant,
    ];

    /// The serialised name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Concluded => AssignmentReason::Concluded.as_str(),
            Self::Override => AssignmentReason::Override.as_str(),
            Self::Sticky => AssignmentReason::Sticky.as_str(),
            Self::Assigned => AssignmentReason::Assigned.as_str(),
            Self::Excluded => "excluded",
            Self::NoVariant => "no_variant",
        }
    }
}

impl From<AssignmentReason> for ManyReason {
    fn from(reason: AssignmentReason) -> Self {
        match reason {
            AssignmentReason::Concluded => Self::Concluded,
            AssignmentReason::Override => Self::Override,
            AssignmentReason::Sticky => Self::Sticky,
            AssignmentReason::Assigned => Self::Assigned,
        }
    }
}

/// The answers to a request, in the order of its actors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// Names are kept once, as there may be millions of answers.
    variants: Vec<String>,
    answers: Vec<Answer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    /// A place in `Answers::variants`.
    variant: Option<u16>,
    reason: ManyReason,
    is_override: bool,
}

impl Answers {
    /// The variant that each actor got, if any, and why.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Option<&str>, ManyReason)> {
        self.answers.iter().map(|answer| {
            let variant = answer
                .variant
                .map(|place| &*self.variants[usize::from(place)]);
            (variant, answer.reason)
        })
    }

    /// Whether the assignment of the actor at this place is an override's.
    #[must_use]
    pub fn is_override(&self, index: usize) -> bool {
        self.answers
            .get(index)
            .is_some_and(|answer| answer.is_override)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Adds the answer to one actor.
    ///
    /// # Errors
    /// What is no answer to one actor but concerns all: the experiment is unknown or not running, or
    /// the store failed.
    pub(crate) fn push(
        &mut self,
        assigned: Result<Assigned, ExperimentError>,
    ) -> Result<(), ExperimentError> {
        let answer = match assigned {
            Ok(assigned) => Answer {
                variant: Some(self.place(&assigned.variant)),
                reason: assigned.reason.into(),
                is_override: assigned.is_override(),
            },
            Err(refusal) => Answer {
                variant: None,
                reason: refusal_of_one(refusal)?,
                is_override: false,
            },
        };
        self.answers.push(answer);
        Ok(())
    }

    /// Room for this many answers, to be [set](Self::set) in any order.
    #[cfg(feature = "sqlite")]
    pub(crate) fn unanswered(count: usize) -> Self {
        let unanswered = Answer {
            variant: None,
            reason: ManyReason::NoVariant,
            is_override: false,
        };
        Self {
            variants: Vec::new(),
            answers: vec![unanswered; count],
        }
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn set(
        &mut self,
        index: usize,
        variant: Option<u16>,
        reason: ManyReason,
        is_override: bool,
    ) {
        self.answers[index] = Answer {
            variant,
            reason,
            is_override,
        };
    }

    /// Where that variant is among the names; it is entered if it is new.
    pub(crate) fn place(&mut self, name: &str) -> u16 {
        let known = self.variants.iter().position(|known| known == name);
        let place = known.unwrap_or_else(|| {
            self.variants.push(name.to_owned());
            self.variants.len() - 1
        });
        // `validation` allows fewer variants than that.
        u16::try_from(place).unwrap_or(u16::MAX)
    }
}

impl ManyReason {
    /// The answer to one actor among many for a failure that says nothing of any other; `None` for one that
    /// ends the call.
    pub(crate) fn of_refusal(kind: ErrorKind) -> Option<Self> {
        match kind {
            ErrorKind::ExcludedByGroup => Some(Self::Excluded),
            ErrorKind::NoVariant => Some(Self::NoVariant),
            ErrorKind::NotFound
            | ErrorKind::NotRunning
            | ErrorKind::Concluded
            | ErrorKind::Archived
            | ErrorKind::UnknownVariant
            | ErrorKind::AlreadyExists
            | ErrorKind::VariantInUse
            | ErrorKind::ChangedMeanwhile
            | ErrorKind::InvalidConfig
            | ErrorKind::GroupInUse
            | ErrorKind::NoWinner
            | ErrorKind::Store(_) => None,
        }
    }
}

/// The reason to give to one actor for a refusal that concerns only that actor.
pub(crate) fn refusal_of_one(refusal: ExperimentError) -> Result<ManyReason, ExperimentError> {
    ManyReason::of_refusal(refusal.kind()).ok_or(refusal)
}
