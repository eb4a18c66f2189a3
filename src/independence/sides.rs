//! Which of many ids are on which side of an experiment, and how much two experiments have in common.

use crate::bucketing::{Allocation, BUCKETS, bucket_counts};
use crate::experiment::ExperimentConfig;

/// Variants beyond this number are taken together with their neighbours.
const MAX_SIDES: usize = 8;

/// Ids, and what they all begin with apart.
pub(super) struct Ids<'a> {
    common: &'a str,
    rests: Vec<&'a str>,
}

impl<'a> Ids<'a> {
    pub(super) fn new(ids: &'a [String]) -> Self {
        let common = common_prefix(ids);
        let rests = ids.iter().map(|id| &id[common.len()..]);
        Self {
            common,
            rests: rests.collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rests.len()
    }
}

/// For each variant that anybody gets, one bit for each id: whether it gets that variant.
pub(super) struct Sides {
    allocation: Allocation,
    /// The side of each bucket.
    side_of: Vec<u8>,
    sets: Vec<Vec<u64>>,
    sizes: Vec<u64>,
    /// How many ids there are in them.
    len: usize,
}

/// How many ids one word of a set holds.
const WORD: usize = 64;

impl Sides {
    pub(super) fn new(config: &ExperimentConfig) -> Self {
        let counts = bucket_counts(config.weights());
        let taken = counts.iter().filter(|count| **count > 0).count();
        let number = taken.min(MAX_SIDES);
        let mut side_of = Vec::with_capacity(usize::try_from(BUCKETS).unwrap_or(0));
        let ranks = counts.iter().filter(|count| **count > 0).enumerate();
        for (rank, &count) in ranks {
            let side = u8::try_from(rank * number / taken).unwrap_or(u8::MAX);
            side_of.extend((0..count).map(|_| side));
        }
        Self {
            allocation: config.allocation(),
            side_of,
            sets: vec![Vec::new(); number],
            sizes: vec![0; number],
            len: 0,
        }
    }

    /// Sorts the ids up to number `count`, from the first that it has not yet seen. What was sorted before
    /// must have filled whole words.
    pub(super) fn extend(&mut self, ids: &Ids<'_>, count: usize) {
        let count = count.min(ids.len());
        if self.len >= count {
            return;
        }
        let mut buckets = [0; WORD];
        let mut sides = [0; WORD];
        for rests in ids.rests[self.len..count].chunks(WORD) {
            let buckets = &mut buckets[..rests.len()];
            self.allocation.buckets(ids.common, rests, buckets);
            // A side that nobody is on, for what a last word has left.
            sides.fill(u8::MAX);
            for (side, bucket) in sides.iter_mut().zip(buckets) {
                let bucket = usize::try_from(*bucket).unwrap_or(usize::MAX);
                *side = self.side_of.get(bucket).copied().unwrap_or(u8::MAX);
            }
            for (number, (set, size)) in (0..).zip(self.sets.iter_mut().zip(&mut self.sizes)) {
                let bits = where_equal(&sides, number);
                *size += u64::from(bits.count_ones());
                set.push(bits);
            }
        }
        self.len = count;
    }

    /// Phi with the share on the same side and its expectation for two sides each; Cramér's V
    /// otherwise.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 ids")]
    pub(super) fn association(&self, other: &Self, ids: usize) -> (f64, Option<(f64, f64)>) {
        let n = ids as f64;
        let (mut chi_square, mut same, mut chance) = (0.0, 0.0, 0.0);
        // Every id is on one side of both, so the last row and column are what the others leave.
        let mut left_in_column = [0; MAX_SIDES];
        left_in_column[..other.sizes.len()].copy_from_slice(&other.sizes);
        for (row, &size) in self.sizes.iter().enumerate() {
            let mut left_in_row = size;
            for (column, &other_size) in other.sizes.iter().enumerate() {
                let both = if column + 1 == other.sizes.len() {
                    left_in_row
                } else if row + 1 == self.sizes.len() {
                    left_in_column[column]
                } else {
                    let both = self.sets[row].iter().zip(&other.sets[column]);
                    both.map(|(a, b)| u64::from((a & b).count_ones())).sum()
                };
                left_in_row -= both;
                left_in_column[column] -= both;
                let expected = size as f64 * other_size as f64 / n;
                if expected > 0.0 {
                    chi_square += (both as f64 - expected).powi(2) / expected;
                }
                if row == column {
                    same += both as f64 / n;
                    chance += expected / n;
                }
            }
        }
        let (rows, columns) = (self.sets.len() as f64, other.sets.len() as f64);
        let freedom = (rows - 1.0) * (columns - 1.0);
        let smaller = rows.min(columns) - 1.0;
        if freedom <= 0.0 || n < 2.0 {
            return (0.0, None);
        }
        if rows + columns > 4.0 {
            let corrected = (chi_square / n - freedom / (n - 1.0)).max(0.0);
            return ((corrected / smaller).sqrt(), None);
        }
        let size = (chi_square / n).sqrt();
        (size.copysign(same - chance), Some((same, chance)))
    }
}

/// A bit for each place, the first the lowest: whether `number` is there.
fn where_equal(sides: &[u8; WORD], number: u8) -> u64 {
    // Brings the lowest bits of 8 bytes together in the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let is_equal = sides.map(|side| u8::from(side == number));
    let (eights, _) = is_equal.as_chunks::<8>();
    let bits = eights.iter().rev();
    bits.fold(0, |bits, eight| {
        bits << 8 | u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56
    })
}

/// What all of them begin with.
fn common_prefix(ids: &[String]) -> &str {
    let Some((first, others)) = ids.split_first() else {
        return "";
    };
    let mut common = first.as_str();
    for other in others {
        let same = common.bytes().zip(other.bytes());
        let same = same.take_while(|(a, b)| a == b).count();
        common = &common[..common.floor_char_boundary(same)];
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_bits_in_their_order() {
        let mut sides = [0; WORD];
        for place in [0, 1, 9, 63] {
            sides[place] = 3;
        }
        assert_eq!(where_equal(&sides, 3), 1 << 63 | 1 << 9 | 0b11);
        assert_eq!(where_equal(&sides, 0), !where_equal(&sides, 3));
    }
}
