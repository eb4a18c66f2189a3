//! Keeping the write-ahead log short, so that it costs little to open the store; and what is set otherwise while
//! many actors are assigned.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME};

use super::locks::wait_for_lock;

/// Pages after which a commit moves it into the file and empties it. Every process that opens the store alone
/// reads all of it, so a short one keeps start-up short.
const PAGES: i32 = 64;

/// The same while many actors are assigned, as emptying it costs several syncs.
const PAGES_FOR_MANY: i32 = 64_000;

/// Page cache in KiB, as SQLite wants it: negative. Its own default, and what sorted input needs.
const CACHE: i64 = -2_000;
const CACHE_FOR_MANY: i64 = -65_536;

/// How long the write-ahead log is, and how long it may become.
///
/// SQLite's own automatic checkpoint moves it into the file, but leaves it to the next writer to begin it anew;
/// and the next process, which finds it and nothing that says it was moved, goes on appending. So that of a
/// store which one short process after another uses would grow without end, and be read by each.
#[derive(Debug)]
pub(super) struct WriteAheadLog {
    pages: AtomicI32,
    limit: AtomicI32,
}

impl WriteAheadLog {
    /// Has the connection tell the length after each commit, in place of SQLite's checkpoint.
    pub(super) fn watch(connection: &mut Connection) -> rusqlite::Result<Arc<Self>> {
        let log = Arc::new(Self {
            pages: AtomicI32::new(0),
            limit: AtomicI32::new(PAGES),
        });
        let told = Arc::clone(&log);
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            told.pages.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(log)
    }

    /// Empties it if it is long, unless somebody else is at it: then it is left to them. What
    /// was committed is safe in any case, so a failure is none of the caller's.
    pub(super) fn tend(&self, connection: &mut Connection) {
        if self.pages.load(Ordering::Relaxed) >= self.limit.load(Ordering::Relaxed) {
            self.empty(connection);
        }
    }

    /// Moves what was committed into the file, and empties it. So what a failed commit has left at
    /// its end is gone: the next process to open the store would take it for committed, and append
    /// to it, while a power cut may lose it with all that follows. A later sync does not help, as the
    /// system reports a failed one once and forgets it.
    pub(super) fn empty(&self, connection: &mut Connection) {
        let moved = wait_for_lock(connection, Duration::ZERO)
            .and_then(|()| connection.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::TRUNCATE));
        match moved {
            Ok(_) => self.pages.store(0, Ordering::Relaxed),
            Err(error) => tracing::debug!(%error, "the write-ahead log was not emptied"),
        }
    }

    /// Settings for a call with many actors.
    pub(super) fn begin_many(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.limit.store(PAGES_FOR_MANY, Ordering::Relaxed);
        connection.pragma_update(None, "cache_size", CACHE_FOR_MANY)
    }

    /// Back to the settings of one actor, with it emptied, so that nobody else has to.
    pub(super) fn end_many(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        self.limit.store(PAGES, Ordering::Relaxed);
        self.tend(connection);
        connection.pragma_update(None, "cache_size", CACHE)
    }
}
