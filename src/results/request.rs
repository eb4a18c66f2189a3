//! What is to be analysed, and how: data.

use crate::experiment::{ExperimentConfig, WeightPeriod};
use crate::metric::{MetricConfig, MetricRole, Population};
use crate::stats;

/// A metric, and what it may decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalysedMetric {
    /// The metric.
    pub config: MetricConfig,
    /// Its part in the decision.
    pub role: MetricRole,
    /// Whether it was declared or changed after the start, or never. Then it decides nothing.
    pub is_exploratory: bool,
}

/// What is to be analysed, and how.
#[derive(Debug, Clone, Copy)]
pub struct Analysis<'a> {
    /// The experiment.
    pub config: &'a ExperimentConfig,
    /// Its metrics, in the order of the totals.
    pub metrics: &'a [AnalysedMetric],
    /// Its periods of weights, in order.
    pub periods: &'a [WeightPeriod],
    /// When it began, in seconds since the Unix epoch.
    pub from_secs: u64,
    /// The end: what happened later is not known. In seconds since the Unix epoch.
    pub to_secs: u64,
    /// The present time: no day before it is promised. In seconds since the Unix epoch.
    pub now_secs: u64,
    /// Whose outcomes are analysed.
    pub population: Population,
    /// The variant that the others are compared with, in place of the experiment's own.
    pub control: Option<&'a str>,
    /// Whether every outcome is in, so that a metric without a window can be decided.
    pub is_final: bool,
    /// Whether actors without an outcome are dropped. Then nothing is decided.
    pub only_seen: bool,
}

impl Analysis<'_> {
    /// The place of the control.
    pub(super) fn control(&self) -> Option<usize> {
        let variants = &self.config.variants;
        let named = self.control.and_then(|name| self.config.variant(name));
        let control = named.or_else(|| self.config.control())?;
        variants
            .iter()
            .position(|variant| variant.name == control.name)
    }

    /// How sure it is to be.
    pub(super) fn statistics(&self) -> stats::Analysis {
        stats::Analysis {
            confidence: self.config.analysis.confidence.get(),
            tuning_actors: self.config.analysis.tuning_actors,
        }
    }
}
