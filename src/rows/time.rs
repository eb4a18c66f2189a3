//! From the text of a cell to a time.

use super::error::CellProblem;

/// A time, as far as results look at it: in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// Seconds since the Unix epoch; a part of a second is dropped.
    pub secs: i64,
    /// What it was written in, if it was a number.
    pub unit: Option<TimeUnit>,
}

/// What a time that is a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds since the Unix epoch.
    Seconds,
    /// Milliseconds since the Unix epoch.
    Milliseconds,
}

impl Time {
    /// Numbers from here on are milliseconds: as such it is a day in 1973, as seconds one in the year 5138.
    const MILLISECONDS_FROM: u64 = 100_000_000_000;
    /// Numbers from here on would be in the year 5138 as milliseconds.
    const TOO_FINE_FROM: u64 = 100_000_000_000_000;

    /// The time that a whole number means.
    ///
    /// # Errors
    /// It is [too large](CellProblem::TooFine).
    #[inline]
    pub fn of_number(number: i64) -> Result<Self, CellProblem> {
        match number.unsigned_abs() {
            Self::TOO_FINE_FROM.. => Err(CellProblem::TooFine),
            Self::MILLISECONDS_FROM.. => Ok(Self {
                secs: number.div_euclid(1000),
                unit: Some(TimeUnit::Milliseconds),
            }),
            _ => Ok(Self {
                secs: number,
                unit: Some(TimeUnit::Seconds),
            }),
        }
    }

    /// The time that a number means.
    ///
    /// # Errors
    /// It is [too large](CellProblem::TooFine), or no number.
    pub fn of_float(number: f64) -> Result<Self, CellProblem> {
        if number.is_nan() {
            return Err(CellProblem::NotATime);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is too large stays so"
        )]
        Self::of_number(number.floor() as i64)
    }
}

/// The time in a cell: Unix seconds or milliseconds, which may have decimals, RFC 3339, or `YYYY-MM-DD HH:MM:SS`, also
/// with decimals, in UTC: that is what SQLite's `datetime()` and `CURRENT_TIMESTAMP` give. Spaces and tabs around it are
/// skipped.
///
/// # Errors
/// It is something else.
#[inline]
pub fn parse_time(text: &[u8]) -> Result<Time, CellProblem> {
    whole_number(text).map_or_else(|| any_time(text), Time::of_number)
}

/// Up to 18 digits.
#[inline]
fn whole_number(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    let mut number: i64 = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(number)
}

fn any_time(text: &[u8]) -> Result<Time, CellProblem> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err(CellProblem::Empty);
    }
    let text = std::str::from_utf8(text).map_err(|_| CellProblem::NotATime)?;
    if let Some(number) = floor(text) {
        return Time::of_number(number);
    }
    if text.bytes().all(|byte| b"0123456789+-.eE".contains(&byte))
        && let Ok(number) = text.parse::<f64>()
    {
        return Time::of_float(number);
    }
    let parsed = text.parse::<jiff::Timestamp>().ok();
    let time = parsed.or_else(|| of_sqlite(text));
    let time = time.ok_or(CellProblem::NotATime)?;
    let secs = time.as_nanosecond().div_euclid(1_000_000_000);
    let secs = i64::try_from(secs).map_err(|_| CellProblem::NotATime)?;
    Ok(Time { secs, unit: None })
}

/// `YYYY-MM-DD HH:MM:SS`, with or without decimals. With a `T` it would be a time without a zone, which programs write for
/// the time of their place.
fn of_sqlite(text: &str) -> Option<jiff::Timestamp> {
    const SHAPE: &[u8] = b"0000-00-00 00:00:00";
    let (seconds, decimals) = text.as_bytes().split_at_checked(SHAPE.len())?;
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let has_shape = seconds.iter().zip(SHAPE).all(|(byte, shape)| match shape {
        b'0' => is_digit(byte),
        sign => byte == sign,
    });
    let are_decimals = match decimals {
        [] => true,
        [b'.', digits @ ..] => !digits.is_empty() && digits.iter().all(is_digit),
        _ => false,
    };
    // Decimals are dropped anyway, and there may be more of them than jiff takes.
    let civil = text
        .get(..SHAPE.len())
        .filter(|_| has_shape && are_decimals)?;
    let civil: jiff::civil::DateTime = civil.parse().ok()?;
    let time = civil.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?;
    Some(time.timestamp())
}

/// Of digits with decimals; a `f64` could round them up to the next second.
fn floor(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_negative = whole.starts_with('-');
    let digits = whole.trim_start_matches('-');
    if whole.len() - digits.len() > 1 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = whole_number(digits.as_bytes())?;
    let has_part = decimals.bytes().any(|byte| byte != b'0');
    Some(if is_negative {
        -number - i64::from(has_part)
    } else {
        number
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_milliseconds_or_rfc_3339_or_as_sqlite_has_them() {
        use TimeUnit::{Milliseconds, Seconds};
        let times = [
            ("0", 0, Some(Seconds)),
            ("1700000000", 1_700_000_000, Some(Seconds)),
            ("1700000000.999999999", 1_700_000_000, Some(Seconds)),
            ("1.7e9", 1_700_000_000, Some(Seconds)),
            (" 1700000000 ", 1_700_000_000, Some(Seconds)),
            ("-1", -1, Some(Seconds)),
            ("-0.5", -1, Some(Seconds)),
            ("1700000000999", 1_700_000_000, Some(Milliseconds)),
            ("1700000000999.5", 1_700_000_000, Some(Milliseconds)),
            ("2023-11-14T22:13:20Z", 1_700_000_000, None),
            ("2023-11-14T22:13:20.999Z", 1_700_000_000, None),
            ("2023-11-15t00:13:20+02:00", 1_700_000_000, None),
            ("1969-12-31T23:59:59.5Z", -1, None),
            ("2023-11-14 22:13:20", 1_700_000_000, None),
            (" 2023-11-14 22:13:20.999 ", 1_700_000_000, None),
            ("2023-11-14 22:13:20.123456789123", 1_700_000_000, None),
            ("1969-12-31 23:59:59.5", -1, None),
            ("2023-11-15 00:13:20+02:00", 1_700_000_000, None),
        ];
        for (text, secs, unit) in times {
            let time = Time { secs, unit };
            assert_eq!(parse_time(text.as_bytes()), Ok(time), "{text}");
        }
        for text in ["", "  "] {
            assert_eq!(parse_time(text.as_bytes()), Err(CellProblem::Empty));
        }
        for text in ["1700000000000000", "1e15", "999999999999999999", "1e300"] {
            let parsed = parse_time(text.as_bytes());
            assert_eq!(parsed, Err(CellProblem::TooFine), "{text}");
        }
        let wrong = [
            "yesterday",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-11-14 22:13",
            "2023-11-14  22:13:20",
            "2023-11-14 22:13:20.",
            "2023-11-14 22:13:20[Europe/Paris]",
            "2023-13-14 22:13:20",
            "14/11/2023",
            "--1",
            "1.x",
            "NaN",
            ".",
        ];
        for text in wrong {
            let parsed = parse_time(text.as_bytes());
            assert_eq!(parsed, Err(CellProblem::NotATime), "{text}");
        }
    }
}
