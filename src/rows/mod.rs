//! Rows of text from outside: comma or tab separated, or JSON Lines, read from a file or a pipe. What the
//! rows mean is for the reader to say.
//!
//! ```text
//! bytes ─► Blocks: whole rows, about a megabyte at a time ─► fields (csv) or an object (json) ─► cells
//! ```
//! - Fields are as the `csv` crate reads them: a quote counts at the beginning of a field, two of them are one,
//!   a row ends with LF, CRLF or CR, and empty lines are no rows.
//! - A mark of the byte order at the beginning is no part of the text.
//! - A row may be as long as [`MAX_ROW_BYTES`].

mod blocks;
mod cell;
mod csv;
mod error;
mod format;
mod header;
mod json;
mod number;
mod table;
mod time;

pub(crate) use self::blocks::{Block, Blocks};
pub use self::cell::Cell;
pub(crate) use self::csv::Fields;
pub use self::error::{CellProblem, RowsError};
pub use self::format::{Format, MAX_ROW_BYTES};
pub(crate) use self::header::{count_problem, other_separator, read_header};
pub(crate) use self::json::{next_line, problem, read_object};
pub use self::number::parse_number;
pub use self::table::{TextRow, TextRows};
pub use self::time::{Time, TimeUnit, parse_time};
