//! What of a metric is one of a few words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Enums that are known by a word, as serde, files and the command line have it.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident {
        $($(#[doc = $doc:literal])* $variant:ident = $word:literal,)+
    })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[doc = $doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Each word, and what it means.
            pub const WORDS: &[(&str, &str)] =
                &[$(($word, concat!($($doc),*).trim_ascii())),+];

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
