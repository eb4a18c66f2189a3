//! Waiting for the lock of another connection, which may be another process's; writers in order.
//!
//! SQLite's write lock has no queue: whoever waits for it looks again and again, and is overtaken as
//! long as others find it free first. So a writer stands in a queue before it asks for that lock. The
//! queue is an operating system lock (`flock`) on the write-ahead log: that file exists as long as a
//! connection is open, has the store's permissions, and SQLite takes no lock of its own on it.
//! - The first in the queue keeps its place until it has SQLite's lock. Whoever commits and wants to
//!   write again, such as a bulk run, is then behind everybody who waits.
//! - The system wakes one waiter at a time, in the order of their coming, and removes a process that
//!   is killed. Nothing is left behind.
//! - The queue only orders the waiting; SQLite's lock still decides who writes. A writer that has
//!   waited half of its time in the queue (the first may be a stopped process), or finds no queue,
//!   looks for SQLite's lock again and again.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// How often a waiter looks whether the lock is free. SQLite's own waiting looks ever more rarely, up
/// to ten times a second, and misses the short pauses of a busy writer.
const POLL: Duration = Duration::from_millis(1);

/// How often the first in the queue looks, and for how long: a single assignment holds the lock for a
/// few milliseconds.
const EAGER_POLL: Duration = Duration::from_micros(100);
const EAGER: Duration = Duration::from_millis(20);

/// The helper thread makes one system call.
const HELPER_STACK: usize = 64 * 1024;

/// Has the connection wait this long for a lock.
pub(super) fn wait_for_lock(
    connection: &mut Connection,
    timeout: Duration,
) -> rusqlite::Result<()> {
    poll_for_lock(connection, timeout, Duration::ZERO)
}

/// The same, looking more often at the beginning.
fn poll_for_lock(
    connection: &mut Connection,
    timeout: Duration,
    eager: Duration,
) -> rusqlite::Result<()> {
    let mut since = Instant::now();
    connection.busy_handler(Some(move |earlier: i32| {
        if earlier == 0 {
            since = Instant::now();
        }
        let waited = since.elapsed();
        if waited < eager {
            thread::sleep(EAGER_POLL);
        } else if waited < timeout {
            thread::sleep(POLL);
        }
        waited < timeout
    }))
}

/// A connection's place in the queue of the store's writers.
#[derive(Debug)]
pub(super) struct Queue {
    /// What the queue is a lock on; `None` where there can be no queue.
    log: Option<PathBuf>,
    standing: Arc<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug)]
enum State {
    /// Not in the queue. The file is kept open for the next time.
    Outside(Option<File>),
    /// In the queue, for a call that still wants it or for one that gave up.
    Waiting { is_wanted: bool },
    /// The first in the queue.
    First(File),
}

impl Default for State {
    fn default() -> Self {
        Self::Outside(None)
    }
}

impl Queue {
    pub(super) fn of(connection: &Connection) -> Self {
        // Elsewhere a lock on the file keeps SQLite from writing to it.
        let has_queue = cfg!(unix) && matches!(connection.is_readonly("main"), Ok(false));
        let log = connection.path().filter(|_| has_queue);
        Self {
            log: log.map(|store| format!("{store}-wal").into()),
            standing: Arc::default(),
        }
    }

    /// Begins a transaction that writes, waiting for its turn and for the lock this long at most.
    pub(super) fn begin<'c>(
        &self,
        connection: &'c mut Connection,
        timeout: Duration,
    ) -> rusqlite::Result<Transaction<'c>> {
        let since = Instant::now();
        // Left once the lock is taken, so that the next one gets ready while this one writes.
        let turn = self.stand(timeout / 2);
        let eager = if turn.has_come { EAGER } else { Duration::ZERO };
        let timeout = timeout.saturating_sub(since.elapsed());
        poll_for_lock(connection, timeout, eager.min(timeout))?;
        connection.transaction_with_behavior(TransactionBehavior::Immediate)
    }

    /// Stands in the queue, and waits this long at most to be the first.
    fn stand(&self, patience: Duration) -> Turn<'_> {
        let mut state = self.standing.lock();
        let is_waiting = match std::mem::take(&mut *state) {
            State::Outside(file) => match self.enter(file) {
                Ok(Entered::First(file)) => {
                    *state = State::First(file);
                    false
                }
                Ok(Entered::Behind(file)) if !patience.is_zero() => self.wait_behind(file),
                Ok(Entered::Behind(file)) => {
                    *state = State::Outside(Some(file));
                    false
                }
                Err(error) => {
                    tracing::debug!(%error, "there is no queue for the write lock");
                    false
                }
            },
            // An earlier call gave up, and its place is as good.
            State::Waiting { .. } => true,
            first @ State::First(_) => {
                *state = first;
                false
            }
        };
        if is_waiting {
            *state = State::Waiting { is_wanted: true };
            let waits = |state: &mut State| matches!(state, State::Waiting { .. });
            let waited = self
                .standing
                .moved
                .wait_timeout_while(state, patience, waits);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let has_come = matches!(*state, State::First(_));
        Turn {
            standing: &self.standing,
            has_come,
        }
    }

    fn enter(&self, file: Option<File>) -> io::Result<Entered> {
        let file = match (file, &self.log) {
            (Some(file), _) => file,
            (None, Some(log)) => File::open(log)?,
            (None, None) => return Err(io::ErrorKind::Unsupported.into()),
        };
        match file.try_lock() {
            Ok(()) => Ok(Entered::First(file)),
            Err(std::fs::TryLockError::WouldBlock) => Ok(Entered::Behind(file)),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Waits in a thread, as the system has no time limit for that; `false` if it gives no thread.
    fn wait_behind(&self, file: File) -> bool {
        let standing = Arc::clone(&self.standing);
        let helper = thread::Builder::new().stack_size(HELPER_STACK);
        let begun = helper.spawn(move || standing.be_first(file));
        begun.is_ok()
    }
}

enum Entered {
    First(File),
    Behind(File),
}

impl Standing {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn be_first(&self, file: File) {
        let locked = loop {
            match file.lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                locked => break locked,
            }
        };
        let mut state = self.lock();
        *state = match (locked, &*state) {
            (Ok(()), State::Waiting { is_wanted: true }) => State::First(file),
            // Closing the file leaves the queue.
            _ => State::Outside(None),
        };
        self.moved.notify_all();
    }
}

/// A place in the queue; dropping it leaves.
struct Turn<'a> {
    standing: &'a Standing,
    has_come: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.standing.lock();
        *state = match std::mem::take(&mut *state) {
            State::First(file) => State::Outside(file.unlock().is_ok().then_some(file)),
            State::Waiting { .. } => State::Waiting { is_wanted: false },
            outside @ State::Outside(_) => outside,
        };
    }
}
