//! Batches in turn, on two connections: while one is stored, the actors of the next are locked and looked
//! for.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
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

    /// Nobody has a turn any more.
    fn end(&self) {
        self.move_to(usize::MAX);
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
            self.turns.end();
        }
    }
}

/// What came of the batches, which is shown in their order.
struct Shown<T, S> {
    next: usize,
    /// What came before its turn.
    early: BTreeMap<usize, T>,
    show: S,
}

impl<T, S: FnMut(usize, T) -> ControlFlow<()>> Shown<T, S> {
    /// Shows what can be shown now.
    fn take(&mut self, index: usize, settled: T) -> ControlFlow<()> {
        self.early.insert(index, settled);
        let mut flow = ControlFlow::Continue(());
        while let Some(settled) = self.early.remove(&self.next) {
            if (self.show)(self.next, settled).is_break() {
                flow = ControlFlow::Break(());
            }
            self.next += 1;
        }
        flow
    }

    /// Shows what came after a batch that failed.
    fn finish(mut self) {
        for (index, settled) in self.early {
            let _ = (self.show)(index, settled);
        }
    }
}

impl PgExperimentStore {
    /// Has `settle` take each of these batches, two at a time where a second connection is free. It calls
    /// [`Turn::pass`] once the actors of its batch are locked. They are locked one after another, so that an
    /// actor who comes twice is assigned where it comes first, unless the first batch had to be taken
    /// again.
    ///
    /// What comes of each is given to `show` as soon as it and all before it are stored; where one fails, at the end
    /// also of those after it. As long as `show` takes, no more batches are begun than connections are in use, and
    /// none once it breaks off.
    pub(super) fn in_turn<B: Sync, T: Send>(
        &self,
        batches: &[B],
        settle: impl Fn(&mut Loan, &B, &Turn<'_>) -> Result<T, ExperimentError> + Sync,
        show: impl FnMut(usize, T) -> ControlFlow<()> + Send,
    ) -> Result<(), ExperimentError> {
        let (unclaimed, turns) = (AtomicUsize::new(0), Turns::default());
        let shown = Mutex::new(Shown {
            next: 0,
            early: BTreeMap::new(),
            show,
        });
        // Whoever claims a batch has the connection for it, as those that follow wait for it. It gives it back
        // with each batch, to whoever waits for one. `false` once there is nothing left to do.
        let settle_next = |mut loan: Loan| -> Result<bool, ExperimentError> {
            let index = unclaimed.fetch_add(1, Ordering::Relaxed);
            let Some(batch) = batches.get(index) else {
                return Ok(false);
            };
            let Some(turn) = turns.wait_for(index) else {
                return Ok(false);
            };
            let settled = settle(&mut loan, batch, &turn)?;
            turn.done();
            drop(loan);
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            if shown.take(index, settled).is_break() {
                turns.end();
            }
            Ok(true)
        };
        let free = || self.pool.get_within(Duration::ZERO).ok().flatten();
        let first = self.pool.get()?;
        let second = free();
        let (all, others) = thread::scope(|scope| {
            let helper = second.and_then(|loan| {
                let help = || -> Result<(), ExperimentError> {
                    let mut next = Some(loan);
                    while let Some(loan) = next {
                        next = if settle_next(loan)? { free() } else { None };
                    }
                    Ok(())
                };
                // Where no thread is to be had, it does without.
                thread::Builder::new().spawn_scoped(scope, help).ok()
            });
            let settle_all = || -> Result<(), ExperimentError> {
                let mut loan = first;
                while settle_next(loan)? {
                    loan = self.pool.get()?;
                }
                Ok(())
            };
            let all = settle_all();
            let others = helper.map_or(Ok(Ok(())), ScopedJoinHandle::join);
            (all, others.unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let shown = shown.into_inner().unwrap_or_else(PoisonError::into_inner);
        shown.finish();
        all.and(others)
    }
}
