//! The normal, Student's t and the chi-square distribution: as exact in the far tail, down to 1e-300, as in
//! the middle, at any degrees of freedom.
//!
//! `statrs` gives what it gives right. Its normal tail, its t tail and its t quantile are not, so they are here.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use statrs::distribution::{ChiSquared, ContinuousCDF as _, Normal};

use super::number::is_between_0_and_1;
use super::special::{incomplete_beta, stirling_error};

/// The density of the standard normal distribution.
#[must_use]
pub fn normal_density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / TAU.sqrt()
}

/// The probability that a standard normal number is above `z`.
#[must_use]
pub fn normal_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// The number that a standard normal one is above with the probability `tail`, which is strictly between 0 and
/// 1; otherwise `None`.
#[must_use]
pub fn normal_quantile(tail: f64) -> Option<f64> {
    is_between_0_and_1(tail).then(|| -Normal::standard().inverse_cdf(tail))
}

/// The probability that a number of the t distribution is above `t`, at `degrees` > 0 that need not be whole.
#[must_use]
pub fn t_tail(t: f64, degrees: f64) -> f64 {
    let square = t * t / degrees;
    let (x, y) = if square.is_finite() {
        (1.0 / (1.0 + square), square / (1.0 + square))
    } else {
        (0.0, 1.0)
    };
    let half = 0.5 * incomplete_beta(0.5 * degrees, 0.5, x, y);
    if t < 0.0 { 1.0 - half } else { half }
}

/// The number that one of the t distribution is above with the probability `tail`, strictly between 0 and 1,
/// at `degrees` > 0; otherwise `None`.
#[must_use]
pub fn t_quantile(tail: f64, degrees: f64) -> Option<f64> {
    const MOST: usize = 100;
    if tail > 0.5 {
        return t_quantile(1.0 - tail, degrees).map(|t| -t);
    }
    if !(degrees > 0.0 && degrees.is_finite()) {
        return None;
    }
    let mut t = normal_quantile(tail)?;
    if t <= 0.0 {
        return Some(0.0);
    }
    // The logarithm of the tail is concave in the logarithm of t. So Newton's method there, from the normal
    // quantile, which is too small, steps above the root at once and comes down to it.
    for _ in 0..MOST {
        let above = t_tail(t, degrees);
        let step = (above / tail).ln() * above / (t * t_density(t, degrees));
        t *= step.exp();
        if step.abs() < 1e-15 || !t.is_finite() {
            break;
        }
    }
    t.is_finite().then_some(t)
}

/// The density of the t distribution.
fn t_density(t: f64, degrees: f64) -> f64 {
    // Γ((ν + 1)/2) / Γ(ν/2) / √(ν/2) by Stirling's formula, whose large terms cancel.
    let half = 0.5 * degrees;
    let gammas =
        half * (0.5 / half).ln_1p() - 0.5 + stirling_error(half + 0.5) - stirling_error(half);
    let power = -(half + 0.5) * (t * t / degrees).ln_1p();
    (gammas + power).exp() / TAU.sqrt()
}

/// The probability that a number of the chi-square distribution is above `x`, at `degrees` > 0; otherwise
/// `None`.
#[must_use]
pub fn chi_square_tail(x: f64, degrees: f64) -> Option<f64> {
    Some(ChiSquared::new(degrees).ok()?.sf(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: &str = include_str!("../../fixtures/stats/distributions.tsv");

    /// Every point, to 50 digits by mpmath. Of a quantile that is not here (chi-square, beta) the function is
    /// held to the probability that it has there.
    #[test]
    fn all_reference_points_agree() {
        let mut worst: Vec<(&str, f64, &str)> = Vec::new();
        let mut points = 0;
        for line in POINTS.lines().filter(|line| !line.starts_with('#')) {
            let cells: Vec<&str> = line.split('\t').collect();
            let arguments: Vec<f64> = cells[1].split(' ').map(|n| n.parse().unwrap()).collect();
            let value: f64 = cells[2].parse().unwrap();
            let (found, expected) = match (cells[0], &arguments[..]) {
                ("chi2sf", &[degrees, x]) => (chi_square_tail(x, degrees).unwrap(), value),
                ("chi2isf", &[degrees, p]) => (chi_square_tail(value, degrees).unwrap(), p),
                ("normsf", &[z]) => (normal_tail(z), value),
                ("normisf", &[p]) => (normal_quantile(p).unwrap(), value),
                ("tsf", &[degrees, t]) => (t_tail(t, degrees), value),
                ("tisf", &[degrees, p]) => (t_quantile(p, degrees).unwrap(), value),
                ("betai", &[a, b, x]) => (incomplete_beta(a, b, x, 1.0 - x), value),
                ("betaisf", &[a, b, p]) => (incomplete_beta(a, b, value, 1.0 - value), p),
                ("lgamma", &[x]) => (
                    (x - 0.5) * x.ln() - x + 0.5 * TAU.ln() + stirling_error(x),
                    value,
                ),
                other => panic!("{other:?}"),
            };
            points += 1;
            let apart = (found / expected - 1.0).abs();
            match worst.iter_mut().find(|worst| worst.0 == cells[0]) {
                Some(worst) if worst.1 >= apart => {}
                Some(worst) => *worst = (cells[0], apart, line),
                None => worst.push((cells[0], apart, line)),
            }
        }
        println!("{worst:#?}");
        assert_eq!(points, 189);
        assert!(
            worst.iter().all(|(_, apart, _)| *apart < 1e-12),
            "{worst:#?}"
        );
    }

    #[test]
    fn quantiles_are_symmetric_and_none_outside() {
        assert_eq!(t_quantile(0.5, 3.0), Some(0.0));
        assert_eq!(t_quantile(0.875, 3.0), t_quantile(0.125, 3.0).map(|t| -t));
        assert!((t_tail(-2.0, 3.0) + t_tail(2.0, 3.0) - 1.0).abs() < 1e-15);
        assert!(t_tail(f64::INFINITY, 3.0) <= 0.0);
        for tail in [0.0, 1.0, -1.0, f64::NAN] {
            assert_eq!((normal_quantile(tail), t_quantile(tail, 3.0)), (None, None));
        }
        for degrees in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert_eq!(t_quantile(0.1, degrees), None);
        }
        assert_eq!(chi_square_tail(1.0, 0.0), None);
    }
}
