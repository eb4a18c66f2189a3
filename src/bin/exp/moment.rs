//! Moments as people type them.

use experiments::Clock;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::environment;
use crate::exit::UsageError;

/// What may be typed, for help texts.
pub(crate) const FORMS: &str = "2026-11-28, 2026-11-28T09:30:00Z, seconds since 1970, or 3d (ago)";

/// As seconds it would be in the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// The moment in seconds since 1970: RFC 3339, a date or a date and time of the local zone, seconds since
/// 1970, or how long ago it was.
pub(crate) fn parse(text: &str, clock: Clock) -> Result<u64, UsageError> {
    let now = clock.now_secs();
    if seconds(text).is_some_and(|secs| secs >= MILLISECONDS_FROM) {
        let message = format!("'{text}' looks like milliseconds; write seconds since 1970");
        return Err(UsageError(message));
    }
    let moment = seconds(text)
        .or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_second))
        .or_else(|| local(text))
        .or_else(|| ago(text, now));
    let moment = moment.and_then(|moment| u64::try_from(moment).ok());
    moment.ok_or_else(|| UsageError(format!("'{text}' is not a time; write {FORMS}")))
}

/// The moment that was typed, or the beginning of time.
pub(crate) fn since(text: Option<&str>) -> anyhow::Result<u64> {
    text.map_or(Ok(0), |text| Ok(parse(text, environment::clock()?)?))
}

fn seconds(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn local(text: &str) -> Option<i64> {
    let civil: DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned_datetime(TimeZone::system()).ok()?;
    Some(zoned.timestamp().as_second())
}

/// So long before `now`; `3d` and `3d ago` mean the same.
fn ago(text: &str, now: u64) -> Option<i64> {
    let span: Span = text.parse().ok()?;
    let span = span.abs();
    let now = Timestamp::from_second(i64::try_from(now).ok()?).ok()?;
    let now = now.to_zoned_datetime(TimeZone::UTC);
    let moment = now.checked_sub(span).ok()?;
    Some(moment.timestamp().as_second())
}
