//! Whether the assignments of two experiments are independent of each other.
//!
//! Under [`Bucketing::Fnv1a`] some pairs of names give buckets that are shifted copies of each other
//! over ids of one length. Then whoever gets the treatment of one test also gets (or never gets) the
//! treatment of the other, and each test measures both, though neither split looks wrong by itself.
//!
//! The measure is Cramér's V, which for two variants on either side is the size of phi: 0 for
//! independent, 1 for one deciding the other. It is corrected for bias (Bergsma 2013, "A
//! bias-correction for Cramér's V and Tschuprow's T", without the correction of the table's size).

mod remedy;
mod sides;

use std::borrow::Cow;
use std::collections::HashMap;

pub use self::remedy::{Remedy, remedies};
use self::sides::{Ids, Sides};
use crate::bucketing::Bucketing;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::ids::IdShape;
use crate::text::Quoted;

/// Above this, a pair is told.
pub const PHI_LIMIT: f64 = 0.05;

/// How many made-up ids every pair is measured over, and how many those of which it can't be told yet.
const STEPS: [usize; 2] = [1 << 14, 1 << 16];

/// How many standard errors of phi (`1 / sqrt(n)`) chance is allowed. By chance one of a few million
/// independent pairs goes beyond.
const STANDARD_ERRORS: f64 = 5.0;

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

    fn ids(&self) -> Cow<'_, [String]> {
        match self {
            Self::Shape(shape) => shape.ids(STEPS[STEPS.len() - 1] as u64).collect(),
            Self::Given(ids) => Cow::Borrowed(ids),
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
/// which one is bucketed by [`Bucketing::Fnv1aMixed`], unless both hash the same.
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
                && may_be_alike(configs[first], configs[second])
                && (group.is_none() || *group != configs[second].exclusion_group)
                && wanted(first, second)
        })
        .collect();
    let mut worst: HashMap<(usize, usize), Dependence> = HashMap::new();
    for sample in samples {
        for dependence in measure(configs, sample, &pairs) {
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
    let is_over = matches!(
        config.state,
        ExperimentState::Concluded | ExperimentState::Archived
    );
    !is_over && config.weights().filter(|weight| *weight > 0).count() > 1
}

/// Whether the buckets of two experiments may have anything to do with each other.
fn may_be_alike(first: &ExperimentConfig, second: &ExperimentConfig) -> bool {
    first.has_buckets_of(second)
        || [first.bucketing, second.bucketing] == [Bucketing::Fnv1a, Bucketing::Fnv1a]
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

/// Measures pairs over more and more ids, until it can be told of each: what is clearly on one side of the
/// limit after a few of them takes no more.
fn measure(
    configs: &[&ExperimentConfig],
    sample: &IdSample<'_>,
    pairs: &[(usize, usize)],
) -> Vec<Dependence> {
    let ids = sample.ids();
    let ids = Ids::new(&ids);
    let steps = match sample {
        IdSample::Given(_) => vec![ids.len()],
        IdSample::Shape(_) => STEPS.to_vec(),
    };
    let mut sides: HashMap<usize, Sides> = HashMap::new();
    let (mut found, mut open) = (Vec::new(), pairs.to_vec());
    for (step, &count) in steps.iter().enumerate() {
        for index in open.iter().flat_map(|&(first, second)| [first, second]) {
            let sides = sides.entry(index);
            let sides = sides.or_insert_with(|| Sides::new(configs[index]));
            sides.extend(&ids, count);
        }
        // In order, as looking each up takes longer than to measure a pair.
        let mut by_index: Vec<Option<&Sides>> = vec![None; configs.len()];
        for (index, sides) in &sides {
            by_index[*index] = Some(sides);
        }
        let is_last = step + 1 == steps.len();
        let margin = 3.0 * standard_error(count);
        let mut still_open = Vec::new();
        for &pair in &open {
            let (Some(first), Some(second)) = (by_index[pair.0], by_index[pair.1]) else {
                continue;
            };
            let (phi, same_side) = first.association(second, count);
            let dependence = || Dependence {
                pair,
                ids: sample.describe(),
                phi,
                same_side,
            };
            if is_last {
                found.extend((phi.abs() > phi_limit(count)).then(dependence));
            } else if step == 0 && phi.abs() > PHI_LIMIT + margin {
                found.push(dependence());
            } else if phi.abs() > PHI_LIMIT - margin {
                still_open.push(pair);
            }
        }
        open = still_open;
    }
    found
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
        // A paused one will run again.
        let [mut first, second] = pair();
        first.state = ExperimentState::Paused;
        assert_eq!(found(&[first, second]).len(), 1);
        let [mut first, second] = pair();
        first.variants[1].weight = 0;
        assert!(found(&[first, second]).is_empty());
        let mixed = |name| even(name).bucketing(Bucketing::Fnv1aMixed);
        assert!(found(&[mixed("checkout_v2"), mixed("email_cta")]).is_empty());
    }

    #[test]
    fn what_is_hashed_decides() {
        let mixed = |name, salt: &str| even(name).bucketing(Bucketing::Fnv1aMixed).salt(salt);
        let told = found(&[mixed("a", "s"), mixed("b", "s"), mixed("c", "t")]);
        let [dependence] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(dependence.pair, (0, 1));
        assert!((dependence.phi - 1.0).abs() < 0.01, "{dependence:?}");
        let told = found(&[even("a").salt("checkout_v2"), even("b").salt("email_cta")]);
        assert_eq!(told.len(), 1);
        assert!(found(&[even("checkout_v2"), even("email_cta").salt("s")]).is_empty());
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
