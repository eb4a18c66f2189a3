//! Actors who come again in a run that stores nothing: they are answered as if it stored them.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use experiments::{AssignmentReason, Verdict};

/// The actors who would have been assigned so far, each as 128 bits of hash: no two actors share them in
/// practice, and a long list takes less memory than its ids.
#[derive(Default)]
pub(super) struct Repeated {
    assigned: HashSet<u128>,
    hashes: [RandomState; 2],
}

impl Repeated {
    /// The answer to the next actor that a run gives that stores each assignment.
    pub(super) fn verdict<'v>(&mut self, actor: &str, verdict: Verdict<'v>) -> Verdict<'v> {
        if verdict.reason != AssignmentReason::Assigned || self.insert(actor) {
            return verdict;
        }
        Verdict {
            reason: AssignmentReason::Sticky,
            store: false,
            ..verdict
        }
    }

    fn insert(&mut self, actor: &str) -> bool {
        let [high, low] = self.hashes.each_ref().map(|hash| hash.hash_one(actor));
        self.assigned
            .insert(u128::from(high) << 64 | u128::from(low))
    }
}
