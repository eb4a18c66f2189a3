//! The asymptotic confidence sequence: intervals and p-values that hold however often, and whenever, somebody
//! looks.
//!
//! Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, *Time-uniform central limit theory and asymptotic confidence
//! sequences* (arXiv 2103.06476).

use super::number::{finite, is_between_0_and_1, real};

/// How sure an analysis is to be, and where its confidence sequence is narrowest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Analysis {
    /// One minus the probability of calling a difference that is not there, strictly between 0 and 1.
    pub confidence: f64,
    /// The number of actors, of both arms together, at which the sequence is narrowest.
    pub tuning_actors: u64,
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            confidence: 0.95,
            tuning_actors: 5000,
        }
    }
}

impl Analysis {
    /// How many standard errors the two-sided sequence reaches to each side of the estimate, with this many
    /// actors in both arms together; `None` without actors, and where confidence or tuning make no sense.
    #[must_use]
    pub fn radius(&self, actors: u64) -> Option<f64> {
        let alpha = self.alpha();
        let scale = self.scale(actors, alpha)?;
        // √(2(s + 1)/s · ln(√(s + 1)/α)), where s = Nρ²
        let logarithm = 0.5 * scale.ln_1p() - alpha.ln();
        finite((2.0 * (scale + 1.0) / scale * logarithm).sqrt())
    }

    /// As [`radius`](Self::radius), for a bound to one side.
    #[must_use]
    pub fn one_sided_radius(&self, actors: u64) -> Option<f64> {
        let twice_alpha = 2.0 * self.alpha();
        let scale = self.scale(actors, twice_alpha)?;
        let logarithm = ((scale + 1.0).sqrt() / twice_alpha).ln_1p();
        finite((2.0 * (scale + 1.0) / scale * logarithm).sqrt())
    }

    /// The two-sided p-value of an estimate that is `z` standard errors from 0: below 1 − confidence exactly
    /// when the sequence excludes 0. `None` as for [`radius`](Self::radius).
    #[must_use]
    pub fn p_value(&self, z: f64, actors: u64) -> Option<f64> {
        let scale = self.scale(actors, self.alpha())?;
        let logarithm = 0.5 * scale.ln_1p() - z * z * scale / (2.0 * (scale + 1.0));
        finite(logarithm.exp().min(1.0)).filter(|_| !z.is_nan())
    }

    pub(super) fn alpha(&self) -> f64 {
        1.0 - self.confidence
    }

    /// Nρ², with ρ² = (−2 ln α + ln(1 − 2 ln α))/N\*.
    fn scale(&self, actors: u64, alpha: f64) -> Option<f64> {
        if !is_between_0_and_1(alpha) || self.tuning_actors == 0 || actors == 0 {
            return None;
        }
        let twice = -2.0 * alpha.ln();
        Some(real(actors) * (twice + twice.ln_1p()) / real(self.tuning_actors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p_value_is_alpha_where_the_sequence_touches_0() {
        for confidence in [0.9, 0.95, 0.999] {
            let analysis = Analysis {
                confidence,
                ..Analysis::default()
            };
            for actors in [1, 100, 5000, 100_000_000] {
                let radius = analysis.radius(actors).unwrap();
                let p = analysis.p_value(-radius, actors).unwrap();
                assert!((p / (1.0 - confidence) - 1.0).abs() < 1e-12, "{p}");
            }
            let [two, one] = [analysis.radius(5000), analysis.one_sided_radius(5000)];
            assert!(two > one, "one side is narrower: {two:?} {one:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_none() {
        let with = |confidence, tuning_actors| Analysis {
            confidence,
            tuning_actors,
        };
        for confidence in [0.0, 1.0, -1.0, 2.0, f64::NAN] {
            assert_eq!(with(confidence, 5000).radius(10), None);
        }
        assert_eq!(with(0.95, 0).radius(10), None);
        assert_eq!(with(0.95, 5000).radius(0), None);
        assert_eq!(with(0.95, 5000).p_value(f64::NAN, 10), None);
        // Half of the confidence is already given away to the other side.
        assert_eq!(with(0.4, 5000).one_sided_radius(10), None);
    }
}
