//! Special functions that distributions are made of, where the textbook's formula loses digits: at a
//! hundred million degrees the difference of two log gammas keeps eight of them.
//!
//! Both `ln Γ` and powers are written as Stirling's formula plus a small rest, after which the large terms
//! cancel on paper and not in the machine: Loader, *Fast and Accurate Computation of Binomial
//! Probabilities* (2000).

use std::f64::consts::{PI, TAU};

/// `ln Γ(x)` minus Stirling's formula `(x − ½) ln x − x + ½ ln 2π`, for x > 0.
pub(super) fn stirling_error(x: f64) -> f64 {
    // The coefficients B(2k) / (2k (2k − 1)).
    const SERIES: [f64; 6] = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
    ];
    if x < 16.0 {
        return libm::lgamma(x) - ((x - 0.5) * x.ln() - x + 0.5 * TAU.ln());
    }
    let square = 1.0 / (x * x);
    let series = SERIES.iter().rev();
    series.fold(0.0, |sum, coefficient| sum * square + coefficient) / x
}

/// `x ln(x/e) + e − x`: half the deviance of a count `x` from its expectation `e`, both above 0.
pub(super) fn half_deviance(x: f64, e: f64) -> f64 {
    let apart = (x - e) / (x + e);
    if apart.abs() > 0.1 {
        return x * (x / e).ln() + e - x;
    }
    // ln(x/e) = 2 artanh(apart), whose first term takes e − x away. Nine more terms are enough.
    let square = apart * apart;
    let (mut sum, mut power) = ((x - e) * apart, 2.0 * x * apart);
    for n in 1..10 {
        power *= square;
        sum += power / f64::from(2 * n + 1);
    }
    sum
}

/// The regularized incomplete beta function `I_x(a, b)`, for a, b > 0 and x from 0 to 1, where `y = 1 − x`
/// is given apart so that neither loses digits near 0.
pub(super) fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 || y <= 0.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    // How far x is below the mean a/(a + b), in the way of the two that keeps the digits.
    let total = a + b;
    let below = if x < y { a - total * x } else { total * y - b };
    if below >= 0.0 {
        beta_fraction(a, b, x, y, below)
    } else {
        1.0 - beta_fraction(b, a, y, x, -below)
    }
}

/// `I_x(a, b)` for x below the mean: the continued fraction of Didonato and Morris, *Significant Digit
/// Computation of the Incomplete Beta Function Ratios* (ACM TOMS 708, 1992), by the method of Lentz.
fn beta_fraction(a: f64, b: f64, x: f64, y: f64, below: f64) -> f64 {
    // Enough by far: at 10^9 degrees it takes 70.
    const MOST: u32 = 10_000;
    let total = a + b;
    // x^a y^b / B(a, b)
    let exponent = stirling_error(total)
        - stirling_error(a)
        - stirling_error(b)
        - half_deviance(a, total * x)
        - half_deviance(b, total * y);
    let power = (a * b / (2.0 * PI * total)).sqrt() * exponent.exp();
    let mut fraction = a / (a + 1.0) * (below + 1.0);
    let (mut over, mut under) = (fraction, 0.0);
    for nth in 1..MOST {
        let nth = f64::from(nth);
        let at = a + 2.0 * nth - 1.0;
        let rise = nth * (b - nth) * x / at;
        let numerator = (a + nth - 1.0) * (total + nth - 1.0) * rise * x / at;
        let denominator = nth + rise + (a + nth) / (at + 2.0) * (below + 1.0 + nth * (1.0 + y));
        under = 1.0 / (denominator + numerator * under);
        over = denominator + numerator / over;
        let step = over * under;
        fraction *= step;
        if (step - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    power / fraction
}
