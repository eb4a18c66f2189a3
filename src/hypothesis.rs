//! What an experiment set out to show: which of its metrics were there, as they are, before it started. A
//! metric that is chosen once there are outcomes proves nothing. Pure.

use crate::experiment::{ChangeKind, ChangeRecord, ChangeSide, ExperimentConfig, ExperimentState};
use crate::metric::MetricConfig;

/// The metrics of an experiment, by name and in its order, that were added or changed after it first started.
/// `log` is all of its audit log, newest first. One that was changed and changed back is as it was.
///
/// A draft that has never run has none. If anything else has no start in its log, it is not known to have had
/// its metrics before, and every change of them in the log counts.
#[must_use]
pub fn exploratory_metrics<'a>(config: &'a ExperimentConfig, log: &[ChangeRecord]) -> Vec<&'a str> {
    let after_start = match log.iter().rposition(makes_it_run) {
        Some(start) => &log[..start],
        None if config.state == ExperimentState::Draft => &[],
        None => log,
    };
    let metrics = |side: &ChangeSide| side.metrics.clone().unwrap_or_default();
    // What it had when it started is what the first change since then took away.
    let at_start = after_start.iter().rev().find_map(|change| {
        let detail = change.detail.as_ref()?;
        let before = metrics(&detail.before);
        (before != metrics(&detail.after)).then_some(before)
    });
    at_start.map_or_else(Vec::new, |at_start| {
        changed(&at_start, &config.analysis.metrics)
    })
}

fn makes_it_run(change: &ChangeRecord) -> bool {
    let state = match change.kind() {
        // An application's entry has no detail.
        ChangeKind::State { state } => Some(state),
        _ => change.detail.as_ref().and_then(|detail| detail.after.state),
    };
    state == Some(ExperimentState::Running)
}

/// The metrics of `next`, by name and in order, that are not in `before` or mean something else there.
pub(crate) fn changed<'a>(before: &[MetricConfig], next: &'a [MetricConfig]) -> Vec<&'a str> {
    let in_full = |(place, metric): (usize, &MetricConfig)| metric.in_full(place);
    let before: Vec<MetricConfig> = before.iter().enumerate().map(in_full).collect();
    let next = next.iter().enumerate();
    let changed = next.filter(|metric| !before.contains(&in_full(*metric)));
    changed.map(|(_, metric)| &*metric.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::Coverage;
    use crate::experiment::VariantConfig;
    use crate::lifecycle::Mutation;
    use crate::metric::MetricKind::{Conversion, Mean};
    use crate::store::{ExperimentStore as _, InMemoryExperimentStore};

    const NAME: &str = "checkout_v2";

    fn config(state: ExperimentState, metrics: Vec<MetricConfig>) -> ExperimentConfig {
        let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
        let mut config = ExperimentConfig::new(NAME, variants);
        config.state = state;
        config.analysis.metrics = metrics;
        config
    }

    fn purchase() -> MetricConfig {
        MetricConfig::new("purchase", Conversion)
    }

    fn revenue() -> MetricConfig {
        MetricConfig::new("revenue", Mean)
    }

    fn weekly(metric: MetricConfig) -> MetricConfig {
        MetricConfig {
            window: "7d".parse().ok(),
            ..metric
        }
    }

    /// What is exploratory after these changes, by the log that a store keeps of them.
    fn exploratory(changes: &[Mutation<'_>]) -> Vec<String> {
        let store = InMemoryExperimentStore::new();
        for change in changes {
            store.mutate(change, None).unwrap();
        }
        let config = store.get(NAME).unwrap().unwrap();
        let log = store.history(NAME, 0).unwrap();
        let names = exploratory_metrics(&config, &log);
        names.into_iter().map(str::to_owned).collect()
    }

    fn set(metrics: &[MetricConfig]) -> Mutation<'_> {
        Mutation::SetMetrics {
            experiment: NAME,
            metrics,
        }
    }

    const START: Mutation<'_> = Mutation::SetState {
        experiment: NAME,
        state: ExperimentState::Running,
        winner: None,
    };

    #[test]
    fn what_a_draft_settles_on_is_no_afterthought() {
        let first = config(ExperimentState::Draft, vec![purchase()]);
        let second = config(ExperimentState::Draft, vec![weekly(purchase()), revenue()]);
        let third = [revenue()];
        let changes = [
            Mutation::Insert(&first),
            Mutation::Upsert(&second),
            set(&third),
            START,
            Mutation::SetCoverage {
                experiment: NAME,
                coverage: Coverage::of_10000(1).unwrap(),
            },
        ];
        for count in 1..=changes.len() {
            assert!(exploratory(&changes[..count]).is_empty(), "{count}");
        }
    }

    #[test]
    fn what_comes_or_changes_after_the_start_is_exploratory() {
        let draft = config(ExperimentState::Draft, vec![purchase(), revenue()]);
        let running = config(ExperimentState::Running, draft.analysis.metrics.clone());
        let added = [purchase(), revenue(), MetricConfig::new("visits", Mean)];
        let changed = [purchase(), weekly(revenue())];
        let starts: [&[Mutation<'_>]; 2] = [
            &[Mutation::Insert(&draft), START],
            &[Mutation::Insert(&running)],
        ];
        for start in starts {
            let then = |changes: &[Mutation<'_>]| exploratory(&[start, changes].concat());
            assert_eq!(then(&[set(&added)]), ["visits"]);
            assert_eq!(then(&[set(&changed)]), ["revenue"]);
            assert_eq!(then(&[set(&added), set(&changed)]), ["revenue"]);
            // Back as it was.
            let first = &running.analysis.metrics;
            assert!(then(&[set(&added), set(&changed), set(first)]).is_empty());
            // One that went and came back is as it was; what only goes leaves the others as they were.
            assert!(then(&[set(&[]), set(&first[..1])]).is_empty());
        }
    }

    /// A later start is no new beginning.
    #[test]
    fn the_first_start_counts() {
        let running = config(ExperimentState::Running, vec![purchase()]);
        let later = [revenue()];
        let changes = [
            Mutation::Insert(&running),
            Mutation::SetState {
                experiment: NAME,
                state: ExperimentState::Concluded,
                winner: Some("a"),
            },
            set(&later),
            START,
        ];
        assert_eq!(exploratory(&changes), ["revenue"]);
    }

    /// What a metric means counts, not how much of it is written out; by its place it may mean something else.
    #[test]
    fn a_default_that_is_written_out_changes_nothing() {
        let metrics = [purchase(), revenue()];
        let written = [purchase().in_full(0), revenue().in_full(1)];
        assert!(changed(&metrics, &written).is_empty());
        assert!(changed(&written, &metrics).is_empty());
        // Each now has the other's role.
        let swapped = [revenue(), purchase()];
        assert_eq!(changed(&metrics, &swapped), ["revenue", "purchase"]);
        // Without the primary metric the next one is primary.
        assert_eq!(changed(&metrics, &swapped[..1]), ["revenue"]);
    }

    /// The application's entries say what was done, and no more.
    #[test]
    fn a_log_of_an_application_is_read() {
        let entry = |mutation: &str| ChangeRecord {
            experiment: NAME.to_owned(),
            mutation: mutation.to_owned(),
            actor: None,
            timestamp_secs: 0,
            detail: None,
        };
        let store = InMemoryExperimentStore::new();
        let draft = config(ExperimentState::Draft, Vec::new());
        store.mutate(&Mutation::Insert(&draft), None).unwrap();
        let metrics = [purchase()];
        let set = store.mutate(&set(&metrics), None).unwrap().unwrap();
        let config = config(ExperimentState::Running, metrics.to_vec());
        let (created, started) = (entry("created"), entry("state=running"));
        let names = |log: &[ChangeRecord]| exploratory_metrics(&config, log).len();
        assert_eq!(names(&[started.clone(), set.clone(), created.clone()]), 0);
        assert_eq!(names(&[set.clone(), started, created.clone()]), 1);
        // It runs, and nobody knows since when.
        assert_eq!(names(&[set, created]), 1);
    }
}
