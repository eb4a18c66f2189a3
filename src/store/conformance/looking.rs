//! Looking over all experiments: the log, and the exposures of one actor. A function takes what gives handles to one
//! store whose clocks stand at one second or another.

use super::naming::{delete, rename};
use super::{At, create, even, running, running_in_group};
use crate::assignment::AssignRequest;
use crate::experiment::{ChangeScan, ExperimentState};
use crate::exposure::ExposureTotal;
use crate::store::ExperimentStore;

fn entries(store: &dyn ExperimentStore, scan: ChangeScan<'_>) -> Vec<(String, String)> {
    let found = store.changes(&scan).unwrap().into_iter();
    found
        .map(|change| (change.experiment, change.mutation))
        .collect()
}

const ALL: ChangeScan<'_> = ChangeScan {
    experiment: None,
    since_secs: 0,
    limit: 0,
};

/// The log of all experiments is newest first, also within one second, also with those that were deleted or renamed,
/// and with what was pruned and unassigned.
pub fn the_log_of_all_is_newest_first(at: At<'_>) {
    let store = at(100);
    assert_eq!(entries(&*store, ALL), []);
    running(&*store, "b");
    create(&*store, &even("gone", ExperimentState::Draft));
    running(&*store, "a");
    let store = at(101);
    store.set_override("b", "qa", "control").unwrap();
    delete(&*store, "gone").unwrap();
    create(&*store, &even("first", ExperimentState::Draft));
    let store = at(102);
    rename(&*store, "first", "last").unwrap();
    for _ in 0..2 {
        let request = AssignRequest::new("a", "actor").keep_exposure(None);
        store.assign(&request).unwrap();
    }
    store.prune_exposures("a", u64::MAX, None).unwrap();
    store.unassign("a", &["actor"], None).unwrap();
    let expected = [
        ("a", "unassigned=1"),
        ("a", "exposures_pruned=1"),
        ("last", "renamed=last"),
        ("last", "created"),
        ("gone", "deleted"),
        ("b", "override=qa:control"),
        ("a", "created"),
        ("gone", "created"),
        ("b", "created"),
    ];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(entries(&*store, ALL), expected);
    for limit in [1, 4, 9, 10, usize::MAX] {
        let newest = entries(&*store, ChangeScan { limit, ..ALL });
        assert_eq!(newest, expected[..limit.min(expected.len())]);
    }
    for (since_secs, count) in [
        (0, 9),
        (100, 9),
        (101, 6),
        (102, 3),
        (103, 0),
        (u64::MAX, 0),
    ] {
        let since = ChangeScan { since_secs, ..ALL };
        assert_eq!(entries(&*store, since), expected[..count], "{since_secs}");
        let limited = ChangeScan { limit: 2, ..since };
        assert_eq!(entries(&*store, limited), expected[..count.min(2)]);
    }
}

/// The log of one experiment is what the log of all has of it, whichever part is asked for.
pub fn the_log_of_one_is_a_part_of_that_of_all(at: At<'_>) {
    for secs in 100..105 {
        let store = at(secs);
        for name in ["a", "b"] {
            let found = store.get(name).unwrap();
            if found.is_none() {
                running(&*store, name);
            }
            for actor in ["x", "y"] {
                let actor = format!("{actor}{secs}");
                store.set_override(name, &actor, "control").unwrap();
            }
        }
        create(&*store, &even("gone", ExperimentState::Draft));
        delete(&*store, "gone").unwrap();
    }
    let store = at(105);
    for name in ["a", "b", "gone", "unknown"] {
        for since_secs in [0, 102, 104, 105] {
            let all = ChangeScan { since_secs, ..ALL };
            let mut of_one = store.changes(&all).unwrap();
            of_one.retain(|change| change.experiment == name);
            for limit in [0, 1, 3, 100] {
                let scan = ChangeScan {
                    experiment: Some(name),
                    since_secs,
                    limit,
                };
                let expected = match limit {
                    0 => &of_one[..],
                    limit => &of_one[..limit.min(of_one.len())],
                };
                assert_eq!(store.changes(&scan).unwrap(), expected);
                if since_secs == 0 {
                    assert_eq!(store.history(name, limit).unwrap(), expected);
                }
            }
        }
    }
}

/// The exposures of an actor are added up over all experiments, by experiment, variant and whether an override was
/// behind them.
pub fn an_actors_exposures_are_added_up(at: At<'_>) {
    let store = at(100);
    running_in_group(&*store, "checkout_v2", "g");
    running(&*store, "banner");
    running(&*store, "unseen");
    let expose = |secs, experiment, actor| {
        let request = AssignRequest::new(experiment, actor).keep_exposure(None);
        at(secs).assign(&request).unwrap().variant
    };
    assert_eq!(expose(100, "checkout_v2", "user:1"), "control");
    expose(103, "checkout_v2", "user:1");
    expose(101, "checkout_v2", "user:2");
    let banner = expose(102, "banner", "user:1");
    store
        .set_override("checkout_v2", "user:1", "control")
        .unwrap();
    expose(105, "checkout_v2", "user:1");
    store
        .set_override("checkout_v2", "user:1", "treatment")
        .unwrap();
    expose(106, "checkout_v2", "user:1");
    expose(106, "checkout_v2", "user:1");
    let total = |experiment: &str, variant: &str, is_override, exposures, first_secs, last_secs| {
        ExposureTotal {
            experiment: experiment.to_owned(),
            variant: variant.to_owned(),
            is_override,
            exposures,
            first_secs,
            last_secs,
        }
    };
    let expected = [
        total("banner", &banner, false, 1, 102, 102),
        total("checkout_v2", "control", false, 2, 100, 103),
        total("checkout_v2", "control", true, 1, 105, 105),
        total("checkout_v2", "treatment", true, 2, 106, 106),
    ];
    assert_eq!(store.exposure_totals("user:1").unwrap(), expected);
    for nobody in ["user", "user:3", ""] {
        assert_eq!(store.exposure_totals(nobody).unwrap(), []);
    }
    store.unassign("checkout_v2", &["user:1"], None).unwrap();
    assert_eq!(store.exposure_totals("user:1").unwrap(), expected[..1]);
}
