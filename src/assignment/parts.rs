//! The answers to a request for many actors, part by part, as they are stored.

use std::ops::ControlFlow;

use super::many::{Answers, AssignManyRequest};
use super::verdict::Verdict;

/// Some of the answers to a request. What they say is stored, as far as the request has it kept.
#[derive(Debug, Clone, Copy)]
pub struct AnsweredPart<'a> {
    /// Which actors of the request they are for, in any order.
    pub places: &'a [u32],
    /// One for each of the places.
    pub answers: &'a Answers,
}

/// What is done with each part. On [`Break`](ControlFlow::Break) no further one is begun; one that is being stored
/// meanwhile is still shown.
pub type EachPart<'a> = &'a mut (dyn FnMut(&AnsweredPart<'_>) -> ControlFlow<()> + Send);

impl<'a> AnsweredPart<'a> {
    /// The answers, each with the place of its actor in the request.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Verdict<'a>)> {
        let places = self.places.iter().map(|&place| place as usize);
        places.zip(self.answers.iter())
    }
}

/// The parts put together, whatever order they come in.
#[derive(Debug)]
pub struct Gathered {
    answers: Answers,
    is_answered: Vec<bool>,
}

impl Gathered {
    /// Room for the answers to a request for this many actors.
    #[must_use]
    pub fn of(actors: usize) -> Self {
        Self {
            answers: Answers::unanswered(actors),
            is_answered: vec![false; actors],
        }
    }

    /// Takes a part in.
    pub fn take(&mut self, part: &AnsweredPart<'_>) {
        let given = part.answers.variants.iter();
        let variants: Vec<u16> = given
            .map(|given| self.answers.place(&given.variant, given.value.as_ref()))
            .collect();
        for (&place, answer) in part.places.iter().zip(&part.answers.answers) {
            let mut answer = *answer;
            answer.variant = answer.variant.map(|place| variants[usize::from(place)]);
            self.answers.answers[place as usize] = answer;
            self.is_answered[place as usize] = true;
        }
    }

    /// The answer to the actor at that place, or `None` if it has not come.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<Verdict<'_>> {
        let is_answered = *self.is_answered.get(place)?;
        is_answered.then(|| self.answers.verdict(self.answers.answers[place]))
    }

    /// All the answers to a request, from what answers it in parts.
    pub(crate) fn all<E>(
        request: &AssignManyRequest<'_>,
        answer: impl FnOnce(EachPart<'_>) -> Result<(), E>,
    ) -> Result<Answers, E> {
        let mut gathered = Self::of(request.actors.len());
        answer(&mut |part| {
            gathered.take(part);
            ControlFlow::Continue(())
        })?;
        Ok(gathered.answers)
    }
}
