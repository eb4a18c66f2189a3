//! Who won, and whether the numbers can be trusted: from a store's assignments and exposures and from outcomes,
//! wherever they come from, to a report. The formulas are in `stats`.
//!
//! ```text
//! store ─► Members ─┐
//!                   ├─► Totals ─► Report
//! outcomes ─► rows ─┘
//! ```

mod members;
mod span;
mod totals;

pub use self::members::{Exclusion, Member, Members};
pub use self::span::Span;
pub use self::totals::{BrokenRow, MetricTotals, Totals};
