//! Batches in turn, on two connections: while one is stored, the actors of the next are locked and looked
//! for.

use std::iter;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crate::error::ExperimentError;
use crate::store::postgres::PgExperimentStore;
use crate::store::postgres::pool::Loan;

/// Batches are locked one after another, in their order.
#[derive(Default)]
struct Turns {
    next: Mutex<usize>,
    moved: Condvar,
}

impl Turns {
    /// Waits until all before it have passed. `None` if there is nothing to wait for any more.
    fn wait_for(&self, index: usize) -> Option<Turn<'_>> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.moved.wait_while(next, |next| *next < index);
        let next = *waited.unwrap_or_else(PoisonError::into_inner);
        (next != usize::MAX).then_some(Turn {
            turns: self,
            index,
            is_done: false,
        })
    }

    fn move_to(&self, index: usize) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(index);
        self.moved.notify_all();
    }
}

/// A batch's turn. Unless it is done, nobody goes on after it: it has failed.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    index: usize,
    is_done: bool,
}

impl Turn<'_> {
    /// The next may lock.
    pub(super) fn pass(&self) {
        self.turns.move_to(self.index + 1);
    }

    fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.turns.move_to(usize::MAX);
        }
    }
}

impl PgExperimentStore {
    /// Has `settle` take each of these batches, two at a time where a second connection is free. It calls
    /// [`Turn::pass`] once the actors of its batch are locked. They are locked one after another, so that an
    /// actor who comes twice is assigned where it comes first, unless the first batch had to be taken
    /// again. Gives what came of them, in order.
    pub(super) fn in_turn<B: Sync, T: Send>(
        &self,
        batches: &[B],
        settle: impl Fn(&mut Loan, &B, &Turn<'_>) -> Result<T, ExperimentError> + Sync,
    ) -> Result<Vec<T>, ExperimentError> {
        let (unclaimed, turns) = (AtomicUsize::new(0), Turns::default());
        // Whoever claims a batch has the connection for it, as those that follow wait for it.
        let settle_next = |loan: &mut Loan| -> Result<Option<(usize, T)>, ExperimentError> {
            let index = unclaimed.fetch_add(1, Ordering::Relaxed);
            let Some(batch) = batches.get(index) else {
                return Ok(None);
            };
            let Some(turn) = turns.wait_for(index) else {
                return Ok(None);
            };
            let settled = settle(loan, batch, &turn)?;
            turn.done();
            Ok(Some((index, settled)))
        };
        let mut first = Some(self.pool.get()?);
        let second = self.pool.get_within(Duration::ZERO).ok().flatten();
        let (all, others) = thread::scope(|scope| {
            let helper = second.map(|mut loan| {
                let settle_next = &settle_next;
                scope.spawn(move || {
                    iter::from_fn(|| settle_next(&mut loan).transpose())
                        .collect::<Result<Vec<_>, _>>()
                })
            });
            // It gives its connection back with each batch, to whoever waits for one.
            let all: Result<Vec<_>, ExperimentError> = iter::from_fn(|| {
                let loan = first.take().map_or_else(|| self.pool.get(), Ok);
                let settled = loan.map_err(ExperimentError::from);
                settled
                    .and_then(|mut loan| settle_next(&mut loan))
                    .transpose()
            })
            .collect();
            let others = helper.map_or(Ok(Ok(Vec::new())), ScopedJoinHandle::join);
            (all, others.unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let mut all = all?;
        all.extend(others?);
        all.sort_unstable_by_key(|(index, _)| *index);
        Ok(all.into_iter().map(|(_, settled)| settled).collect())
    }
}
