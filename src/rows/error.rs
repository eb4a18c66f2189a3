//! What can be wrong with rows.

use std::io;

use super::format::MAX_ROW_BYTES;

/// Why no more rows can be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The file or the pipe can't be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// There is not even a header.
    #[error("the input is empty")]
    Empty,
    /// A row begins in this line, and does not end.
    #[error("line {0} is longer than {max} MiB", max = MAX_ROW_BYTES >> 20)]
    TooLong(u64),
    /// A field of the row that begins in this line has an opening quote, and none that closes it.
    #[error("line {0}: a quote is opened but never closed")]
    OpenQuote(u64),
    /// The line of the header is no text.
    #[error("line {0} is not UTF-8 text")]
    NotText(u64),
}

/// Why a cell does not hold what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CellProblem {
    /// It should be a number.
    #[error("not a number")]
    NotANumber,
    /// It should be a finite number.
    #[error("not a finite number")]
    NotFinite,
    /// It should be a time.
    #[error("neither Unix seconds nor a time such as 2026-11-28T10:00:00Z")]
    NotATime,
    /// It is a time in microseconds, or finer.
    #[error("too large for a time in seconds or milliseconds")]
    TooFine,
    /// It is empty, and must not be.
    #[error("empty")]
    Empty,
    /// It is a list, an object or another value that no cell can have.
    #[error("neither a number nor text")]
    NotAValue,
}
