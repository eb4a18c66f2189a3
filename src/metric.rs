//! What an experiment is to be judged by: its metrics, and how it is analysed. Data; what makes it valid is
//! in `validation`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::number::Finite;

/// Enums that are known by a word, as serde, files and the command line have it.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The one of that word.
            #[must_use]
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )+};
}

words! {
    /// What is made of an actor's outcomes.
    MetricKind {
        /// Whether the actor has any outcome that is not zero.
        Conversion = "conversion",
        /// The sum of the actor's outcomes.
        Mean = "mean",
        /// The sum over all actors of one column, divided by that of another.
        Ratio = "ratio",
        /// A quantile of the actors' sums, among the actors who have an outcome.
        Quantile = "quantile",
    }
    /// What part a metric has in the decision.
    MetricRole {
        /// It decides.
        Primary = "primary",
        /// It is of interest.
        Secondary = "secondary",
        /// It must not get worse.
        Guardrail = "guardrail",
    }
    /// Which direction is good.
    Better {
        /// More is better.
        Up = "up",
        /// Less is better.
        Down = "down",
    }
    /// Whose outcomes are analysed.
    Population {
        /// Everybody who is assigned, from the assignment on.
        Assigned = "assigned",
        /// Everybody with a kept exposure, from the first one on.
        Exposed = "exposed",
    }
}

/// How long after an actor's start outcomes count: a whole number of seconds above 0, written as `7d` or
/// `12h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

impl Window {
    /// So many seconds, if that is more than none.
    #[must_use]
    pub fn of_secs(secs: u64) -> Option<Self> {
        (secs > 0).then_some(Self(secs))
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
#[error("a window is a whole number above 0 and a unit (s, m, h, d or w), such as 7d or 12h")]
pub struct NotAWindow;

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

/// What larger values of an actor are cut to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "NumberOrText", into = "NumberOrText")]
pub enum Cap {
    /// This value.
    Value(Finite),
    /// This quantile, between 0 and 1, of the values that are not zero.
    Quantile(Finite),
}

/// As a file has a cap: a number, or a percentage as text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(f64),
    Text(String),
}

/// What is no cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cap is a number above 0, or a percentage below 100 such as 99.9%")]
pub struct NotACap;

impl Cap {
    /// This value, if it is a number above 0.
    #[must_use]
    pub fn of_value(value: f64) -> Option<Self> {
        Finite::new(value)
            .filter(|value| value.get() > 0.0)
            .map(Self::Value)
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            // Of a share with digits that a percentage has, not those that multiplying makes up.
            Self::Quantile(share) => {
                let percent = share.get() * 100.0;
                write!(f, "{}%", (percent * 1e10).round() / 1e10)
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
        let percent: Finite = percent.parse().map_err(|_| NotACap)?;
        if percent.get() <= 0.0 || percent.get() >= 100.0 {
            return Err(NotACap);
        }
        let share = Finite::new(percent.get() / 100.0);
        share.map(Self::Quantile).ok_or(NotACap)
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

/// One metric of an experiment, as it is declared: what is not set has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricConfig {
    /// Unique in the experiment.
    pub name: String,
    /// What is made of an actor's outcomes.
    pub kind: MetricKind,
    /// The column of the outcomes; the name if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Of a ratio: the column that it is divided by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denominator: Option<String>,
    /// Of a quantile: which one, between 0 and 1; 0.5 if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<Finite>,
    /// What part it has in the decision; if it is not set, the first metric is primary and the others are
    /// secondary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<MetricRole>,
    /// Which direction is good; up if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub better: Option<Better>,
    /// How long after an actor's start outcomes count; without end if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// A column that was measured before the start, to adjust for (CUPED).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariate: Option<String>,
    /// What larger values are cut to; of a ratio, those of the numerator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Cap>,
    /// Relative to the control: the smallest change worth having; of a guardrail, the largest harm allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_effect: Option<Finite>,
}

impl MetricConfig {
    /// The quantile of one that says none: the median.
    pub const MEDIAN: f64 = 0.5;

    /// A metric with nothing else set.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: MetricKind) -> Self {
        Self {
            name: name.into(),
            kind,
            column: None,
            denominator: None,
            quantile: None,
            role: None,
            better: None,
            window: None,
            covariate: None,
            cap: None,
            minimum_effect: None,
        }
    }

    /// The column of the outcomes that it is made of.
    #[must_use]
    pub fn column(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.name)
    }

    /// Which direction is good.
    #[must_use]
    pub fn better(&self) -> Better {
        self.better.unwrap_or(Better::Up)
    }

    /// Its part in the decision, in this place of the experiment's list, counted from 0.
    #[must_use]
    pub fn role_at(&self, place: usize) -> MetricRole {
        let default = if place == 0 {
            MetricRole::Primary
        } else {
            MetricRole::Secondary
        };
        self.role.unwrap_or(default)
    }

    /// Which quantile it is, between 0 and 1.
    #[must_use]
    pub fn quantile(&self) -> f64 {
        self.quantile.map_or(Self::MEDIAN, Finite::get)
    }
}

/// How an experiment is analysed. All but the metrics is fixed once it has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnalysisConfig {
    /// The variant that the others are compared with; if it is not set, the one named `control`, or else the
    /// first.
    pub control: Option<String>,
    /// How sure an interval is, between 0 and 1.
    pub confidence: Finite,
    /// The number of actors at which the always-valid intervals are narrowest (N* in the literature).
    pub tuning_actors: u64,
    /// Whose outcomes are analysed.
    pub population: Population,
    /// What it is judged by.
    pub metrics: Vec<MetricConfig>,
}

impl AnalysisConfig {
    /// The confidence of an experiment that says none.
    pub const CONFIDENCE: f64 = 0.95;
    /// The tuning of an experiment that says none.
    pub const TUNING_ACTORS: u64 = 5000;
}

impl Default for AnalysisConfig {
    fn default() -> Self {
        Self {
            control: None,
            confidence: Finite::new(Self::CONFIDENCE).unwrap_or_default(),
            tuning_actors: Self::TUNING_ACTORS,
            population: Population::Assigned,
            metrics: Vec::new(),
        }
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
            "99999999999999999w",
        ] {
            assert_eq!(text.parse::<Window>(), Err(NotAWindow), "{text}");
        }
    }

    #[test]
    fn caps_are_written_as_they_are_read() {
        for text in ["250", "0.5", "99.9%", "95%", "99.99%"] {
            assert_eq!(text.parse::<Cap>().unwrap().to_string(), text);
        }
        for text in ["", "0", "-1", "NaN", "0%", "100%", "-5%", "%", "a"] {
            assert_eq!(text.parse::<Cap>(), Err(NotACap), "{text}");
        }
    }
}
