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
