//! Waiting for the lock of another connection, which may be another process's; writers in order.
//!
//! SQLite's write lock has no queue: whoever waits for it looks again and again, and is overtaken as
//! long as others find it free first. So a writer that finds it taken stands in a queue. The queue is
//! an operating system lock (`flock`) on the write-ahead log: that file exists as long as a connection
//! is open, has the store's permissions, and SQLite takes no lock of its own on it.
//! - The first in the queue keeps its place until it has SQLite's lock. Whoever commits and wants to
//!   write again, such as one for many actors, goes to the end of the queue without looking at the lock.
//! - The system wakes one waiter at a time, in the order of their coming, and removes a process that
//!   is killed. Nothing is left behind.
//! - The queue only orders the waiting; SQLite's lock still decides who writes. It is not left unused
//!   while the first in the queue is slow to wake, or is stopped: the first write of a connection
//!   looks for a while before it queues, and the others in the queue look too, but ten times less
//!   often than the first, and those for many actors hardly ever. Where there is no queue, everybody looks.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// How often a waiter looks whether the lock is free. SQLite's own waiting looks ever more rarely, up
/// to ten times a second, and misses the short pauses of a busy writer.
pub(super) const POLL: Duration = Duration::from_millis(1);

/// How often one looks who stands in the queue behind others, in case the first is not awake.
const POLL_BEHIND: Duration = Duration::from_millis(1);

/// The same for who would hold the lock for long.
const POLL_BEHIND_FOR_LONG: Duration = Duration::from_millis(500);

/// How often the first in the queue looks, and for how long: a single assignment holds the lock for a
/// few milliseconds.
const EAGER_POLL: Duration = Duration::from_micros(100);
const EAGER: Duration = Duration::from_millis(20);

/// For how long the first write of a connection looks before it enters the queue: most get the lock by
/// then, and a queue of everybody would leave the lock unused whenever the first is slow to wake.
const UNQUEUED: Duration = Duration::from_millis(50);

/// The helper thread makes one system call.
const HELPER_STACK: usize = 64 * 1024;

/// How long a call waits for a lock, unless it is told otherwise.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Has the connection wait this long for a lock.
pub(super) fn wait_for_lock(
    connection: &mut Connection,
    timeout: Duration,
) -> rusqlite::Result<()> {
    let mut since = Instant::now();
    connection.busy_handler(Some(move |earlier: i32| {
        if earlier == 0 {
            since = Instant::now();
        }
        let goes_on = since.elapsed() < timeout;
        if goes_on {
            thread::sleep(POLL);
        }
        goes_on
    }))
}

/// How long a writer will hold the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// For one actor or one change.
    Short,
    /// For many actors.
    Long,
}

impl Hold {
    fn poll_behind(self) -> Duration {
        match self {
            Self::Short => POLL_BEHIND,
            Self::Long => POLL_BEHIND_FOR_LONG,
        }
    }
}

/// A connection among the store's writers, in the queue or outside.
#[derive(Debug)]
pub(super) struct Queue {
    /// What the queue is a lock on; `None` where there can be no queue.
    log: Option<PathBuf>,
    has_written: AtomicBool,
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
    /// The first in the queue, since then.
    First(File, Instant),
    /// Not in the queue: this call found none.
    WithoutQueue,
}

impl Default for State {
    fn default() -> Self {
        Self::Outside(None)
    }
}

impl Queue {
    pub(super) fn of(connection: &Connection) -> Self {
        // On other systems the lock of a file keeps SQLite from writing to it.
        let has_queue = cfg!(unix) && matches!(connection.is_readonly("main"), Ok(false));
        let store = connection.path().filter(|_| has_queue);
        Self {
            log: store.map(|store| format!("{store}-wal").into()),
            has_written: AtomicBool::new(false),
            standing: Arc::default(),
        }
    }

    /// Begins a transaction that writes, waiting for its turn and for the lock this long at most.
    pub(super) fn begin<'c>(
        self: &Arc<Self>,
        connection: &'c mut Connection,
        hold: Hold,
        timeout: Duration,
    ) -> rusqlite::Result<Transaction<'c>> {
        let since = Instant::now();
        let has_written = self.has_written.swap(true, Ordering::Relaxed);
        if has_written || hold == Hold::Long {
            self.stand(timeout, hold);
        }
        let queue = Arc::clone(self);
        let has_begun = Arc::new(AtomicBool::new(false));
        let writes = Arc::clone(&has_begun);
        connection.busy_handler(Some(move |_| {
            let rest = timeout.saturating_sub(since.elapsed());
            if rest.is_zero() {
                return false;
            }
            let queues = has_written || hold == Hold::Long || since.elapsed() > UNQUEUED;
            // A transaction that has begun has the lock that the queue is for.
            if writes.load(Ordering::Relaxed) || !queues {
                thread::sleep(POLL.min(rest));
            } else {
                queue.wait(rest, hold);
            }
            true
        }))?;
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        has_begun.store(true, Ordering::Relaxed);
        // The next one gets ready while this one writes.
        self.leave();
        begun
    }

    /// Whether anybody stands in the queue; asked by who writes.
    pub(super) fn is_awaited(&self) -> bool {
        let mut state = self.standing.lock();
        let State::Outside(file) = &mut *state else {
            return false;
        };
        match self.enter(file.take()) {
            Ok(Entered::First(free)) => {
                *file = free.unlock().is_ok().then_some(free);
                false
            }
            Ok(Entered::Behind(taken)) => {
                *file = Some(taken);
                true
            }
            Err(_) => false,
        }
    }

    /// Lets time pass before the lock is looked at again.
    fn wait(&self, rest: Duration, hold: Hold) {
        let state = self.standing.lock();
        let pause = match &*state {
            State::First(_, since) if since.elapsed() < EAGER => EAGER_POLL,
            State::First(..) | State::WithoutQueue => POLL,
            State::Outside(_) | State::Waiting { .. } => {
                drop(state);
                return self.stand(rest, hold);
            }
        };
        drop(state);
        thread::sleep(pause.min(rest));
    }

    /// Enters the queue, unless it stands there already, and waits a little to be the first.
    fn stand(&self, rest: Duration, hold: Hold) {
        let mut state = self.standing.lock();
        if let State::Outside(file) = &mut *state {
            *state = match self.enter(file.take()) {
                Ok(Entered::First(file)) => State::First(file, Instant::now()),
                Ok(Entered::Behind(file)) => self.wait_behind(file, rest),
                Err(error) => {
                    tracing::debug!(%error, "the write lock has no queue");
                    State::WithoutQueue
                }
            };
        } else if let State::Waiting { is_wanted } = &mut *state {
            // A place that an earlier call gave up is as good.
            *is_wanted = true;
        }
        let waits = |state: &mut State| matches!(state, State::Waiting { .. });
        let patience = rest.min(hold.poll_behind());
        let waited = self
            .standing
            .moved
            .wait_timeout_while(state, patience, waits);
        drop(waited);
    }

    fn enter(&self, file: Option<File>) -> io::Result<Entered> {
        let file = match (file, &self.log) {
            (Some(file), _) => file,
            (None, Some(log)) => File::open(log)?,
            (None, None) => return Err(io::ErrorKind::Unsupported.into()),
        };
        match file.try_lock() {
            Ok(()) => Ok(Entered::First(file)),
            Err(TryLockError::WouldBlock) => Ok(Entered::Behind(file)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Waits in a thread, as the system has no time limit for that.
    fn wait_behind(&self, file: File, rest: Duration) -> State {
        if rest.is_zero() {
            return State::Outside(Some(file));
        }
        let standing = Arc::clone(&self.standing);
        let helper = thread::Builder::new().stack_size(HELPER_STACK);
        match helper.spawn(move || standing.be_first(file)) {
            Ok(_) => State::Waiting { is_wanted: true },
            Err(error) => {
                tracing::debug!(%error, "no thread to wait in the queue");
                State::WithoutQueue
            }
        }
    }

    fn leave(&self) {
        let mut state = self.standing.lock();
        *state = match std::mem::take(&mut *state) {
            State::First(file, _) => State::Outside(file.unlock().is_ok().then_some(file)),
            State::Waiting { .. } => State::Waiting { is_wanted: false },
            State::WithoutQueue => State::Outside(None),
            outside @ State::Outside(_) => outside,
        };
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
            (Ok(()), State::Waiting { is_wanted: true }) => State::First(file, Instant::now()),
            // Closing the file leaves the queue.
            _ => State::Outside(None),
        };
        self.moved.notify_all();
    }
}
