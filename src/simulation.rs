//! The split that an experiment would give to some ids. Pure: nothing is stored.

use serde::Serialize;

use crate::bucketing::{BUCKETS, bucket_counts};
use crate::coverage::Coverage;
use crate::experiment::ExperimentConfig;
use crate::stats::distributions::chi_square_tail;

/// How ids would be split.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Simulation {
    /// The experiment's name.
    pub experiment: String,
    /// How many ids were looked at.
    pub actors: u64,
    /// The share of the newcomers whom the experiment covers.
    pub coverage: Coverage,
    /// Whether newcomers may enter at present. If not, the rest says what they would get if they could.
    pub enrolling: bool,
    /// How many of the ids enter: all, unless the experiment covers only a share of the newcomers.
    pub entered: u64,
    /// What each variant would get, in order.
    pub variants: Vec<SimulatedVariant>,
    /// Pearson's chi-square statistic of the counts against the expected ones; `None` with fewer than
    /// two variants that anybody gets, or without ids.
    pub chi_square: Option<f64>,
    /// How probable a split at least this far from the expected one is, if ids are split by chance.
    pub p_value: Option<f64>,
}

/// What one variant would get.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct SimulatedVariant {
    /// The variant's name.
    pub variant: String,
    /// The share of the buckets that select it, from 0 to 1.
    pub expected_share: f64,
    /// How many of the ids get it.
    pub count: u64,
    /// Their share of the ids that enter, from 0 to 1.
    pub share: f64,
    /// `share - expected_share`.
    pub difference: f64,
}

/// How ids would be split by two experiments at once.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct JointSimulation {
    /// The experiments' names.
    pub experiments: (String, String),
    /// How many ids were looked at.
    pub actors: u64,
    /// For each variant of the first and each of the second experiment: how many ids get both.
    pub counts: Vec<Vec<u64>>,
    /// For each of those, how many would by chance: the product of the shares that each has among the ids
    /// that enter both.
    pub expected: Vec<Vec<f64>>,
}

/// Splits ids as the experiment would split newcomers if it let them in: by its coverage and their buckets alone.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 ids")]
pub fn simulate<T: AsRef<str>>(
    config: &ExperimentConfig,
    ids: impl IntoIterator<Item = T>,
) -> Simulation {
    let allocation = config.allocation();
    let mut counts = vec![0_u64; config.variants.len()];
    let (mut actors, mut entered) = (0, 0);
    for id in ids {
        actors += 1;
        if !allocation.covers(id.as_ref()) {
            continue;
        }
        entered += 1;
        if let Some(variant) = allocation.variant(id.as_ref()) {
            counts[variant] += 1;
        }
    }
    let buckets = bucket_counts(config.weights());
    let share = |count: u64| count as f64 / (entered.max(1)) as f64;
    let variants = config.variants.iter().zip(&buckets).zip(&counts);
    let variants = variants.map(|((variant, &buckets), &count)| {
        let expected_share = buckets as f64 / BUCKETS as f64;
        SimulatedVariant {
            variant: variant.name.clone(),
            expected_share,
            count,
            share: share(count),
            difference: if entered == 0 {
                0.0
            } else {
                share(count) - expected_share
            },
        }
    });
    let variants: Vec<SimulatedVariant> = variants.collect();
    let taken = || {
        variants
            .iter()
            .filter(|variant| variant.expected_share > 0.0)
    };
    let terms = taken().map(|variant| {
        let expected = variant.expected_share * entered as f64;
        (variant.count as f64 - expected).powi(2) / expected
    });
    let chi_square = (entered > 0 && taken().count() > 1).then(|| terms.sum());
    let p_value = chi_square.and_then(|statistic: f64| {
        let freedom = (taken().count() - 1) as f64;
        chi_square_tail(statistic, freedom)
    });
    Simulation {
        experiment: config.name.clone(),
        actors,
        coverage: config.coverage,
        enrolling: config.enrolling,
        entered,
        chi_square,
        p_value,
        variants,
    }
}

/// Splits ids by two experiments at once.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 ids")]
pub fn simulate_jointly<T: AsRef<str>>(
    first: &ExperimentConfig,
    second: &ExperimentConfig,
    ids: impl IntoIterator<Item = T>,
) -> JointSimulation {
    let (rows, columns) = (first.allocation(), second.allocation());
    let mut counts = vec![vec![0_u64; second.variants.len()]; first.variants.len()];
    let mut actors = 0_u64;
    for id in ids {
        let id = id.as_ref();
        actors += 1;
        if rows.covers(id)
            && columns.covers(id)
            && let (Some(row), Some(column)) = (rows.variant(id), columns.variant(id))
        {
            counts[row][column] += 1;
        }
    }
    let row_sums: Vec<u64> = counts.iter().map(|row| row.iter().sum()).collect();
    let column_sum = |column: usize| counts.iter().map(|row| row[column]).sum::<u64>();
    let column_sums: Vec<u64> = (0..second.variants.len()).map(column_sum).collect();
    let both = row_sums.iter().sum::<u64>().max(1);
    let by_chance = |row: u64, column: u64| row as f64 * column as f64 / both as f64;
    let expected = row_sums.iter().map(|&row| {
        let cells = column_sums.iter().map(|&column| by_chance(row, column));
        cells.collect()
    });
    JointSimulation {
        experiments: (first.name.clone(), second.name.clone()),
        actors,
        expected: expected.collect(),
        counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::VariantConfig;
    use crate::ids::IdShape;

    /// The statistic by hand.
    #[test]
    #[expect(clippy::cast_precision_loss, reason = "a thousand ids")]
    fn a_split_is_compared_with_the_expected_one() {
        let variants = vec![
            VariantConfig::new("a", 1),
            VariantConfig::new("none", 0),
            VariantConfig::new("b", 1),
        ];
        let config = ExperimentConfig::new("e", variants);
        let simulation = simulate(&config, IdShape::User.ids(1000));
        let a = simulation.variants[0].count as f64;
        let by_hand = 2.0 * (a - 500.0).powi(2) / 500.0;
        assert!((simulation.chi_square.unwrap() - by_hand).abs() < 1e-9);
        assert_eq!(
            simulation.variants.iter().map(|v| v.count).sum::<u64>(),
            1000
        );
        assert_eq!(simulation.p_value, chi_square_tail(by_hand, 1.0));
        let nobody: [&str; 0] = [];
        assert_eq!(simulate(&config, nobody).p_value, None);
    }
}
