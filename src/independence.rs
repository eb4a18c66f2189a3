//! Whether the assignments of two experiments are independent of each other.
//!
//! Under [`Bucketing::Fnv1a`] some pairs of names give buckets that are shifted copies of each other
//! over ids of one length. Then whoever gets the treatment of one test also gets (or never gets) the
//! treatment of the other, and each test measures both, though neither split looks wrong by itself.
//!
//! The measure is Cramér's V, which for two variants on either side is the size of phi: 0 for
//! independent, 1 for one deciding the other. It is corrected for bias (Bergsma 2013, "A
//! bias-correction for Cramér's V and Tschuprow's T", without the correction of the table's size).

use std::borrow::Cow;
use std::collections::HashMap;

use crate::bucketing::{Bucketing, bucket_counts};
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::ids::IdShape;
use crate::text::Quoted;

/// Above this, a pair is told.
pub const PHI_LIMIT: f64 = 0.05;

/// What to do about a pair.
pub const REMEDY: &str = "rename one of the two, or set bucketing = \"fnv1a_mixed\" in one";

/// How many made-up ids every pair is measured over, and how many the conspicuous ones.
const FIRST_IDS: u64 = 1 << 14;
const MORE_IDS: u64 = 1 << 16;

/// How many standard errors of phi (`1 / sqrt(n)`) chance is allowed. By chance one of a few million
/// independent pairs goes beyond.
const STANDARD_ERRORS: f64 = 5.0;

/// Variants beyond this number are taken together with their neighbours.
const MAX_SIDES: usize = 8;

/// The ids to measure over.
#[derive(Debug, Clone, Copy)]
pub enum IdSample<'a> {
    /// Ids of this kind.
    Shape(IdShape),
    /// These ids.
    Given(&'a [String]),
}

impl IdSample<'_> {
    /// All made-up kinds.
    pub const SHAPES: [IdSample<'static>; 4] = [
        IdSample::Shape(IdShape::User),
        IdSample::Shape(IdShape::Number),
        IdSample::Shape(IdShape::Padded),
        IdSample::Shape(IdShape::Uuid),
    ];

    fn ids(&self, count: u64) -> Vec<Cow<'_, str>> {
        match self {
            Self::Shape(shape) => shape.ids(count).map(Cow::Owned).collect(),
            Self::Given(ids) => ids.iter().map(|id| Cow::Borrowed(&**id)).collect(),
        }
    }

    fn describe(&self) -> &'static str {
        match self {
            Self::Shape(shape) => shape.describe(),
            Self::Given(_) => "the given ids",
        }
    }
}

/// Two experiments whose assignments are not independent.
#[derive(Debug, Clone, PartialEq)]
pub struct Dependence {
    /// The places of the two in the list that was given, in its order.
    pub pair: (usize, usize),
    /// The ids over which it is worst.
    pub ids: &'static str,
    /// Phi for two variants on either side, where a negative one says that actors land on opposite
    /// sides; Cramér's V otherwise.
    pub phi: f64,
    /// For two variants on either side: the share of actors that get the first of both or the second
    /// of both, and what chance would give.
    pub same_side: Option<(f64, f64)>,
}

impl Dependence {
    /// It in words.
    #[must_use]
    pub fn describe(&self, first: &str, second: &str) -> String {
        let (first, second) = (Quoted(first), Quoted(second));
        let ids = self.ids;
        match self.same_side {
            Some((same, chance)) => format!(
                "{:.0}% of actors land on the same side of {first} and {second}, where chance gives \
                 {:.0}% (phi {:.2}, over {ids})",
                same * 100.0,
                chance * 100.0,
                self.phi,
            ),
            None => format!(
                "the variant of {first} tells much about the variant of {second} (Cramér's V {:.2}, \
                 over {ids})",
                self.phi
            ),
        }
    }
}

/// The pairs, of those that are `wanted`, whose assignments are not independent over one of these
/// kinds of ids; for each the worst. Left out are pairs that cannot share an actor or run at the same
/// time: of one exclusion group, concluded, archived, or with everybody in one variant; and pairs of
/// which one is bucketed by [`Bucketing::Fnv1aMixed`].
#[must_use]
pub fn dependences(
    configs: &[&ExperimentConfig],
    samples: &[IdSample<'_>],
    wanted: impl Fn(usize, usize) -> bool,
) -> Vec<Dependence> {
    let pairs: Vec<(usize, usize)> = (0..configs.len())
        .filter(|&index| can_interfere(configs[index]))
        .flat_map(|first| (first + 1..configs.len()).map(move |second| (first, second)))
        .filter(|&(first, second)| {
            let group = &configs[first].exclusion_group;
            can_interfere(configs[second])
                && configs[first].name != configs[second].name
                && (group.is_none() || *group != configs[second].exclusion_group)
                && wanted(first, second)
        })
        .collect();
    let mut worst: HashMap<(usize, usize), Dependence> = HashMap::new();
    for sample in samples {
        let found = match sample {
            IdSample::Given(_) => measure(configs, sample, 0, &pairs, phi_limit),
            IdSample::Shape(_) => {
                // Those of which it can't be told yet are measured again, more exactly.
                let near = |n| PHI_LIMIT - 3.0 * standard_error(n);
                let clear = |n| PHI_LIMIT + 3.0 * standard_error(n);
                let first_ids = usize::try_from(FIRST_IDS).unwrap_or(usize::MAX);
                let conspicuous = measure(configs, sample, FIRST_IDS, &pairs, near);
                let (mut found, open): (Vec<_>, Vec<_>) = conspicuous
                    .into_iter()
                    .partition(|found| found.phi.abs() > clear(first_ids));
                let open: Vec<_> = open.iter().map(|found| found.pair).collect();
                found.extend(measure(configs, sample, MORE_IDS, &open, phi_limit));
                found
            }
        };
        for dependence in found {
            let known = worst
                .entry(dependence.pair)
                .or_insert_with(|| dependence.clone());
            if known.phi.abs() < dependence.phi.abs() {
                *known = dependence;
            }
        }
    }
    let mut found: Vec<Dependence> = worst.into_values().collect();
    found.sort_by_key(|dependence| dependence.pair);
    found
}

fn can_interfere(config: &ExperimentConfig) -> bool {
    let may_run = matches!(
        config.state,
        ExperimentState::Draft | ExperimentState::Running
    );
    may_run
        && config.bucketing == Bucketing::Fnv1a
        && config.weights().filter(|weight| *weight > 0).count() > 1
}

/// As many ids tell of every pair beyond [`PHI_LIMIT`].
pub const ENOUGH_IDS: usize = 10_000;

/// The phi beyond which, over this many ids, chance is no explanation and the effect is no trifle.
#[must_use]
pub fn phi_limit(ids: usize) -> f64 {
    PHI_LIMIT.max(STANDARD_ERRORS * standard_error(ids))
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 ids")]
fn standard_error(ids: usize) -> f64 {
    1.0 / (ids.max(1) as f64).sqrt()
}

fn measure(
    configs: &[&ExperimentConfig],
    sample: &IdSample<'_>,
    count: u64,
    pairs: &[(usize, usize)],
    limit: impl Fn(usize) -> f64,
) -> Vec<Dependence> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let ids = sample.ids(count);
    let limit = limit(ids.len());
    let mut sides: HashMap<usize, Sides> = HashMap::new();
    for index in pairs.iter().flat_map(|&(first, second)| [first, second]) {
        sides
            .entry(index)
            .or_insert_with(|| Sides::of(configs[index], &ids));
    }
    let measured = pairs.iter().map(|&pair| {
        let (phi, same_side) = sides[&pair.0].association(&sides[&pair.1], ids.len());
        Dependence {
            pair,
            ids: sample.describe(),
            phi,
            same_side,
        }
    });
    measured.filter(|found| found.phi.abs() > limit).collect()
}

/// For each variant that anybody gets, one bit for each id: whether it gets that variant.
struct Sides {
    sets: Vec<Vec<u64>>,
    sizes: Vec<u64>,
}

impl Sides {
    fn of(config: &ExperimentConfig, ids: &[Cow<'_, str>]) -> Self {
        let counts = bucket_counts(config.weights());
        let taken = counts.iter().filter(|count| **count > 0).count();
        let number = taken.min(MAX_SIDES);
        let mut side_of = vec![0; counts.len()];
        let places = (0..counts.len()).filter(|&place| counts[place] > 0);
        for (rank, place) in places.enumerate() {
            side_of[place] = rank * number / taken;
        }
        let mut sets = vec![vec![0_u64; ids.len().div_ceil(64)]; number];
        let allocation = config.allocation();
        for (n, id) in ids.iter().enumerate() {
            if let Some(variant) = allocation.variant(id) {
                sets[side_of[variant]][n / 64] |= 1 << (n % 64);
            }
        }
        let sizes = sets
            .iter()
            .map(|set| set.iter().map(|word| u64::from(word.count_ones())).sum());
        Self {
            sizes: sizes.collect(),
            sets,
        }
    }

    /// Phi with the share on the same side and its expectation for two sides each; Cramér's V
    /// otherwise.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 ids")]
    fn association(&self, other: &Self, ids: usize) -> (f64, Option<(f64, f64)>) {
        let n = ids as f64;
        let (mut chi_square, mut same, mut chance) = (0.0, 0.0, 0.0);
        // Every id is on one side of both, so the last row and column are what the others leave.
        let mut left_in_column = other.sizes.clone();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::VariantConfig;

    fn even(name: &str) -> ExperimentConfig {
        let variants = vec![VariantConfig::new("a", 50), VariantConfig::new("b", 50)];
        ExperimentConfig::new(name, variants)
    }

    fn found(configs: &[ExperimentConfig]) -> Vec<Dependence> {
        let configs: Vec<&ExperimentConfig> = configs.iter().collect();
        dependences(&configs, &IdSample::SHAPES, |_, _| true)
    }

    #[test]
    fn the_known_pair_is_found() {
        let found = found(&[even("checkout_v2"), even("email_cta")]);
        let [dependence] = &found[..] else {
            panic!("{found:?}");
        };
        let (same, chance) = dependence.same_side.unwrap();
        assert!((same - 0.85).abs() < 0.01, "{same}");
        assert!((chance - 0.5).abs() < 0.01, "{chance}");
    }

    #[test]
    fn what_cannot_interfere_is_left_alone() {
        let pair = || [even("checkout_v2"), even("email_cta")];
        let [first, second] = pair();
        assert!(found(&[first.bucketing(Bucketing::Fnv1aMixed), second]).is_empty());
        let [first, second] = pair();
        assert!(found(&[first.exclusion_group("g"), second.exclusion_group("g")]).is_empty());
        let [mut first, second] = pair();
        first.state = ExperimentState::Concluded;
        assert!(found(&[first, second]).is_empty());
        let [mut first, second] = pair();
        first.variants[1].weight = 0;
        assert!(found(&[first, second]).is_empty());
        let mixed = |name| even(name).bucketing(Bucketing::Fnv1aMixed);
        assert!(found(&[mixed("checkout_v2"), mixed("email_cta")]).is_empty());
    }

    /// Random assignments are not taken for dependent ones, with many variants and few ids either.
    #[test]
    fn chance_is_not_reported() {
        let many = |name| {
            let variants = (0..40).map(|n| VariantConfig::new(format!("v{n}"), n));
            ExperimentConfig::new(name, variants.collect())
        };
        let configs = [many("price_page"), many("signup_copy"), even("hero_image")];
        let configs: Vec<&ExperimentConfig> = configs.iter().collect();
        let ids: Vec<String> = IdShape::Uuid.ids(500).collect();
        let given = [IdSample::Given(&ids)];
        assert_eq!(dependences(&configs, &given, |_, _| true), []);
        assert_eq!(
            dependences(&configs, &[IdSample::Given(&[])], |_, _| true),
            []
        );
    }
}
