//! What the outcomes of each actor add up to.

/// What is known of one metric.
#[derive(Debug, Clone, Default)]
pub struct MetricTotals {
    /// By actor: the sum of its values in the window; of a conversion 1 if any was not zero, and else 0.
    pub values: Vec<f64>,
    /// Of a ratio, by actor: the sum of the other column. Else empty.
    pub denominators: Vec<f64>,
    /// By actor: whether any row counted.
    pub seen: Vec<bool>,
    /// With a covariate, by actor: its value, NaN if it is not known. Else empty.
    pub covariates: Vec<f64>,
    /// Rows of actors in the experiment that came after the window.
    pub after_window: u64,
}

/// What one column says of each actor, to test the sample ratio of each of its values.
#[derive(Debug, Clone, Default)]
pub struct ByColumn {
    /// The column's name.
    pub column: String,
    /// Its values.
    pub values: Vec<String>,
    /// By actor: the place of its value, from the first row that has one; [`u32::MAX`] without any.
    pub of_actor: Vec<u32>,
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRow {
    /// Its line in the input, or the number of the row, counted from 1.
    pub line: u64,
    /// What is wrong, in a sentence without a full stop.
    pub problem: String,
}

/// What the outcomes add up to.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// In the order of the metrics that were asked for.
    pub metrics: Vec<MetricTotals>,
    /// The time of the latest readable row, in seconds since the Unix epoch.
    pub latest_secs: Option<u64>,
    /// Rows that were read.
    pub rows: u64,
    /// Rows of actors in no variant.
    pub unknown_actors: u64,
    /// Rows from before the actor's start.
    pub before_start: u64,
    /// Rows that could not be read.
    pub broken_rows: u64,
    /// The first of them.
    pub broken: Vec<BrokenRow>,
    /// Whether times were given in milliseconds.
    pub milliseconds: bool,
    /// The column by whose values the sample ratio is tested.
    pub by: Option<ByColumn>,
}
