//! Where a store takes the time from.

use std::time::{SystemTime, UNIX_EPOCH};

/// The clock of a store. All times are whole seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// Always this second: for reproducible demonstrations and tests.
    Fixed(u64),
}

impl Clock {
    /// Seconds since the Unix epoch; 0 if the machine's clock is before it.
    #[must_use]
    pub fn now_secs(self) -> u64 {
        match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            Self::Fixed(secs) => secs,
        }
    }
}
