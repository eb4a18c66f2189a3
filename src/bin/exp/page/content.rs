//! What a page shows, as data.

use experiments::ChangeRecord;
use experiments::results::Report;

use crate::output::interval::Interval;

/// All that a page shows.
pub(crate) struct Page<'a> {
    pub(crate) report: &'a Report,
    /// What it is about, for people.
    pub(crate) description: Option<&'a str>,
    /// What is shown of each metric beside its report, in the same order.
    pub(crate) metrics: Vec<Beside>,
    /// Who was assigned, by day.
    pub(crate) days: Days,
    /// The log, newest first.
    pub(crate) history: &'a [ChangeRecord],
    /// What was typed.
    pub(crate) command: String,
    /// Whether what was typed would have another end tomorrow.
    pub(crate) ends_by_itself: bool,
    /// The inputs and the SHA-256 of each.
    pub(crate) inputs: Vec<(String, String)>,
    /// When it was made, in seconds since 1970.
    pub(crate) made_at_secs: u64,
}

/// What is shown of a metric beside its report.
pub(crate) struct Beside {
    /// How it is defined, in a line.
    pub(crate) definition: String,
    pub(crate) over_time: Option<Series>,
}

/// A comparison over time.
pub(crate) struct Series {
    pub(crate) variant: String,
    pub(crate) control: String,
    /// At least two.
    pub(crate) moments: Vec<Moment>,
}

/// A comparison as it was at one moment.
pub(crate) struct Moment {
    pub(crate) at_secs: u64,
    pub(crate) interval: Interval,
}

/// Who was assigned, by day, or by several days where there would be too many.
#[derive(Default)]
pub(crate) struct Days {
    pub(crate) variants: Vec<String>,
    /// How many days each stands for.
    pub(crate) step: u64,
    pub(crate) bars: Vec<Day>,
}

/// Who was assigned on a day, or on several.
pub(crate) struct Day {
    pub(crate) begins_at_secs: u64,
    /// In the order of the variants.
    pub(crate) actors: Vec<u64>,
}

impl Day {
    pub(super) fn total(&self) -> u64 {
        self.actors.iter().sum()
    }
}
