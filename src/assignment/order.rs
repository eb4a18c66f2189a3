//! The order in which many actors are taken, and who comes twice.

use super::many::{AssignManyRequest, Keep};
use super::verdict::Verdict;
use crate::rule::AssignmentReason;

impl AssignManyRequest<'_> {
    /// The places of the actors as they come.
    #[cfg(feature = "sqlite")]
    pub(crate) fn places(&self) -> Vec<u32> {
        places(self.actors)
    }

    /// The places of the actors in the order of their names; of equal ones, the first comes first.
    pub(crate) fn sorted(&self) -> Vec<u32> {
        sorted(self.actors)
    }

    /// Has `decide` give the verdict on the actor at each of these places, which are
    /// [sorted](Self::sorted). Who comes again is answered as one who is stored, unless nothing is to be
    /// kept. `decide` gets the index of the place among `places`.
    pub(crate) fn decide_each<'v>(
        &self,
        places: &[u32],
        mut decide: impl FnMut(usize, &str) -> Verdict<'v>,
    ) -> Vec<(u32, Verdict<'v>)> {
        let mut verdicts: Vec<(u32, Verdict<'v>)> = Vec::with_capacity(places.len());
        for (index, &place) in places.iter().enumerate() {
            let actor = self.actors[place as usize];
            let before = verdicts.last().filter(|(before, _)| {
                self.keep != Keep::Nothing && self.actors[*before as usize] == actor
            });
            let verdict = match before {
                Some((_, before)) => again(before),
                None => decide(index, actor),
            };
            verdicts.push((place, verdict));
        }
        verdicts
    }
}

/// The verdict on the same actor, now that the first one is stored.
fn again<'v>(before: &Verdict<'v>) -> Verdict<'v> {
    Verdict {
        reason: match before.reason {
            AssignmentReason::Assigned => AssignmentReason::Sticky,
            reason => reason,
        },
        store: false,
        ..*before
    }
}

/// The places of the actors, as they come.
fn places(actors: &[&str]) -> Vec<u32> {
    (0..u32::try_from(actors.len()).unwrap_or(u32::MAX)).collect()
}

/// The places of the actors, in the order of the store's key; of equal ones, the first comes first.
fn sorted(actors: &[&str]) -> Vec<u32> {
    if actors.is_sorted() {
        return places(actors);
    }
    // Most comparisons are decided by the eight bytes after what all begin with, without a look at
    // the text itself.
    let shared = shared_prefix(actors);
    let head = |actor: &str| {
        let rest = &actor.as_bytes()[shared..];
        let mut head = [0; 8];
        let length = rest.len().min(8);
        head[..length].copy_from_slice(&rest[..length]);
        u64::from_be_bytes(head)
    };
    let mut keyed: Vec<(u64, u32)> = places(actors)
        .into_iter()
        .map(|place| (head(actors[place as usize]), place))
        .collect();
    keyed.sort_unstable_by(|a, b| {
        let texts = || actors[a.1 as usize].cmp(actors[b.1 as usize]);
        a.0.cmp(&b.0).then_with(texts).then(a.1.cmp(&b.1))
    });
    keyed.into_iter().map(|(_, place)| place).collect()
}

/// How many bytes all of them begin with alike.
fn shared_prefix(actors: &[&str]) -> usize {
    let Some((first, others)) = actors.split_first() else {
        return 0;
    };
    let shared = |length: usize, other: &&str| {
        let pairs = first.as_bytes()[..length].iter().zip(other.as_bytes());
        pairs.take_while(|(a, b)| a == b).count()
    };
    others.iter().fold(first.len(), shared)
}
