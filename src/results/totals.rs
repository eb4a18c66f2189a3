//! What the outcomes of each actor add up to: data.

/// What is known of one metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricTotals {
    /// By actor: the sum of its values in the window, 0 without any; of a conversion 1 if any was not zero, and
    /// else 0. The sum of values near the largest number may be infinite.
    pub values: Vec<f64>,
    /// Of a ratio, by actor: the sum of the other column. Else empty.
    pub denominators: Vec<f64>,
    /// By actor: whether any row counted.
    pub seen: Vec<bool>,
    /// With a covariate, by actor: its value, NaN if it is not known. Else empty.
    pub covariates: Vec<f64>,
    /// Rows of actors in the experiment that have a value, and came after the window.
    pub after_window: u64,
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRow {
    /// Its line in the input, or the number of the row, counted from 1.
    pub line: u64,
    /// What is wrong, in a sentence without a full stop.
    pub problem: String,
}

/// The column by whose values actors are told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByColumn {
    /// Its name.
    pub column: String,
    /// Its values, in the order in which they were found.
    pub values: Vec<String>,
    /// By actor: the place of its value, from the first row that has one; [`u32::MAX`] if none has.
    pub of_actor: Vec<u32>,
}

/// What the outcomes add up to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// In the order of the metrics that were asked for.
    pub metrics: Vec<MetricTotals>,
    /// The values of the column that actors are told apart by, if there is one.
    pub by: Option<ByColumn>,
    /// Whether rows have times. Where not, all of them count.
    pub timed: bool,
    /// Whether times are in milliseconds.
    pub milliseconds: bool,
    /// The end of the analysis, in seconds since the Unix epoch.
    pub to_secs: u64,
    /// The time of the latest readable row, in seconds since the Unix epoch.
    pub latest_secs: Option<u64>,
    /// All rows.
    pub rows: u64,
    /// Rows of actors in no variant.
    pub unknown_actors: u64,
    /// Those of them whose actor would be known without the blanks around its id.
    pub blank_ids: u64,
    /// Rows from before the actor's start.
    pub before_start: u64,
    /// Rows of actors in the experiment from after the end of the analysis.
    pub after_end: u64,
    /// Rows from after the present second, whoever's they are.
    pub in_future: u64,
    /// Rows that could not be read.
    pub broken_rows: u64,
    /// The first of them.
    pub broken: Vec<BrokenRow>,
}

impl Totals {
    /// How many broken rows are told of.
    pub const MOST_BROKEN: usize = 20;
}
