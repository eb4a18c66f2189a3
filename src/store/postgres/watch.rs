//! The thread that keeps the experiments in memory fresh, for a server that asks for them with every request.
//!
//! It reads them all when the database tells of a change (`LISTEN`), and
//! after a while in any case, as such a message can be lost on the way. While the database is away,
//! what was known last stays.

use std::io::{PipeReader, PipeWriter, pipe};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::connection::Connection;
use super::experiments;
use super::failure::{self, CallError, Failure};
use super::memory::Memory;
use super::migrations;
use super::options::PgOptions;
use super::wire::{self, Heard};
use crate::error::{ExperimentError, ExperimentStoreError};

/// The pause after a first failure; it doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// However long the database has been away, and however seldom it is read otherwise.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The thread, which ends when this is dropped.
pub(super) struct Watch {
    _until_dropped: PipeWriter,
}

impl Watch {
    /// Starts the thread, which begins by reading the experiments.
    pub(super) fn start(
        options: &PgOptions,
        memory: Arc<Memory>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (dropped, until_dropped) = pipe()?;
        let options = options.clone();
        let thread = thread::Builder::new()
            .name("exp-watch".to_owned())
            .spawn(move || keep_fresh(&memory, &options, &dropped))?;
        let watch = Self {
            _until_dropped: until_dropped,
        };
        Ok((watch, thread))
    }
}

/// Returns once `dropped` is closed at its other end.
fn keep_fresh(memory: &Memory, options: &PgOptions, dropped: &PipeReader) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Err(error) = follow(memory, options, &mut pause, dropped) else {
            return;
        };
        if let ExperimentError::Store(ExperimentStoreError::NewerSchema { .. }) = error {
            // What this program would make of them may be wrong by now.
            memory.forget();
        }
        memory.count_failure();
        tracing::warn!(
            store = options.address(),
            %error,
            "experiments_not_refreshed"
        );
        if wire::is_ready_within(dropped.as_fd(), pause) {
            return;
        }
        pause = (pause * 2).min(options.refresh_interval.clamp(FIRST_PAUSE, LONGEST_PAUSE));
    }
}

/// Reads the experiments, again with each change and after each interval, until something fails or
/// `dropped` is closed.
fn follow(
    memory: &Memory,
    options: &PgOptions,
    pause: &mut Duration,
    dropped: &PipeReader,
) -> Result<(), ExperimentError> {
    let mut db = Connection::open(options)?;
    let followed = refresh(&mut db, memory, options, pause, dropped);
    followed.map_err(|failure| {
        let failure = match failure {
            Failure::Call(fault) => migrations::explain(&mut db, options, fault),
            refused @ Failure::Refused(_) => refused,
        };
        match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Call(fault) => failure::sort(options, "watch its experiments", fault).into(),
        }
    })
}

fn refresh(
    db: &mut Connection,
    memory: &Memory,
    options: &PgOptions,
    pause: &mut Duration,
    dropped: &PipeReader,
) -> Result<(), Failure> {
    let mut is_listening = false;
    loop {
        if !is_listening {
            is_listening = listen(db, options)?;
        }
        let ticket = memory.ticket();
        memory.keep_all(ticket, experiments::all(options.address(), db)?);
        *pause = FIRST_PAUSE;
        match db
            .wire()
            .listen(options.refresh_interval, dropped.as_fd())?
        {
            Heard::Notification | Heard::Nothing => {}
            Heard::Other => return Ok(()),
        }
    }
}

/// Asks to be told of changes, of the schema as well; `false` where that can't be had. A pooler may lend the session to somebody
/// else, who would be told then.
fn listen(db: &mut Connection, options: &PgOptions) -> Result<bool, CallError> {
    if !db.owns_session()? {
        return Ok(false);
    }
    match db.batch("LISTEN autumn_experiments; LISTEN exp_schema") {
        // A replica tells nobody anything, as long as it is one.
        Err(CallError::Postgres(error)) if error.as_db_error().is_some() => {
            tracing::debug!(store = options.address(), %error, "experiments_not_listened_for");
            Ok(false)
        }
        listened => listened.map(|()| true),
    }
}
