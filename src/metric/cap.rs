//! What large outcomes are cut to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::number::Finite;

/// What larger values of an actor are cut to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(try_from = "NumberOrText", into = "NumberOrText")]
pub enum Cap {
    /// This value.
    Value(Finite),
    /// This quantile, between 0 and 1, of the values that are not zero.
    Quantile(Finite),
}

/// As a file has a cap: a number, or a percentage as text.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum NumberOrText {
    Number(f64),
    Text(String),
}

/// What is no cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cap is {}", Self::ALLOWED)]
pub struct NotACap;

impl NotACap {
    pub(crate) const ALLOWED: &str =
        "a number above 0, or a percentage above 0 and below 100, such as \"99.9%\"";
}

/// A quantile is one of so many steps from 0 to 1: a percentage with ten decimals, which is read and written
/// without loss.
const STEPS: f64 = 1e12;

impl Cap {
    /// This value, if it is a number above 0.
    #[must_use]
    pub fn of_value(value: f64) -> Option<Self> {
        Finite::new(value)
            .filter(|value| value.get() > 0.0)
            .map(Self::Value)
    }

    /// The quantile at this percentage, to ten decimals, if it is above 0 and below 100.
    #[must_use]
    pub fn of_percent(percent: f64) -> Option<Self> {
        let steps = (percent * (STEPS / 100.0)).round();
        let is_between = steps > 0.0 && steps < STEPS;
        let share = is_between.then(|| Finite::new(steps / STEPS))?;
        share.map(Self::Quantile)
    }

    /// Whether it is one that [`of_value`](Self::of_value) or [`of_percent`](Self::of_percent) gives.
    #[must_use]
    pub fn is_valid(self) -> bool {
        match self {
            Self::Value(value) => Self::of_value(value.get()) == Some(self),
            Self::Quantile(share) => Self::of_percent(share.get() * 100.0) == Some(self),
        }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Quantile(share) => {
                let steps = (share.get() * STEPS).round();
                write!(f, "{}%", steps / (STEPS / 100.0))
            }
        }
    }
}

/// From `250` or `99.9%`.
impl FromStr for Cap {
    type Err = NotACap;

    fn from_str(text: &str) -> Result<Self, NotACap> {
        let Some(percent) = text.strip_suffix('%') else {
            let value = text.parse().ok();
            return value.and_then(Self::of_value).ok_or(NotACap);
        };
        let percent = percent.parse().ok();
        percent.and_then(Self::of_percent).ok_or(NotACap)
    }
}

impl TryFrom<NumberOrText> for Cap {
    type Error = NotACap;

    fn try_from(written: NumberOrText) -> Result<Self, NotACap> {
        match written {
            NumberOrText::Number(value) => Self::of_value(value).ok_or(NotACap),
            NumberOrText::Text(text) => text.parse(),
        }
    }
}

impl From<Cap> for NumberOrText {
    fn from(cap: Cap) -> Self {
        match cap {
            Cap::Value(value) => Self::Number(value.get()),
            Cap::Quantile(_) => Self::Text(cap.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_are_written_as_they_are_read() {
        for text in [
            "250",
            "0.5",
            "1e300",
            "99.9%",
            "95%",
            "99.99%",
            "0.0000000001%",
        ] {
            let cap: Cap = text.parse().unwrap();
            assert_eq!((cap.to_string(), cap.is_valid()), (text.to_owned(), true));
        }
        let literal = Finite::new(0.999).map(Cap::Quantile);
        assert_eq!("99.9%".parse().ok(), literal);
        // What is written says the same as what was read, whatever its digits.
        let odd: Cap = "33.333333333333336%".parse().unwrap();
        assert_eq!(odd.to_string().parse(), Ok(odd));
        for text in [
            "",
            "0",
            "-1",
            "NaN",
            "0%",
            "100%",
            "-5%",
            "%",
            "NaN%",
            "a",
            "99.99999999999999%",
        ] {
            assert_eq!(text.parse::<Cap>(), Err(NotACap), "{text}");
        }
    }
}
