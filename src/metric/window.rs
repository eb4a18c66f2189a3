//! How long outcomes count.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How long after an actor's start outcomes count: a whole number of seconds above 0 and at most a hundred
/// years, written as `7d` or `12h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Window(u64);

/// The units of a window, the largest first, and their seconds.
const UNITS: [(char, u64); 5] = [
    ('w', 7 * 86_400),
    ('d', 86_400),
    ('h', 3_600),
    ('m', 60),
    ('s', 1),
];

/// The longest window, in seconds, so that a start and a window always add up.
const MAX_SECS: u64 = 36_500 * 86_400;

impl Window {
    /// So many seconds, if a window may have that many.
    #[must_use]
    pub fn of_secs(secs: u64) -> Option<Self> {
        (1..=MAX_SECS).contains(&secs).then_some(Self(secs))
    }

    /// Its length in seconds.
    #[must_use]
    pub fn secs(self) -> u64 {
        self.0
    }
}

/// In the largest unit that gives a whole number; weeks are written as days.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut units = UNITS.into_iter().skip(1);
        let whole = units.find(|(_, secs)| self.0.is_multiple_of(*secs));
        let (unit, secs) = whole.unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.0 / secs)
    }
}

/// What is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a window is {}", Self::ALLOWED)]
pub struct NotAWindow;

impl NotAWindow {
    pub(crate) const ALLOWED: &str = "a whole number above 0 and a unit (s, m, h, d or w), such as \"7d\" or \"12h\", and at most 36500d";
}

impl FromStr for Window {
    type Err = NotAWindow;

    fn from_str(text: &str) -> Result<Self, NotAWindow> {
        let parsed = UNITS.into_iter().find_map(|(unit, secs)| {
            let number = text.strip_suffix(unit)?;
            let is_digits = number.bytes().all(|byte| byte.is_ascii_digit());
            let number = is_digits.then(|| number.parse::<u64>().ok())??;
            Self::of_secs(number.checked_mul(secs)?)
        });
        parsed.ok_or(NotAWindow)
    }
}

impl TryFrom<String> for Window {
    type Error = NotAWindow;

    fn try_from(text: String) -> Result<Self, NotAWindow> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_written_as_they_are_read() {
        for (text, secs) in [("7d", 604_800), ("12h", 43_200), ("90m", 5400), ("1s", 1)] {
            let window: Window = text.parse().unwrap();
            assert_eq!((window.secs(), &*window.to_string()), (secs, text));
        }
        assert_eq!("1w".parse::<Window>().unwrap().to_string(), "7d");
        for text in [
            "",
            "d",
            "0d",
            "7",
            "7 d",
            "-7d",
            "+7d",
            "1.5h",
            "7y",
            "36501d",
            "99999999999999999w",
        ] {
            assert_eq!(text.parse::<Window>(), Err(NotAWindow), "{text}");
        }
    }
}
