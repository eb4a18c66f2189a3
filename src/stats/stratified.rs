//! Means and ratios, compared within weight periods.
//!
//! While weights change, shares and outcomes may drift together, and pooled means then differ without any
//! effect. So each arm's estimate is the mean of its periods' means, and both arms weigh a period alike: by
//! the actors that all variants have in it.

use super::comparison::{Comparison, Estimate};
use super::moments::{Moments, PairMoments};
use super::number::{finite, real};

/// What one weight period says of a variant and of the control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Period<T> {
    /// How many complete actors all variants have in it: its weight.
    pub actors: u64,
    /// The variant's.
    pub variant: T,
    /// The control's.
    pub control: T,
}

/// Which arm of a period.
pub(super) type Select<T> = fn(&Period<T>) -> &T;

/// The variant's arm.
pub(super) fn variant<T>(period: &Period<T>) -> &T {
    &period.variant
}

/// The control's arm.
pub(super) fn control<T>(period: &Period<T>) -> &T {
    &period.control
}

/// The periods in which both arms have the two actors that a variance takes.
pub(super) struct Usable<'a, T> {
    periods: Vec<&'a Period<T>>,
    count: fn(&T) -> u64,
    /// Of both arms.
    actors: u64,
    left_out_actors: u64,
}

/// An estimate of an arm, and what each period adds to its variance.
pub(super) struct Arm {
    value: f64,
    parts: Vec<Part>,
}

struct Part {
    variance: f64,
    degrees: f64,
}

impl<'a, T> Usable<'a, T> {
    pub(super) fn new(periods: &'a [Period<T>], count: fn(&T) -> u64) -> Self {
        const FEWEST: u64 = 2;
        let (periods, others): (Vec<_>, Vec<_>) = periods.iter().partition(|period| {
            count(&period.variant) >= FEWEST && count(&period.control) >= FEWEST
        });
        let of_both = |period: &&Period<T>| count(&period.variant) + count(&period.control);
        Self {
            actors: periods.iter().map(of_both).sum(),
            left_out_actors: others.iter().map(of_both).sum(),
            periods,
            count,
        }
    }

    pub(super) fn periods(&self) -> impl Iterator<Item = &'a Period<T>> {
        self.periods.iter().copied()
    }

    /// The weighted mean over the periods; not a number without any.
    pub(super) fn mean(&self, of: impl Fn(&Period<T>) -> f64) -> f64 {
        let products = self.weighted().map(|(weight, period)| weight * of(period));
        let sum = products.reduce(|sum, product| sum + product);
        sum.unwrap_or(f64::NAN)
    }

    /// An arm's estimate, with the variance of single actors in each period.
    pub(super) fn arm(&self, value: f64, arm: Select<T>, variance: impl Fn(&T) -> f64) -> Arm {
        let parts = self.weighted().map(|(weight, period)| {
            let count = real((self.count)(arm(period)));
            Part {
                variance: weight * weight * variance(arm(period)) / count,
                degrees: count - 1.0,
            }
        });
        Arm {
            value,
            parts: parts.collect(),
        }
    }

    /// Compares two arms, at the degrees of Welch and Satterthwaite over all periods of both.
    pub(super) fn compare(&self, variant: &Arm, control: &Arm, difference: f64) -> Comparison {
        let (variant_estimate, control_estimate) = (variant.estimate(), control.estimate());
        let variance = variant_estimate.variance + control_estimate.variance;
        // Each as its share of the whole, so that no square overflows, or vanishes.
        let parts = variant.parts.iter().chain(&control.parts);
        let terms = parts.map(|part| (part.variance / variance).powi(2) / part.degrees);
        Comparison {
            actors: self.actors,
            left_out_actors: self.left_out_actors,
            variant: variant_estimate,
            control: control_estimate,
            difference,
            degrees: finite(terms.sum::<f64>().recip()),
        }
    }

    fn weighted(&self) -> impl Iterator<Item = (f64, &'a Period<T>)> {
        let total: u64 = self.periods().map(|period| period.actors).sum();
        self.periods()
            .map(move |period| (real(period.actors) / real(total), period))
    }
}

impl Arm {
    fn estimate(&self) -> Estimate {
        let variances = self.parts.iter().map(|part| part.variance);
        Estimate {
            value: self.value,
            variance: variances.reduce(|sum, part| sum + part).unwrap_or(f64::NAN),
        }
    }
}

/// Compares the means of a variant with those of the control. Periods in which either has fewer than two
/// actors are left out.
///
/// Welch's t test over strata, with the degrees of Satterthwaite (*Biometrics Bulletin* 2, 1946).
#[must_use]
pub fn compare_means(periods: &[Period<Moments>]) -> Comparison {
    let usable = Usable::new(periods, Moments::count);
    let arm = |arm: Select<Moments>| {
        let mean = usable.mean(|period| arm(period).raw_mean());
        usable.arm(mean, arm, Moments::raw_variance)
    };
    let difference = usable.mean(|period| period.control.distance_to(&period.variant));
    usable.compare(&arm(variant), &arm(control), difference)
}

/// Compares ratios Σx/Σy of pairs (x, y), one pair for each actor. Periods in which either arm has fewer than
/// two actors are left out.
///
/// By the delta method: Deng, Knoblich and Lu, *Applying the Delta Method in Metric Analytics* (2018).
#[must_use]
pub fn compare_ratios(periods: &[Period<PairMoments>]) -> Comparison {
    let usable = Usable::new(periods, PairMoments::count);
    let arm = |arm: Select<PairMoments>| {
        let x = usable.mean(|period| arm(period).x().raw_mean());
        let y = usable.mean(|period| arm(period).y().raw_mean());
        usable.arm(x / y, arm, |pairs| pairs.linearized_variance(x / y, y))
    };
    let (variant, control) = (arm(variant), arm(control));
    usable.compare(&variant, &control, variant.value - control.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Analysis, Direction};

    fn period(actors: u64, variant: &[f64], control: &[f64]) -> Period<Moments> {
        Period {
            actors,
            variant: variant.iter().copied().collect(),
            control: control.iter().copied().collect(),
        }
    }

    /// Everything that needs a variance.
    fn says_nothing(comparison: &Comparison) {
        let analysis = Analysis::default();
        let difference = comparison.difference(&analysis);
        assert_eq!((difference.low, difference.high), (None, None));
        assert_eq!((difference.p_value, difference.degrees), (None, None));
        let relative = comparison.relative(&analysis);
        assert_eq!((relative.low, relative.high), (None, None));
        let always = comparison.always_valid(&analysis);
        assert_eq!(
            (always.low, always.relative_high, always.p_value),
            (None, None, None)
        );
        let one_sided = comparison.one_sided(Direction::Up, &analysis);
        assert_eq!(
            (one_sided.relative_low, one_sided.relative_high),
            (None, None)
        );
        assert_eq!(comparison.chance_to_win(Direction::Up), None);
        assert_eq!(comparison.expected_loss(Direction::Down), None);
        let detectable = comparison.detectable_effect(&analysis);
        assert_eq!((detectable.fixed, detectable.always_valid), (None, None));
        assert_eq!(comparison.actors_to_detect(1.0, &analysis).fixed, None);
    }

    #[test]
    fn a_period_with_one_actor_in_an_arm_is_left_out() {
        let usable = period(9, &[1.0, 2.0, 4.0], &[1.0, 0.0]);
        let alone = compare_means(std::slice::from_ref(&usable));
        let periods = [
            period(50, &[7.0], &[8.0, 9.0, 9.0]),
            usable,
            period(3, &[], &[]),
        ];
        let comparison = compare_means(&periods);
        assert_eq!((comparison.actors(), comparison.left_out_actors()), (5, 4));
        let analysis = Analysis::default();
        assert_eq!(
            comparison.difference(&analysis),
            alone.difference(&analysis)
        );
    }

    #[test]
    fn without_two_actors_there_is_no_comparison() {
        for periods in [
            vec![],
            vec![period(1, &[], &[3.0])],
            vec![period(2, &[1.0], &[3.0])],
        ] {
            let comparison = compare_means(&periods);
            assert_eq!(comparison.actors(), 0);
            assert_eq!(comparison.means().variant, None);
            assert_eq!(comparison.difference(&Analysis::default()).estimate, None);
            says_nothing(&comparison);
        }
    }

    #[test]
    fn without_variance_there_is_a_difference_and_no_more() {
        let comparison = compare_means(&[period(5, &[3.0; 3], &[2.0; 2])]);
        let analysis = Analysis::default();
        assert_eq!(comparison.difference(&analysis).estimate, Some(1.0));
        assert_eq!(comparison.difference(&analysis).standard_error, Some(0.0));
        assert_eq!(comparison.relative(&analysis).estimate, Some(0.5));
        says_nothing(&comparison);
        // With a variance in one arm there is one.
        let comparison = compare_means(&[period(5, &[3.0; 3], &[2.0, 1.0])]);
        assert_eq!(comparison.difference(&analysis).degrees, Some(1.0));
        assert!(comparison.difference(&analysis).p_value.is_some());
    }

    #[test]
    fn a_control_of_0_has_no_relative_difference() {
        let comparison = compare_means(&[period(4, &[3.0, 1.0], &[0.0, 0.0])]);
        let analysis = Analysis::default();
        let relative = comparison.relative(&analysis);
        assert_eq!(
            (relative.estimate, relative.low, relative.high),
            (None, None, None)
        );
        let always = comparison.always_valid(&analysis);
        assert_eq!((always.relative_low, always.relative_high), (None, None));
        assert!(always.p_value.is_some());
        assert_eq!(
            comparison.one_sided(Direction::Up, &analysis).relative_low,
            None
        );
    }

    /// A loss of a negative amount is a gain of its absolute value.
    #[test]
    fn a_negative_control_keeps_the_sign_of_the_difference() {
        let comparison = compare_means(&[period(4, &[-1.0, -2.0], &[-3.0, -5.0])]);
        let relative = comparison.relative(&Analysis::default()).estimate.unwrap();
        assert!((relative - 2.5 / 4.0).abs() < 1e-15, "{relative}");
    }

    #[test]
    fn what_overflows_is_none() {
        let huge = compare_means(&[period(4, &[1e308, -1e308, 1e308], &[1e308, 1.0, 2.0])]);
        says_nothing(&huge);
        let apart = compare_means(&[period(4, &[1e308, 1e308, 1e308], &[-1e308, -1e308])]);
        assert_eq!(apart.difference(&Analysis::default()).estimate, None);
        says_nothing(&apart);
        let one_without = [period(4, &[f64::INFINITY, 1.0], &[1.0, 2.0])];
        says_nothing(&compare_means(&one_without));
    }

    #[test]
    fn a_ratio_without_denominator_is_none() {
        let pairs = |y: f64| {
            let mut pairs = PairMoments::new();
            for x in [1.0, 2.0, 5.0] {
                pairs.add(x, y);
            }
            pairs
        };
        let periods = [Period {
            actors: 6,
            variant: pairs(0.0),
            control: pairs(2.0),
        }];
        let comparison = compare_ratios(&periods);
        assert_eq!(comparison.means().variant, None);
        assert!(comparison.means().control.is_some());
        says_nothing(&comparison);
        assert_eq!(
            (pairs(0.0).ratio(), pairs(0.0).ratio_variance()),
            (None, None)
        );
    }

    /// The actors it takes are those with which the effect is the detectable one.
    #[test]
    fn the_actors_of_a_detectable_effect_are_the_present_ones() {
        let numbers: Vec<f64> = (0..500).map(|n| f64::from(n % 17)).collect();
        let comparison = compare_means(&[period(1000, &numbers, &numbers)]);
        let analysis = Analysis::default();
        let effect = comparison.detectable_effect(&analysis);
        let (fixed, always_valid) = (effect.fixed.unwrap(), effect.always_valid.unwrap());
        assert!(always_valid > fixed);
        let actors = |effect: f64| comparison.actors_to_detect(effect * 1.000_001, &analysis);
        assert_eq!(actors(fixed).fixed, Some(1000));
        assert_eq!(actors(always_valid).always_valid, Some(1000));
        let half = actors(always_valid / 2.0).always_valid.unwrap();
        assert!(half > 2000, "{half}");
        assert_eq!(actors(0.0).fixed, None);
    }
}
