//! A variant compared with the control: two estimates with their variances, and all that follows from them.

use serde::Serialize;

use super::distributions::{normal_density, normal_quantile, normal_tail, t_quantile, t_tail};
use super::number::{finite, real};
use super::power::Look;
use super::sequence::Analysis;

/// The power at which [`Comparison::detectable_effect`] and [`Comparison::actors_to_detect`] are.
const POWER: f64 = 0.8;

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// More is better.
    Up,
    /// Less is better.
    Down,
}

impl Direction {
    /// The difference, positive if it is for the better.
    fn benefit(self, difference: f64) -> f64 {
        match self {
            Self::Up => difference,
            Self::Down => -difference,
        }
    }
}

/// An estimate of an arm: its mean or what takes its place, and the variance of that, which is the square of
/// the standard error. Either may be undefined or have overflowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) variance: f64,
}

/// A variant compared with the control. What is undefined (the relative difference to a control of 0, the
/// p-value without any variance, what has overflowed) is `None`, never "not a number".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    pub(super) actors: u64,
    pub(super) left_out_actors: u64,
    pub(super) variant: Estimate,
    pub(super) control: Estimate,
    /// Variant minus control, which may have digits that the two have not.
    pub(super) difference: f64,
    /// `None` for the normal distribution.
    pub(super) degrees: Option<f64>,
}

/// The estimates of both arms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Means {
    /// Of the variant.
    pub variant: Option<f64>,
    /// Of the control.
    pub control: Option<f64>,
}

/// The difference between variant and control, as if looked at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Difference {
    /// Variant minus control.
    pub estimate: Option<f64>,
    /// The lower end of the confidence interval.
    pub low: Option<f64>,
    /// The upper end of the confidence interval.
    pub high: Option<f64>,
    /// The two-sided p-value.
    pub p_value: Option<f64>,
    /// The standard error of the estimate.
    pub standard_error: Option<f64>,
    /// The degrees of freedom of the t distribution; `None` for the normal one.
    pub degrees: Option<f64>,
}

/// The difference as a share of the control's absolute value, as if looked at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Relative {
    /// The relative difference.
    pub estimate: Option<f64>,
    /// The lower end of its confidence interval.
    pub low: Option<f64>,
    /// The upper end of its confidence interval.
    pub high: Option<f64>,
}

/// What holds however often somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct AlwaysValid {
    /// The lower end of the confidence sequence of the difference.
    pub low: Option<f64>,
    /// The upper end of the confidence sequence of the difference.
    pub high: Option<f64>,
    /// The lower end of that of the relative difference.
    pub relative_low: Option<f64>,
    /// The upper end of that of the relative difference.
    pub relative_high: Option<f64>,
    /// The always-valid p-value.
    pub p_value: Option<f64>,
}

/// One-sided always-valid bounds of the relative difference in the good direction, each at the whole
/// confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct OneSided {
    /// The benefit is above this.
    pub relative_low: Option<f64>,
    /// The benefit is below this.
    pub relative_high: Option<f64>,
}

/// A figure for one look and for looking as often as one likes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct ByLook<T> {
    /// At one look.
    pub fixed: Option<T>,
    /// However often somebody looks.
    pub always_valid: Option<T>,
}

impl Comparison {
    /// How many actors of both arms are compared.
    #[must_use]
    pub fn actors(&self) -> u64 {
        self.actors
    }

    /// How many actors of both arms are left out, with the weight periods in which one arm has too few.
    #[must_use]
    pub fn left_out_actors(&self) -> u64 {
        self.left_out_actors
    }

    /// The estimates of both arms.
    #[must_use]
    pub fn means(&self) -> Means {
        Means {
            variant: finite(self.variant.value),
            control: finite(self.control.value),
        }
    }

    /// The difference, as if looked at once: Welch's t test, or a normal one of quantiles.
    #[must_use]
    pub fn difference(&self, analysis: &Analysis) -> Difference {
        let (low, high) = around(self.difference, self.error(), self.critical(analysis));
        let p_value = self.z().map(|z| {
            2.0 * match self.degrees {
                Some(degrees) => t_tail(z.abs(), degrees),
                None => normal_tail(z.abs()),
            }
        });
        Difference {
            estimate: finite(self.difference),
            low,
            high,
            p_value: p_value.and_then(finite),
            standard_error: finite(self.error()),
            degrees: self.degrees,
        }
    }

    /// The relative difference, as if looked at once: its standard error by the delta method, at the degrees
    /// of the difference.
    ///
    /// The delta method is for many actors. With a hundred in each arm, of whom a tenth spend anything, the
    /// upper end of this and of the other relative bounds is too low in more cases than it should be; that of
    /// the difference is not.
    #[must_use]
    pub fn relative(&self, analysis: &Analysis) -> Relative {
        let estimate = self.relative_estimate();
        let critical = self.critical(analysis).filter(|_| self.z().is_some());
        let (low, high) = around_relative(estimate, self.relative_error(), critical);
        Relative {
            estimate: finite(estimate),
            low,
            high,
        }
    }

    /// The confidence sequences of the difference and of the relative difference.
    #[must_use]
    pub fn always_valid(&self, analysis: &Analysis) -> AlwaysValid {
        let radius = analysis.radius(self.actors);
        let (low, high) = around(self.difference, self.error(), radius);
        let relative = self.relative_estimate();
        let sure = radius.filter(|_| self.z().is_some());
        let (relative_low, relative_high) = around_relative(relative, self.relative_error(), sure);
        let p_value = self.z().and_then(|z| analysis.p_value(z, self.actors));
        AlwaysValid {
            low,
            high,
            relative_low,
            relative_high,
            p_value,
        }
    }

    /// The one-sided bounds for a guardrail: it is harmed where even the upper one is below the largest harm
    /// allowed, and safe where the lower one is above it.
    #[must_use]
    pub fn one_sided(&self, better: Direction, analysis: &Analysis) -> OneSided {
        let benefit = better.benefit(self.relative_estimate());
        let radius = analysis.one_sided_radius(self.actors);
        let radius = radius.filter(|_| self.z().is_some());
        let (relative_low, relative_high) = around_relative(benefit, self.relative_error(), radius);
        OneSided {
            relative_low,
            relative_high,
        }
    }

    /// How probable it is that the variant is better than the control, if every difference was as probable as
    /// any other before.
    #[must_use]
    pub fn chance_to_win(&self, better: Direction) -> Option<f64> {
        self.z().map(|z| normal_tail(-better.benefit(z)))
    }

    /// What choosing the variant is expected to cost where it is the worse one, in the metric's own unit.
    #[must_use]
    pub fn expected_loss(&self, better: Direction) -> Option<f64> {
        let z = better.benefit(self.z()?);
        finite((self.error() * (normal_density(z) - z * normal_tail(z))).max(0.0))
    }

    /// The smallest difference that this many actors would show with a power of 0.8, at the present standard
    /// error. With [`Look::AlwaysValid`], by the look at this number of actors.
    #[must_use]
    pub fn detectable_effect(&self, analysis: &Analysis) -> ByLook<f64> {
        let effect = |look: Look| {
            self.z()?;
            finite(look.multiple(analysis, POWER, self.actors)? * self.error())
        };
        ByLook {
            fixed: effect(Look::Once),
            always_valid: effect(Look::AlwaysValid),
        }
    }

    /// How many actors of both arms it takes until [`detectable_effect`](Self::detectable_effect) is as small
    /// as `effect`, which is absolute and above 0, if the standard error shrinks with their root.
    #[must_use]
    pub fn actors_to_detect(&self, effect: f64, analysis: &Analysis) -> ByLook<u64> {
        let spread = self.error() * real(self.actors).sqrt();
        let actors = |look: Look| {
            self.z()?;
            look.actors(analysis, POWER, spread, effect)
        };
        ByLook {
            fixed: actors(Look::Once),
            always_valid: actors(Look::AlwaysValid),
        }
    }

    /// The square of the standard error of the difference; it may be undefined.
    pub(super) fn variance(&self) -> f64 {
        self.variant.variance + self.control.variance
    }

    fn error(&self) -> f64 {
        self.variance().sqrt()
    }

    /// The difference in standard errors.
    fn z(&self) -> Option<f64> {
        let error = self.error();
        (error > 0.0)
            .then(|| self.difference / error)
            .filter(|z| z.is_finite() && error.is_finite())
    }

    fn relative_estimate(&self) -> f64 {
        self.difference / self.control.value.abs()
    }

    /// `√(V_t/m_c² + V_c m_t²/m_c⁴)`
    fn relative_error(&self) -> f64 {
        let ratio = self.variant.value / self.control.value;
        let variance = self.variant.variance + self.control.variance * ratio * ratio;
        variance.sqrt() / self.control.value.abs()
    }

    /// How many standard errors the interval of one look reaches to each side.
    fn critical(&self, analysis: &Analysis) -> Option<f64> {
        let tail = 0.5 * analysis.alpha();
        match self.degrees {
            Some(degrees) => t_quantile(tail, degrees),
            None => normal_quantile(tail),
        }
    }
}

/// [`around`] of a relative effect, whose error is 0 where the variant's mean and variance are: it is the whole of
/// the control, however large that is.
fn around_relative(estimate: f64, error: f64, radius: Option<f64>) -> (Option<f64>, Option<f64>) {
    if error == 0.0 && radius.is_some() {
        return (finite(estimate), finite(estimate));
    }
    around(estimate, error, radius)
}

/// The interval of so many standard errors around an estimate.
fn around(estimate: f64, error: f64, radius: Option<f64>) -> (Option<f64>, Option<f64>) {
    let reach = radius.map(|radius| radius * error);
    let reach = reach.filter(|reach| *reach > 0.0 && reach.is_finite());
    let end = |sign: f64| reach.and_then(|reach| finite(estimate + sign * reach));
    (end(-1.0), end(1.0))
}
