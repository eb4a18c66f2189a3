//! Who won, and whether the numbers can be trusted: from a store's assignments and exposures and from outcomes,
//! wherever they come from, to a report. The formulas are in `stats`.
//!
//! ```text
//! store ─► Members ─┐
//!                   ├─► Totals ─► Report
//! outcomes ─► rows ─┘
//! ```

mod analysis;
mod comparison;
mod forecast;
mod ids;
mod members;
mod outcomes;
mod population;
mod report;
mod request;
mod sample;
mod sample_ratio;
mod sentence;
mod span;
mod totals;
mod verdict;
mod warnings;
mod words;

pub use self::members::{Exclusion, Member, Members};
pub use self::outcomes::{ColumnNames, OutcomesError, Reading};
pub use self::report::{
    ComparisonReport, CupedReport, LeftOut, MetricReport, Missing, Report, VariantFigures, Verdict,
    VerdictCode, Warning, WarningCode,
};
pub use self::request::{AnalysedMetric, Analysis};
pub use self::sample_ratio::{
    SampleRatioOfValue, SampleRatioPeriod, SampleRatioReport, SampleRatioTest, SampleRatioVariant,
    sample_ratio_of_periods,
};
pub use self::span::Span;
pub use self::totals::{BrokenRow, ByColumn, MetricTotals, Totals};
