//! Interleaved rounds, medians, and one line a figure.

use std::time::{Duration, Instant};

pub(crate) struct Report {
    wanted: Option<String>,
}

/// What a ratio is to be.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Report {
    pub(crate) fn new(wanted: Option<String>) -> Self {
        println!(
            "{:<44} {:>11} {:>11} {:>7}  {:<15} target",
            "figure", "ours", "rival", "ratio", "(least to most)"
        );
        Self { wanted }
    }

    pub(crate) fn wants(&self, figure: &str) -> bool {
        let wanted = self.wanted.as_ref();
        wanted.is_none_or(|wanted| figure.contains(wanted.as_str()))
    }

    /// Runs both in turn and prints the ratio of their times, ours to the rival's.
    pub(crate) fn times(
        &self,
        figure: &str,
        rounds: usize,
        target: Target,
        mut ours: impl FnMut() -> Duration,
        mut rival: impl FnMut() -> Duration,
    ) {
        if !self.wants(figure) {
            return;
        }
        ours();
        rival();
        let pairs: Vec<_> = (0..rounds).map(|_| (ours(), rival())).collect();
        let median_of = |side: fn(&(Duration, Duration)) -> Duration| {
            median(pairs.iter().map(|pair| side(pair).as_secs_f64()).collect())
        };
        let (ours, rival) = (median_of(|pair| pair.0), median_of(|pair| pair.1));
        let ratios: Vec<f64> = pairs
            .iter()
            .map(|(ours, rival)| ours.as_secs_f64() / rival.as_secs_f64())
            .collect();
        self.line(figure, &seconds(ours), &seconds(rival), ratios, target);
    }

    /// Prints how many times as fast we are: the rival's time over ours.
    pub(crate) fn speeds(
        &self,
        figure: &str,
        rounds: usize,
        target: Target,
        mut ours: impl FnMut() -> Duration,
        mut rival: impl FnMut() -> Duration,
    ) {
        if !self.wants(figure) {
            return;
        }
        ours();
        rival();
        let pairs: Vec<_> = (0..rounds)
            .map(|_| (ours().as_secs_f64(), rival().as_secs_f64()))
            .collect();
        let ratios = pairs.iter().map(|(ours, rival)| rival / ours).collect();
        let ours = median(pairs.iter().map(|pair| pair.0).collect());
        let rival = median(pairs.iter().map(|pair| pair.1).collect());
        self.line(figure, &seconds(ours), &seconds(rival), ratios, target);
    }

    /// Prints a quantity that is not a time.
    pub(crate) fn quantity(&self, figure: &str, ours: f64, limit: f64) {
        if self.wants(figure) {
            let verdict = if ours <= limit { "reached" } else { "MISSED" };
            println!(
                "{figure:<44} {ours:>11.1} {limit:>11.1} {:>7}  {:<15} {verdict}",
                "", ""
            );
        }
    }

    pub(crate) fn skipped(&self, figure: &str, why: &str) {
        if self.wants(figure) {
            println!("{figure:<44} skipped: {why}");
        }
    }

    #[expect(clippy::unused_self, reason = "the report is what prints")]
    fn line(&self, figure: &str, ours: &str, rival: &str, ratios: Vec<f64>, target: Target) {
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        let ratio = median(ratios);
        let (target, reached) = match target {
            Target::AtMost(limit) => (format!("at most {limit}"), ratio <= limit),
            Target::AtLeast(limit) => (format!("at least {limit}"), ratio >= limit),
        };
        let verdict = if reached { "reached" } else { "MISSED" };
        let spread = format!("({least:.2} to {most:.2})");
        println!(
            "{figure:<44} {ours:>11} {rival:>11} {ratio:>7.2}  {spread:<15} {target}: {verdict}"
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s if s >= 1e-6 => format!("{:.2} µs", s * 1e6),
        s => format!("{:.1} ns", s * 1e9),
    }
}

/// How long `work` takes.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}
