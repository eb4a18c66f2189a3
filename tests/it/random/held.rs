//! What a store holds, in the model's terms.

use std::collections::BTreeMap;

use experiments::{
    ChangeScan, ExperimentConfig, ExperimentStore, Outcome, OutcomeScan, VariantConfig,
};
use proptest::prelude::{TestCaseError, prop_assert_eq};

use super::answers::tracked;
use super::commands::{GROUPS, NAMES};
use crate::model::{Entry, Experiment, Logged, Model, Pinned};

/// Compares all that is stored. The store's clock stands where the model's does.
pub(super) fn agree(
    store: &dyn ExperimentStore,
    actors: &[&str],
    model: &Model,
) -> Result<(), TestCaseError> {
    outcomes_agree(store, model)?;
    logs_agree(store, model)?;
    counting_agrees(store, actors, model)?;
    prop_assert_eq!(&held(store, actors), &model.experiments);
    Ok(())
}

/// What is tracked in the store, compared with what the model says is.
fn outcomes_agree(store: &dyn ExperimentStore, model: &Model) -> Result<(), TestCaseError> {
    let mut found = Vec::new();
    let scan = store.scan_outcomes(&OutcomeScan::default(), &mut |outcome| {
        found.push(outcome.clone());
        Ok(())
    });
    scan.unwrap();
    let expected: Vec<Outcome> = model.outcomes.iter().map(tracked).collect();
    prop_assert_eq!(found, expected);
    Ok(())
}

/// The log of all, oldest first.
pub(super) fn log(store: &dyn ExperimentStore, scan: &ChangeScan<'_>) -> Vec<Logged> {
    let changes = store.changes(scan).unwrap().into_iter().rev();
    changes
        .map(|change| (change.experiment, change.mutation, change.timestamp_secs))
        .collect()
}

/// The whole log, that of each experiment, and that of the last seconds.
fn logs_agree(store: &dyn ExperimentStore, model: &Model) -> Result<(), TestCaseError> {
    let experiments = NAMES.into_iter().map(Some).chain([None]);
    for experiment in experiments {
        for since_secs in [0, model.now.saturating_sub(2)] {
            let expected: Vec<_> = model
                .log
                .iter()
                .filter(|(name, _, at)| {
                    experiment.is_none_or(|wanted| wanted == name) && *at >= since_secs
                })
                .cloned()
                .collect();
            let scan = ChangeScan {
                experiment,
                since_secs,
                limit: 0,
            };
            prop_assert_eq!(&log(store, &scan), &expected);
            let newest = ChangeScan { limit: 3, ..scan };
            let oldest_of_them = expected.len().saturating_sub(3);
            prop_assert_eq!(&log(store, &newest), &expected[oldest_of_them..]);
        }
    }
    Ok(())
}

/// Whether the overrides and the assignments that count are those of the model.
fn counting_agrees(
    store: &dyn ExperimentStore,
    actors: &[&str],
    model: &Model,
) -> Result<(), TestCaseError> {
    for name in NAMES {
        for actor in actors {
            let pinned = store.get_override(name, actor).unwrap();
            prop_assert_eq!(pinned.as_ref(), model.pinned(name, actor));
            for group in GROUPS {
                let is_in = store.has_assignment_in_group(actor, group, name).unwrap();
                prop_assert_eq!(is_in, model.is_in(group, name, actor));
            }
        }
    }
    for actor in actors {
        let mut expected = BTreeMap::new();
        for (name, experiment) in &model.experiments {
            for (_, variant, kind) in experiment.exposures.iter().filter(|e| e.0 == **actor) {
                let key = (name.clone(), variant.clone(), *kind);
                *expected.entry(key).or_insert(0) += 1;
            }
        }
        let totals = store.exposure_totals(actor).unwrap().into_iter();
        let totals = totals.map(|t| ((t.experiment, t.variant, t.is_override), t.exposures));
        let totals: Vec<_> = totals.collect();
        prop_assert_eq!(totals, expected.into_iter().collect::<Vec<_>>());
    }
    Ok(())
}

fn pairs(variants: &[VariantConfig]) -> Vec<(String, u32)> {
    let pairs = variants.iter().map(|v| (v.name.clone(), v.weight));
    pairs.collect()
}

/// What the store holds of the experiments, in the model's terms.
pub(super) fn held(store: &dyn ExperimentStore, actors: &[&str]) -> BTreeMap<String, Experiment> {
    let experiment = |config: ExperimentConfig| {
        let name = &*config.name;
        let mut assignments = BTreeMap::new();
        let mut assigned_in = BTreeMap::new();
        let scan = store.scan_assignments(name, &mut |found| {
            let period = usize::try_from(found.weight_period).unwrap();
            assigned_in.insert(found.actor.clone(), period);
            let stored = (found.variant.clone(), found.is_override);
            assignments.insert(found.actor.clone(), stored);
            Ok(())
        });
        scan.unwrap();
        for actor in actors {
            let asked = store.get_assignment(name, actor).unwrap();
            let asked = asked.map(|a| (a.variant, a.is_override));
            assert_eq!(asked.as_ref(), assignments.get(*actor));
        }
        let periods = store.weight_periods(name).unwrap();
        for (number, period) in periods.iter().enumerate() {
            for count in &period.counts {
                let of = |kind| {
                    let stored = (count.variant.clone(), kind);
                    let mut all = assignments.iter();
                    let of =
                        |(actor, a): &(&String, _)| *a == &stored && assigned_in[*actor] == number;
                    all.by_ref().filter(of).count() as u64
                };
                assert_eq!((count.assigned, count.overridden), (of(false), of(true)));
            }
        }
        for count in store.variant_counts(name).unwrap() {
            let of = |kind| {
                let stored = (count.variant.clone(), kind);
                assignments.values().filter(|a| **a == stored).count() as u64
            };
            assert_eq!((count.assigned, count.overridden), (of(false), of(true)));
        }
        let overrides = store.overrides(name).unwrap().into_iter().map(|found| {
            let pinned = Pinned {
                variant: found.variant,
                ends: found.expires_at_secs,
                reason: found.reason,
            };
            (found.actor, pinned)
        });
        let values = config.values.iter();
        let held = Experiment {
            state: config.state.to_string(),
            winner: config.winner.clone(),
            group: config.exclusion_group.clone(),
            variants: pairs(&config.variants),
            entry: Entry {
                salt: config.salt.clone(),
                coverage: config.coverage.per_10000(),
                enrolling: config.enrolling,
            },
            values: values
                .map(|(v, value)| (v.to_owned(), value.to_string()))
                .collect(),
            overrides: overrides.collect(),
            exposures: store
                .exposures(name)
                .unwrap()
                .into_iter()
                .map(|e| (e.actor, e.variant, e.is_override))
                .collect(),
            periods: periods.iter().map(|p| pairs(&p.variants)).collect(),
            assignments,
            assigned_in,
        };
        (config.name, held)
    };
    store.list().unwrap().into_iter().map(experiment).collect()
}
