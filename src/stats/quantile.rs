//! Quantiles, of one set of numbers and of two arms compared.

use super::comparison::{Comparison, Estimate};
use super::distributions::normal_quantile;
use super::number::{is_between_0_and_1, real};

/// The `quantile` of the numbers, which is between 0 and 1: the ⌈n · quantile⌉th of the n numbers in order.
/// `None` of no numbers. The numbers are reordered.
#[must_use]
pub fn quantile(numbers: &mut [f64], quantile: f64) -> Option<f64> {
    let rank = (0.0..=1.0)
        .contains(&quantile)
        .then(|| rank(real(numbers.len() as u64), quantile));
    ranked(numbers, rank?)
}

/// Compares a quantile of the variant's numbers with that of the control's, one number for each actor, pooled
/// over weight periods. The numbers are reordered.
///
/// The standard error is half the width of the confidence interval between two of the numbers, in normal
/// quantiles: Deng, Knoblich and Lu, *Applying the Delta Method in Metric Analytics* (2018). It is 0 where
/// both are the same, as they are when many actors have the same number; then there is no interval.
#[must_use]
pub fn compare_quantiles(
    variant: &mut [f64],
    control: &mut [f64],
    quantile: f64,
    confidence: f64,
) -> Comparison {
    let z = normal_quantile(0.5 * (1.0 - confidence))
        .filter(|_| is_between_0_and_1(quantile) && is_between_0_and_1(confidence))
        .unwrap_or(f64::NAN);
    let actors = (variant.len() + control.len()) as u64;
    let (variant, control) = (
        estimate(variant, quantile, z),
        estimate(control, quantile, z),
    );
    Comparison {
        actors,
        left_out_actors: 0,
        variant,
        control,
        difference: variant.value - control.value,
        degrees: None,
    }
}

/// The quantile of one arm, with the square of its standard error.
fn estimate(numbers: &mut [f64], quantile: f64, z: f64) -> Estimate {
    let count = real(numbers.len() as u64);
    let middle = count * quantile;
    let reach = z * (middle * (1.0 - quantile)).sqrt();
    let value = ranked(numbers, rank(count, quantile));
    let low = ranked(numbers, (middle - reach).floor());
    let high = ranked(numbers, (middle + reach).ceil());
    let error = high.zip(low).map(|(high, low)| (high - low) / (2.0 * z));
    let number = |number: Option<f64>| number.unwrap_or(f64::NAN);
    Estimate {
        value: number(value),
        variance: number(error.map(|error| error * error)),
    }
}

/// ⌈count · quantile⌉, without what rounding adds: 99.9/100 of 1000 numbers is the 999th.
fn rank(count: f64, quantile: f64) -> f64 {
    const ROUNDING: f64 = 1e-12;
    let product = count * quantile;
    let nearest = product.round();
    if (product - nearest).abs() <= ROUNDING * nearest {
        nearest
    } else {
        product.ceil()
    }
}

/// The number of this rank, from 1, or the nearest one there is. `None` of no numbers, or for no rank.
fn ranked(numbers: &mut [f64], rank: f64) -> Option<f64> {
    if numbers.is_empty() || rank.is_nan() {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to an index"
    )]
    let index = rank.clamp(1.0, real(numbers.len() as u64)) as usize - 1;
    let (_, number, _) = numbers.select_nth_unstable_by(index, f64::total_cmp);
    Some(*number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Analysis;

    #[test]
    fn a_quantile_is_one_of_the_numbers() {
        let mut numbers = [5.0, 1.0, 4.0, 2.0, 3.0];
        let mut of = |share| quantile(&mut numbers, share);
        assert_eq!(
            [of(0.0), of(0.2), of(0.21)],
            [Some(1.0), Some(1.0), Some(2.0)]
        );
        assert_eq!(
            [of(0.5), of(0.999), of(1.0)],
            [Some(3.0), Some(5.0), Some(5.0)]
        );
        assert_eq!([of(1.1), of(f64::NAN)], [None, None]);
        assert_eq!(quantile(&mut [], 0.5), None);
        // The product is a whole number, though 0.9 is none in binary.
        let mut tens: Vec<f64> = (1..=150).map(f64::from).collect();
        assert_eq!(quantile(&mut tens, 0.9), Some(135.0));
        let mut thousand: Vec<f64> = (1..=1000).map(f64::from).collect();
        // As a percentage is read: this is more than 0.999.
        assert_eq!(quantile(&mut thousand, 99.9 / 100.0), Some(999.0));
    }

    #[test]
    fn where_most_have_the_same_number_there_is_no_interval() {
        let analysis = Analysis::default();
        let mut variant: Vec<f64> = (0..300).map(|n| f64::from(n / 200)).collect();
        let comparison = compare_quantiles(&mut variant, &mut [3.0], 0.5, 0.95);
        let difference = comparison.difference(&analysis);
        assert_eq!(
            (difference.estimate, difference.standard_error),
            (Some(-3.0), Some(0.0))
        );
        assert_eq!((difference.low, difference.p_value), (None, None));
        let nobody = compare_quantiles(&mut variant, &mut [], 0.5, 0.95);
        assert_eq!(nobody.means().control, None);
        assert_eq!(nobody.difference(&analysis).estimate, None);
        let impossible = compare_quantiles(&mut variant, &mut [3.0, 4.0], 1.0, 0.95);
        assert_eq!(impossible.difference(&analysis).p_value, None);
    }
}
