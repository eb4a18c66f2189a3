//! A number that is a number: finite, and equal to itself.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A finite number: neither infinite nor NaN, so that two of them can be compared and hashed.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(try_from = "f64", into = "f64")]
pub struct Finite(f64);

impl Finite {
    /// The number, if it is finite. Negative zero becomes zero.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number + 0.0))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Eq for Finite {}

impl Hash for Finite {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// In the fewest digits that give the same number back: `0.95`, `250`, `1e300`.
impl fmt::Display for Finite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:?}", self.0);
        f.write_str(digits.strip_suffix(".0").unwrap_or(&digits))
    }
}

/// What is no finite number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a finite number is needed")]
pub struct NotFinite;

impl FromStr for Finite {
    type Err = NotFinite;

    fn from_str(text: &str) -> Result<Self, NotFinite> {
        text.parse().ok().and_then(Self::new).ok_or(NotFinite)
    }
}

impl TryFrom<f64> for Finite {
    type Error = NotFinite;

    fn try_from(number: f64) -> Result<Self, NotFinite> {
        Self::new(number).ok_or(NotFinite)
    }
}

impl From<Finite> for f64 {
    fn from(number: Finite) -> Self {
        number.0
    }
}

impl From<u32> for Finite {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

/// The numbers above one bound and, if there is another, below that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberRange {
    /// All are greater than this.
    pub above: Finite,
    /// All are less than this.
    pub below: Option<Finite>,
}

impl NumberRange {
    /// Those above 0.
    pub const POSITIVE: Self = Self {
        above: Finite(0.0),
        below: None,
    };
    /// Those above 0 and below 1.
    pub const PROPORTION: Self = Self {
        below: Some(Finite(1.0)),
        ..Self::POSITIVE
    };
    /// Those above 0.5 and below 1.
    pub const CONFIDENCE: Self = Self {
        above: Finite(0.5),
        ..Self::PROPORTION
    };

    /// Whether a number is one of them.
    #[must_use]
    pub fn contains(self, number: Finite) -> bool {
        number > self.above && self.below.is_none_or(|below| number < below)
    }
}

/// As a sentence has it: `a number above 0.5 and below 1`.
impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number above {}", self.above)?;
        self.below
            .map_or(Ok(()), |below| write!(f, " and below {below}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_refused() {
        for text in ["NaN", "inf", "-inf", "1e999", "", "one"] {
            assert_eq!(text.parse::<Finite>(), Err(NotFinite), "{text}");
        }
        assert_eq!("-0".parse::<Finite>(), "0".parse());
        for text in ["0.001", "250", "-7.5", "1e300", "5e-324"] {
            assert_eq!(text.parse::<Finite>().unwrap().to_string(), text);
        }
    }
}
