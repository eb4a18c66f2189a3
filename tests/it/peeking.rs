//! Experiments without an effect that are looked at every day, as `exp results` looks at them: with a window few
//! of them ever have a winner; without one, too many have.
//!
//! 100 experiments for each, and 2,000 if `EXP_TEST_ROUNDS` is set.

use experiments::metric::{MetricKind, MetricRole, Population};
use experiments::results::{
    AnalysedMetric, Analysis, Member, Members, MetricReport, MetricTotals, Totals, VerdictCode,
};
use experiments::{ExperimentConfig, ExperimentState, MetricConfig, VariantConfig, WeightPeriod};

use crate::statistics::{Random, experiments, shares};

/// 2026-11-01, when every experiment here began.
const START: u64 = 1_793_491_200;
const DAY: u64 = 86_400;
const WINDOW: &str = "3d";

/// When actors come, and for how long somebody looks.
struct Schedule {
    newcomers_a_day: u64,
    days_of_newcomers: u64,
    days: u64,
}

/// A shop in which each actor orders something every day and sends nearly all of it back the next day. So an
/// actor's revenue grows slowly and changes a lot from day to day. Both variants are the same.
struct Shop {
    config: ExperimentConfig,
    metrics: [AnalysedMetric; 2],
    members: Members,
    /// By actor: the last order.
    orders: Vec<f64>,
    totals: Totals,
}

/// What one look finds.
struct Look {
    windowed: MetricReport,
    open_ended: MetricReport,
}

impl Shop {
    fn new(schedule: &Schedule) -> Self {
        let variants = ["control", "treatment"].map(|name| VariantConfig::new(name, 1));
        let mut config = ExperimentConfig::new("shop", variants.to_vec());
        config.state = ExperimentState::Running;
        // Where the sequence is narrowest, and so calls the most winners.
        config.analysis.tuning_actors = schedule.newcomers_a_day * schedule.days_of_newcomers;
        let metric = |name: &str, window: Option<&str>, role| {
            let mut config = MetricConfig::new(name, MetricKind::Mean);
            config.window = window.map(|window| window.parse().unwrap());
            AnalysedMetric {
                config,
                role,
                is_exploratory: false,
            }
        };
        Self {
            config,
            // Of two roles, so that neither is adjusted for the other.
            metrics: [
                metric("windowed", Some(WINDOW), MetricRole::Primary),
                metric("open_ended", None, MetricRole::Secondary),
            ],
            members: Members::default(),
            orders: Vec::new(),
            totals: Totals {
                metrics: vec![MetricTotals::default(); 2],
                timed: true,
                ..Totals::default()
            },
        }
    }

    /// Actors get the two variants in turn.
    fn enter(&mut self, at_secs: u64) {
        let number = self.members.members.len();
        let member = Member {
            variant: u16::from(number % 2 == 1),
            period: 0,
            assigned_at_secs: at_secs,
            exposed_at_secs: at_secs,
        };
        self.members.push(&number.to_string(), member);
        self.orders.push(0.0);
        for totals in &mut self.totals.metrics {
            totals.values.push(0.0);
            totals.seen.push(false);
        }
    }

    /// Each actor's outcome of the day, at the time of day at which it came.
    fn trade(&mut self, random: &mut Random, midnight: u64) {
        const SENT_BACK: f64 = 0.95;
        let actors = self.members.members.iter().zip(&mut self.orders);
        for (number, (member, last)) in actors.enumerate() {
            let order = -random.uniform().ln();
            let revenue = order - SENT_BACK * *last;
            *last = order;
            let start = member.assigned_at_secs;
            let at = midnight + start % DAY;
            for (metric, totals) in self.metrics.iter().zip(&mut self.totals.metrics) {
                let window = metric.config.window;
                if window.is_none_or(|window| at < start + window.secs()) {
                    totals.values[number] += revenue;
                    totals.seen[number] = true;
                } else {
                    totals.after_window += 1;
                }
            }
        }
    }

    fn look(&self, to_secs: u64) -> Look {
        let analysis = Analysis {
            config: &self.config,
            metrics: &self.metrics,
            periods: &[WeightPeriod {
                period: 0,
                from_secs: START,
                variants: self.config.variants.clone(),
                counts: Vec::new(),
            }],
            from_secs: START,
            to_secs,
            now_secs: to_secs,
            population: Population::Assigned,
            control: None,
            // What nobody should say while outcomes go on.
            is_final: true,
            only_seen: false,
        };
        let report = analysis.report(&self.members, &self.totals);
        let [windowed, open_ended] = report.metrics.try_into().unwrap();
        Look {
            windowed,
            open_ended,
        }
    }
}

/// What is found at the end of each day.
fn daily_looks(random: &mut Random, schedule: &Schedule) -> Vec<Look> {
    let mut shop = Shop::new(schedule);
    let looks = (0..schedule.days).map(|day| {
        let midnight = START + day * DAY;
        if day < schedule.days_of_newcomers {
            for _ in 0..schedule.newcomers_a_day {
                let second = random.bits() % DAY;
                shop.enter(midnight + second);
            }
        }
        shop.trade(random, midnight);
        shop.look(midnight + DAY)
    });
    looks.collect()
}

/// Whether the verdict is a winner or a loser.
fn is_called(metric: &MetricReport) -> bool {
    matches!(
        metric.verdict.code,
        VerdictCode::Better | VerdictCode::Worse
    )
}

/// Actors come every day. The verdict is wrong on any day in at most one of twenty experiments; the p-value of one
/// look, more than three times as often.
#[test]
fn daily_looks_at_a_windowed_metric_call_no_winner_where_there_is_none() {
    let schedule = Schedule {
        newcomers_a_day: 20,
        days_of_newcomers: 28,
        days: 28,
    };
    let [verdict, naive] = shares(experiments(100), |random| {
        let looks = daily_looks(random, &schedule);
        let is_significant = |metric: &MetricReport| {
            let comparison = metric.comparisons.first();
            let p_value = comparison.and_then(|comparison| comparison.difference.p_value);
            p_value.is_some_and(|p_value| p_value < 0.05)
        };
        [
            looks.iter().any(|look| is_called(&look.windowed)),
            looks.iter().any(|look| is_significant(&look.windowed)),
        ]
    });
    verdict.is_at_most(0.05);
    naive.is_above(0.15);
}

/// The "peeking problem 2.0": all actors come in the first days, and looks and outcomes go on. The sequence allows
/// for looks at more actors, not for more looks at the same ones. With a window, their figures no longer change.
#[test]
fn daily_looks_without_a_window_call_winners_where_there_are_none() {
    let schedule = Schedule {
        newcomers_a_day: 36,
        days_of_newcomers: 3,
        days: 120,
    };
    let [windowed, open_ended] = shares(experiments(100), |random| {
        let looks = daily_looks(random, &schedule);
        [
            looks.iter().any(|look| is_called(&look.windowed)),
            looks.iter().any(|look| is_called(&look.open_ended)),
        ]
    });
    windowed.is_at_most(0.05);
    // More than is promised, and more than chance adds to that.
    open_ended.is_above(0.05 + open_ended.chance(0.05));
}
