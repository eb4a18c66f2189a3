//! Waiting for the lock of another connection, which may be another process's.

use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// How often somebody who waits for a lock looks whether it is free. SQLite's own waiting looks ever
/// more rarely, up to ten times a second, and misses the short pauses of a busy writer.
const LOCK_POLL: Duration = Duration::from_millis(1);

/// For how long a writer of many leaves the lock to those who wait for it.
pub(super) const PAUSE: Duration = Duration::from_millis(3);

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
            thread::sleep(LOCK_POLL);
        }
        goes_on
    }))
}
