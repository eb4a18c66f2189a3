//! Numbers, shares and days as a sentence has them: short, and only as exact as a reader can use.

use crate::stats::number::real;
use crate::text::escape;

const DAY_SECS: u64 = 86_400;

/// How much of the whole a part is.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    real(part) / real(whole)
}

/// A share of 1 as a percentage, such as `48.1%`.
pub(super) fn percent(share: f64) -> String {
    percent_to(share, decimals(share))
}

/// How many decimals a percentage needs: more the smaller it is.
fn decimals(share: f64) -> usize {
    match share.abs() {
        1.0.. => 0,
        0.01.. | 0.0 => 1,
        0.001.. => 2,
        0.000_1.. => 3,
        _ => 4,
    }
}

fn percent_to(share: f64, decimals: usize) -> String {
    format!("{}%", trimmed(share * 100.0, decimals))
}

/// The same with its sign.
pub(super) fn signed_percent(share: f64) -> String {
    signed(share, percent(share))
}

/// Two shares of 1 as percentages, with enough decimals to tell them apart if they differ at all.
pub(super) fn percent_apart(one: f64, other: f64) -> [String; 2] {
    const MOST: usize = 3;
    let with = |more| [one, other].map(|share| percent_to(share, decimals(share) + more));
    let mut pairs = (0..=MOST).map(with);
    let apart = pairs.find(|[one, other]| one != other);
    apart.unwrap_or_else(|| with(0))
}

/// A figure in the metric's unit, with its sign: four digits that count.
pub(super) fn signed_figure(figure: f64) -> String {
    signed(figure, self::figure(figure))
}

fn figure(figure: f64) -> String {
    const DIGITS: i32 = 4;
    if figure == 0.0 {
        return "0".to_owned();
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a logarithm of a number is small"
    )]
    let exponent = figure.abs().log10().floor() as i32;
    match usize::try_from(DIGITS - 1 - exponent) {
        Ok(decimals @ 0..=9) => trimmed(figure, decimals),
        Err(_) if exponent < 12 => format!("{figure:.0}"),
        _ => format!("{figure:.3e}"),
    }
}

fn signed(number: f64, written: String) -> String {
    if number > 0.0 {
        format!("+{written}")
    } else {
        written
    }
}

/// Without the zeros that say nothing.
fn trimmed(number: f64, decimals: usize) -> String {
    let written = format!("{number:.decimals$}");
    let written = if written.contains('.') {
        written.trim_end_matches('0').trim_end_matches('.')
    } else {
        &written
    };
    match written {
        "-0" => "0".to_owned(),
        written => written.to_owned(),
    }
}

/// A p-value, such as `p = 0.003`.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 {
        "p < 0.001".to_owned()
    } else if p < 0.1 {
        format!("p = {}", trimmed(p, 3))
    } else {
        format!("p = {}", trimmed(p, 2))
    }
}

/// A count with commas, such as `12,400`.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut written = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

/// A count of which only the size matters: three digits, rounded up.
pub(super) fn about(exact: u64) -> String {
    let mut unit = 1;
    while exact / unit >= 1000 {
        unit *= 10;
    }
    count(exact.div_ceil(unit).saturating_mul(unit))
}

/// So many actors.
pub(super) fn actors(number: u64) -> String {
    let noun = if number == 1 { "actor" } else { "actors" };
    format!("{} {noun}", count(number))
}

/// So many rows.
pub(super) fn rows(number: u64) -> String {
    let noun = if number == 1 { "row" } else { "rows" };
    format!("{} {noun}", count(number))
}

/// A time as the day in UTC, such as `2026-12-03`.
pub(super) fn day(secs: u64) -> String {
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the leap
    // day is the last one.
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let days = secs / DAY_SECS + 719_468;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + later)
}

/// The name of a variant, safe to show.
pub(super) fn name(variant: &str) -> std::borrow::Cow<'_, str> {
    escape(variant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_count() {
        let written =
            [0.041, 0.0712, -0.0042, 1.5, 0.00012, 0.0, 12.345, -0.02].map(signed_percent);
        let expected = [
            "+4.1%", "+7.1%", "-0.42%", "+150%", "+0.012%", "0%", "+1234%", "-2%",
        ];
        assert_eq!(written, expected);
        let written = [0.5, 1234.567, -0.000_123_46, 0.0, 1e9, 1e300, -31.0].map(signed_figure);
        let expected = [
            "+0.5",
            "+1235",
            "-0.0001235",
            "0",
            "+1000000000",
            "+1.000e300",
            "-31",
        ];
        assert_eq!(written, expected);
        let written = [0.0004, 0.0031, 0.05, 0.4321, 1.0].map(p_value);
        assert_eq!(
            written,
            ["p < 0.001", "p = 0.003", "p = 0.05", "p = 0.43", "p = 1"]
        );
    }

    #[test]
    fn shares_are_told_apart() {
        assert_eq!(percent_apart(0.481, 0.5), ["48.1%", "50%"]);
        assert_eq!(percent_apart(0.499_81, 0.5), ["49.98%", "50%"]);
        assert_eq!(percent_apart(0.010_4, 0.01), ["1.04%", "1%"]);
        assert_eq!(percent_apart(0.5, 0.5), ["50%", "50%"]);
    }

    #[test]
    fn counts_have_commas() {
        let written = [0, 999, 1000, 12_345, 1_234_567].map(count);
        assert_eq!(written, ["0", "999", "1,000", "12,345", "1,234,567"]);
        let written = [7, 999, 12_345, 9_999_999].map(about);
        assert_eq!(written, ["7", "999", "12,400", "10,000,000"]);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let days = [0, 951_782_400, 1_709_164_799, 1_709_164_800, 1_796_256_000];
        let expected = [
            "1970-01-01",
            "2000-02-29",
            "2024-02-28",
            "2024-02-29",
            "2026-12-03",
        ];
        assert_eq!(days.map(day), expected);
    }
}
