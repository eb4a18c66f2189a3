//! Why outcomes can't be read.

use crate::error::ExperimentError;
use crate::rows::RowsError;
use crate::text::Quoted;

/// Why outcomes can't be read as a whole. What is wrong with single rows is in
/// [`Totals::broken`](crate::results::Totals::broken).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutcomesError {
    /// The rows can't be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] ExperimentError),
    /// There is no such column.
    #[error("there is no column {}", Quoted(.column))]
    MissingColumn {
        /// Its name.
        column: String,
        /// The column that was probably meant.
        nearest: Option<String>,
    },
    /// A column is named like one that is needed, and that one is not there.
    #[error("there is a column {}, but no column {}", Quoted(.column), Quoted(.meant))]
    MisnamedColumn {
        /// Its name.
        column: String,
        /// The name that was probably meant.
        meant: &'static str,
    },
    /// The header is a single column, whose name has what other files separate columns with.
    #[error("its columns are separated by {}", word(*.0))]
    OtherSeparator(char),
    /// Two columns have a name that is needed.
    #[error("there are two columns {}", Quoted(.0))]
    DuplicateColumn(String),
    /// A metric counts outcomes in a window, and there are no times.
    #[error("metric {} has a window, but there is no column {} with times", Quoted(.metric), Quoted(.column))]
    WindowWithoutTimes {
        /// The metric's name.
        metric: String,
        /// The column in which times would be.
        column: String,
    },
    /// Some times are in seconds and others in milliseconds.
    #[error(
        "times are in seconds in line {seconds_line}, but in milliseconds in line {milliseconds_line}"
    )]
    MixedTimes {
        /// The first line with seconds.
        seconds_line: u64,
        /// The first line with milliseconds.
        milliseconds_line: u64,
    },
    /// The column that actors are told apart by has too many values.
    #[error("column {} has more than {limit} values", Quoted(.column))]
    TooManyValues {
        /// Its name.
        column: String,
        /// How many it may have.
        limit: usize,
    },
}

fn word(separator: char) -> &'static str {
    match separator {
        '\t' => "tabs",
        ',' => "commas",
        _ => "semicolons",
    }
}
