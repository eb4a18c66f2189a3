//! Count, mean and variance of numbers, alone or in pairs, in one pass and from several threads.
//!
//! By centred updates, never from a sum of squares: times in milliseconds, or amounts of a billion that
//! differ by cents, lose nothing. Sources: Welford, *Technometrics* 4 (1962); Chan and others,
//! *Updating Formulae and a Pairwise Algorithm* (1979).

use super::number::{finite, real};

/// Count, mean and variance of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    count: u64,
    total: f64,
    /// The first number. The mean is kept as its distance to it: that has the digits which the mean of times
    /// in milliseconds has not, and no number of a set is further from the mean than √n deviations.
    first: f64,
    from_first: f64,
    /// The sum of the squared distances to the mean.
    squares: f64,
}

impl Moments {
    /// Those of no numbers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of one number, `count` times: for the actors without a row, who all count with 0.
    #[must_use]
    pub fn repeated(number: f64, count: u64) -> Self {
        if count == 0 {
            return Self::new();
        }
        Self {
            count,
            total: number * real(count),
            first: number,
            ..Self::default()
        }
    }

    /// Adds a number.
    pub fn add(&mut self, number: f64) {
        if self.count == 0 {
            self.first = number;
        }
        self.count += 1;
        self.total += number;
        let before = self.distance(number);
        self.from_first += before / real(self.count);
        self.squares += before * self.distance(number);
    }

    /// Adds the numbers of another.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let count = self.count + other.count;
        let (share, apart) = (real(other.count) / real(count), self.distance_to(other));
        self.squares += other.squares + apart * apart * real(self.count) * share;
        self.from_first += apart * share;
        self.total += other.total;
        self.count = count;
    }

    /// How many numbers.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum; `None` if it overflowed.
    #[must_use]
    pub fn total(&self) -> Option<f64> {
        finite(self.total)
    }

    /// Their mean; `None` of no numbers, and if it overflowed.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        finite(self.raw_mean()).filter(|_| self.count > 0)
    }

    /// Their variance, with the denominator n − 1; `None` of fewer than two, and if it overflowed.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        (self.count > 1)
            .then(|| self.raw_variance())
            .and_then(finite)
    }

    /// The mean as it is: 0 of no numbers.
    pub(super) fn raw_mean(&self) -> f64 {
        self.first + self.from_first
    }

    /// From the mean to the number.
    fn distance(&self, number: f64) -> f64 {
        number - self.first - self.from_first
    }

    /// From the mean to that of another, with digits that the two may not have.
    pub(super) fn distance_to(&self, other: &Self) -> f64 {
        self.distance(other.first) + other.from_first
    }

    /// The variance as it is: not a number of fewer than two.
    pub(super) fn raw_variance(&self) -> f64 {
        self.squares / (real(self.count) - 1.0)
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        let mut moments = Self::new();
        moments.extend(numbers);
        moments
    }
}

impl Extend<f64> for Moments {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, numbers: I) {
        numbers.into_iter().for_each(|number| self.add(number));
    }
}

/// The moments of pairs of numbers (x, y), with their covariance.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PairMoments {
    x: Moments,
    y: Moments,
    /// The sum of the products of the distances to the means.
    products: f64,
}

impl PairMoments {
    /// Those of no pairs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of one pair, `count` times.
    #[must_use]
    pub fn repeated(x: f64, y: f64, count: u64) -> Self {
        Self {
            x: Moments::repeated(x, count),
            y: Moments::repeated(y, count),
            products: 0.0,
        }
    }

    /// Those of the numbers `x`, each paired with the same `y`.
    pub(super) fn with_constant(x: Moments, y: f64) -> Self {
        Self {
            x,
            y: Moments::repeated(y, x.count),
            products: 0.0,
        }
    }

    /// Adds a pair.
    pub fn add(&mut self, x: f64, y: f64) {
        let before = self.x.distance(x);
        self.x.add(x);
        self.y.add(y);
        self.products += before * self.y.distance(y);
    }

    /// Adds the pairs of another.
    pub fn merge(&mut self, other: &Self) {
        let (own, others) = (real(self.x.count), real(other.x.count));
        self.products += other.products;
        if own > 0.0 && others > 0.0 {
            let apart = self.x.distance_to(&other.x) * self.y.distance_to(&other.y);
            self.products += apart * own * (others / (own + others));
        }
        self.x.merge(&other.x);
        self.y.merge(&other.y);
    }

    /// How many pairs.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.x.count
    }

    /// Of the first numbers of the pairs.
    #[must_use]
    pub fn x(&self) -> &Moments {
        &self.x
    }

    /// Of the second numbers of the pairs.
    #[must_use]
    pub fn y(&self) -> &Moments {
        &self.y
    }

    /// The covariance, with the denominator n − 1; `None` of fewer than two pairs, and if it overflowed.
    #[must_use]
    pub fn covariance(&self) -> Option<f64> {
        (self.x.count > 1)
            .then(|| self.raw_covariance())
            .and_then(finite)
    }

    /// The covariance as it is: not a number of fewer than two pairs.
    pub(super) fn raw_covariance(&self) -> f64 {
        self.products / (real(self.x.count) - 1.0)
    }

    /// The ratio Σx/Σy; `None` where Σy is 0, of no pairs, and if it overflowed.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        finite(self.x.mean()? / self.y.mean()?)
    }

    /// The variance of `z = r + (x − r·y)/ȳ`, where r is the ratio of the means and ȳ the mean of y: what
    /// takes the place of the variance of an actor in a ratio. `None` of fewer than two pairs, and where the
    /// ratio is undefined.
    #[must_use]
    pub fn ratio_variance(&self) -> Option<f64> {
        let variance = self.linearized_variance(self.ratio()?, self.y.raw_mean());
        (self.x.count > 1).then_some(variance).and_then(finite)
    }

    /// As [`ratio_variance`](Self::ratio_variance), with the ratio and the mean of y from elsewhere.
    pub(super) fn linearized_variance(&self, ratio: f64, y: f64) -> f64 {
        self.residual_variance(ratio) / (y * y)
    }

    /// The variance of `x − slope · y`, as it is. What rounding leaves where the two cancel, is 0.
    pub(super) fn residual_variance(&self, slope: f64) -> f64 {
        // A digit or two more than the moments of a million pairs keep.
        const ROUNDING: f64 = 1e-13;
        let (x, y) = (self.x.raw_variance(), slope * slope * self.y.raw_variance());
        let residual = x - 2.0 * slope * self.raw_covariance() + y;
        if residual.is_finite() && residual <= ROUNDING * (x + y) {
            0.0
        } else {
            residual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIST: &str = include_str!("../../fixtures/stats/nist.tsv");

    fn is_near(found: f64, expected: f64, tolerance: f64) {
        let apart = (found - expected).abs() / expected.abs();
        assert!(
            apart <= tolerance,
            "{found} is not {expected}, but {apart:e} apart"
        );
    }

    /// Mean and standard deviation, in one pass, and merged from parts of every size.
    fn has_moments(numbers: &[f64], mean: f64, deviation: f64, tolerance: f64) {
        let whole: Moments = numbers.iter().copied().collect();
        is_near(whole.mean().unwrap(), mean, 1e-14);
        is_near(whole.variance().unwrap().sqrt(), deviation, tolerance);
        for size in [1, 2, 7, 100] {
            let mut merged = Moments::new();
            for part in numbers.chunks(size) {
                merged.merge(&part.iter().copied().collect());
            }
            assert_eq!(merged.count(), whole.count());
            is_near(merged.mean().unwrap(), mean, 1e-14);
            is_near(merged.variance().unwrap().sqrt(), deviation, tolerance);
        }
    }

    #[test]
    fn the_certified_values_of_nist_come_out() {
        let mut sets = 0;
        for line in NIST.lines().filter(|line| !line.starts_with('#')) {
            let cells: Vec<&str> = line.split('\t').collect();
            let numbers = cells[3].split(' ').map(|number| number.parse().unwrap());
            let numbers: Vec<f64> = numbers.collect();
            let (mean, deviation) = (cells[1].parse().unwrap(), cells[2].parse().unwrap());
            // Mavro and Michelso have decimals, so that the data themselves are rounded.
            let tolerance = if cells[0].starts_with('M') {
                1e-12
            } else {
                1e-14
            };
            has_moments(&numbers, mean, deviation, tolerance);
            sets += 1;
        }
        assert_eq!(sets, 5);
        has_moments(
            &[10_000_001.0, 10_000_003.0, 10_000_002.0],
            10_000_002.0,
            1.0,
            1e-15,
        );
        // NumAcc2 to 4: one number, then 500 times one a tenth below and one a tenth above it. What is lost is
        // lost when the decimals become binary: half a unit in the last place of ten million is 1e-9.
        for (whole, tolerance) in [("1", 1e-14), ("1000000", 1e-9), ("10000000", 1e-8)] {
            let number = |tenths: &str| format!("{whole}.{tenths}").parse::<f64>().unwrap();
            let pairs = [number("1"), number("3")].repeat(500);
            let numbers = [&[number("2")], &pairs[..]].concat();
            has_moments(&numbers, number("2"), 0.1, tolerance);
        }
    }

    #[test]
    fn a_large_offset_loses_nothing() {
        for offset in [1e9, 1_764_547_200_000.0] {
            let numbers: Vec<f64> = (0..10_000).map(|n| offset + f64::from(n % 100)).collect();
            // The variance of 0…99, each a hundred times, by hand.
            let deviation = (833.25_f64 * 10_000.0 / 9_999.0).sqrt();
            has_moments(&numbers, offset + 49.5, deviation, 1e-12);
            let pairs = numbers.iter().map(|&x| (x, 3.0 * offset - 2.0 * x));
            let (mut whole, mut merged) = (PairMoments::new(), PairMoments::new());
            for (x, y) in pairs {
                whole.add(x, y);
                let mut one = PairMoments::new();
                one.add(x, y);
                merged.merge(&one);
            }
            let variance = deviation * deviation;
            is_near(whole.covariance().unwrap(), -2.0 * variance, 1e-12);
            is_near(merged.covariance().unwrap(), -2.0 * variance, 1e-12);
            is_near(whole.y().variance().unwrap(), 4.0 * variance, 1e-12);
        }
    }

    #[test]
    fn repeated_numbers_count_like_added_ones() {
        let mut added: Moments = [5.0, 8.0].into_iter().collect();
        let mut repeated = added;
        repeated.merge(&Moments::repeated(0.0, 3));
        added.extend([0.0; 3]);
        assert_eq!((repeated.count(), repeated.total()), (5, Some(13.0)));
        is_near(repeated.mean().unwrap(), 2.6, 1e-15);
        is_near(
            repeated.variance().unwrap(),
            added.variance().unwrap(),
            1e-15,
        );
        repeated.merge(&Moments::repeated(7.0, 0));
        assert_eq!(repeated.count(), 5);
    }

    #[test]
    fn what_is_undefined_is_none() {
        let none = Moments::new();
        assert_eq!((none.mean(), none.variance()), (None, None));
        let one: Moments = [3.0].into_iter().collect();
        assert_eq!((one.mean(), one.variance()), (Some(3.0), None));
        let huge: Moments = [1e308, -1e308, 1e308, 1e308].into_iter().collect();
        assert_eq!((huge.variance(), huge.count()), (None, 4));
        let mut pairs = PairMoments::new();
        for _ in 0..2 {
            pairs.add(1e308, -1e308);
            pairs.add(-1e308, 1e308);
        }
        assert_eq!(pairs.covariance(), None);
        let mut merged = PairMoments::new();
        merged.merge(&pairs);
        assert_eq!(merged.covariance(), None);
    }

    /// What is left when one number is a multiple of the other is rounding, and not a variance.
    #[test]
    fn two_numbers_that_cancel_leave_no_variance() {
        let mut pairs = PairMoments::new();
        for n in 0..100_000 {
            let y = f64::from(n % 977) / 7.0;
            pairs.add(3.1 * y, y);
        }
        assert!(pairs.residual_variance(3.1).abs() < f64::MIN_POSITIVE);
        assert!(pairs.residual_variance(3.1001) > 1e-6);
        pairs.add(1e200, 0.0);
        assert!(
            !pairs.residual_variance(3.1).is_finite(),
            "overflow is none"
        );
    }
}
