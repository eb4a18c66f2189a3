//! p-values of several comparisons, adjusted so that the probability of even one false winner among them is
//! still at most 1 − confidence.

use super::number::real;

/// Holm's step-down adjustment (*Scandinavian Journal of Statistics* 6, 1979): the adjusted p-value of each,
/// in the given order. One that is undefined counts as 1.
#[must_use]
pub fn holm(p_values: &[Option<f64>]) -> Vec<f64> {
    let p_values = p_values.iter().map(|p| p.unwrap_or(1.0));
    let mut ranked: Vec<(usize, f64)> = p_values.enumerate().collect();
    ranked.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let mut adjusted = vec![1.0; ranked.len()];
    let mut largest = 0.0_f64;
    for (remaining, (index, p)) in (1..=ranked.len() as u64).rev().zip(ranked) {
        largest = largest.max(p * real(remaining)).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undefined_p_value_counts_as_1() {
        let adjusted = holm(&[Some(0.03), None, Some(0.01), Some(0.03), Some(0.9)]);
        let expected = [0.12, 1.0, 0.05, 0.12, 1.0];
        for (found, expected) in adjusted.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15, "{adjusted:?}");
        }
        assert!(holm(&[]).is_empty());
    }
}
