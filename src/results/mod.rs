//! Who won, and whether the numbers can be trusted: from a store's assignments and exposures and from outcomes,
//! wherever they come from, to a report. The formulas are in `stats`.
//!
//! ```text
//! store ─► Members ─┐
//!                   ├─► Totals ─► Report
//! outcomes ─► rows ─┘
//! ```

mod batch;
mod error;
mod ids;
mod members;
mod merge;
mod plan;
mod reading;
mod scan;
mod tally;
mod threads;
mod totals;

pub use self::error::OutcomesError;
pub use self::members::{Exclusion, Member, Members};
pub use self::plan::ColumnNames;
pub use self::reading::Reading;
pub use self::totals::{BrokenRow, ByColumn, MetricTotals, Totals};
