//! Weight periods: when one begins, which assignments belong to it, and how many.

use std::collections::BTreeMap;

use super::{
    assert_refused, assign, conclude, create, even, record, running, scanned, start, weights,
};
use crate::assignment::{AssignManyRequest, Keep};
use crate::coverage::Coverage;
use crate::error::ExperimentError;
use crate::experiment::{ExperimentConfig, ExperimentState, VariantConfig, VariantCount};
use crate::lifecycle::Mutation;
use crate::store::ExperimentStore;

/// The variants of each period, in order; the periods are numbered from 0.
fn periods(store: &dyn ExperimentStore) -> Vec<Vec<VariantConfig>> {
    let found = store.weight_periods("e").unwrap();
    let numbers: Vec<u32> = found.iter().map(|period| period.period).collect();
    assert_eq!(numbers, (0..).take(found.len()).collect::<Vec<_>>());
    found.into_iter().map(|period| period.variants).collect()
}

/// Asserts that the counts of each period, and those of the experiment, are what a scan shows.
pub(super) fn assert_counted(store: &dyn ExperimentStore, experiment: &str) {
    let mut stored = BTreeMap::new();
    for record in scanned(store, experiment) {
        let kind = (record.weight_period, record.variant, record.is_override);
        *stored.entry(kind).or_insert(0) += 1;
    }
    let number = |period, variant: &str, is_override| {
        let kind = (period, variant.to_owned(), is_override);
        stored.get(&kind).copied().unwrap_or_default()
    };
    let periods = store.weight_periods(experiment).unwrap();
    for period in &periods {
        let expected = period.variants.iter().map(|variant| VariantCount {
            variant: variant.name.clone(),
            assigned: number(period.period, &variant.name, false),
            overridden: number(period.period, &variant.name, true),
        });
        let expected: Vec<_> = expected.collect();
        assert_eq!(period.counts, expected, "period {}", period.period);
    }
    let config = store.get(experiment).unwrap().unwrap();
    let totals = VariantCount::totals(&config.variants, &periods);
    assert_eq!(store.variant_counts(experiment).unwrap(), totals);
    let counted = periods.iter().flat_map(|period| &period.counts);
    let counted: u64 = counted.map(|c| c.assigned + c.overridden).sum();
    assert_eq!(counted, stored.values().sum::<u64>());
}

fn set(store: &dyn ExperimentStore, list: &[(&str, u32)]) {
    let changed = store.set_variants("e", weights(list), None).unwrap();
    assert!(changed.is_some());
}

/// A period begins with the experiment, and with each change of its variants, weights or their order; with
/// nothing else.
pub fn a_period_begins_with_each_change_of_weights(store: &dyn ExperimentStore) {
    assert_eq!(store.weight_periods("e").unwrap(), []);
    let first = weights(&[("control", 50), ("treatment", 50)]);
    let created = even("e", ExperimentState::Draft);
    let created = store.insert(created).unwrap().unwrap();
    assert_eq!(periods(store), std::slice::from_ref(&first));

    let other_changes = [
        Mutation::SetVariants {
            experiment: "e",
            variants: &first,
            values: None,
        },
        Mutation::SetState {
            experiment: "e",
            state: ExperimentState::Running,
            winner: None,
        },
        Mutation::SetDescription {
            experiment: "e",
            description: Some("other"),
        },
        Mutation::SetCoverage {
            experiment: "e",
            coverage: Coverage::of_10000(9000).unwrap(),
        },
        Mutation::SetOverride {
            experiment: "e",
            actor: "qa",
            variant: "control",
            expires_at_secs: None,
            reason: None,
        },
    ];
    store.mutate_all(&[], &other_changes, None).unwrap();
    assert_eq!(periods(store), std::slice::from_ref(&first));

    let lists = [
        &[("control", 90), ("treatment", 10)][..],
        &[("treatment", 10), ("control", 90)],
        &[("treatment", 10), ("control", 90), ("third", 0)],
        &[("treatment", 10), ("control", 90)],
        &[("control", 50), ("treatment", 50)],
    ];
    let mut expected = vec![first];
    let mut times = vec![created.timestamp_secs];
    for list in lists {
        let changed = store.set_variants("e", weights(list), None).unwrap();
        times.push(changed.unwrap().timestamp_secs);
        expected.push(weights(list));
        assert_eq!(periods(store), expected);
    }
    conclude(store, "e", "control").unwrap();
    start(store, "e").unwrap();
    assert_eq!(periods(store), expected);
    let begun = store.weight_periods("e").unwrap().into_iter();
    let begun: Vec<u64> = begun.map(|period| period.from_secs).collect();
    assert_eq!(begun, times);
}

/// A draft that replaces another begins a period if its variants are others.
pub fn a_replaced_draft_begins_a_period(store: &dyn ExperimentStore) {
    let draft = |list: &[(&str, u32)]| ExperimentConfig::new("e", weights(list));
    let first = [("control", 1), ("treatment", 1)];
    let second = [("control", 1), ("treatment", 2)];
    store.upsert(draft(&first)).unwrap();
    store.upsert(draft(&first).description("same")).unwrap();
    assert_eq!(periods(store), [weights(&first)]);
    store.upsert(draft(&second)).unwrap();
    assert_eq!(periods(store), [weights(&first), weights(&second)]);
    start(store, "e").unwrap();
    assign(store, "e", "a").unwrap();
    assert_eq!(scanned(store, "e")[0].weight_period, 1);
    assert_counted(store, "e");
}

/// An assignment belongs to the period in which it was made, by whatever way, and stays in it.
pub fn an_assignment_belongs_to_its_period(store: &dyn ExperimentStore) {
    running(store, "e");
    running(store, "other");
    for period in 0..4_u32 {
        if period > 0 {
            set(store, &[("control", 1), ("treatment", period)]);
        }
        let name = |way: &str| format!("{way}/{period}");
        assign(store, "e", &name("one")).unwrap();
        record(store, "e", &name("recorded"), "control", false).unwrap();
        record(store, "e", &name("forced"), "treatment", true).unwrap();
        let pinned = [name("qa"), name("qa-of-many")];
        for actor in &pinned {
            store.set_override("e", actor, "treatment").unwrap();
        }
        assign(store, "e", &pinned[0]).unwrap();
        let many = [name("many"), name("more"), pinned[1].clone(), name("one")];
        let many: Vec<&str> = many.iter().map(|actor| &**actor).collect();
        // Whoever was there before asks again, and stays.
        let earlier: Vec<String> = (0..period).map(|early| format!("many/{early}")).collect();
        let all: Vec<&str> = many
            .into_iter()
            .chain(earlier.iter().map(|actor| &**actor))
            .collect();
        for keep in [Keep::Assignments, Keep::AssignmentsAndExposures] {
            let request = AssignManyRequest {
                experiment: "e",
                actors: &all,
                keep,
            };
            store.assign_many(&request).unwrap();
        }
        for early in 0..period {
            assign(store, "e", &format!("one/{early}")).unwrap();
        }
    }
    let found = scanned(store, "e");
    assert_eq!(found.len(), 4 * 7);
    for record in found {
        let (_, period) = record.actor.rsplit_once('/').unwrap();
        assert_eq!(record.weight_period.to_string(), period, "{}", record.actor);
    }
    assert_counted(store, "e");
    assign(store, "other", "a").unwrap();
    assert_eq!(scanned(store, "other")[0].weight_period, 0);
}

/// Many more actors than one statement takes belong to the period in which they came.
pub fn large_numbers_belong_to_their_period(store: &dyn ExperimentStore) {
    running(store, "e");
    for period in 0..2 {
        if period > 0 {
            set(store, &[("control", 1), ("treatment", 3)]);
        }
        let actors: Vec<String> = (0..300).map(|n| format!("{period}/{n}")).collect();
        let actors: Vec<&str> = actors.iter().map(|actor| &**actor).collect();
        let request = AssignManyRequest {
            experiment: "e",
            actors: &actors,
            keep: Keep::Assignments,
        };
        store.assign_many(&request).unwrap();
    }
    let found = scanned(store, "e");
    assert_eq!(found.len(), 600);
    for record in found {
        let (period, _) = record.actor.split_once('/').unwrap();
        assert_eq!(record.weight_period.to_string(), period, "{}", record.actor);
    }
    assert_counted(store, "e");
}

/// An override that replaces an assignment makes it anew, in the present period; clearing it takes it out of
/// the counts.
pub fn a_replaced_assignment_changes_its_period(store: &dyn ExperimentStore) {
    create(
        store,
        &ExperimentConfig {
            state: ExperimentState::Running,
            ..ExperimentConfig::new("e", weights(&[("control", 1), ("treatment", 0)]))
        },
    );
    let counts = || {
        assert_counted(store, "e");
        let periods = store.weight_periods("e").unwrap().into_iter();
        let counts = periods.map(|period| {
            let counts = period.counts.into_iter();
            counts.map(|c| (c.assigned, c.overridden)).collect()
        });
        counts.collect::<Vec<Vec<_>>>()
    };
    assign(store, "e", "a").unwrap();
    assign(store, "e", "b").unwrap();
    assert_eq!(counts(), [[(2, 0), (0, 0)]]);
    set(store, &[("control", 2), ("treatment", 0)]);
    store.set_override("e", "a", "treatment").unwrap();
    assert_eq!(counts(), [[(2, 0), (0, 0)], [(0, 0), (0, 0)]]);
    assign(store, "e", "a").unwrap();
    assert_eq!(counts(), [[(1, 0), (0, 0)], [(0, 0), (0, 1)]]);
    set(store, &[("control", 3), ("treatment", 0)]);
    assign(store, "e", "a").unwrap();
    assert_eq!(counts()[1..], [[(0, 0), (0, 1)], [(0, 0), (0, 0)]]);
    store.clear_override("e", "a").unwrap();
    assert_eq!(counts()[1..], [[(0, 0), (0, 0)], [(0, 0), (0, 0)]]);
    assign(store, "e", "a").unwrap();
    assert_eq!(counts()[1..], [[(0, 0), (0, 0)], [(1, 0), (0, 0)]]);
}

/// A batch begins a period with each of its changes of weights, or none if it is refused.
pub fn a_batch_begins_its_periods(store: &dyn ExperimentStore) {
    let config = even("e", ExperimentState::Running);
    let [second, third] = [2, 3].map(|weight| weights(&[("control", 1), ("treatment", weight)]));
    let to = |variants| Mutation::SetVariants {
        experiment: "e",
        variants,
        values: None,
    };
    let batch = [Mutation::Insert(&config), to(&second), to(&third)];
    store.mutate_all(&[], &batch, None).unwrap();
    let expected = [config.variants.clone(), second.clone(), third.clone()];
    assert_eq!(periods(store), expected);
    assert_refused!(
        store.mutate_all(&[], &[to(&second), to(&[])], None),
        ExperimentError::InvalidConfig { .. }
    );
    assert_eq!(periods(store), expected);
    assign(store, "e", "a").unwrap();
    assert_eq!(scanned(store, "e")[0].weight_period, 2);
}
