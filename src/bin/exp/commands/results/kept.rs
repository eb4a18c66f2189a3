//! The outcomes that the store keeps: as an input of the page, with their hash, and what they are called.

use std::collections::BTreeSet;

use experiments::suggest::nearest;
use experiments::text::escape;
use experiments::{ExperimentStore, MetricConfig, OutcomeScan};

use crate::commands::outcomes;
use crate::hash::Hash;
use crate::output::rows::Rows;

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
    let rows = Rows::tsv(Hash::default(), outcomes::COLUMNS);
    let hash = outcomes::write(store, &columns, 0, rows)?;
    let words: Result<Vec<_>, _> = columns.iter().map(|name| shlex::try_quote(name)).collect();
    let words = words?.join(" --metric ");
    Ok((format!("exp outcomes --metric {words}"), hash.to_string()))
}

/// Says of each of these columns that no kept outcome is called so, if that is the case. It reads all outcomes.
pub(super) fn unknown(
    store: &dyn ExperimentStore,
    columns: &[&str],
) -> anyhow::Result<Vec<String>> {
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let mut kept = BTreeSet::new();
    store.scan_outcomes(&OutcomeScan::default(), &mut |outcome| {
        if !kept.contains(&outcome.metric) {
            kept.insert(outcome.metric.clone());
        }
        Ok(())
    })?;
    let unknown = columns.iter().filter(|column| !kept.contains(**column));
    let told = unknown.map(|column| {
        let told = format!("no outcome is called '{}'", escape(column));
        match nearest(column, kept.iter().map(String::as_str)) {
            Some(nearest) => format!("{told}; did you mean '{}'?", escape(nearest)),
            None => told,
        }
    });
    Ok(told.collect())
}
