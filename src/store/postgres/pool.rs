//! Connections: opened when needed, kept for the next call, never more than the options say.
//!
//! Our own, because `r2d2` goes on trying until its timeout and then tells of the timeout, where the
//! first refusal (a wrong password, an unknown database) is what a person needs to read.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::failure::{self, CallError, Failure};
use super::memory::Memory;
use super::migrations;
use super::options::PgOptions;
use crate::error::ExperimentStoreError;

pub(super) struct Pool {
    options: PgOptions,
    /// What its connections have read.
    pub(super) memory: Arc<Memory>,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    open: usize,
}

/// A connection on loan; it goes back when dropped, unless it is lost.
pub(super) struct Loan {
    pool: Arc<Pool>,
    /// `None` once it is known to be lost, and before it is opened.
    connection: Option<Connection>,
    /// Whether it has been used before, and so may have been closed by the server since.
    pub(super) is_used: bool,
}

impl Pool {
    pub(super) fn new(options: PgOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            memory: Arc::default(),
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    pub(super) fn options(&self) -> &PgOptions {
        &self.options
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in that was opened elsewhere.
    pub(super) fn add(&self, connection: Connection) {
        let mut state = self.state();
        state.open += 1;
        state.idle.push(connection);
    }

    /// A connection to a database whose schema this version works with.
    pub(super) fn get(self: &Arc<Self>) -> Result<Loan, ExperimentStoreError> {
        let timeout = self.options.connect_timeout;
        let loan = self.get_within(timeout)?;
        loan.ok_or_else(|| ExperimentStoreError::Unreachable {
            store: self.options.location(),
            source: format!("all {} connections are in use", self.options.pool_size).into(),
        })
    }

    /// The same; `None` if all are in use for as long as that.
    pub(super) fn get_within(
        self: &Arc<Self>,
        timeout: Duration,
    ) -> Result<Option<Loan>, ExperimentStoreError> {
        let begun = Instant::now();
        let mut state = self.state();
        loop {
            if let Some(connection) = state.idle.pop() {
                drop(state);
                let mut loan = Loan {
                    pool: Arc::clone(self),
                    connection: Some(connection),
                    is_used: true,
                };
                if loan.connection.as_mut().is_some_and(Connection::is_alive) {
                    return Ok(Some(loan));
                }
                loan.connection = None;
                drop(loan);
                state = self.state();
                continue;
            }
            if state.open < self.options.pool_size {
                state.open += 1;
                drop(state);
                // Counted, and given back if it can't be opened.
                let mut loan = Loan {
                    pool: Arc::clone(self),
                    connection: None,
                    is_used: false,
                };
                loan.connection = Some(Connection::open(&self.options)?);
                return Ok(Some(loan));
            }
            let left = timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            let waited = self.freed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Loan {
    /// Does something with the connection, and lets go of it if it was lost by that.
    pub(super) fn run<T>(
        &mut self,
        step: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(connection) = &mut self.connection else {
            return Err(CallError::Closed.into());
        };
        let fault = match step(connection) {
            Err(Failure::Call(fault)) => fault,
            done => return done,
        };
        if failure::is_lost(&fault) {
            self.connection = None;
            for idle in &mut self.pool.state().idle {
                idle.is_suspect = true;
            }
            return Err(fault.into());
        }
        Err(migrations::explain(connection, &self.pool.options, fault))
    }

    /// Closes the connection in place of giving it back.
    pub(super) fn discard(&mut self) {
        self.connection = None;
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // A panic may have left a transaction open, or its answer unread.
        let kept = self.connection.take().filter(|_| !thread::panicking());
        let mut state = self.pool.state();
        match kept {
            Some(mut connection) => {
                connection.put_back();
                state.idle.push(connection);
            }
            None => state.open -= 1,
        }
        drop(state);
        self.pool.freed.notify_one();
    }
}

/// How long a lost connection is given to come back before the one repetition.
pub(super) const PAUSE: Duration = Duration::from_millis(50);
