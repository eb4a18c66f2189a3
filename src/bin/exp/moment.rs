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
/// As seconds they would be in the first hour of 1970.
const YEARS: std::ops::RangeInclusive<i64> = 1970..=2199;

/// The moment in seconds since 1970: RFC 3339, a date or a date and time of the local zone, seconds since
/// 1970, or how long ago it was. `3d` and `3d ago` mean the same.
pub(crate) fn parse(text: &str, clock: Clock) -> Result<u64, UsageError> {
    let ago = |span: Span| Some(-span.abs());
    let moment = absolute(text)?.or_else(|| after(text, ago, clock));
    moment.ok_or_else(|| UsageError(format!("'{text}' is not a time; write {FORMS}")))
}

/// What may be typed as a moment to come, for help texts.
pub(crate) const FORMS_AHEAD: &str =
    "7d (from now), 2026-11-28, 2026-11-28T09:30:00Z or seconds since 1970";

/// The same for a moment to come: in place of how long ago it was, how far ahead it is.
pub(crate) fn parse_ahead(text: &str, clock: Clock) -> Result<u64, UsageError> {
    let ahead = |span: Span| (!span.is_negative()).then_some(span);
    let moment = absolute(text)?.or_else(|| after(text, ahead, clock));
    let message = || format!("'{text}' is not a time in the future; write {FORMS_AHEAD}");
    moment.ok_or_else(|| UsageError(message()))
}

/// A moment that does not depend on the present one; `None` if it is no such.
fn absolute(text: &str) -> Result<Option<u64>, UsageError> {
    if seconds(text).is_some_and(|secs| secs >= MILLISECONDS_FROM) {
        let message = format!("'{text}' looks like milliseconds; write seconds since 1970");
        return Err(UsageError(message));
    }
    if seconds(text).is_some_and(|secs| YEARS.contains(&secs)) {
        let message = format!("'{text}' looks like a year; write a date such as {text}-01-31");
        return Err(UsageError(message));
    }
    let moment = seconds(text)
        .or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_second))
        .or_else(|| local(text));
    Ok(moment.and_then(|moment| u64::try_from(moment).ok()))
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

/// The present moment and what is made of the span that was typed.
fn after(text: &str, span: impl Fn(Span) -> Option<Span>, clock: Clock) -> Option<u64> {
    let span = span(text.parse().ok()?)?;
    let now = Timestamp::from_second(i64::try_from(clock.now_secs()).ok()?).ok()?;
    let moment = now
        .to_zoned_datetime(TimeZone::UTC)
        .checked_add(span)
        .ok()?;
    u64::try_from(moment.timestamp().as_second()).ok()
}
