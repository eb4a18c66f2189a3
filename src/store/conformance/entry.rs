//! Who enters, and who is never asked again.

use super::{
    archive, assert_refused, assign, conclude, create, even, log, record, running,
    running_in_group, set_coverage, stored_variant,
};
use crate::assignment::{AssignManyRequest, AssignRequest, Keep};
use crate::bucketing::{Bucketing, coverage_bucket};
use crate::coverage::Coverage;
use crate::error::ExperimentError;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::rule::AssignmentReason;
use crate::store::ExperimentStore;

/// The share of an experiment that covers the actor by a hair, and the one that does not.
fn around(experiment: &str, actor: &str) -> (u64, u64) {
    let bucket = coverage_bucket(experiment, actor);
    (bucket + 1, bucket.max(1))
}

/// The coverage says which newcomers enter. One who does not is refused, and nothing is kept.
pub fn a_coverage_takes_in_a_share_of_the_newcomers(store: &dyn ExperimentStore) {
    running(store, "e");
    let (covering, leaving_out) = around("e", "a");
    set_coverage(store, "e", leaving_out).unwrap();
    let request = AssignRequest::new("e", "a").keep_exposure(None);
    for _ in 0..2 {
        assert_refused!(
            store.assign(&request),
            ExperimentError::NotEnrolled {
                reason: AssignmentReason::NotCovered,
                ..
            }
        );
    }
    let verdict = store.situation("e", "a").unwrap();
    assert_eq!(
        verdict.verdict().unwrap().reason,
        AssignmentReason::NotCovered
    );
    assert_eq!(stored_variant(store, "e", "a"), None);
    assert_eq!(store.exposures("e").unwrap(), []);
    set_coverage(store, "e", covering).unwrap();
    assert_eq!(
        store.assign(&request).unwrap().reason,
        AssignmentReason::Assigned
    );
}

/// Who is in stays in, whatever the coverage becomes; so does whom an override or a recorded assignment
/// brings in.
pub fn a_coverage_moves_nobody_who_is_in(store: &dyn ExperimentStore) {
    running(store, "e");
    let first = assign(store, "e", "a").unwrap();
    set_coverage(store, "e", 1).unwrap();
    let again = assign(store, "e", "a").unwrap();
    assert_eq!(again.variant, first.variant);
    assert_eq!(again.reason, AssignmentReason::Sticky);

    store.set_override("e", "qa", "treatment").unwrap();
    let pinned = assign(store, "e", "qa").unwrap();
    assert_eq!(pinned.reason, AssignmentReason::Override);
    assert_eq!(
        record(store, "e", "recorded", "treatment", false).unwrap(),
        "treatment"
    );
    assert_eq!(
        assign(store, "e", "recorded").unwrap().reason,
        AssignmentReason::Sticky
    );
}

/// The group is asked before the coverage, and both refuse for many as for one.
pub fn many_are_covered_as_one_would_be(store: &dyn ExperimentStore) {
    running_in_group(store, "e", "g");
    running_in_group(store, "sibling", "g");
    assign(store, "e", "in").unwrap();
    assign(store, "sibling", "elsewhere").unwrap();
    set_coverage(store, "e", 1).unwrap();
    let actors = ["in", "out", "elsewhere", "out"];
    for keep in [
        Keep::Nothing,
        Keep::Assignments,
        Keep::AssignmentsAndExposures,
    ] {
        let request = AssignManyRequest {
            experiment: "e",
            actors: &actors,
            keep,
        };
        let answers = store.assign_many(&request).unwrap();
        let reasons: Vec<_> = answers.iter().map(|verdict| verdict.reason).collect();
        assert_eq!(
            reasons,
            [
                AssignmentReason::Sticky,
                AssignmentReason::NotCovered,
                AssignmentReason::Excluded,
                AssignmentReason::NotCovered,
            ]
        );
    }
    // Where no group has anybody looked for.
    running(store, "alone");
    let before = assign(store, "alone", "in").unwrap();
    set_coverage(store, "alone", 1).unwrap();
    let request = AssignManyRequest {
        experiment: "alone",
        actors: &["in", "out"],
        keep: Keep::Assignments,
    };
    let answers = store.assign_many(&request).unwrap();
    let variants: Vec<_> = answers.iter().map(|verdict| verdict.variant).collect();
    assert_eq!(variants, [Some(&*before.variant), None]);

    assert_eq!(stored_variant(store, "e", "out"), None);
    assert_eq!(store.exposures("e").unwrap().len(), 1);
    let counts = store.variant_counts("e").unwrap();
    assert_eq!(counts.iter().map(|count| count.assigned).sum::<u64>(), 1);
}

/// The coverage changes as often as wanted until the conclusion, and each change is in the log.
pub fn a_coverage_changes_until_the_conclusion(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Draft));
    assert!(set_coverage(store, "e", 10_000).unwrap().is_none());
    let change = set_coverage(store, "e", 2_500).unwrap().unwrap();
    assert_eq!(change.mutation, "coverage=0.25");
    let detail = change.detail.unwrap();
    assert_eq!(detail.before.coverage, Some(Coverage::FULL));
    assert_eq!(detail.after.coverage, Coverage::of_10000(2_500));
    let stored = store.get("e").unwrap().unwrap().coverage;
    assert_eq!(stored.per_10000(), 2_500);
    conclude(store, "e", "control").unwrap();
    assert_refused!(set_coverage(store, "e", 1), ExperimentError::Concluded(_));
    archive(store, "e").unwrap();
    assert_refused!(set_coverage(store, "e", 1), ExperimentError::Archived(_));
    assert_refused!(
        set_coverage(store, "unknown", 1),
        ExperimentError::NotFound(_)
    );
    assert_eq!(
        log(store, "e"),
        [
            "state=archived",
            "concluded=control",
            "coverage=0.25",
            "created"
        ]
    );
}

/// A salt is hashed in place of the name, for the variant and for the coverage.
pub fn a_salt_is_hashed_in_place_of_the_name(store: &dyn ExperimentStore) {
    for bucketing in Bucketing::ALL {
        let name = format!("salted with {bucketing}");
        let config = ExperimentConfig {
            salt: Some("2026".to_owned()),
            bucketing,
            ..even(&name, ExperimentState::Running)
        };
        create(store, &config);
        let (covering, leaving_out) = around("2026", "user:1");
        set_coverage(store, &name, leaving_out).unwrap();
        assert_refused!(
            assign(store, &name, "user:1"),
            ExperimentError::NotEnrolled { .. }
        );
        set_coverage(store, &name, covering).unwrap();
        let bucket = bucketing.bucket("2026", "user:1");
        let variant = if bucket < 5_000 {
            "control"
        } else {
            "treatment"
        };
        assert_eq!(assign(store, &name, "user:1").unwrap().variant, variant);
    }
}
