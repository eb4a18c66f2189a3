//! How long a step may take: what the server is told, and how long the client waits.

use std::fmt::Write as _;
use std::time::Duration;

use super::options::PgOptions;

/// How long a step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It waits for locks and does next to nothing else.
    Quick,
    /// It works on many rows.
    Long,
    /// It works on all rows there are.
    Unbounded,
}

/// How much longer than the server's own timeouts the client waits for an answer. Within it, the server
/// says by itself that it gave up.
const GRACE: Duration = Duration::from_secs(5);

/// How long the server may be silent in a step that works on all there is.
const UNBOUNDED_SILENCE: Duration = Duration::from_mins(15);

/// How long the client waits for an answer.
pub(super) fn patience(options: &PgOptions, pace: Pace) -> Duration {
    match pace {
        Pace::Quick => options.lock_timeout.saturating_add(GRACE),
        Pace::Long => {
            let timeout = options.statement_timeout.max(options.lock_timeout);
            timeout.saturating_add(GRACE)
        }
        Pace::Unbounded => UNBOUNDED_SILENCE,
    }
}

/// How long the server works on a statement of a transaction. Where it waits for locks and does next to
/// nothing else, the server gives up before the client does, so that it is known what was done.
pub(super) fn statement_timeout(options: &PgOptions, pace: Pace) -> Duration {
    match pace {
        Pace::Quick => options
            .statement_timeout
            .min(options.lock_timeout.saturating_add(GRACE / 2)),
        Pace::Long => options.statement_timeout,
        // To the server none.
        Pace::Unbounded => Duration::ZERO,
    }
}

/// Adds the timeouts, unless they are the user's to set.
pub(super) fn set_timeouts(
    sql: &mut String,
    set: &str,
    options: &PgOptions,
    statement_timeout: Duration,
) {
    set_statement_timeout(sql, set, options, statement_timeout);
    if !options.sets("lock_timeout") {
        let timeout = millis(options.lock_timeout);
        let _ = write!(sql, "; {set} lock_timeout = {timeout}");
    }
}

pub(super) fn set_statement_timeout(
    sql: &mut String,
    set: &str,
    options: &PgOptions,
    timeout: Duration,
) {
    if timeout.is_zero() {
        let _ = write!(sql, "; {set} statement_timeout = 0");
    } else if !options.sets("statement_timeout") {
        let timeout = millis(timeout);
        let _ = write!(sql, "; {set} statement_timeout = {timeout}");
    }
}

/// As the server takes it; to it, 0 is none.
fn millis(timeout: Duration) -> u128 {
    timeout.as_millis().clamp(1, i32::MAX as u128)
}
