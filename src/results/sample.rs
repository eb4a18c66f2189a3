//! What one metric has to say of each variant in each period of weights: the moments of its complete actors.

use crate::metric::{Cap, MetricConfig, MetricKind, Window};
use crate::stats::{CovariateMoments, Moments, PairMoments, Period, quantile};

use super::population::{Actor, Cohort};
use super::totals::MetricTotals;

/// Something for each variant in each period.
#[derive(Debug, Clone)]
pub(super) struct Grid<T> {
    variants: usize,
    /// Period after period.
    cells: Vec<T>,
}

impl<T: Clone + Default> Grid<T> {
    pub(super) fn new(periods: usize, variants: usize) -> Self {
        Self {
            variants,
            cells: vec![T::default(); periods * variants],
        }
    }

    pub(super) fn cell(&mut self, actor: &Actor) -> &mut T {
        &mut self.cells[actor.period * self.variants + actor.variant]
    }

    /// The cells of each period, by variant.
    pub(super) fn periods(&self) -> impl Iterator<Item = &[T]> {
        self.cells.chunks_exact(self.variants.max(1))
    }

    /// Those of one variant, by period.
    pub(super) fn of_variant(&self, variant: usize) -> impl Iterator<Item = &T> {
        self.periods().map(move |cells| &cells[variant])
    }

    /// A variant and the control in each period, with the actors that all variants have in it.
    pub(super) fn pair(
        &self,
        variant: usize,
        control: usize,
        actors: impl Fn(&T) -> u64,
    ) -> Vec<Period<T>> {
        let pair = |cells: &[T]| Period {
            actors: cells.iter().map(&actors).sum(),
            variant: cells[variant].clone(),
            control: cells[control].clone(),
        };
        self.periods().map(pair).collect()
    }
}

/// What a kind of metric needs beyond the values of its actors.
pub(super) enum Detail {
    /// Nothing.
    Plain,
    /// The values with their covariates.
    Covariate(Grid<CovariateMoments>),
    /// Numerators with their denominators.
    Ratio(Grid<PairMoments>),
    /// The values themselves.
    Quantile(Grid<Vec<f64>>),
}

/// The complete actors of one metric.
pub(super) struct Sample {
    /// Their values; of a ratio, the numerators.
    pub(super) values: Grid<Moments>,
    pub(super) detail: Detail,
    /// By variant, how many actors are not complete yet.
    pub(super) in_progress: Vec<u64>,
}

impl Sample {
    /// Takes the sample of one metric. With `only_seen`, actors without an outcome are dropped.
    pub(super) fn take(
        cohort: &Cohort,
        variants: usize,
        metric: &MetricConfig,
        totals: &MetricTotals,
        only_seen: bool,
    ) -> Self {
        let reader = Reader {
            cohort,
            totals,
            window_secs: metric.window.map_or(0, Window::secs),
            only_seen: only_seen || metric.kind == MetricKind::Quantile,
        };
        let cap = reader.cap(metric.cap);
        let periods = cohort.periods.len();
        let mut sample = Self {
            values: Grid::new(periods, variants),
            detail: match metric.kind {
                MetricKind::Ratio => Detail::Ratio(Grid::new(periods, variants)),
                MetricKind::Quantile => Detail::Quantile(Grid::new(periods, variants)),
                MetricKind::Mean | MetricKind::Conversion if metric.covariate.is_some() => {
                    Detail::Covariate(Grid::new(periods, variants))
                }
                MetricKind::Mean | MetricKind::Conversion => Detail::Plain,
            },
            in_progress: vec![0; variants],
        };
        for actor in cohort.actors().filter(|actor| !reader.is_complete(actor)) {
            sample.in_progress[actor.variant] += 1;
        }
        for actor in reader.complete_actors() {
            let value = reader.value(&actor).min(cap);
            sample.values.cell(&actor).add(value);
            match &mut sample.detail {
                Detail::Plain => {}
                Detail::Covariate(grid) => grid.cell(&actor).add(value, reader.covariate(&actor)),
                Detail::Ratio(grid) => grid.cell(&actor).add(value, reader.denominator(&actor)),
                Detail::Quantile(grid) => grid.cell(&actor).push(value),
            }
        }
        sample
    }
}

/// Reads what the outcomes add up to, for the actors who count.
struct Reader<'a> {
    cohort: &'a Cohort<'a>,
    totals: &'a MetricTotals,
    window_secs: u64,
    only_seen: bool,
}

impl Reader<'_> {
    fn is_complete(&self, actor: &Actor) -> bool {
        let end = actor.start_secs.checked_add(self.window_secs);
        end.is_some_and(|end| end <= self.cohort.to_secs())
    }

    /// Those whose window has ended, less those who are dropped for having no outcome.
    fn complete_actors(&self) -> impl Iterator<Item = Actor> {
        let is_seen = |actor: &Actor| self.totals.seen.get(actor.number) == Some(&true);
        let actors = self.cohort.actors();
        actors.filter(move |actor| self.is_complete(actor) && (!self.only_seen || is_seen(actor)))
    }

    fn value(&self, actor: &Actor) -> f64 {
        self.totals.values.get(actor.number).copied().unwrap_or(0.0)
    }

    fn denominator(&self, actor: &Actor) -> f64 {
        let denominators = &self.totals.denominators;
        denominators.get(actor.number).copied().unwrap_or(0.0)
    }

    fn covariate(&self, actor: &Actor) -> Option<f64> {
        let covariate = self.totals.covariates.get(actor.number).copied();
        covariate.filter(|covariate| !covariate.is_nan())
    }

    /// What larger values are cut to: infinity if nothing is.
    fn cap(&self, cap: Option<Cap>) -> f64 {
        match cap {
            None => f64::INFINITY,
            Some(Cap::Value(value)) => value.get(),
            Some(Cap::Quantile(share)) => {
                let values = self.complete_actors().map(|actor| self.value(&actor));
                let mut values: Vec<f64> = values.filter(|value| *value != 0.0).collect();
                quantile(&mut values, share.get()).unwrap_or(f64::INFINITY)
            }
        }
    }
}
