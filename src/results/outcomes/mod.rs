//! From rows of outcomes, wherever they come from, to what they add up to for each actor.
//!
//! ```text
//! text (crate::rows), a query's rows, kept outcomes ─► scan ─► Batch ─► Tally ─► merge ─► Totals
//! ```
//! Which rows count is in `tally`, once. Two threads take turns with the blocks of a text, so that the totals are the same,
//! bit for bit, each time.

mod batch;
mod error;
mod merge;
mod plan;
mod queried;
mod reading;
mod scan;
mod tally;
mod threads;

pub use self::error::OutcomesError;
pub use self::plan::ColumnNames;
pub use self::reading::Reading;
