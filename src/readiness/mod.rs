//! What a careful colleague asks before an experiment starts. Pure. `exp check` finds some of it in files, and says it
//! in the same sentences.

mod words;

use std::collections::HashMap;

use crate::bucketing::{BUCKETS, bucket_counts, total_weight};
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::group::HeldByGroup;
use crate::independence::{Dependence, IdSample, Remedy, dependences, remedies};

/// Under this share of the newcomers, the other experiments of a group leave hardly anybody.
const FEW: f64 = 0.05;

/// Something to think about before an experiment starts. It displays as a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct StartConcern {
    /// The name of the experiment that is to start.
    pub experiment: String,
    /// What it is.
    pub kind: ConcernKind,
}

/// What there is to think about. A place is that in the experiment's list, counted from 0.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConcernKind {
    /// It has no metric.
    NoMetric,
    /// A primary metric counts outcomes without end.
    NoWindow {
        /// Its place.
        place: usize,
        /// Its name.
        metric: String,
    },
    /// All weights are 0.
    NoWeight,
    /// Everybody gets the same variant.
    OneVariant {
        /// Its name.
        variant: String,
    },
    /// The buckets can't express a weight.
    InexpressibleWeight {
        /// The variant's place.
        place: usize,
        /// The variant's name.
        variant: String,
        /// The share that it asks for, from 0 to 1.
        wanted: f64,
        /// The share that it gets.
        got: f64,
    },
    /// Its assignments and those of a running or paused experiment are not independent.
    Dependent {
        /// The other experiment's name.
        other: String,
        /// What was measured. The other one is the first of the pair.
        dependence: Dependence,
        /// What to do.
        remedy: Remedy,
    },
    /// A running experiment of its group takes everybody whom it covers, unless it meets them first.
    GroupTaken {
        /// The group.
        group: String,
        /// The other experiment's name.
        by: String,
        /// Whom the group holds already.
        held: HeldByGroup,
    },
    /// The running experiments of its group leave hardly anybody.
    GroupScarce {
        /// The group.
        group: String,
        /// The share that they leave of the newcomers whom it covers, from 0 to 1.
        left: f64,
        /// Their names.
        by: Vec<String>,
        /// Whom the group holds already.
        held: HeldByGroup,
    },
    /// Actors of its group can't enter, though the running experiments leave newcomers.
    GroupHeld {
        /// The group.
        group: String,
        /// Who they are.
        held: HeldByGroup,
    },
}

/// All there is to think about before this experiment starts beside those of `all` that run or are paused. It may be
/// among them itself. `held` is whom its group holds.
#[must_use]
pub fn concerns(
    config: &ExperimentConfig,
    all: &[ExperimentConfig],
    held: &HeldByGroup,
) -> Vec<StartConcern> {
    let others = others(config, all);
    let others: Vec<_> = others.filter(|other| other.state.is_under_way()).collect();
    let mut kinds = Vec::new();
    if config.analysis.metrics.is_empty() {
        kinds.push(ConcernKind::NoMetric);
    }
    kinds.extend(of_windows(config));
    kinds.extend(of_weights(config));
    kinds.extend(of_group(config, &others, held));
    kinds.extend(of_independence(config, &others));
    named(config, kinds)
}

/// Whether the running experiments of its group, among `all`, leave this one hardly anybody, or the group holds
/// actors who can't enter.
#[must_use]
pub fn group_concern(
    config: &ExperimentConfig,
    all: &[ExperimentConfig],
    held: &HeldByGroup,
) -> Option<StartConcern> {
    let others: Vec<_> = others(config, all).collect();
    let kind = of_group(config, &others, held)?;
    named(config, vec![kind]).pop()
}

/// The experiments of `all`, in whatever state, from which its assignments are not independent: a
/// [`ConcernKind::Dependent`] for each.
#[must_use]
pub fn dependence_concerns(
    config: &ExperimentConfig,
    all: &[ExperimentConfig],
) -> Vec<StartConcern> {
    let others: Vec<_> = others(config, all).collect();
    named(config, of_independence(config, &others))
}

/// Its primary metrics that have no window: a [`ConcernKind::NoWindow`] for each.
#[must_use]
pub fn window_concerns(config: &ExperimentConfig) -> Vec<StartConcern> {
    named(config, of_windows(config).collect())
}

fn others<'a>(
    config: &ExperimentConfig,
    all: &'a [ExperimentConfig],
) -> impl Iterator<Item = &'a ExperimentConfig> {
    all.iter().filter(|other| other.name != config.name)
}

fn named(config: &ExperimentConfig, kinds: Vec<ConcernKind>) -> Vec<StartConcern> {
    let named = kinds.into_iter().map(|kind| StartConcern {
        experiment: config.name.clone(),
        kind,
    });
    named.collect()
}

/// The primary metrics that have no window.
pub(crate) fn of_windows(config: &ExperimentConfig) -> impl Iterator<Item = ConcernKind> {
    let metrics = config.analysis.deciding_without_window();
    metrics.map(|(place, metric)| ConcernKind::NoWindow {
        place,
        metric: metric.name.clone(),
    })
}

/// Weights that probably don't do what was meant.
pub(crate) fn of_weights(config: &ExperimentConfig) -> Vec<ConcernKind> {
    let total = total_weight(config.weights());
    if total == 0 {
        return vec![ConcernKind::NoWeight];
    }
    let mut kinds = Vec::new();
    let mut taken = config.variants.iter().filter(|variant| variant.weight > 0);
    if let (Some(only), None) = (taken.next(), taken.next()) {
        kinds.push(ConcernKind::OneVariant {
            variant: only.name.clone(),
        });
    }
    let counts = bucket_counts(config.weights());
    for (place, (variant, got)) in config.variants.iter().zip(counts).enumerate() {
        // In parts of `total`, to compare without rounding: wanted is `weight * BUCKETS`.
        let wanted = u128::from(variant.weight) * u128::from(BUCKETS);
        let got = u128::from(got) * u128::from(total);
        if wanted.abs_diff(got) * 100 <= wanted {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "for show")]
        let share = |parts: u128| parts as f64 / (u128::from(total) * u128::from(BUCKETS)) as f64;
        kinds.push(ConcernKind::InexpressibleWeight {
            place,
            variant: variant.name.clone(),
            wanted: share(wanted),
            got: share(got),
        });
    }
    kinds
}

/// Whether its group leaves anybody.
fn of_group(
    config: &ExperimentConfig,
    others: &[&ExperimentConfig],
    held: &HeldByGroup,
) -> Option<ConcernKind> {
    let group = config.exclusion_group.as_ref()?;
    of_running(config, group, others, held).or_else(|| {
        let kind = || ConcernKind::GroupHeld {
            group: group.clone(),
            held: held.clone(),
        };
        (!held.is_empty()).then(kind)
    })
}

/// Whether the running experiments of its group leave anybody. Whom each covers is independent of whom another does,
/// unless both hash the same: then one covers a part of those whom the other covers.
fn of_running(
    config: &ExperimentConfig,
    group: &str,
    others: &[&ExperimentConfig],
    held: &HeldByGroup,
) -> Option<ConcernKind> {
    let takes_newcomers = |other: &&&ExperimentConfig| {
        other.exclusion_group.as_deref() == Some(group)
            && other.state == ExperimentState::Running
            && other.newcomers_per_10000() > 0
    };
    let siblings: Vec<_> = others.iter().filter(takes_newcomers).collect();
    let share = |config: &ExperimentConfig| config.coverage.share();
    let takes_all = |other: &ExperimentConfig| {
        let is_same = other.hashed() == config.hashed() && share(other) >= share(config);
        is_same || share(other) >= 1.0
    };
    if let Some(by) = siblings.iter().find(|other| takes_all(other)) {
        return Some(ConcernKind::GroupTaken {
            group: group.to_owned(),
            by: by.name.clone(),
            held: held.clone(),
        });
    }
    let mut greatest: HashMap<&str, f64> = HashMap::new();
    for other in &siblings {
        let greatest = greatest.entry(other.hashed()).or_default();
        *greatest = greatest.max(share(other));
    }
    let left = greatest.into_iter().map(|(hashed, taken)| {
        if hashed == config.hashed() {
            1.0 - taken / share(config)
        } else {
            1.0 - taken
        }
    });
    let left: f64 = left.product();
    (left < FEW).then(|| ConcernKind::GroupScarce {
        group: group.to_owned(),
        left,
        by: siblings.iter().map(|other| other.name.clone()).collect(),
        held: held.clone(),
    })
}

fn of_independence(config: &ExperimentConfig, others: &[&ExperimentConfig]) -> Vec<ConcernKind> {
    let place = others.len();
    let started = ExperimentConfig {
        state: ExperimentState::Running,
        ..config.clone()
    };
    let mut configs = others.to_vec();
    configs.push(&started);
    let samples = &IdSample::SHAPES;
    let found = dependences(&configs, samples, |_, second| second == place);
    let remedies = remedies(&configs, &found, samples, |changed| {
        let changed = others.get(changed).copied().unwrap_or(config);
        changed.state == ExperimentState::Draft
    });
    let found = found.into_iter().zip(remedies);
    let kinds = found.map(|(dependence, remedy)| ConcernKind::Dependent {
        other: others[dependence.pair.0].name.clone(),
        dependence,
        remedy,
    });
    kinds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::Coverage;
    use crate::experiment::VariantConfig;
    use crate::metric::{AnalysisConfig, MetricConfig, MetricKind, Window};

    fn config(name: &str, weights: [u32; 2]) -> ExperimentConfig {
        let [a, b] = weights;
        let variants = vec![VariantConfig::new("a", a), VariantConfig::new("b", b)];
        let metric = MetricConfig {
            window: Window::of_secs(60),
            ..MetricConfig::new("m", MetricKind::Mean)
        };
        ExperimentConfig::new(name, variants).analysis(AnalysisConfig {
            metrics: vec![metric],
            ..AnalysisConfig::default()
        })
    }

    fn running(name: &str, group: &str, per_10000: u64) -> ExperimentConfig {
        let coverage = Coverage::of_10000(per_10000).unwrap();
        let config = config(name, [1, 1]).exclusion_group(group);
        ExperimentConfig {
            state: ExperimentState::Running,
            ..config.coverage(coverage)
        }
    }

    fn told(config: &ExperimentConfig, all: &[ExperimentConfig]) -> Vec<String> {
        let concerns = concerns(config, all, &HeldByGroup::default()).into_iter();
        concerns
            .map(|concern| format!("{concern}; {}", concern.help()))
            .collect()
    }

    #[test]
    fn what_is_ready_raises_no_concern() {
        let ready = config("new", [1, 1]).exclusion_group("g");
        let mut others = vec![ready.clone()];
        others.extend([running("other", "h", 10_000), running("half", "g", 5000)]);
        assert_eq!(told(&ready, &others), [""; 0]);
    }

    #[test]
    fn what_it_lacks_itself_is_told() {
        let bare = ExperimentConfig::new("new", vec![VariantConfig::new("a", 1)]);
        assert_eq!(
            told(&bare, &[]),
            [
                "'new' has no metric, so its results cannot name a winner; a metric that is added after the start is \
                 exploratory, so declare metrics before the start",
                "every newcomer in 'new' gets the same variant, 'a'; give another variant a weight, or conclude the experiment",
            ]
        );
        let mut odd = config("new", [1, 999_999]);
        odd.analysis.metrics[0].window = None;
        assert_eq!(
            told(&odd, &[]),
            [
                "the primary metric 'm' of 'new' has no window, without which results name no winner unless \
                 --final is given; add window = \"7d\"",
                "variant 'a' asks for 0.0001% of newcomers and gets 0.01%; shares are multiples of 0.01%; choose weights that give such a share",
            ]
        );
        let told = told(&config("new", [0, 0]), &[]);
        assert_eq!(
            told,
            [
                "all weights of 'new' are 0, so no newcomer gets a variant; give a variant a weight, or leave the experiment a draft"
            ]
        );
    }

    #[test]
    fn a_sibling_that_takes_everybody_is_named() {
        let new = config("new", [1, 1]).exclusion_group("g");
        let all = running("all", "g", 10_000);
        assert_eq!(
            told(&new, &[running("half", "g", 5000), all.clone()]),
            [
                "'all' runs in the same group 'g' and takes every newcomer of 'new' who reaches it first; \
                 close 'all' to newcomers or lower its coverage, or take 'new' out of the group"
            ]
        );
        // One that takes no newcomers leaves them.
        let closed = all.clone().enrolling(false);
        let mut empty = all.clone();
        empty.variants.iter_mut().for_each(|v| v.weight = 0);
        let mut paused = all;
        paused.state = ExperimentState::Paused;
        for other in [closed, empty, paused] {
            assert_eq!(told(&new, &[other]), [""; 0]);
        }
    }

    #[test]
    fn a_group_with_few_left_is_told() {
        let new = config("new", [1, 1]).exclusion_group("g");
        let others = [running("x", "g", 9000), running("y", "g", 6000)];
        assert_eq!(
            told(&new, &others),
            [
                "the running experiments of the same group 'g' leave 'new' only 4% of its newcomers: 'x', 'y'; lower their coverage, or \
                 take 'new' out of the group"
            ]
        );
        assert_eq!(told(&new, &others[..1]), [""; 0]);
    }

    #[test]
    fn whom_the_group_holds_is_told_in_one_sentence() {
        let new = config("new", [1, 1]).exclusion_group("g");
        let mut over = running("over", "g", 10_000);
        over.state = ExperimentState::Archived;
        let told = |others: &[ExperimentConfig]| {
            let held = HeldByGroup::of(&new, [(&over, 1000)]);
            let concern = group_concern(&new, others, &held);
            concern.map(|concern| concern.to_string())
        };
        let held =
            "1000 actors are in 'over' (archived) of the same group 'g' and can't enter 'new'";
        assert_eq!(told(&[over.clone()]).unwrap(), held);
        assert_eq!(
            told(&[running("all", "g", 10_000)]).unwrap(),
            format!("{held}, and 'all' takes every newcomer who reaches it first")
        );
        assert_eq!(
            told(&[running("most", "g", 9700)]).unwrap(),
            format!("{held}, and those that run leave it only 3% of its newcomers: 'most'")
        );
        assert_eq!(
            group_concern(&new, &[over.clone()], &HeldByGroup::default()),
            None
        );
    }

    /// Whom two that hash the same cover is not left to chance.
    #[test]
    fn the_same_salt_covers_the_same_actors() {
        let half = Coverage::of_10000(5000).unwrap();
        let new = config("new", [1, 1]).exclusion_group("g").salt("s");
        let kind = |config: &ExperimentConfig, per_10000| {
            let other = running("other", "g", per_10000).salt("s");
            let told = concerns(config, &[other], &HeldByGroup::default()).pop();
            told.map(|told| told.kind)
        };
        let taken = Some(ConcernKind::GroupTaken {
            group: "g".to_owned(),
            by: "other".to_owned(),
            held: HeldByGroup::default(),
        });
        assert_eq!(kind(&new, 5000), None);
        assert_eq!(kind(&new.clone().coverage(half), 5000), taken);
        let Some(ConcernKind::GroupScarce { left, .. }) = kind(&new.coverage(half), 4900) else {
            panic!("2% are left");
        };
        assert!((left - 0.02).abs() < 1e-9, "{left}");
    }

    #[test]
    fn what_runs_and_depends_is_named_with_a_way_out() {
        let new = config("email_cta", [1, 1]);
        let other = running("checkout_v2", "g", 10_000);
        let [sentence] = &told(&new, std::slice::from_ref(&other))[..] else {
            panic!("one pair");
        };
        assert!(sentence.starts_with("85% of actors land on the same side"));
        assert!(sentence.contains("in 'email_cta'"), "{sentence}");
        let mut over = other;
        over.state = ExperimentState::Concluded;
        assert_eq!(told(&new, &[over]), [""; 0]);
    }
}
