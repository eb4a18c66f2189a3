//! Scans, which show records one after another, and the pruning of what they show.

use super::{
    OPERATOR, assert_refused, assign, create, even, log, record, running, running_in_group,
    scanned, start, weights,
};
use crate::error::ExperimentError;
use crate::experiment::{AssignmentRecord, ExperimentState};
use crate::exposure::{ExposureRecord, ExposureScan};
use crate::number::Finite;
use crate::outcome::{Outcome, OutcomeScan};
use crate::store::ExperimentStore;

/// What an actor was shown, and when.
fn shown(actor: &str, variant: &str, is_override: bool, at_secs: u64) -> ExposureRecord {
    ExposureRecord {
        experiment: "e".to_owned(),
        variant: variant.to_owned(),
        actor: actor.to_owned(),
        request_id: Some(format!("request of {actor}")),
        is_override,
        timestamp_secs: at_secs,
    }
}

fn keep(store: &dyn ExperimentStore, exposures: &[ExposureRecord]) {
    for exposure in exposures {
        store.record_exposure(exposure).unwrap();
    }
}

fn exposed(store: &dyn ExperimentStore, scan: ExposureScan) -> Vec<ExposureRecord> {
    let mut all = Vec::new();
    let seen = store.scan_exposures("e", &scan, &mut |exposure| {
        all.push(exposure.clone());
        Ok(())
    });
    seen.unwrap();
    all
}

/// A scan of assignments is sorted by actor, byte by byte, and shows each as it is stored, and those of the
/// experiment alone.
pub fn assignments_are_scanned_by_actor(store: &dyn ExperimentStore) {
    running_in_group(store, "e", "g");
    running_in_group(store, "sibling", "g");
    let actors = ["b", "a10", "B", "ä", "a9", "_", "🦀", "it's", "line\nfeed"];
    for actor in actors {
        assign(store, "e", actor).unwrap();
    }
    record(store, "e", "qa", "treatment", true).unwrap();
    assign(store, "sibling", "elsewhere").unwrap();
    let found = scanned(store, "e");
    let mut expected: Vec<&str> = actors.into_iter().chain(["qa"]).collect();
    expected.sort_unstable();
    let order: Vec<&str> = found.iter().map(|record| &*record.actor).collect();
    assert_eq!(order, expected);
    for record in found {
        let stored = store.get_assignment("e", &record.actor).unwrap().unwrap();
        let expected = AssignmentRecord {
            experiment: stored.experiment,
            actor: stored.actor,
            variant: stored.variant,
            is_override: stored.is_override,
            assigned_at_secs: stored.assigned_at_secs,
            weight_period: 0,
        };
        assert_eq!(record, expected);
    }
    assert_eq!(scanned(store, "unknown"), []);
}

/// A scan of exposures shows them in the order in which they were kept, whatever their times; of a second and
/// later; of each actor all or the first of them.
pub fn exposures_are_scanned_as_they_were_kept(store: &dyn ExperimentStore) {
    running(store, "e");
    running(store, "other");
    let all = [
        shown("a", "control", false, 30),
        shown("b", "treatment", false, 10),
        shown("a", "control", true, 20),
        shown("b", "control", false, 40),
        shown("c", "treatment", true, 5),
    ];
    let elsewhere = ExposureRecord {
        experiment: "other".to_owned(),
        ..shown("a", "control", false, 1)
    };
    store.record_exposure(&elsewhere).unwrap();
    keep(store, &all);
    let of = |since_secs, first_only| {
        let scan = ExposureScan {
            since_secs,
            first_only,
        };
        let found = exposed(store, scan).into_iter();
        let places = found.map(|exposure| all.iter().position(|kept| *kept == exposure).unwrap());
        places.collect::<Vec<_>>()
    };
    assert_eq!(of(0, false), [0, 1, 2, 3, 4]);
    assert_eq!(of(20, false), [0, 2, 3]);
    // A clock may have stepped back.
    assert_eq!(of(0, true), [1, 2, 4]);
    assert_eq!(of(20, true), [2, 3]);
    assert_eq!(of(41, true), [0; 0]);
    let unknown = store.scan_exposures("unknown", &ExposureScan::default(), &mut |_| {
        panic!("an unknown experiment has an exposure")
    });
    unknown.unwrap();
}

/// What was shown of a variant stays when the variant is removed, and so do the overrides' exposures.
pub fn exposures_of_a_removed_variant_are_scanned(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Draft));
    let exposure = shown("a", "treatment", false, 7);
    keep(store, std::slice::from_ref(&exposure));
    let without = weights(&[("control", 1), ("other", 1)]);
    store.set_variants("e", without, None).unwrap().unwrap();
    start(store, "e").unwrap();
    assert_eq!(exposed(store, ExposureScan::default()), [exposure]);
}

/// A scan shows what was there when it began. Others may use the store meanwhile, and so may what is done
/// with each record.
pub fn a_scan_is_one_view(store: &dyn ExperimentStore) {
    running(store, "e");
    for actor in ["a", "b"] {
        assign(store, "e", actor).unwrap();
        keep(store, &[shown(actor, "control", false, 1)]);
        store.track(&[outcome(actor)]).unwrap();
    }
    let mut seen = Vec::new();
    let scan = store.scan_assignments("e", &mut |assignment| {
        assign(store, "e", &format!("{}/later", assignment.actor))?;
        seen.push(assignment.actor.clone());
        Ok(())
    });
    scan.unwrap();
    assert_eq!(seen, ["a", "b"]);
    assert_eq!(scanned(store, "e").len(), 4);

    let mut seen = Vec::new();
    let scan = store.scan_exposures("e", &ExposureScan::default(), &mut |exposure| {
        store.record_exposure(&shown("later", "control", false, 2))?;
        seen.push(exposure.actor.clone());
        Ok(())
    });
    scan.unwrap();
    assert_eq!(seen, ["a", "b"]);
    assert_eq!(store.exposures("e").unwrap().len(), 4);

    let mut seen = Vec::new();
    let scan = store.scan_outcomes(&OutcomeScan::default(), &mut |kept| {
        store.track(&[outcome("later")])?;
        seen.push(kept.actor.clone());
        Ok(())
    });
    scan.unwrap();
    assert_eq!(seen, ["a", "b"]);
}

fn outcome(actor: &str) -> Outcome {
    Outcome {
        actor: actor.to_owned(),
        metric: "purchased".to_owned(),
        value: Finite::from(1),
        timestamp_secs: 1,
        id: None,
    }
}

/// A scan ends with the first error of what is done with a record, and gives it back.
pub fn a_scan_ends_with_the_first_error(store: &dyn ExperimentStore) {
    running(store, "e");
    for actor in ["a", "b", "c"] {
        assign(store, "e", actor).unwrap();
        keep(store, &[shown(actor, "control", false, 1)]);
        store.track(&[outcome(actor)]).unwrap();
    }
    let stop = |actor: &str, seen: &mut Vec<String>| {
        seen.push(actor.to_owned());
        match actor {
            "b" => Err(ExperimentError::NotFound("enough".to_owned())),
            _ => Ok(()),
        }
    };
    let mut seen = [Vec::new(), Vec::new(), Vec::new()];
    let [of_assignments, of_exposures, of_outcomes] = &mut seen;
    let ended = [
        store.scan_assignments("e", &mut |found| stop(&found.actor, of_assignments)),
        store.scan_exposures("e", &ExposureScan::default(), &mut |found| {
            stop(&found.actor, of_exposures)
        }),
        store.scan_outcomes(&OutcomeScan::default(), &mut |found| {
            stop(&found.actor, of_outcomes)
        }),
    ];
    for (ended, seen) in ended.into_iter().zip(seen) {
        match ended {
            Err(ExperimentError::NotFound(what)) => assert_eq!(what, "enough"),
            other => panic!("the scan gave {other:?}"),
        }
        assert_eq!(seen, ["a", "b"]);
    }
    assign(store, "e", "d").unwrap();
}

/// Pruning keeps the first exposure of each actor to each variant, by an override and without one, and all
/// from that second on.
pub fn pruning_keeps_what_exposures_say_of_an_actor(store: &dyn ExperimentStore) {
    running(store, "e");
    running(store, "other");
    let all = [
        shown("a", "control", false, 10),
        shown("a", "control", false, 11),
        shown("a", "treatment", false, 12),
        shown("a", "control", true, 13),
        shown("b", "control", false, 14),
        shown("a", "control", true, 15),
        shown("b", "control", false, 20),
        shown("b", "control", false, 19),
    ];
    keep(store, &all);
    let elsewhere = ExposureRecord {
        experiment: "other".to_owned(),
        ..shown("a", "control", false, 1)
    };
    for _ in 0..2 {
        store.record_exposure(&elsewhere).unwrap();
    }
    assert_eq!(store.prune_exposures("e", 20, None).unwrap(), 3);
    let kept = store.exposures("e").unwrap();
    let expected = [0, 2, 3, 4, 6].map(|place| all[place].clone());
    assert_eq!(kept, expected);
    assert_eq!(store.exposures("other").unwrap().len(), 2);
    assert_eq!(store.prune_exposures("e", u64::MAX, None).unwrap(), 1);
    let expected = [0, 2, 3, 4].map(|place| all[place].clone());
    assert_eq!(store.exposures("e").unwrap(), expected);
}

/// Pruning is logged, once and with its operator, if anything went.
pub fn pruning_is_logged(store: &dyn ExperimentStore) {
    running(store, "e");
    let exposure = shown("a", "control", false, 10);
    keep(store, &[exposure.clone(), exposure.clone(), exposure]);
    assert_eq!(store.prune_exposures("e", 10, None).unwrap(), 0);
    assert_eq!(log(store, "e"), ["created"]);
    assert_eq!(store.prune_exposures("e", 11, Some("ann")).unwrap(), 2);
    assert_eq!(log(store, "e"), ["exposures_pruned=2", "created"]);
    let change = store.history("e", 1).unwrap().remove(0);
    assert_eq!(
        (change.actor.as_deref(), change.detail),
        (Some("ann"), None)
    );
    assert!(change.timestamp_secs > 0);
    keep(store, &[shown("a", "control", false, 10)]);
    assert_eq!(store.prune_exposures("e", 11, None).unwrap(), 1);
    let change = store.history("e", 1).unwrap().remove(0);
    assert_eq!(change.actor.as_deref(), Some(OPERATOR));
    assert_refused!(
        store.prune_exposures("unknown", 1, None),
        ExperimentError::NotFound(_)
    );
}
