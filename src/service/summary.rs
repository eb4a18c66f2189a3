//! What a status shows of an experiment beyond its configuration.

use serde::{Deserialize, Serialize};

use super::ExperimentService;
use crate::bucketing::{BUCKETS, bucket_counts};
use crate::error::ExperimentError;
use crate::experiment::{ExperimentConfig, VariantConfig, VariantCount, WeightPeriod};
use crate::group::HeldByGroup;

impl ExperimentService {
    /// One experiment, with what each variant has got so far.
    ///
    /// # Errors
    /// It is unknown, or the store fails.
    pub fn summary(&self, experiment: &str) -> Result<ExperimentSummary, ExperimentError> {
        let config = self.status(experiment)?;
        let periods = self.store.weight_periods(experiment)?;
        let counts = VariantCount::totals(&config.variants, &periods);
        let variants = config.variants.iter().zip(counts);
        let variants = variants.map(|(variant, count)| VariantSummary {
            name: variant.name.clone(),
            weight: variant.weight,
            expected_share: share_of(&variant.name, &config.variants),
            expected: expected(&variant.name, &periods),
            assigned: count.assigned,
            overridden: count.overridden,
        });
        Ok(ExperimentSummary {
            variants: variants.collect(),
            config,
            periods,
        })
    }

    /// Whom the other experiments of its exclusion group hold, of `all` that [`list`](Self::list) gave. It may be among
    /// them, and need not be stored.
    ///
    /// # Errors
    /// When the store fails.
    pub fn held_by_group(
        &self,
        config: &ExperimentConfig,
        all: &[ExperimentConfig],
    ) -> Result<HeldByGroup, ExperimentError> {
        let group = &config.exclusion_group;
        let is_beside = |other: &&ExperimentConfig| {
            group.is_some() && other.exclusion_group == *group && other.name != config.name
        };
        let counted = all.iter().filter(is_beside).map(|other| {
            let counts = self.store.variant_counts(&other.name)?;
            let actors = counts.iter().map(|count| count.assigned + count.overridden);
            Ok((other, actors.sum()))
        });
        let counted = counted.collect::<Result<Vec<_>, ExperimentError>>()?;
        Ok(HeldByGroup::of(config, counted))
    }
}

/// The share of the buckets that select a variant of these.
#[expect(clippy::cast_precision_loss, reason = "at most 10000 buckets")]
fn share_of(variant: &str, variants: &[VariantConfig]) -> f64 {
    let place = variants.iter().position(|known| known.name == variant);
    let buckets = bucket_counts(variants.iter().map(|variant| variant.weight));
    place.map_or(0.0, |place| buckets[place] as f64 / BUCKETS as f64)
}

/// How many of the assigned actors a variant should have: of each period's actors the share that its weights
/// promise.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 actors")]
fn expected(variant: &str, periods: &[WeightPeriod]) -> f64 {
    let expected = periods.iter().map(|period| {
        let actors: u64 = period.counts.iter().map(|count| count.assigned).sum();
        share_of(variant, &period.variants) * actors as f64
    });
    // An empty sum of floats is -0.
    expected.sum::<f64>() + 0.0
}

/// One experiment and what its variants have got so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct ExperimentSummary {
    /// The experiment.
    pub config: ExperimentConfig,
    /// Its variants, in order.
    pub variants: Vec<VariantSummary>,
    /// The periods of its weights, in order, each with its counts.
    pub periods: Vec<WeightPeriod>,
}

/// One variant's part of an [`ExperimentSummary`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct VariantSummary {
    /// The variant's name.
    pub name: String,
    /// Its relative weight.
    pub weight: u32,
    /// The share of the buckets that select it now, from 0 to 1. All zero when every weight is zero.
    pub expected_share: f64,
    /// How many of the assigned actors it should have, by the weights under which each was assigned.
    pub expected: f64,
    /// Stored assignments that the actors' buckets made.
    pub assigned: u64,
    /// Stored assignments that overrides made.
    pub overridden: u64,
}
