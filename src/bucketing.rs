//! Pure: (experiment, actor) → bucket → variant. No state, no clock, no store.
//!
//! The numbers that come out of here are a promise: an actor who is not stored yet must land on the
//! same variant tomorrow, on every machine and in every version. The known answers at the end of the
//! file are not to be edited.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::coverage::Coverage;

/// How many buckets there are; a bucket is a whole number in `[0, BUCKETS)`.
pub const BUCKETS: u64 = 10_000;

/// How an experiment turns an actor into a bucket. Fixed once the experiment has left draft.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Bucketing {
    /// FNV-1a, 64 bits, modulo [`BUCKETS`]: the hash of the reference.
    ///
    /// Over ids of one length, two experiments can get buckets that are shifted copies of each
    /// other, so that their splits agree far more or far less often than by chance.
    #[default]
    Fnv1a,
    /// The same hash put through the MurmurHash3 64-bit finaliser before the modulo. No pair of
    /// experiments is known to interfere.
    Fnv1aMixed,
}

impl Bucketing {
    /// Every way there is.
    pub const ALL: [Self; 2] = [Self::Fnv1a, Self::Fnv1aMixed];

    /// The bucket of `actor` in `experiment`, in `[0, BUCKETS)`.
    #[must_use]
    pub fn bucket(self, experiment: &str, actor: &str) -> u64 {
        self.finish(fnv1a(prefix(experiment), actor.as_bytes()))
    }

    #[inline]
    fn finish(self, hash: u64) -> u64 {
        match self {
            Self::Fnv1a => hash % BUCKETS,
            Self::Fnv1aMixed => murmur3_finaliser(hash) % BUCKETS,
        }
    }

    /// The way of that serialised name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == name)
    }

    /// The serialised name: `fnv1a` or `fnv1a_mixed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fnv1a => "fnv1a",
            Self::Fnv1aMixed => "fnv1a_mixed",
        }
    }
}

impl fmt::Display for Bucketing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The bucket of `actor` in `experiment` under [`Bucketing::Fnv1a`], in `[0, BUCKETS)`.
#[must_use]
pub fn experiment_bucket(experiment: &str, actor: &str) -> u64 {
    Bucketing::Fnv1a.bucket(experiment, actor)
}

/// Where a bucket falls on the line of weights: `bucket * total_weight / BUCKETS`, rounded down.
#[must_use]
pub fn weight_threshold(bucket: u64, total_weight: u64) -> u64 {
    let threshold = u128::from(bucket) * u128::from(total_weight) / u128::from(BUCKETS);
    // A bucket is below BUCKETS, so the quotient is below total_weight and fits.
    u64::try_from(threshold).unwrap_or(u64::MAX)
}

/// The sum of all weights.
#[must_use]
pub fn total_weight(weights: impl Iterator<Item = u32>) -> u64 {
    weights.map(u64::from).sum()
}

/// The place, counted from 0, of the variant that a bucket selects: the first whose running sum of
/// weights is greater than the bucket's [threshold](weight_threshold). `None` when every weight is
/// zero.
#[must_use]
pub fn select(bucket: u64, weights: impl Iterator<Item = u32> + Clone) -> Option<usize> {
    let threshold = weight_threshold(bucket, total_weight(weights.clone()));
    let mut sum = 0;
    let mut weights = weights;
    weights.position(|weight| {
        sum += u64::from(weight);
        sum > threshold
    })
}

/// Where each variant's buckets end: variant `i` has those from the end of `i - 1` up to, and without,
/// its own. All 0 when every weight is zero.
fn bucket_ends(weights: impl Iterator<Item = u32> + Clone) -> impl Iterator<Item = u64> {
    let total = u128::from(total_weight(weights.clone()));
    let mut sum = 0_u128;
    weights.map(move |weight| {
        sum += u128::from(weight);
        // `bucket * total / BUCKETS >= sum` first holds at `ceil(sum * BUCKETS / total)`.
        let end = (sum * u128::from(BUCKETS)).div_ceil(total.max(1));
        u64::try_from(end).unwrap_or(BUCKETS)
    })
}

/// How many of the [`BUCKETS`] buckets select each variant, in declared order.
///
/// This is the share a variant really gets, which is its weight over the total weight only where
/// ten-thousandths can express that. All zero when every weight is zero.
#[must_use]
pub fn bucket_counts(weights: impl Iterator<Item = u32> + Clone) -> Vec<u64> {
    let mut start = 0;
    let ends = bucket_ends(weights);
    ends.map(|end| end - std::mem::replace(&mut start, end))
        .collect()
}

/// The bucket that says whether an experiment covers the actor, in `[0, BUCKETS)`: always by the mixed
/// hash, over `hashed`, `:coverage:` and the actor. `hashed` is the experiment's salt, or else its name.
#[must_use]
pub fn coverage_bucket(hashed: &str, actor: &str) -> u64 {
    coverage_bucket_from(coverage_prefix(hashed), actor)
}

fn coverage_prefix(hashed: &str) -> u64 {
    prefix(&format!("{hashed}:coverage"))
}

#[inline]
fn coverage_bucket_from(prefix: u64, actor: &str) -> u64 {
    Bucketing::Fnv1aMixed.finish(fnv1a(prefix, actor.as_bytes()))
}

/// How one experiment allocates its actors: all that does not depend on the actor is worked out once.
/// Looking an actor up allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    bucketing: Bucketing,
    /// The hash after the experiment's name and `:`.
    prefix: u64,
    ends: Vec<u64>,
    /// How far it covers newcomers, and the hash that says whom; `None` if it covers everybody.
    entry: Option<(Coverage, u64)>,
}

impl Allocation {
    /// The allocation of an experiment of this name and these weights, in order.
    #[must_use]
    pub fn new(
        bucketing: Bucketing,
        experiment: &str,
        weights: impl Iterator<Item = u32> + Clone,
    ) -> Self {
        Self {
            bucketing,
            prefix: prefix(experiment),
            ends: bucket_ends(weights).collect(),
            entry: None,
        }
    }

    /// The same, covering a share of the newcomers. `hashed` is what is hashed with the actor.
    ///
    /// Who is covered has nothing to do with who gets which variant: it goes by another hash.
    #[must_use]
    pub fn with_coverage(mut self, hashed: &str, coverage: Coverage) -> Self {
        let is_partial = coverage != Coverage::FULL;
        self.entry = is_partial.then(|| (coverage, coverage_prefix(hashed)));
        self
    }

    /// Whether the actor, if it is new, may enter.
    #[inline]
    #[must_use]
    pub fn covers(&self, actor: &str) -> bool {
        self.entry
            .is_none_or(|(coverage, prefix)| coverage.admits(coverage_bucket_from(prefix, actor)))
    }

    /// The actor's bucket, in `[0, BUCKETS)`.
    #[inline]
    #[must_use]
    pub fn bucket(&self, actor: &str) -> u64 {
        self.bucketing.finish(fnv1a(self.prefix, actor.as_bytes()))
    }

    /// The place, counted from 0, of the variant that the actor's bucket selects: what [`select`]
    /// gives. `None` when every weight is zero.
    #[inline]
    #[must_use]
    pub fn variant(&self, actor: &str) -> Option<usize> {
        let bucket = self.bucket(actor);
        self.ends.iter().position(|&end| bucket < end)
    }
}

impl Allocation {
    /// The buckets of actors whose ids are `common` and one of `rests`, in their order.
    ///
    /// Each byte of a hash waits for the one before it, so several hashes are worked out side by side.
    pub(crate) fn buckets(&self, common: &str, rests: &[&str], buckets: &mut [u64]) {
        let state = fnv1a(self.prefix, common.as_bytes());
        let (rests, last_rests) = rests.as_chunks();
        let (hashes, last_hashes) = buckets.as_chunks_mut();
        for (rests, hashes) in rests.iter().zip(hashes) {
            *hashes = fnv1a_side_by_side(state, rests);
        }
        for (rest, hash) in last_rests.iter().zip(last_hashes) {
            *hash = fnv1a(state, rest.as_bytes());
        }
        for bucket in buckets {
            *bucket = self.bucketing.finish(*bucket);
        }
    }
}

fn fnv1a_side_by_side(state: u64, [a, b, c, d]: &[&str; 4]) -> [u64; 4] {
    let [a, b, c, d] = [a.as_bytes(), b.as_bytes(), c.as_bytes(), d.as_bytes()];
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
    let mut hashes = [state; 4];
    for (((byte_a, byte_b), byte_c), byte_d) in a.iter().zip(b).zip(c).zip(d) {
        hashes = [
            step(hashes[0], byte_a),
            step(hashes[1], byte_b),
            step(hashes[2], byte_c),
            step(hashes[3], byte_d),
        ];
    }
    let done = a.len().min(b.len()).min(c.len()).min(d.len());
    [
        fnv1a(hashes[0], &a[done..]),
        fnv1a(hashes[1], &b[done..]),
        fnv1a(hashes[2], &c[done..]),
        fnv1a(hashes[3], &d[done..]),
    ]
}

// FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/
pub(crate) const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn prefix(experiment: &str) -> u64 {
    fnv1a(fnv1a(FNV_OFFSET, experiment.as_bytes()), b":")
}

#[inline]
pub(crate) fn fnv1a(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
    })
}

// `fmix64` of MurmurHash3: https://github.com/aappleby/smhasher/wiki/MurmurHash3
#[inline]
fn murmur3_finaliser(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `fixtures/buckets.tsv` holds experiment, actor, plain bucket and mixed bucket.
    #[test]
    fn known_answers() {
        let table = include_str!("../fixtures/buckets.tsv");
        let rows: Vec<Vec<&str>> = table
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split('\t').collect())
            .collect();
        assert!(rows.len() >= 3);
        for row in rows {
            let [experiment, actor, plain, mixed] = row[..] else {
                panic!("four columns: {row:?}");
            };
            assert_eq!(experiment_bucket(experiment, actor).to_string(), plain);
            let of = |bucketing: Bucketing| {
                let allocation = Allocation::new(bucketing, experiment, std::iter::empty());
                let bucket = bucketing.bucket(experiment, actor);
                assert_eq!(allocation.bucket(actor), bucket);
                bucket.to_string()
            };
            assert_eq!(of(Bucketing::Fnv1a), plain);
            assert_eq!(of(Bucketing::Fnv1aMixed), mixed);
        }
    }

    #[test]
    fn many_buckets_are_those_of_each() {
        let actors = [
            "user:1",
            "user:22",
            "user:",
            "user:4444",
            "user:5",
            "user:66",
        ];
        let rests = actors.map(|actor| &actor["user:".len()..]);
        for bucketing in Bucketing::ALL {
            let allocation = Allocation::new(bucketing, "checkout", [1].into_iter());
            let mut buckets = [0; 6];
            allocation.buckets("user:", &rests, &mut buckets);
            assert_eq!(buckets, actors.map(|actor| allocation.bucket(actor)));
        }
    }

    fn chosen(bucket: u64, weights: &[u32]) -> Option<usize> {
        select(bucket, weights.iter().copied())
    }

    fn counts(weights: &[u32]) -> Vec<u64> {
        bucket_counts(weights.iter().copied())
    }

    #[test]
    fn an_even_split_parts_at_bucket_5000() {
        for (bucket, index) in [(0, 0), (4_999, 0), (5_000, 1), (9_999, 1)] {
            assert_eq!(chosen(bucket, &[50, 50]), Some(index));
        }
    }

    #[test]
    fn zero_weights_select_nothing() {
        assert_eq!(chosen(0, &[0, 0]), None);
        assert_eq!(chosen(0, &[]), None);
        assert_eq!(counts(&[0, 0]), [0, 0]);
        assert_eq!(chosen(0, &[0, 1]), Some(1));
    }

    #[test]
    fn largest_weights_do_not_overflow() {
        let weights = [u32::MAX; 3];
        assert_eq!(chosen(9_999, &weights), Some(2));
        assert_eq!(counts(&weights).iter().sum::<u64>(), BUCKETS);
    }

    #[test]
    fn bucket_counts_are_what_selection_does() {
        for weights in [
            &[50, 50][..],
            &[1, 2, 4],
            &[0, 3, 0, 7],
            &[1, 20_000],
            &[u32::MAX, 1],
            &[33, 33, 34],
        ] {
            let ends: Vec<u64> = bucket_ends(weights.iter().copied()).collect();
            let mut counted = vec![0; weights.len()];
            for bucket in 0..BUCKETS {
                let index = chosen(bucket, weights);
                assert_eq!(index, ends.iter().position(|&end| bucket < end));
                counted[index.unwrap()] += 1;
            }
            assert_eq!(counts(weights), counted, "{weights:?}");
        }
    }
}
