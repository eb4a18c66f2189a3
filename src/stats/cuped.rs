//! CUPED: means compared after taking out what a covariate, measured before the start, explains of them.
//!
//! Deng, Xu, Kohavi and Walker, *Improving the Sensitivity of Online Controlled Experiments by Utilizing
//! Pre-Experiment Data* (2013).

use super::comparison::Comparison;
use super::moments::{Moments, PairMoments};
use super::number::finite;
use super::stratified::{Period, Select, Usable, compare_means, control, variant};

/// The moments of outcomes with their covariate, where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CovariateMoments {
    known: PairMoments,
    unknown: Moments,
}

impl CovariateMoments {
    /// Those of no actors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an actor.
    pub fn add(&mut self, outcome: f64, covariate: Option<f64>) {
        match covariate {
            Some(covariate) => self.known.add(outcome, covariate),
            None => self.unknown.add(outcome),
        }
    }

    /// Adds the actors of another.
    pub fn merge(&mut self, other: &Self) {
        self.known.merge(&other.known);
        self.unknown.merge(&other.unknown);
    }

    /// How many actors.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.known.count() + self.unknown.count()
    }

    /// The moments of the outcomes alone.
    #[must_use]
    pub fn outcomes(&self) -> Moments {
        let mut outcomes = *self.known.x();
        outcomes.merge(&self.unknown);
        outcomes
    }

    /// With this in place of the unknown covariates.
    fn filled(&self, covariate: f64) -> PairMoments {
        let mut filled = self.known;
        filled.merge(&PairMoments::with_constant(self.unknown, covariate));
        filled
    }
}

/// A comparison adjusted for a covariate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cuped {
    /// How much more of the outcome one more of the covariate goes with, in both arms together.
    pub theta: f64,
    /// The share of the variance of the difference that the adjustment takes away; below 0 if it adds to it.
    pub variance_reduction: Option<f64>,
    /// The adjusted comparison.
    pub adjusted: Comparison,
    /// The same without adjustment.
    pub unadjusted: Comparison,
}

/// What rounding leaves of a difference, relative to its terms.
const ROUNDING: f64 = 1e-12;

/// Compares means of outcomes adjusted for their covariate. An unknown covariate is taken for the mean of the
/// known ones. `None` if the covariate is unknown or the same for all actors compared.
#[must_use]
pub fn compare_adjusted(periods: &[Period<CovariateMoments>]) -> Option<Cuped> {
    let unadjusted = compare_means(&map(periods, CovariateMoments::outcomes));
    let usable = Usable::new(periods, CovariateMoments::count);
    let mut known = Moments::new();
    for period in usable.periods() {
        known.merge(period.variant.known.y());
        known.merge(period.control.known.y());
    }
    let mean = known.mean()?;
    let filled = map(periods, |arm| arm.filled(mean));
    let usable = Usable::new(&filled, PairMoments::count);
    let mut all = PairMoments::new();
    for period in usable.periods() {
        all.merge(&period.variant);
        all.merge(&period.control);
    }
    let variance = all.y().variance().filter(|variance| *variance > 0.0)?;
    let theta = finite(all.covariance()? / variance)?;
    let arm = |arm: Select<PairMoments>| {
        let mean = usable.mean(|period| {
            let pairs = arm(period);
            pairs.x().raw_mean() - theta * all.y().distance_to(pairs.y())
        });
        // What is left of a mean that is 0 but for rounding must not become what others are relative to.
        let scale = usable.mean(|period| arm(period).x().raw_mean().abs())
            + theta.abs() * (all.y().raw_mean().abs() + variance.sqrt());
        let mean = if mean.abs() <= ROUNDING * scale {
            0.0
        } else {
            mean
        };
        usable.arm(mean, arm, |pairs| pairs.residual_variance(theta))
    };
    let difference = usable.mean(|period| {
        let (variant, control) = (&period.variant, &period.control);
        control.x().distance_to(variant.x()) - theta * control.y().distance_to(variant.y())
    });
    let adjusted = usable.compare(&arm(variant), &arm(control), difference);
    Some(Cuped {
        theta,
        variance_reduction: finite(1.0 - adjusted.variance() / unadjusted.variance()),
        adjusted,
        unadjusted,
    })
}

/// The same periods with something else of each arm.
fn map<T, U>(periods: &[Period<T>], of: impl Fn(&T) -> U) -> Vec<Period<U>> {
    let periods = periods.iter().map(|period| Period {
        actors: period.actors,
        variant: of(&period.variant),
        control: of(&period.control),
    });
    periods.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Analysis;

    fn period(
        variant: &[(f64, Option<f64>)],
        control: &[(f64, Option<f64>)],
    ) -> Period<CovariateMoments> {
        let moments = |actors: &[(f64, Option<f64>)]| {
            let mut moments = CovariateMoments::new();
            for &(outcome, covariate) in actors {
                moments.add(outcome, covariate);
            }
            moments
        };
        Period {
            actors: (variant.len() + control.len()) as u64,
            variant: moments(variant),
            control: moments(control),
        }
    }

    #[test]
    fn without_a_covariate_that_varies_there_is_no_adjustment() {
        let outcomes = [1.0, 2.0, 4.0];
        for covariate in [None, Some(3.0)] {
            let actors = outcomes.map(|outcome| (outcome, covariate));
            assert_eq!(compare_adjusted(&[period(&actors, &actors)]), None);
        }
        assert_eq!(compare_adjusted(&[]), None);
    }

    /// The variant's covariates are larger by 1, and so are its outcomes by 2: no effect is left.
    #[test]
    fn what_the_covariate_explains_is_taken_out() {
        let actors =
            |start: f64| [0.0, 1.0, 2.0, 3.0].map(|n| (2.0 * (start + n) + 5.0, Some(start + n)));
        let cuped = compare_adjusted(&[period(&actors(1.0), &actors(0.0))]).unwrap();
        assert!((cuped.theta - 2.0).abs() < 1e-12);
        assert!((cuped.variance_reduction.unwrap() - 1.0).abs() < 1e-12);
        let analysis = Analysis::default();
        let plain = cuped.unadjusted.difference(&analysis).estimate;
        assert_eq!(plain, Some(2.0));
        let adjusted = cuped.adjusted.difference(&analysis);
        assert!(adjusted.estimate.unwrap().abs() < 1e-12);
        assert_eq!(adjusted.p_value, None, "no variance is left");
    }

    #[test]
    fn parts_merge_into_the_whole() {
        let actors = [
            (1.0, Some(2.0)),
            (4.0, None),
            (3.0, Some(7.0)),
            (9.0, Some(1.0)),
        ];
        let mut merged = period(&actors[..2], &actors[2..]);
        let rest = merged.control;
        merged.variant.merge(&rest);
        let whole = period(&actors, &actors[2..]);
        assert_eq!(merged.variant.count(), 4);
        assert_eq!(merged.variant.outcomes().total(), Some(17.0));
        let theta = |period| compare_adjusted(&[period]).unwrap().theta;
        assert!((theta(merged) - theta(whole)).abs() < 1e-12);
    }
}
