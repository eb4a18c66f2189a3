//! The statistics: how variants compare, whether their numbers can be trusted, and how many actors a test
//! needs. Numbers in, numbers out, without stores, files or experiments.
//!
//! | where | what |
//! |---|---|
//! | [`Moments`], [`PairMoments`], [`CovariateMoments`] | count, mean, variance and covariance, in one pass |
//! | [`compare_means`], [`compare_ratios`], [`compare_adjusted`] | a variant with the control, within weight periods |
//! | [`compare_quantiles`], [`quantile`] | the same of a quantile, pooled |
//! | [`Comparison`] | what follows from two estimates: intervals, p-values, chance to win, detectable effect |
//! | [`Analysis`] | the confidence sequence, for looking as often as one likes |
//! | [`holm`] | p-values of several comparisons |
//! | [`sample_ratio`] | whether the actors are split as the weights say |
//! | [`Plan`] | how many actors a test needs |
//! | [`distributions`] | normal, t and chi-square, exact in the far tail |
//!
//! What is undefined is `None`, never "not a number".

mod comparison;
mod cuped;
pub mod distributions;
#[cfg(test)]
mod golden;
mod moments;
mod multiplicity;
pub(crate) mod number;
mod power;
mod quantile;
mod sample_ratio;
mod sequence;
mod special;
mod stratified;

pub use comparison::{
    AlwaysValid, ByLook, Comparison, Difference, Direction, Means, OneSided, Relative,
};
pub use cuped::{CovariateMoments, Cuped, compare_adjusted};
pub use moments::{Moments, PairMoments};
pub use multiplicity::holm;
pub use power::{Detectable, Look, Outcome, Plan, SampleSize};
pub use quantile::{compare_quantiles, quantile};
pub use sample_ratio::{Cell, PeriodRatio, SampleRatio, WorstCell, sample_ratio};
pub use sequence::Analysis;
pub use stratified::{Period, compare_means, compare_ratios};
