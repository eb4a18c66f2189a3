//! The outcomes that the store keeps, as an input of the page: which they are, and their hash.

use std::collections::BTreeSet;

use experiments::{ExperimentStore, MetricConfig, OutcomeScan};

use crate::hash::Hash;
use crate::output::rows::{Field, Rows};

const COLUMNS: &[&str] = &["actor", "metric", "value", "timestamp_secs", "id"];

/// The outcomes that these metrics count, and the SHA-256 of their lines of TSV in the order in which they were kept.
pub(super) fn input(
    store: &dyn ExperimentStore,
    metrics: &[MetricConfig],
) -> anyhow::Result<(String, String)> {
    let columns = metrics.iter().flat_map(|metric| {
        let others = [&metric.denominator, &metric.covariate];
        let others = others.into_iter().filter_map(Option::as_deref);
        [metric.column()].into_iter().chain(others)
    });
    let columns: BTreeSet<&str> = columns.collect();
    let columns: Vec<&str> = columns.into_iter().collect();
    if columns.is_empty() {
        return Ok(("no outcomes".to_owned(), "–".to_owned()));
    }
    let mut rows = Rows::tsv(Hash::default(), COLUMNS);
    let scan = OutcomeScan { metrics: &columns };
    let scanned = store.scan_outcomes(&scan, &mut |outcome| {
        rows.row(&[
            Field::Text(&outcome.actor),
            Field::Text(&outcome.metric),
            Field::Text(&outcome.value.to_string()),
            Field::Number(outcome.timestamp_secs),
            Field::Optional(outcome.id.as_deref()),
        ])
    });
    let hash = rows.finish()?;
    scanned?;
    let name = format!(
        "recorded outcomes of {}: lines of {}",
        columns.join(", "),
        COLUMNS.join(", ")
    );
    Ok((name, hash.to_string()))
}
