//! Closing and opening an experiment: newcomers are refused, and whoever is in is served.

use super::{
    assert_kept_out, assign, create, even, record, running, running_in_group, set_coverage,
    set_enrolling, stored_variant, variant_of, weights,
};
use crate::assignment::{AssignManyRequest, AssignRequest, Keep};
use crate::experiment::ExperimentState;
use crate::rule::AssignmentReason;
use crate::store::ExperimentStore;

/// A closed experiment refuses newcomers, in whatever way they are asked for, and stores nothing of them. Once it
/// is open again, they enter.
pub fn a_closed_experiment_refuses_newcomers(store: &dyn ExperimentStore) {
    running(store, "e");
    set_enrolling(store, "e", false).unwrap().unwrap();
    for _ in 0..2 {
        assert_kept_out(store, "e", "a", AssignmentReason::Closed);
    }
    set_enrolling(store, "e", true).unwrap().unwrap();
    let assigned = assign(store, "e", "a").unwrap();
    assert_eq!(assigned.reason, AssignmentReason::Assigned);
    assert_eq!(
        stored_variant(store, "e", "a").as_deref(),
        Some(&*assigned.variant)
    );
}

/// Whoever is in a closed experiment keeps their variant and is exposed to it.
pub fn a_closed_experiment_serves_whoever_is_in(store: &dyn ExperimentStore) {
    running(store, "e");
    let before = variant_of(store, "e", "a");
    let stored = store.get_assignment("e", "a").unwrap();
    set_enrolling(store, "e", false).unwrap();
    let request = AssignRequest::new("e", "a").keep_exposure(None);
    for _ in 0..2 {
        let again = store.assign(&request).unwrap();
        let seen = (&*again.variant, again.reason, again.stored);
        assert_eq!(seen, (&*before, AssignmentReason::Sticky, false));
    }
    assert_eq!(store.get_assignment("e", "a").unwrap(), stored);
    assert_eq!(store.exposures("e").unwrap().len(), 2);
}

/// An override brings its actor into a closed experiment, and so does a recorded assignment.
pub fn a_closed_experiment_takes_whom_staff_bring_in(store: &dyn ExperimentStore) {
    running(store, "e");
    set_enrolling(store, "e", false).unwrap();
    store.set_override("e", "qa", "treatment").unwrap();
    let pinned = assign(store, "e", "qa").unwrap();
    assert_eq!(
        (&*pinned.variant, pinned.reason),
        ("treatment", AssignmentReason::Override)
    );
    record(store, "e", "recorded", "treatment", false).unwrap();
    let recorded = assign(store, "e", "recorded").unwrap();
    assert_eq!(
        (&*recorded.variant, recorded.reason),
        ("treatment", AssignmentReason::Sticky)
    );
    // An override that is taken back leaves a newcomer.
    store.clear_override("e", "qa").unwrap();
    assert_kept_out(store, "e", "qa", AssignmentReason::Closed);
}

/// The group is asked before the enrolment, the enrolment before the coverage, and the weights come last.
pub fn entry_rules_are_asked_in_order(store: &dyn ExperimentStore) {
    running_in_group(store, "e", "g");
    running_in_group(store, "sibling", "g");
    variant_of(store, "sibling", "a");
    let zero = weights(&[("control", 0), ("treatment", 0)]);
    store.set_variants("e", zero, None).unwrap();
    set_coverage(store, "e", 1).unwrap();
    set_enrolling(store, "e", false).unwrap();
    assert_kept_out(store, "e", "a", AssignmentReason::Excluded);
    assert_kept_out(store, "e", "b", AssignmentReason::Closed);
    set_enrolling(store, "e", true).unwrap();
    assert_kept_out(store, "e", "b", AssignmentReason::NotCovered);
    set_coverage(store, "e", 10_000).unwrap();
    assert_kept_out(store, "e", "b", AssignmentReason::NoVariant);
}

/// Each of many is answered as one would be.
pub fn many_find_it_closed_as_one_would(store: &dyn ExperimentStore) {
    running_in_group(store, "e", "g");
    running_in_group(store, "sibling", "g");
    variant_of(store, "sibling", "elsewhere");
    let before = variant_of(store, "e", "in");
    store.set_override("e", "qa", "treatment").unwrap();
    set_enrolling(store, "e", false).unwrap();
    for keep in [
        Keep::Nothing,
        Keep::Assignments,
        Keep::AssignmentsAndExposures,
    ] {
        let request = AssignManyRequest {
            experiment: "e",
            actors: &["new", "in", "elsewhere", "qa", "new"],
            keep,
        };
        let answers = store.assign_many(&request).unwrap();
        let answers: Vec<_> = answers.iter().map(|v| (v.variant, v.reason)).collect();
        assert_eq!(
            answers,
            [
                (None, AssignmentReason::Closed),
                (Some(&*before), AssignmentReason::Sticky),
                (None, AssignmentReason::Excluded),
                (Some("treatment"), AssignmentReason::Override),
                (None, AssignmentReason::Closed),
            ],
            "{keep:?}"
        );
    }
    assert_eq!(stored_variant(store, "e", "new"), None);
    let exposures = store.exposures("e").unwrap();
    let shown: Vec<_> = exposures.iter().map(|e| &*e.actor).collect();
    assert_eq!(shown, ["in", "qa"]);
}

/// A draft may be closed from its creation on, and each change is in the log with what it was before.
pub fn closing_and_opening_are_logged(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Draft).enrolling(false));
    assert!(!store.get("e").unwrap().unwrap().enrolling);
    assert_eq!(set_enrolling(store, "e", false).unwrap(), None);
    for enrolling in [true, false] {
        let change = set_enrolling(store, "e", enrolling).unwrap().unwrap();
        assert_eq!(change.mutation, format!("enrolling={enrolling}"));
        let detail = change.detail.clone().unwrap();
        assert_eq!(detail.before.enrolling, Some(!enrolling));
        assert_eq!(detail.after.enrolling, Some(enrolling));
        assert_eq!(store.history("e", 1).unwrap(), [change]);
        assert_eq!(store.get("e").unwrap().unwrap().enrolling, enrolling);
        assert_eq!(set_enrolling(store, "e", enrolling).unwrap(), None);
    }
    assert_eq!(store.history("e", 0).unwrap().len(), 3);
}
