//! Whether the actors are split as the weights say: if not, some were lost or moved, and no comparison can be
//! trusted.

use std::f64::consts::TAU;

use serde::Serialize;

use super::distributions::chi_square_tail;
use super::number::real;
use super::special::{half_deviance, stirling_error};

/// The probability of a false alarm, however often somebody looks.
const ALPHA: f64 = 0.01;

/// One variant in one weight period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// The share of the actors that the variant should get in the period, from 0 to 1. Those of all variants
    /// in a period add up to 1.
    pub share: f64,
    /// How many it has.
    pub actors: u64,
}

/// The split over all periods.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRatio {
    /// Whether the always-valid p-value is below 0.01.
    pub mismatch: bool,
    /// The sum of Pearson's statistics of the periods that have one; `None` if none has.
    pub chi_square: Option<f64>,
    /// The sum of their degrees of freedom.
    pub degrees: Option<u64>,
    /// The p-value of that sum, as if looked at once.
    pub p_value: Option<f64>,
    /// The p-value that holds however often somebody looks.
    pub always_valid_p_value: f64,
    /// Each period, in the given order.
    pub periods: Vec<PeriodRatio>,
    /// Where the actors are furthest from what is expected; `None` without actors.
    pub worst: Option<WorstCell>,
}

/// The split in one period.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct PeriodRatio {
    /// How many actors each variant should have, in the given order.
    pub expected: Vec<f64>,
    /// Pearson's statistic; `None` where fewer than 5 actors are expected of a variant, and with fewer than
    /// two variants. A variant without a share does not count, unless it has actors.
    pub chi_square: Option<f64>,
    /// Its degrees of freedom.
    pub degrees: Option<u64>,
    /// Its p-value, as if looked at once.
    pub p_value: Option<f64>,
}

/// One variant in one period, by their places in what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorstCell {
    /// The period.
    pub period: usize,
    /// The variant.
    pub variant: usize,
}

/// Tests the split of each period and of all together.
///
/// As if looked at once: Pearson's chi-square test. Always valid: a Bayes factor of the split having any shares,
/// with a Dirichlet prior of a hundred actors' weight around the right ones, against the right ones (Lindon
/// and Malek, *Anytime-Valid Inference for Multinomial Count Data*, arXiv 2011.03567).
#[must_use]
pub fn sample_ratio(periods: &[Vec<Cell>]) -> SampleRatio {
    let tested: Vec<PeriodRatio> = periods.iter().map(|cells| period_ratio(cells)).collect();
    let sum = |of: fn(&PeriodRatio) -> Option<f64>| {
        let values = tested.iter().filter_map(of);
        values.reduce(|sum, value| sum + value)
    };
    let chi_square = sum(|period| period.chi_square);
    let degrees = tested.iter().filter_map(|period| period.degrees);
    let degrees = degrees.reduce(|sum, degrees| sum + degrees);
    let log_factor: f64 = periods.iter().map(|cells| log_bayes_factor(cells)).sum();
    let always_valid_p_value = (-log_factor).exp().min(1.0);
    SampleRatio {
        mismatch: always_valid_p_value < ALPHA,
        chi_square,
        degrees,
        p_value: p_value(chi_square, degrees),
        always_valid_p_value,
        worst: worst(periods, &tested),
        periods: tested,
    }
}

fn period_ratio(cells: &[Cell]) -> PeriodRatio {
    const FEWEST: f64 = 5.0;
    let total: u64 = cells.iter().map(|cell| cell.actors).sum();
    let expected = cells.iter().map(|cell| cell.share * real(total));
    let expected: Vec<f64> = expected.collect();
    let counted = || {
        let cells = cells.iter().zip(&expected);
        cells.filter(|(cell, _)| cell.share > 0.0 || cell.actors > 0)
    };
    let is_testable = counted().count() > 1 && counted().all(|(_, &expected)| expected >= FEWEST);
    let terms = counted().map(|(cell, &expected)| distance(cell.actors, expected));
    let chi_square = is_testable.then(|| terms.sum());
    let degrees = is_testable.then(|| counted().count() as u64 - 1);
    PeriodRatio {
        p_value: p_value(chi_square, degrees),
        chi_square,
        degrees,
        expected,
    }
}

/// What a variant adds to Pearson's statistic.
fn distance(actors: u64, expected: f64) -> f64 {
    (real(actors) - expected).powi(2) / expected
}

fn p_value(chi_square: Option<f64>, degrees: Option<u64>) -> Option<f64> {
    chi_square_tail(chi_square?, real(degrees?))
}

/// The logarithm of the Bayes factor of a period: positive if the split speaks against the shares. Infinite if
/// a variant without a share has actors.
fn log_bayes_factor(cells: &[Cell]) -> f64 {
    const PRIOR: f64 = 100.0;
    if cells
        .iter()
        .any(|cell| cell.share <= 0.0 && cell.actors > 0)
    {
        return f64::INFINITY;
    }
    let cells = cells.iter().filter(|cell| cell.share > 0.0);
    let prior = cells.clone().map(|cell| (cell.share, PRIOR * cell.share));
    let counted = cells.map(|cell| (cell.share, PRIOR * cell.share + real(cell.actors)));
    log_beta(counted) - log_beta(prior)
}

/// `Σ ln Γ(a) − ln Γ(Σ a) − Σ a ln θ` over pairs (θ, a) of a share and a parameter of a Dirichlet
/// distribution. By Stirling's formula, whose large terms then make up the deviance of the parameters from
/// their shares: with the log gammas of a hundred million actors, eight digits would be left.
fn log_beta(cells: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let total: f64 = cells.clone().map(|(_, parameter)| parameter).sum();
    // Each is what its log gamma has beyond the terms that cancel.
    let rest = |parameter: f64| stirling_error(parameter) + 0.5 * (TAU.ln() - parameter.ln());
    let terms =
        cells.map(|(share, parameter)| half_deviance(parameter, total * share) + rest(parameter));
    terms.sum::<f64>() - rest(total)
}

/// The cell that adds most to Pearson's statistic; of two alike, the one with too few.
fn worst(periods: &[Vec<Cell>], tested: &[PeriodRatio]) -> Option<WorstCell> {
    let places = periods.iter().zip(tested).enumerate();
    let cells = places.flat_map(|(period, (cells, tested))| {
        let cells = cells.iter().zip(&tested.expected).enumerate();
        cells.map(move |(variant, (cell, &expected))| {
            let is_short = real(cell.actors) < expected;
            let place = WorstCell { period, variant };
            (distance(cell.actors, expected), is_short, place)
        })
    });
    // Without a share and without actors there is no distance.
    let cells = cells.filter(|(distance, ..)| !distance.is_nan());
    let worst = cells.max_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    worst.map(|(_, _, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(cells: &[(f64, u64)]) -> Vec<Cell> {
        let cells = cells.iter();
        cells
            .map(|&(share, actors)| Cell { share, actors })
            .collect()
    }

    #[test]
    fn actors_of_a_variant_without_a_share_are_a_mismatch() {
        let split = sample_ratio(&[cells(&[(0.5, 50), (0.5, 50), (0.0, 1)])]);
        assert!(split.mismatch);
        assert!(split.always_valid_p_value <= 0.0);
        assert_eq!((split.chi_square, split.p_value), (None, None));
        let worst = WorstCell {
            period: 0,
            variant: 2,
        };
        assert_eq!(split.worst, Some(worst));
    }

    #[test]
    fn a_variant_without_a_share_and_without_actors_does_not_count() {
        let with = sample_ratio(&[cells(&[(0.5, 40), (0.0, 0), (0.5, 60)])]);
        let without = sample_ratio(&[cells(&[(0.5, 40), (0.5, 60)])]);
        assert_eq!(with.degrees, Some(1));
        assert_eq!(with.p_value, without.p_value);
        assert!((with.chi_square.unwrap() - 4.0).abs() < 1e-12);
        assert_eq!(
            with.always_valid_p_value.to_bits(),
            without.always_valid_p_value.to_bits()
        );
        assert_eq!(
            with.worst,
            Some(WorstCell {
                period: 0,
                variant: 0
            }),
            "it has too few"
        );
    }

    #[test]
    fn where_few_are_expected_only_the_always_valid_test_speaks() {
        let few = cells(&[(0.999, 900), (0.001, 40)]);
        let alone = sample_ratio(std::slice::from_ref(&few));
        assert_eq!(
            (alone.chi_square, alone.degrees, alone.p_value),
            (None, None, None)
        );
        assert!(alone.mismatch);
        let split = sample_ratio(&[cells(&[(0.5, 500), (0.5, 500)]), few]);
        assert_eq!(split.degrees, Some(1), "of the other period");
        assert_eq!(split.periods[1].chi_square, None);
        assert!((split.periods[1].expected[1] - 0.94).abs() < 1e-12);
        assert!(split.mismatch);
        assert_eq!(
            split.worst,
            Some(WorstCell {
                period: 1,
                variant: 1
            })
        );
    }

    #[test]
    fn without_actors_or_with_one_variant_nothing_is_wrong() {
        for periods in [
            vec![],
            vec![vec![]],
            vec![cells(&[(0.5, 0), (0.5, 0)])],
            vec![cells(&[(1.0, 70)])],
        ] {
            let split = sample_ratio(&periods);
            assert!(!split.mismatch);
            assert_eq!(split.p_value, None);
            assert!(
                (split.always_valid_p_value - 1.0).abs() < 1e-12,
                "{split:?}"
            );
        }
        assert_eq!(sample_ratio(&[]).worst, None);
    }

    /// Two periods that each look well enough are a mismatch together.
    #[test]
    fn evidence_adds_up_over_periods() {
        let period = || cells(&[(0.5, 5180), (0.5, 4830)]);
        assert!(!sample_ratio(&[period()]).mismatch);
        let both = sample_ratio(&[period(), period()]);
        assert!(both.mismatch, "{both:?}");
    }

    #[test]
    fn a_loss_of_2_percent_in_a_million_is_found() {
        let lost = sample_ratio(&[cells(&[(0.5, 500_000), (0.5, 490_000)])]);
        assert!(lost.always_valid_p_value < 1e-15);
        assert_eq!(
            lost.worst,
            Some(WorstCell {
                period: 0,
                variant: 1
            })
        );
    }
}
