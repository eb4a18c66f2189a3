//! The statistics: numbers in, numbers out, without stores, files or experiments.
pub mod distributions;
mod moments;
mod number;
mod special;

pub use moments::{Moments, PairMoments};
