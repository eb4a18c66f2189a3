//! One metric in numbers: each variant by itself, and each against the control.

use crate::experiment::VariantConfig;
use crate::metric::{Better, MetricRole};
use crate::stats::{
    self, Comparison, Cuped, Direction, Moments, PairMoments, Period, compare_adjusted,
    compare_means, compare_quantiles, compare_ratios,
};

use super::report::{ComparisonReport, CupedReport, VariantFigures, VerdictCode};
use super::request::AnalysedMetric;
use super::sample::{Detail, Sample};

/// How an experiment's variants are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arms<'a> {
    pub(super) variants: &'a [VariantConfig],
    /// The place of the control.
    pub(super) control: usize,
    pub(super) analysis: stats::Analysis,
}

/// One comparison, with what a verdict asks of it beyond what is reported.
pub(super) struct Compared {
    /// Its adjusted p-value and its verdict are yet to come.
    pub(super) report: ComparisonReport,
    pub(super) comparison: Comparison,
    /// The place of the variant.
    pub(super) variant: usize,
    /// The complete actors who are compared, of the variant and of the control.
    pub(super) actors: [u64; 2],
    /// The sum of their values: of a conversion, how many there are.
    pub(super) total: f64,
}

impl Arms<'_> {
    /// Each variant by itself.
    pub(super) fn figures(&self, sample: &Sample) -> Vec<VariantFigures> {
        let variants = self.variants.iter().enumerate();
        let figures = variants.map(|(place, variant)| {
            let mut values = Moments::new();
            for cell in sample.values.of_variant(place) {
                values.merge(cell);
            }
            let (mean, variance) = match &sample.detail {
                Detail::Ratio(grid) => {
                    let mut pairs = PairMoments::new();
                    for cell in grid.of_variant(place) {
                        pairs.merge(cell);
                    }
                    (pairs.ratio(), pairs.ratio_variance())
                }
                _ => (values.mean(), values.variance()),
            };
            VariantFigures {
                variant: variant.name.clone(),
                actors: values.count(),
                in_progress: sample.in_progress[place],
                total: values.total(),
                mean,
                variance,
            }
        });
        figures.collect()
    }

    /// A variant against the control.
    pub(super) fn compare(
        &self,
        metric: &AnalysedMetric,
        sample: &Sample,
        variant: usize,
    ) -> Compared {
        let periods = sample.values.pair(variant, self.control, Moments::count);
        let usable = Usable::new(&periods);
        let plain = || (compare_means(&periods), None);
        let (comparison, cuped) = match &sample.detail {
            Detail::Plain => plain(),
            Detail::Covariate(grid) => {
                let periods = grid.pair(variant, self.control, stats::CovariateMoments::count);
                compare_adjusted(&periods).map_or_else(plain, |found| (found.adjusted, Some(found)))
            }
            Detail::Ratio(grid) => {
                let periods = grid.pair(variant, self.control, PairMoments::count);
                (compare_ratios(&periods), None)
            }
            Detail::Quantile(grid) => {
                let pool = |variant: usize| {
                    let cells = grid.of_variant(variant).zip(&usable.flags);
                    let cells = cells.filter(|(_, is_usable)| **is_usable);
                    cells.flat_map(|(cell, _)| cell).copied().collect()
                };
                let (mut ours, mut theirs): (Vec<f64>, Vec<f64>) =
                    (pool(variant), pool(self.control));
                let (quantile, confidence) = (metric.config.quantile(), self.analysis.confidence);
                let compared = compare_quantiles(&mut ours, &mut theirs, quantile, confidence);
                (compared, None)
            }
        };
        Compared {
            report: self.report(metric, variant, &comparison, cuped.as_ref(), &usable),
            comparison,
            variant,
            actors: usable.actors,
            total: usable.total,
        }
    }

    fn report(
        &self,
        metric: &AnalysedMetric,
        variant: usize,
        comparison: &Comparison,
        cuped: Option<&Cuped>,
        usable: &Usable,
    ) -> ComparisonReport {
        let analysis = &self.analysis;
        let better = direction(metric.config.better());
        let is_guardrail = metric.role == MetricRole::Guardrail;
        ComparisonReport {
            variant: self.variants[variant].name.clone(),
            control: self.variants[self.control].name.clone(),
            actors: usable.actors.iter().sum(),
            left_out_actors: usable.left_out_actors,
            periods: usable.flags.iter().filter(|flag| **flag).count(),
            means: comparison.means(),
            difference: comparison.difference(analysis),
            relative: comparison.relative(analysis),
            always_valid: comparison.always_valid(analysis),
            one_sided: is_guardrail.then(|| comparison.one_sided(better, analysis)),
            adjusted_p_value: None,
            chance_to_win: comparison.chance_to_win(better),
            expected_loss: comparison.expected_loss(better),
            cuped: cuped.map(|cuped| CupedReport {
                theta: cuped.theta,
                variance_reduction: cuped.variance_reduction,
                unadjusted: cuped.unadjusted.difference(analysis),
            }),
            minimum_detectable_effect: comparison.detectable_effect(analysis),
            verdict: VerdictCode::Undecided,
        }
    }
}

/// The periods of weights in which both arms have enough actors to be compared.
struct Usable {
    /// By period.
    flags: Vec<bool>,
    actors: [u64; 2],
    left_out_actors: u64,
    total: f64,
}

impl Usable {
    fn new(periods: &[Period<Moments>]) -> Self {
        const FEWEST: u64 = 2;
        let mut usable = Self {
            flags: Vec::with_capacity(periods.len()),
            actors: [0, 0],
            left_out_actors: 0,
            total: 0.0,
        };
        for period in periods {
            let arms = [&period.variant, &period.control];
            let is_usable = arms.iter().all(|arm| arm.count() >= FEWEST);
            usable.flags.push(is_usable);
            for (arm, actors) in arms.iter().zip(&mut usable.actors) {
                if is_usable {
                    *actors += arm.count();
                    usable.total += arm.total().unwrap_or(f64::INFINITY);
                } else {
                    usable.left_out_actors += arm.count();
                }
            }
        }
        usable
    }
}

pub(super) fn direction(better: Better) -> Direction {
    match better {
        Better::Up => Direction::Up,
        Better::Down => Direction::Down,
    }
}
