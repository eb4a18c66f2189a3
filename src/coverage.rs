//! The share of the newcomers whom an experiment takes in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A share above 0 and at most 1, in steps of 0.0001. Kept and compared as a whole number, serialised as
/// the share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(try_from = "f64", into = "f64")]
pub struct Coverage(u16);

/// The steps from 0 to 1.
const STEPS: u16 = 10_000;

impl Coverage {
    /// Everybody.
    pub const FULL: Self = Self(STEPS);

    /// So many of 10000, if that is at least one and not more than all.
    #[must_use]
    pub fn of_10000(parts: u64) -> Option<Self> {
        let parts = u16::try_from(parts).ok()?;
        (1..=STEPS).contains(&parts).then_some(Self(parts))
    }

    /// This share, if it is one of the steps.
    #[must_use]
    pub fn of_share(share: f64) -> Option<Self> {
        let exact = share * f64::from(STEPS);
        let parts = exact.round();
        // As near as the share of a step is, once it went through a percentage.
        let is_step = (exact - parts).abs() < 1e-6;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number from 1 to 10000"
        )]
        (is_step && (1.0..=f64::from(STEPS)).contains(&parts)).then_some(Self(parts as u16))
    }

    /// How many of 10000 it is.
    #[must_use]
    pub fn per_10000(self) -> u64 {
        self.0.into()
    }

    /// The same, as a database's column has it.
    #[cfg(feature = "postgres")]
    pub(crate) fn parts(self) -> i32 {
        self.0.into()
    }

    /// The share, above 0 and at most 1.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(STEPS)
    }

    /// Whether an actor of this bucket is among them.
    #[must_use]
    pub fn admits(self, bucket: u64) -> bool {
        bucket < self.per_10000()
    }
}

impl Default for Coverage {
    fn default() -> Self {
        Self::FULL
    }
}

/// The share, without zeros at its end: `0.25`.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.share())
    }
}

/// What is not a share above 0 and at most 1, in steps of 0.0001.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a coverage is {}", Self::RANGE)]
pub struct NotACoverage;

impl NotACoverage {
    pub(crate) const RANGE: &str = "above 0 and at most 1, in steps of 0.0001";
}

/// From `0.25` or `25%`.
impl FromStr for Coverage {
    type Err = NotACoverage;

    fn from_str(text: &str) -> Result<Self, NotACoverage> {
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
            None => text.parse(),
        };
        share.ok().and_then(Self::of_share).ok_or(NotACoverage)
    }
}

impl TryFrom<f64> for Coverage {
    type Error = NotACoverage;

    fn try_from(share: f64) -> Result<Self, NotACoverage> {
        Self::of_share(share).ok_or(NotACoverage)
    }
}

impl From<Coverage> for f64 {
    fn from(coverage: Coverage) -> Self {
        coverage.share()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_read_as_it_is_written() {
        for parts in 1..=u64::from(STEPS) {
            let coverage = Coverage::of_10000(parts).unwrap();
            assert_eq!(coverage.to_string().parse(), Ok(coverage));
            assert_eq!(Coverage::of_share(coverage.share()), Some(coverage));
            let percent = format!("{}%", coverage.share() * 100.0);
            assert_eq!(percent.parse(), Ok(coverage), "{percent}");
            assert!(coverage.admits(parts - 1) && !coverage.admits(parts));
        }
        assert_eq!("25%".parse(), Coverage::of_share(0.25).ok_or(NotACoverage));
        assert_eq!(Coverage::FULL.to_string(), "1");
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for text in [
            "0", "-0.5", "1.0001", "101%", "0.00005", "0.33333", "NaN", "inf", "", "%", "a",
        ] {
            assert_eq!(text.parse::<Coverage>(), Err(NotACoverage), "{text}");
        }
        assert_eq!(
            (Coverage::of_10000(0), Coverage::of_10000(10_001)),
            (None, None)
        );
    }
}
