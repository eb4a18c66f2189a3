//! Many actors at once: what is asked, and what is answered.

use serde_json::Value;

use super::verdict::Verdict;
use crate::error::ExperimentError;
use crate::rule::AssignmentReason;
use crate::validation::validate_actor;

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

impl AssignManyRequest<'_> {
    /// Checks every actor. A store calls it first, so that one who can't be stored spoils the call before
    /// anything is kept.
    ///
    /// # Errors
    /// The first who [can't be stored](crate::actor_problem).
    pub fn validate(&self) -> Result<(), ExperimentError> {
        let mut actors = self.actors.iter();
        actors.try_for_each(|actor| validate_actor(self.experiment, actor))
    }
}

/// The answers to a request, in the order of its actors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// Each is kept once, as there may be millions of answers.
    pub(super) variants: Vec<Given>,
    pub(super) answers: Vec<Answer>,
}

/// A variant's name, with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) variant: String,
    pub(super) value: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// A place in `Answers::variants`.
    pub(super) variant: Option<u16>,
    reason: AssignmentReason,
    is_override: bool,
    store: bool,
}

impl Answers {
    /// What each actor got, if anything, and why.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Verdict<'_>> {
        self.answers.iter().map(|answer| self.verdict(*answer))
    }

    pub(super) fn verdict(&self, answer: Answer) -> Verdict<'_> {
        let given = answer
            .variant
            .map(|place| &self.variants[usize::from(place)]);
        Verdict {
            reason: answer.reason,
            variant: given.map(|given| &*given.variant),
            value: given.and_then(|given| given.value.as_ref()),
            is_override: answer.is_override,
            store: answer.store,
        }
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
    pub fn push(&mut self, verdict: &Verdict<'_>) {
        let answer = self.answer(verdict);
        self.answers.push(answer);
    }

    /// Room for this many answers, to be set in any order.
    pub(crate) fn unanswered(count: usize) -> Self {
        let unanswered = Answer {
            variant: None,
            reason: AssignmentReason::NoVariant,
            is_override: false,
            store: false,
        };
        Self {
            variants: Vec::new(),
            answers: vec![unanswered; count],
        }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn set(&mut self, place: u32, verdict: &Verdict<'_>) {
        self.answers[place as usize] = self.answer(verdict);
    }

    fn answer(&mut self, verdict: &Verdict<'_>) -> Answer {
        Answer {
            variant: verdict
                .variant
                .map(|variant| self.place(variant, verdict.value)),
            reason: verdict.reason,
            is_override: verdict.is_override,
            store: verdict.store,
        }
    }

    /// Where that variant with that value is among those that were given; it is entered if it is new.
    pub(super) fn place(&mut self, variant: &str, value: Option<&Value>) -> u16 {
        let mut known = self.variants.iter();
        let known =
            known.position(|given| given.variant == variant && given.value.as_ref() == value);
        let place = known.unwrap_or_else(|| {
            self.variants.push(Given {
                variant: variant.to_owned(),
                value: value.cloned(),
            });
            self.variants.len() - 1
        });
        // `validation` allows fewer variants than that.
        u16::try_from(place).unwrap_or(u16::MAX)
    }
}
