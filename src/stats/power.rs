//! How many actors a test needs, and which effect a number of actors can show.
//!
//! Two-sided, by the normal approximation of Welch's test: an effect δ is detected with the wanted power when
//! it is as large as the critical value and the quantile of the power together, in standard errors. Only a
//! result with the right sign counts as a detection.

use serde::Serialize;

use super::distributions::normal_quantile;
use super::number::{finite, is_between_0_and_1, real};
use super::sequence::Analysis;

/// How often somebody looks at the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Once, at the end.
    Once,
    /// As often as they like, so that the confidence sequence decides. The power is that of the look at the
    /// end: earlier ones only add to it.
    AlwaysValid,
}

impl Look {
    /// How many standard errors an effect must be to be detected with this power.
    pub(super) fn multiple(self, analysis: &Analysis, power: f64, actors: u64) -> Option<f64> {
        let critical = match self {
            Self::Once => normal_quantile(0.5 * analysis.alpha()),
            Self::AlwaysValid => analysis.radius(actors),
        };
        Some(critical? - normal_quantile(power)?)
    }

    /// The smallest number of actors in both arms with which an effect of this size is detected, where the
    /// standard error with n actors is `spread`/√n.
    pub(super) fn actors(
        self,
        analysis: &Analysis,
        power: f64,
        spread: f64,
        effect: f64,
    ) -> Option<u64> {
        const FEWEST: u64 = 2;
        const MOST: u64 = 1 << 52;
        let is_enough = |actors: u64| {
            let multiple = self.multiple(analysis, power, actors);
            multiple.is_some_and(|multiple| multiple * spread <= effect * real(actors).sqrt())
        };
        let (mut too_few, mut enough) = (0, FEWEST);
        while !is_enough(enough) {
            if enough >= MOST {
                return None;
            }
            (too_few, enough) = (enough, 2 * enough);
        }
        while enough - too_few > 1 {
            let middle = too_few + (enough - too_few) / 2;
            if middle >= FEWEST && is_enough(middle) {
                enough = middle;
            } else {
                too_few = middle;
            }
        }
        Some(enough)
    }
}

/// What is counted of an actor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// Whether it did something.
    Conversion {
        /// The share of the control's actors that do, strictly between 0 and 1.
        baseline: f64,
    },
    /// How much it did.
    Mean {
        /// The standard deviation among the actors, above 0.
        deviation: f64,
    },
}

/// The planned comparison of a variant with the control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// What is counted.
    pub outcome: Outcome,
    /// The weights of the control and of the variant, above 0.
    pub weights: (f64, f64),
    /// The confidence, and for [`Look::AlwaysValid`] the tuning.
    pub analysis: Analysis,
    /// The wanted probability of detecting the effect, strictly between 0 and 1.
    pub power: f64,
    /// How often somebody looks.
    pub look: Look,
}

/// How many actors a test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct SampleSize {
    /// In both arms.
    pub actors: u64,
    /// In the control.
    pub control: u64,
    /// In the variant.
    pub variant: u64,
}

impl Plan {
    /// The smallest number of actors with which a difference between variant and control, absolute and of
    /// either sign, is detected. `None` of a difference of 0, where a conversion would leave 0 to 1, and where
    /// the plan makes no sense.
    #[must_use]
    pub fn sample_size(&self, difference: f64) -> Option<SampleSize> {
        let (control, variant) = self.variances(difference)?;
        let (control_share, variant_share) = self.shares()?;
        let spread = (control / control_share + variant / variant_share).sqrt();
        let effect = finite(difference.abs()).filter(|effect| *effect > 0.0)?;
        let actors = self
            .look
            .actors(&self.analysis, self.power, spread, effect)?;
        let of_arm = |share: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a whole number of at most 2^52"
            )]
            let whole = (real(actors) * share).ceil() as u64;
            whole.max(1)
        };
        let (control, variant) = (of_arm(control_share), of_arm(variant_share));
        Some(SampleSize {
            actors: control + variant,
            control,
            variant,
        })
    }

    /// The smallest increase and the smallest decrease, absolute and above 0, that is detected with so many
    /// actors in both arms. `None` where even a conversion of all, or of nobody, is not, and where the plan
    /// makes no sense.
    #[must_use]
    pub fn detectable(&self, actors: u64) -> Detectable {
        let effect = |sign: f64| {
            let multiple = self.look.multiple(&self.analysis, self.power, actors)?;
            let (control, variant) = self.shares()?;
            let (control, variant) = (control * real(actors), variant * real(actors));
            self.variances(0.0)?;
            let effect = match self.outcome {
                Outcome::Mean { deviation } => {
                    multiple * deviation * (1.0 / control + 1.0 / variant).sqrt()
                }
                // The positive root of δ² = multiple² · (p(1 − p)/n_c + (p ± δ)(1 − p ∓ δ)/n_t)
                Outcome::Conversion { baseline } => {
                    let square = multiple * multiple;
                    let a = 1.0 + square / variant;
                    let half_b = 0.5 * sign * square * (1.0 - 2.0 * baseline) / variant;
                    let c = square * baseline * (1.0 - baseline) * (1.0 / control + 1.0 / variant);
                    (half_b + (half_b * half_b + a * c).sqrt()) / a
                }
            };
            self.variances(sign * effect)?;
            finite(effect).filter(|effect| *effect > 0.0 && multiple > 0.0)
        };
        Detectable {
            increase: effect(1.0),
            decrease: effect(-1.0),
        }
    }

    /// Of the control, and of the variant with this difference.
    fn variances(&self, difference: f64) -> Option<(f64, f64)> {
        match self.outcome {
            Outcome::Conversion { baseline } => {
                let variant = baseline + difference;
                (is_between_0_and_1(baseline) && (0.0..=1.0).contains(&variant))
                    .then_some((baseline * (1.0 - baseline), variant * (1.0 - variant)))
            }
            Outcome::Mean { deviation } => finite(deviation * deviation)
                .filter(|_| deviation > 0.0)
                .map(|variance| (variance, variance)),
        }
    }

    /// Of the actors of both arms, of the control and of the variant.
    fn shares(&self) -> Option<(f64, f64)> {
        let (control, variant) = self.weights;
        let share = control / (control + variant);
        is_between_0_and_1(share).then_some((share, variant / (control + variant)))
    }
}

/// The smallest effects that a test detects.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Detectable {
    /// Upwards.
    pub increase: Option<f64>,
    /// Downwards.
    pub decrease: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(outcome: Outcome, look: Look) -> Plan {
        Plan {
            outcome,
            weights: (1.0, 1.0),
            analysis: Analysis::default(),
            power: 0.8,
            look,
        }
    }

    /// The textbook's figures: 10% against 12% takes 3,839 actors in each arm; a tenth of a deviation 1,570.
    #[test]
    fn the_figures_of_the_textbook_come_out() {
        let conversion = plan(Outcome::Conversion { baseline: 0.1 }, Look::Once);
        let size = conversion.sample_size(0.02).unwrap();
        assert_eq!((size.control, size.variant), (3839, 3839));
        assert_eq!(size.actors, 7678);
        let mean = plan(Outcome::Mean { deviation: 10.0 }, Look::Once);
        assert_eq!(mean.sample_size(-1.0).unwrap().control, 1570);
        let uneven = Plan {
            weights: (9.0, 1.0),
            ..mean
        };
        let size = uneven.sample_size(1.0).unwrap();
        assert_eq!((size.control, size.variant), (7849, 873));
    }

    #[test]
    fn what_so_many_actors_detect_needs_so_many() {
        for look in [Look::Once, Look::AlwaysValid] {
            for outcome in [
                Outcome::Conversion { baseline: 0.03 },
                Outcome::Mean { deviation: 7.0 },
            ] {
                let plan = Plan {
                    weights: (80.0, 20.0),
                    ..plan(outcome, look)
                };
                for actors in [1000, 100_000] {
                    let detectable = plan.detectable(actors);
                    let increase = detectable.increase.unwrap();
                    let needed = plan.sample_size(increase * 1.000_001).unwrap().actors;
                    assert!(needed.abs_diff(actors) <= 1, "{needed} {actors}");
                    if let Some(decrease) = detectable.decrease {
                        let needed = plan.sample_size(-decrease * 1.000_001).unwrap().actors;
                        assert!(needed.abs_diff(actors) <= 1, "{needed} {actors}");
                    }
                }
            }
        }
    }

    #[test]
    fn looking_often_needs_more_actors_and_few_detect_nothing() {
        let outcome = Outcome::Conversion { baseline: 0.03 };
        let once = plan(outcome, Look::Once).sample_size(0.003).unwrap();
        let often = plan(outcome, Look::AlwaysValid).sample_size(0.003).unwrap();
        assert!(often.actors > once.actors);
        let few = plan(outcome, Look::Once).detectable(100);
        assert_eq!(few.decrease, None);
        assert!(few.increase.unwrap() > 0.1);
    }

    #[test]
    fn what_makes_no_sense_is_none() {
        let conversion = |baseline| plan(Outcome::Conversion { baseline }, Look::Once);
        assert_eq!(conversion(0.1).sample_size(0.0), None);
        assert_eq!(conversion(0.1).sample_size(0.95), None);
        assert_eq!(conversion(0.1).sample_size(f64::NAN), None);
        assert_eq!(conversion(1.0).sample_size(-0.1), None);
        assert_eq!(conversion(0.1).detectable(0).increase, None);
        let deviation = plan(Outcome::Mean { deviation: 0.0 }, Look::Once);
        assert_eq!(deviation.sample_size(1.0), None);
        let mean = plan(Outcome::Mean { deviation: 1.0 }, Look::Once);
        for weights in [(0.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0)] {
            assert_eq!(Plan { weights, ..mean }.sample_size(1.0), None);
        }
        for power in [0.0, 1.0] {
            assert_eq!(Plan { power, ..mean }.sample_size(1.0), None);
        }
        assert_eq!(mean.sample_size(1e-300), None);
    }
}
