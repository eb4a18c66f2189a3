//! The promises of the statistics, held to simulated experiments under fixed seeds: how often they call a
//! winner that is none, how often an interval holds the truth, how often a planned test finds its effect.
//!
//! 200 to 600 experiments for each, and 2,000 if `EXP_TEST_ROUNDS` is set. The bounds leave four standard
//! errors for chance, whichever number it is.

use experiments::stats::{
    Analysis, Cell, Comparison, CovariateMoments, Direction, Look, Moments, Outcome, PairMoments,
    Period, Plan, compare_adjusted, compare_means, compare_quantiles, compare_ratios, sample_ratio,
};

use crate::sandbox::rounds;

/// How many experiments to simulate.
pub(crate) fn experiments(few: u32) -> u32 {
    const MANY: u32 = 2_000;
    if rounds(0) == 0 { few } else { MANY }
}

/// A count of experiments among all of them.
pub(crate) struct Share {
    count: u32,
    of: u32,
}

impl Share {
    fn value(&self) -> f64 {
        f64::from(self.count) / f64::from(self.of)
    }

    /// Four standard errors of a share that is `expected`.
    pub(crate) fn chance(&self, expected: f64) -> f64 {
        4.0 * (expected * (1.0 - expected) / f64::from(self.of)).sqrt()
    }

    #[track_caller]
    pub(crate) fn is_at_most(&self, expected: f64) {
        let (share, chance) = (self.value(), self.chance(expected));
        assert!(
            share <= expected + chance,
            "{share} of {}, not {expected} + {chance}",
            self.of
        );
    }

    #[track_caller]
    fn is_near(&self, expected: f64) {
        let (share, chance) = (self.value(), self.chance(expected));
        assert!(
            (share - expected).abs() <= chance,
            "{share} of {}, not {expected} ± {chance}",
            self.of
        );
    }

    #[track_caller]
    pub(crate) fn is_above(&self, least: f64) {
        assert!(
            self.value() > least,
            "{} of {}, not {least}",
            self.value(),
            self.of
        );
    }
}

/// Of how many of the experiments each answer is true. Each experiment has random numbers of its own.
pub(crate) fn shares<const N: usize>(
    experiments: u32,
    answers: impl Fn(&mut Random) -> [bool; N],
) -> [Share; N] {
    let mut counts = [0; N];
    for seed in 0..u64::from(experiments) {
        let answers = answers(&mut Random::new(seed));
        for (count, is_true) in counts.iter_mut().zip(answers) {
            *count += u32::from(is_true);
        }
    }
    counts.map(|count| Share {
        count,
        of: experiments,
    })
}

/// The generator `SplitMix64`, which every test has its own of.
pub(crate) struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed);
        // So that neighbouring seeds don't begin alike.
        random.0 = random.bits();
        random
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Above 0 and at most 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        let bits = u32::try_from(self.bits() >> 32).unwrap();
        (f64::from(bits) + 1.0) / (f64::from(u32::MAX) + 1.0)
    }

    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.uniform() <= probability
    }

    /// Box and Muller.
    fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        mean + deviation * radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// 1 for one actor in ten, or else 0.
    fn visit(&mut self) -> f64 {
        f64::from(u8::from(self.happens(0.1)))
    }

    /// What an actor spends: mostly nothing, seldom much. Its mean is 0.2.
    fn revenue(&mut self) -> f64 {
        if self.happens(0.1) {
            -2.0 * self.uniform().ln()
        } else {
            0.0
        }
    }
}

fn both(variant: Moments, control: Moments) -> Comparison {
    compare_means(&[Period {
        actors: variant.count() + control.count(),
        variant,
        control,
    }])
}

/// The comparison at the end of each of 30 days, at all of which both arms have the 50 actors that a verdict
/// takes.
fn daily(
    random: &mut Random,
    variant_number: fn(&mut Random) -> f64,
    control_number: fn(&mut Random) -> f64,
) -> Vec<Comparison> {
    const DAYS: usize = 30;
    const ACTORS: usize = 75;
    let (mut variant, mut control) = (Moments::new(), Moments::new());
    let days = (0..DAYS).map(|_| {
        for _ in 0..ACTORS {
            variant.add(variant_number(random));
            control.add(control_number(random));
        }
        both(variant, control)
    });
    days.collect()
}

/// Whether an interval holds the truth; one that is undefined claims nothing.
fn is_within(truth: f64, low: Option<f64>, high: Option<f64>) -> bool {
    low.is_none_or(|low| low <= truth) && high.is_none_or(|high| truth <= high)
}

/// Looked at every day, a test without an effect is called by the sequence in at most one of twenty cases; by
/// the p-value of one look in more than one of five.
#[test]
fn daily_looks_call_no_winner_where_there_is_none() {
    let analysis = Analysis::default();
    let [always, naive] = shares(experiments(300), |random| {
        let days = daily(random, Random::revenue, Random::revenue);
        let is_called = |p_value: &dyn Fn(&Comparison) -> Option<f64>| {
            days.iter().any(|day| p_value(day).unwrap() < 0.05)
        };
        [
            is_called(&|day| day.always_valid(&analysis).p_value),
            is_called(&|day| day.difference(&analysis).p_value),
        ]
    });
    always.is_at_most(0.05);
    naive.is_above(0.2);
}

/// A guardrail that allows no harm, on a test without an effect: both of its verdicts would be wrong.
#[test]
fn daily_looks_call_no_harm_and_no_safety_where_there_is_none() {
    let analysis = Analysis::default();
    let wrong = shares(experiments(300), |random| {
        let days = daily(random, Random::visit, Random::visit);
        let bounds = || {
            days.iter()
                .map(|day| day.one_sided(Direction::Up, &analysis))
        };
        [
            bounds().any(|bounds| bounds.relative_high.is_some_and(|high| high < 0.0)),
            bounds().any(|bounds| bounds.relative_low.is_some_and(|low| low > 0.0)),
        ]
    });
    for called in wrong {
        called.is_at_most(0.05);
    }
}

/// The sequence holds the truth on all days at once.
#[test]
fn the_sequence_holds_an_effect_every_day() {
    let analysis = Analysis::default();
    let misses = shares(experiments(300), |random| {
        let more = |random: &mut Random| 1.5 * random.revenue();
        let days = daily(random, more, Random::revenue);
        let found = || days.iter().map(|day| day.always_valid(&analysis));
        let is_missed = found().any(|found| !is_within(0.1, found.low, found.high));
        let more = |random: &mut Random| random.visit().max(random.visit());
        let days = daily(random, more, Random::visit);
        let found = || days.iter().map(|day| day.always_valid(&analysis));
        // 1 − 0.9², where the control has 0.1.
        let is_relative_missed =
            found().any(|found| !is_within(0.9, found.relative_low, found.relative_high));
        [is_missed, is_relative_missed]
    });
    for missed in misses {
        missed.is_at_most(0.05);
    }
}

/// Whether the interval of one look holds the truth.
fn covers(comparison: &Comparison, truth: f64) -> bool {
    let found = comparison.difference(&Analysis::default());
    is_within(truth, found.low, found.high)
}

#[test]
fn intervals_of_means_hold_the_truth_in_95_of_100() {
    let coverages = shares(experiments(600), |random| {
        let variant = (0..150).map(|_| random.normal(11.0, 4.0)).collect();
        let control = (0..60).map(|_| random.normal(10.0, 2.0)).collect();
        let comparison = both(variant, control);
        let relative = comparison.relative(&Analysis::default());
        [
            covers(&comparison, 1.0),
            is_within(0.1, relative.low, relative.high),
        ]
    });
    for covered in coverages {
        covered.is_near(0.95);
    }
}

#[test]
fn intervals_of_ratios_hold_the_truth_in_95_of_100() {
    let arm = |random: &mut Random, ratio: f64| {
        let mut pairs = PairMoments::new();
        for _ in 0..300 {
            let y = random.normal(5.0, 1.0);
            pairs.add(ratio * y + random.normal(0.0, 2.0), y);
        }
        pairs
    };
    let [covered] = shares(experiments(300), |random| {
        let period = Period {
            actors: 600,
            variant: arm(random, 2.2),
            control: arm(random, 2.0),
        };
        [covers(&compare_ratios(&[period]), 0.2)]
    });
    covered.is_near(0.95);
}

#[test]
fn intervals_of_medians_hold_the_truth_in_95_of_100() {
    let arm = |random: &mut Random, median: f64| -> Vec<f64> {
        let numbers = (0..400).map(|_| median * random.normal(0.0, 1.0).exp());
        numbers.collect()
    };
    let [covered] = shares(experiments(300), |random| {
        let mut variant = arm(random, 3.5);
        let mut control = arm(random, 3.0);
        let comparison = compare_quantiles(&mut variant, &mut control, 0.5, 0.95);
        [covers(&comparison, 0.5)]
    });
    covered.is_near(0.95);
}

/// The adjustment leaves the effect where it is, and takes away the variance that the covariate explains: four
/// fifths of it where every covariate is known, less where one of five is not.
#[test]
fn adjusted_intervals_hold_the_truth_and_are_narrower() {
    let arm = |random: &mut Random, effect: f64| {
        let mut moments = CovariateMoments::new();
        for _ in 0..200 {
            let before = random.normal(10.0, 4.0);
            let known = (!random.happens(0.2)).then_some(before);
            moments.add(effect + before + random.normal(0.0, 2.0), known);
        }
        moments
    };
    let [covered, reduced] = shares(experiments(300), |random| {
        let period = Period {
            actors: 400,
            variant: arm(random, 1.0),
            control: arm(random, 0.0),
        };
        let cuped = compare_adjusted(&[period]).unwrap();
        let reduction = cuped.variance_reduction.unwrap();
        [
            covers(&cuped.adjusted, 1.0),
            0.5 < reduction && reduction < 0.8,
        ]
    });
    covered.is_near(0.95);
    reduced.is_above(0.99);
}

/// Weights go from 90:10 to 50:50 while the metric grows. Within the periods there is no effect, and none is
/// found; pooled there seems to be one.
#[test]
fn a_drift_while_weights_change_is_not_taken_for_an_effect() {
    let periods = |random: &mut Random| {
        [(900, 100, 1.0), (500, 500, 1.5)].map(|(control, variant, mean)| {
            let mut arm = |actors: u32| (0..actors).map(|_| random.normal(mean, 1.0)).collect();
            Period {
                actors: u64::from(control + variant),
                variant: arm(variant),
                control: arm(control),
            }
        })
    };
    let mut estimates = Moments::new();
    let mut pooled_estimates = Moments::new();
    let count = experiments(300);
    for seed in 0..u64::from(count) {
        let periods = periods(&mut Random::new(seed));
        let estimate = |periods: &[Period<Moments>]| {
            let difference = compare_means(periods).difference(&Analysis::default());
            difference.estimate.unwrap()
        };
        estimates.add(estimate(&periods));
        let [mut pooled, second] = periods;
        pooled.variant.merge(&second.variant);
        pooled.control.merge(&second.control);
        pooled_estimates.add(estimate(&[pooled]));
    }
    let error = (estimates.variance().unwrap() / f64::from(count)).sqrt();
    let mean = estimates.mean().unwrap();
    assert!(mean.abs() < 4.0 * error, "{mean} ± {error}");
    // Five sixths of the variant's actors, and 5 of 14 of the control's, are in the second period.
    let bias = 0.5 * (5.0 / 6.0 - 5.0 / 14.0);
    let pooled = pooled_estimates.mean().unwrap();
    assert!((pooled - bias).abs() < 4.0 * error, "{pooled}");
    let [covered] = shares(count, |random| {
        [covers(&compare_means(&periods(random)), 0.0)]
    });
    covered.is_near(0.95);
}

/// Whether a plan finds its effect as often as it says: at one look, and by the sequence at the end.
#[test]
fn planned_tests_find_their_effect_as_often_as_they_say() {
    let conversion = Outcome::Conversion { baseline: 0.1 };
    let mean = Outcome::Mean { deviation: 4.0 };
    let cases = [
        (conversion, 0.03, (50.0, 50.0)),
        (conversion, -0.04, (70.0, 30.0)),
        (mean, 0.6, (40.0, 60.0)),
    ];
    for (outcome, difference, weights) in cases {
        for look in [Look::Once, Look::AlwaysValid] {
            let plan = Plan {
                outcome,
                weights,
                analysis: Analysis::default(),
                power: 0.8,
                look,
            };
            let size = plan.sample_size(difference).unwrap();
            let arm = |random: &mut Random, actors: u64, difference: f64| -> Moments {
                let numbers = (0..actors).map(|_| match outcome {
                    Outcome::Conversion { baseline } => {
                        f64::from(u8::from(random.happens(baseline + difference)))
                    }
                    Outcome::Mean { deviation } => random.normal(7.0 + difference, deviation),
                });
                numbers.collect()
            };
            let [found] = shares(experiments(200), |random| {
                let variant = arm(random, size.variant, difference);
                let control = arm(random, size.control, 0.0);
                let comparison = both(variant, control);
                let analysis = &plan.analysis;
                let p_value = match look {
                    Look::Once => comparison.difference(analysis).p_value,
                    Look::AlwaysValid => comparison.always_valid(analysis).p_value,
                };
                let estimate = comparison.difference(analysis).estimate.unwrap();
                [p_value.unwrap() < 0.05 && estimate * difference > 0.0]
            });
            found.is_near(0.8);
        }
    }
}

/// Splits actors by the share of the first of two variants; of those of the second some are lost.
fn split(random: &mut Random, actors: u32, share: f64, lost: f64) -> Vec<Cell> {
    let (mut first, mut second) = (0, 0);
    for _ in 0..actors {
        if random.happens(share) {
            first += 1;
        } else if !random.happens(lost) {
            second += 1;
        }
    }
    let cells = [(share, first), (1.0 - share, second)];
    cells.map(|(share, actors)| Cell { share, actors }).to_vec()
}

/// Shares go from 90:10 over 70:30 to 50:50, and every day is looked at.
#[test]
fn daily_looks_flag_no_split_that_is_right() {
    const DAYS: usize = 30;
    let [flagged] = shares(experiments(300), |random| {
        let mut periods: Vec<Vec<Cell>> = Vec::new();
        let is_flagged = (0..DAYS).any(|day| {
            let share = [0.9, 0.7, 0.5][day / 10];
            let today = split(random, 100, share, 0.0);
            if day % 10 == 0 {
                periods.push(today);
            } else {
                let cells = periods.last_mut().unwrap().iter_mut();
                cells
                    .zip(today)
                    .for_each(|(cell, today)| cell.actors += today.actors);
            }
            sample_ratio(&periods).mismatch
        });
        [is_flagged]
    });
    flagged.is_at_most(0.01);
}

#[test]
fn a_loss_of_2_percent_is_found_and_a_change_of_weights_is_none() {
    let mut random = Random::new(7);
    let shares = [0.9, 0.7, 0.5];
    let clean = shares.map(|share| split(&mut random, 100_000, share, 0.0));
    assert!(!sample_ratio(&clean).mismatch);
    // The same actors in one period with the last weights look like a loss.
    let actors = |variant: usize| clean.iter().map(|period| period[variant].actors).sum();
    let pooled = [0, 1].map(|variant| Cell {
        share: 0.5,
        actors: actors(variant),
    });
    assert!(sample_ratio(&[pooled.to_vec()]).mismatch);
    let lost = sample_ratio(&[split(&mut random, 1_000_000, 0.5, 0.02)]);
    assert!(lost.mismatch);
    assert_eq!(lost.worst.unwrap().variant, 1);
}
