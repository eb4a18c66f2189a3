//! Whole numbers that are typed.

use std::str::FromStr;

/// Parses one.
pub(crate) fn any<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| "expected a whole number, for example 10".to_owned())
}

/// Parses a number of things of which there must be one.
pub(crate) fn positive(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "expected a whole number from 1 on, for example 1000".to_owned())
}
