//! Taking assignments back.

use super::periods::assert_counted;
use super::{
    OPERATOR, archive, assert_refused, assign, conclude, create, even, log, pause, record, running,
    running_in_group, scanned, set_enrolling, snapshot, start, stored_variant, variant_of, weights,
};
use crate::assignment::AssignRequest;
use crate::error::ExperimentError;
use crate::experiment::{ExperimentState, Unassigned};
use crate::exposure::ExposureRecord;
use crate::rule::AssignmentReason;
use crate::store::ExperimentStore;
use crate::validation::MAX_ACTOR_BYTES;

const NOTHING: Unassigned = Unassigned {
    assignments: 0,
    exposures: 0,
};

fn expose(store: &dyn ExperimentStore, experiment: &str, actor: &str) {
    let request = AssignRequest::new(experiment, actor).keep_exposure(None);
    store.assign(&request).unwrap();
}

/// The assignments of the actors go, of either kind, and their exposures, in one step with one entry in the log.
/// Nobody else is touched, in this experiment or in another.
pub fn unassigning_takes_assignments_and_exposures_back(store: &dyn ExperimentStore) {
    running(store, "e");
    running(store, "other");
    store.set_override("e", "qa", "treatment").unwrap();
    for actor in ["a", "a", "qa", "stays", "b"] {
        expose(store, "e", actor);
    }
    expose(store, "other", "a");
    let others = |name: &str| {
        let assignments = scanned(store, name).into_iter();
        let exposures = store.exposures(name).unwrap().into_iter();
        let (mut assignments, mut exposures): (Vec<_>, Vec<_>) =
            (assignments.collect(), exposures.collect());
        assignments.retain(|found| found.actor == "stays" || name == "other");
        exposures.retain(|found| found.actor == "stays" || name == "other");
        (assignments, exposures)
    };
    let before = (others("e"), others("other"));
    let overrides = store.overrides("e").unwrap();

    let unassigned = store.unassign("e", &["a", "qa", "nobody", "b", "a"], None);
    let expected = Unassigned {
        assignments: 3,
        exposures: 4,
    };
    assert_eq!(unassigned.unwrap(), expected);
    assert_eq!((others("e"), others("other")), before);
    assert_eq!(scanned(store, "e").len(), 1);
    assert_eq!(store.exposures("e").unwrap().len(), 1);
    assert_eq!(store.overrides("e").unwrap(), overrides);
    assert_counted(store, "e");
    let newest = store.history("e", 1).unwrap().remove(0);
    assert_eq!(newest.mutation, "unassigned=3");
    assert_eq!(newest.actor.as_deref(), Some(OPERATOR));
    assert_eq!(log(store, "e").len(), 3);
    assert_eq!(log(store, "other").len(), 1);
}

/// Whoever was unassigned is a newcomer again, but for an override, which stands.
pub fn whoever_was_unassigned_is_a_newcomer(store: &dyn ExperimentStore) {
    running(store, "checkout_v2");
    record(store, "checkout_v2", "user:1", "treatment", false).unwrap();
    store
        .set_override("checkout_v2", "qa", "treatment")
        .unwrap();
    assign(store, "checkout_v2", "qa").unwrap();
    let unassigned = store.unassign("checkout_v2", &["user:1", "qa"], Some("ann"));
    assert_eq!(unassigned.unwrap().assignments, 2);
    let newest = store.history("checkout_v2", 1).unwrap().remove(0);
    assert_eq!(newest.actor.as_deref(), Some("ann"));
    for actor in ["user:1", "qa"] {
        assert_eq!(store.get_assignment("checkout_v2", actor).unwrap(), None);
    }
    // (checkout_v2, user:1) is in the first half.
    let again = assign(store, "checkout_v2", "user:1").unwrap();
    assert_eq!(
        (&*again.variant, again.reason, again.stored),
        ("control", AssignmentReason::Assigned, true)
    );
    let pinned = assign(store, "checkout_v2", "qa").unwrap();
    assert_eq!(
        (pinned.reason, pinned.stored),
        (AssignmentReason::Override, true)
    );
    store.unassign("checkout_v2", &["user:1"], None).unwrap();
    set_enrolling(store, "checkout_v2", false).unwrap();
    super::assert_kept_out(store, "checkout_v2", "user:1", AssignmentReason::Closed);
}

/// The counts of each period are those of the assignments that are left.
pub fn unassigning_is_counted_in_each_period(store: &dyn ExperimentStore) {
    running(store, "e");
    for actor in ["a", "b", "c"] {
        record(store, "e", actor, "control", false).unwrap();
    }
    let next = weights(&[("control", 1), ("treatment", 2)]);
    store.set_variants("e", next, None).unwrap();
    for actor in ["d", "f"] {
        record(store, "e", actor, "control", true).unwrap();
    }
    store.unassign("e", &["b", "c", "d"], None).unwrap();
    assert_counted(store, "e");
    let periods = store.weight_periods("e").unwrap();
    let counts: Vec<_> = periods
        .iter()
        .map(|period| (period.counts[0].assigned, period.counts[0].overridden))
        .collect();
    assert_eq!(counts, [(1, 0), (0, 1)]);
}

/// What an assignment kept from happening may happen once it is taken back: a sibling of the group takes the actor
/// in, and the variant may be removed.
pub fn unassigning_frees_the_group_and_the_variant(store: &dyn ExperimentStore) {
    running_in_group(store, "one", "g");
    running_in_group(store, "two", "g");
    record(store, "one", "a", "treatment", false).unwrap();
    assert_refused!(
        assign(store, "two", "a"),
        ExperimentError::ExcludedByGroup(..)
    );
    store.unassign("one", &["a"], None).unwrap();
    assert!(!store.has_assignment_in_group("a", "g", "two").unwrap());
    assert_eq!(store.situation("two", "a").unwrap().sibling, None);
    variant_of(store, "two", "a");
    assert_refused!(
        assign(store, "one", "a"),
        ExperimentError::ExcludedByGroup(..)
    );
    let without = weights(&[("control", 1)]);
    store.set_variants("one", without, None).unwrap().unwrap();
}

/// Actors of whom nothing is stored are passed over, and so are such as could not be stored. Where nothing goes,
/// nothing is logged.
pub fn unassigning_nobody_is_not_logged(store: &dyn ExperimentStore) {
    running(store, "e");
    variant_of(store, "e", "a");
    let before = snapshot(store, "e");
    let long = "x".repeat(MAX_ACTOR_BYTES + 1);
    for actors in [&[][..], &["nobody"], &["", "a\0", &long, "A"]] {
        assert_eq!(store.unassign("e", actors, None).unwrap(), NOTHING);
    }
    assert_eq!(snapshot(store, "e"), before);
}

/// A list may be longer than what fits into one statement of a database.
pub fn a_long_list_is_unassigned_in_one_step(store: &dyn ExperimentStore) {
    running(store, "e");
    let names: Vec<String> = (0..70_000).map(|n| format!("user:{n}")).collect();
    let actors: Vec<&str> = names.iter().map(|name| &**name).collect();
    for actor in [actors[0], actors[33_000], actors[69_999], "stays"] {
        expose(store, "e", actor);
    }
    let expected = Unassigned {
        assignments: 3,
        exposures: 3,
    };
    assert_eq!(store.unassign("e", &actors, None).unwrap(), expected);
    assert_eq!(log(store, "e"), ["unassigned=3", "created"]);
    let left = scanned(store, "e");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].actor, "stays");
}

/// Assignments are taken back in a running and in a paused experiment; exposures that came from elsewhere, in a
/// draft as well. What a conclusion was drawn from stays.
pub fn unassigning_ends_with_the_conclusion(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Draft));
    let exposure = ExposureRecord {
        experiment: "e".to_owned(),
        variant: "control".to_owned(),
        actor: "a".to_owned(),
        request_id: None,
        is_override: false,
        timestamp_secs: 7,
    };
    store.record_exposure(&exposure).unwrap();
    let only_exposures = Unassigned {
        assignments: 0,
        exposures: 1,
    };
    assert_eq!(store.unassign("e", &["a"], None).unwrap(), only_exposures);
    assert_eq!(log(store, "e"), ["unassigned=0", "created"]);
    start(store, "e").unwrap();
    expose(store, "e", "a");
    expose(store, "e", "b");
    pause(store, "e").unwrap();
    let both = Unassigned {
        assignments: 1,
        exposures: 1,
    };
    assert_eq!(store.unassign("e", &["a"], None).unwrap(), both);

    conclude(store, "e", "control").unwrap();
    let before = snapshot(store, "e");
    for actors in [&["b"][..], &["nobody"], &[]] {
        assert_refused!(
            store.unassign("e", actors, None),
            ExperimentError::Concluded(_)
        );
    }
    assert_eq!(snapshot(store, "e"), before);
    archive(store, "e").unwrap();
    let before = snapshot(store, "e");
    assert_refused!(
        store.unassign("e", &["b"], None),
        ExperimentError::Archived(_)
    );
    assert_eq!(snapshot(store, "e"), before);
    assert_refused!(
        store.unassign("unknown", &["b"], None),
        ExperimentError::NotFound(_)
    );
    assert!(stored_variant(store, "e", "b").is_some());
}
