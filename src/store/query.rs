//! What a query of a user's own gives back, whatever database answers it.

use crate::error::ExperimentError;

/// One value of a row, as the databases have it in common. What is none of the others is its text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SqlValue<'a> {
    /// There is none.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(&'a str),
}

/// What takes the rows of a query, one after another. The query ends with its first error.
pub trait RowSink {
    /// The names of the columns: told once, before any row, and also if there is no row.
    ///
    /// # Errors
    /// When these are not the columns that it needs.
    fn columns(&mut self, names: &[String]) -> Result<(), ExperimentError>;

    /// A row, with a value for each column.
    ///
    /// # Errors
    /// When it can take no more.
    fn row(&mut self, values: &[SqlValue<'_>]) -> Result<(), ExperimentError>;
}
