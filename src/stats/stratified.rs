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
        let mut usable = Self {
            periods: others,
            count,
            left_out_actors: 0,
        };
        usable.left_out_actors = usable.actors();
        usable.periods = periods;
        usable
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
            actors: self.actors(),
            left_out_actors: self.left_out_actors,
            variant: variant_estimate,
            control: control_estimate,
            difference,
            degrees: finite(terms.sum::<f64>().recip()),
        }
    }

    /// Of both arms.
    fn actors(&self) -> u64 {
        let both =
            |period: &&Period<T>| (self.count)(&period.variant) + (self.count)(&period.control);
        self.periods.iter().map(both).sum()
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
