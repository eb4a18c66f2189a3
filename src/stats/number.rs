//! Between counts and real numbers, and between numbers that mean something and those that don't.

/// A count as a real number: exact up to 2^53, which no count of actors reaches.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 actors")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// The number, unless it overflowed or is undefined.
pub(super) fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

/// Whether the number is a probability strictly between 0 and 1.
pub(super) fn is_between_0_and_1(number: f64) -> bool {
    0.0 < number && number < 1.0
}
