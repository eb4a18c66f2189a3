//! A value from where values have types: a JSON object or a database.

use std::borrow::Cow;

use super::error::CellProblem;
use super::number::parse_number;
use super::time::{Time, parse_time};

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// `NULL`, or nothing.
    Empty,
    /// A whole number; of true 1 and of false 0.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// Text, read as a cell of a text file is.
    Text(&'a str),
    /// What no cell of a text file could hold.
    Other,
}

impl<'a> Cell<'a> {
    /// The finite number in it, or `None` if it is empty.
    ///
    /// # Errors
    /// It is something else.
    pub fn number(self) -> Result<Option<f64>, CellProblem> {
        match self {
            Self::Empty => Ok(None),
            #[expect(clippy::cast_precision_loss, reason = "as in any text")]
            Self::Integer(number) => Ok(Some(number as f64)),
            Self::Number(number) if number.is_finite() => Ok(Some(number)),
            Self::Number(_) => Err(CellProblem::NotFinite),
            Self::Text(text) => parse_number(text.as_bytes()),
            Self::Other => Err(CellProblem::NotAValue),
        }
    }

    /// The time in it.
    ///
    /// # Errors
    /// It is something else, or empty.
    pub fn time(self) -> Result<Time, CellProblem> {
        match self {
            Self::Empty => Err(CellProblem::Empty),
            Self::Integer(number) => Time::of_number(number),
            Self::Number(number) => Time::of_float(number),
            Self::Text(text) => parse_time(text.as_bytes()),
            Self::Other => Err(CellProblem::NotATime),
        }
    }

    /// It as text, empty if there is nothing; `None` if it is no text.
    #[must_use]
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Empty => Some(Cow::Borrowed("")),
            Self::Integer(number) => Some(Cow::Owned(number.to_string())),
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Other => None,
        }
    }
}
