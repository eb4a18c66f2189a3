//! Running a step of the store on a connection of the pool: alone, in one view, or in one transaction,
//! again where that is safe and may help.

use std::thread;
use std::time::Instant;

use super::connection::{Connection, Mode};
use super::failure::{self, Failure};
use super::pace::Pace;
use super::pool::{self, Loan};
use super::{PgExperimentStore, mutation};
use crate::error::ExperimentError;

impl PgExperimentStore {
    /// Runs a step that writes nothing. If a connection that was open before turns out to be lost, it
    /// is taken once more on another.
    pub(super) fn read<T>(
        &self,
        doing: &'static str,
        pace: Pace,
        step: impl Fn(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        let mut repeated = false;
        loop {
            let mut loan = self.pool.get()?;
            let paced = |db: &mut Connection| {
                db.pace(pace);
                step(db)
            };
            match loan.run(paced) {
                Err(Failure::Call(fault))
                    if failure::is_lost(&fault) && loan.is_used && !repeated =>
                {
                    repeated = true;
                    drop(loan);
                    thread::sleep(pool::PAUSE);
                }
                done => return done.map_err(|failure| self.failed(doing, failure)),
            }
        }
    }

    /// Runs a step that writes nothing, all of whose statements see the same.
    pub(super) fn snapshot<T>(
        &self,
        doing: &'static str,
        mut step: impl FnMut(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        let mut loan = self.pool.get()?;
        let done = loan.run(|db| in_transaction(db, Mode::Snapshot, Pace::Unbounded, &mut step));
        done.map_err(|failure| self.failed(doing, failure))
    }

    /// Runs a step in one transaction; it is committed if the step succeeds. If somebody else was
    /// faster in a way that only shows on writing, it is taken again.
    pub(super) fn write<T>(
        &self,
        doing: &'static str,
        pace: Pace,
        step: impl FnMut(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        self.write_on(&mut self.pool.get()?, doing, pace, step)
    }

    /// The same on a connection that is there already.
    pub(super) fn write_on<T>(
        &self,
        loan: &mut Loan,
        doing: &'static str,
        pace: Pace,
        mut step: impl FnMut(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        let begun = Instant::now();
        loop {
            match loan.run(|db| in_transaction(db, Mode::Write, pace, &mut step)) {
                Err(Failure::Call(fault)) if failure::is_conflict(&fault) => {
                    if begun.elapsed() > self.lock_timeout() {
                        return Err(mutation::gave_up(self));
                    }
                }
                done => return done.map_err(|failure| self.failed(doing, failure)),
            }
        }
    }
}

pub(super) fn in_transaction<T>(
    db: &mut Connection,
    mode: Mode,
    pace: Pace,
    step: &mut impl FnMut(&mut Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    db.begin(mode, pace);
    match step(db) {
        Ok(done) => {
            db.commit()?;
            Ok(done)
        }
        Err(failure) => {
            // On a connection that is lost the server does it, and would not answer.
            if !matches!(&failure, Failure::Call(fault) if failure::is_lost(fault)) {
                let _ = db.roll_back();
            }
            Err(match failure {
                Failure::Call(fault) => db.explain(fault).into(),
                refused @ Failure::Refused(_) => refused,
            })
        }
    }
}
