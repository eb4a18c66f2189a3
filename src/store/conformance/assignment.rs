//! Who gets which variant, and what is kept of it.

use super::{
    archive, assert_refused, assign, conclude, create, even, record, running, running_in_group,
    start, stored_variant, variant_of, weights,
};
use crate::assignment::{AssignRequest, Candidate};
use crate::bucketing::Bucketing;
use crate::error::ExperimentError;
use crate::experiment::{ExperimentConfig, ExperimentState, VariantCount};
use crate::exposure::ExposureRecord;
use crate::rule::AssignmentReason;
use crate::store::ExperimentStore;
use crate::validation::MAX_ACTOR_BYTES;

/// The bucket decides, by the hash that the experiment was created with.
pub fn buckets_choose_the_variant(store: &dyn ExperimentStore) {
    running(store, "checkout_v2");
    let assigned = assign(store, "checkout_v2", "user:1").unwrap();
    assert_eq!(assigned.variant, "control");
    assert_eq!(assigned.reason, AssignmentReason::Assigned);
    assert_eq!(variant_of(store, "checkout_v2", "user:2"), "treatment");

    // (onboarding_v3, user:100) is bucket 6602 of the plain hash, 3780 of the mixed one.
    for (bucketing, variant) in [
        (Bucketing::Fnv1a, "treatment"),
        (Bucketing::Fnv1aMixed, "control"),
    ] {
        let mut config = even("onboarding_v3", ExperimentState::Draft);
        config = config.bucketing(bucketing);
        store.upsert(config.clone()).unwrap();
        let situation = store.situation("onboarding_v3", "user:100").unwrap();
        let config = situation.config.unwrap();
        let bucket = config.bucketing.bucket(&config.name, "user:100");
        assert_eq!(bucket < 5_000, variant == "control");
    }
    start(store, "onboarding_v3").unwrap();
    assert_eq!(variant_of(store, "onboarding_v3", "user:100"), "control");

    // A salt is hashed in place of the name, which would give each of the two the other variant.
    let salted = even("salted", ExperimentState::Running).salt("checkout_v2");
    create(store, &salted);
    assert_eq!(variant_of(store, "salted", "user:1"), "control");
    assert_eq!(variant_of(store, "salted", "user:2"), "treatment");
}

/// The same actor gets the same variant, and is stored once.
pub fn an_assignment_is_sticky(store: &dyn ExperimentStore) {
    running(store, "e");
    let first = assign(store, "e", "a").unwrap();
    let stored = store.get_assignment("e", "a").unwrap().unwrap();
    assert_eq!(stored.variant, first.variant);
    assert_eq!((&*stored.experiment, &*stored.actor), ("e", "a"));
    assert!(!stored.is_override);
    assert!(stored.assigned_at_secs > 0);
    let again = assign(store, "e", "a").unwrap();
    assert_eq!(again.variant, first.variant);
    assert_eq!(again.reason, AssignmentReason::Sticky);
    assert_eq!(store.get_assignment("e", "a").unwrap().unwrap(), stored);
}

/// `record_assignment` returns what is stored: the first one, whatever comes later.
pub fn the_first_recorded_assignment_stands(store: &dyn ExperimentStore) {
    running(store, "e");
    let record = |variant| record(store, "e", "a", variant, false).unwrap();
    assert_eq!(record("treatment"), "treatment");
    assert_eq!(record("control"), "treatment");
    assert_eq!(
        stored_variant(store, "e", "a").as_deref(),
        Some("treatment")
    );
    assert_eq!(variant_of(store, "e", "a"), "treatment");
}

/// What a store can't hold is refused: an actor or a request id that is too long, in an assignment as in an
/// exposure. Nothing is kept of it. A recorded assignment keeps no exposure.
pub fn what_is_too_long_is_kept_nowhere(store: &dyn ExperimentStore) {
    running(store, "e");
    let long = "x".repeat(MAX_ACTOR_BYTES + 1);
    let request = AssignRequest::new("e", "a").keep_exposure(Some(&long));
    assert_refused!(
        store.assign(&request),
        ExperimentError::InvalidConfig { .. }
    );
    assert_eq!(stored_variant(store, "e", "a"), None);
    record(store, "e", "a", "control", false).unwrap();
    for (actor, request_id) in [(&*long, None), ("a", Some(long.clone()))] {
        let exposure = ExposureRecord {
            experiment: "e".to_owned(),
            variant: "control".to_owned(),
            actor: actor.to_owned(),
            request_id,
            is_override: false,
            timestamp_secs: 1,
        };
        assert_refused!(
            store.record_exposure(&exposure),
            ExperimentError::InvalidConfig { .. }
        );
    }
    assert_eq!(store.exposures("e").unwrap(), []);
}

/// An assignment that the caller brings along is treated alike whether its exposure is kept or not.
pub fn a_candidate_may_keep_its_exposure(store: &dyn ExperimentStore) {
    running(store, "e");
    let before = variant_of(store, "e", "a");
    let other = ["control", "treatment"].into_iter().find(|v| **v != before);
    let bring = |variant, is_override| {
        let candidate = Candidate {
            variant,
            is_override,
        };
        let request = AssignRequest::new("e", "a").candidate(candidate);
        store.assign(&request.keep_exposure(None))
    };
    assert_refused!(
        bring("unknown", false),
        ExperimentError::UnknownVariant { .. }
    );
    assert_eq!(store.exposures("e").unwrap(), []);
    let other = other.unwrap();
    assert_eq!(bring(other, false).unwrap().variant, before);
    let replaced = bring(other, true).unwrap();
    assert_eq!((&*replaced.variant, replaced.is_override), (other, true));
    assert_eq!(stored_variant(store, "e", "a").as_deref(), Some(other));
    let exposures = store.exposures("e").unwrap();
    let shown: Vec<_> = exposures
        .iter()
        .map(|e| (&*e.variant, e.is_override))
        .collect();
    assert_eq!(shown, [(&*before, false), (other, true)]);
}

/// A recorded override replaces what is stored; an ordinary assignment doesn't replace it back.
pub fn an_override_replaces_a_recorded_assignment(store: &dyn ExperimentStore) {
    running(store, "e");
    let record = |variant, is_override| {
        let stored = record(store, "e", "a", variant, is_override);
        stored.unwrap()
    };
    record("control", false);
    assert_eq!(record("treatment", true), "treatment");
    assert_eq!(record("control", false), "treatment");
    assert_eq!(record("control", true), "control");
    let stored = store.get_assignment("e", "a").unwrap().unwrap();
    assert_eq!((&*stored.variant, stored.is_override), ("control", true));
}

/// Nothing is stored in an experiment that isn't running.
pub fn only_running_experiments_assign(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Draft));
    assert_refused!(
        assign(store, "e", "a"),
        ExperimentError::NotRunning(_, ExperimentState::Draft)
    );
    let record = |is_override| record(store, "e", "a", "control", is_override);
    for is_override in [false, true] {
        assert_refused!(
            record(is_override),
            ExperimentError::NotRunning(_, ExperimentState::Draft)
        );
    }
    conclude(store, "e", "control").unwrap();
    assert_refused!(
        record(false),
        ExperimentError::NotRunning(_, ExperimentState::Concluded)
    );
    archive(store, "e").unwrap();
    assert_refused!(record(false), ExperimentError::Archived(_));
    assert_refused!(assign(store, "e", "a"), ExperimentError::Archived(_));
    assert_eq!(stored_variant(store, "e", "a"), None);
}

/// A concluded experiment gives everybody its winner, overrides or not, and stores nothing.
pub fn a_concluded_experiment_gives_its_winner(store: &dyn ExperimentStore) {
    running(store, "checkout_v2");
    variant_of(store, "checkout_v2", "user:1");
    store
        .set_override("checkout_v2", "user:3", "control")
        .unwrap();
    conclude(store, "checkout_v2", "treatment").unwrap();
    for actor in ["user:1", "user:2", "user:3"] {
        let assigned = store.assign(&AssignRequest::new("checkout_v2", actor).keep_exposure(None));
        let assigned = assigned.unwrap();
        assert_eq!(assigned.variant, "treatment");
        assert_eq!(assigned.reason, AssignmentReason::Concluded);
    }
    assert_eq!(
        stored_variant(store, "checkout_v2", "user:1").as_deref(),
        Some("control")
    );
    assert_eq!(stored_variant(store, "checkout_v2", "user:2"), None);
    assert_eq!(store.exposures("checkout_v2").unwrap(), []);
}

/// Only a variant of the experiment can be recorded.
pub fn a_recorded_variant_must_exist(store: &dyn ExperimentStore) {
    running(store, "e");
    for is_override in [false, true] {
        match record(store, "e", "a", "other", is_override) {
            Err(ExperimentError::UnknownVariant { variant, known, .. }) => {
                assert_eq!(variant, "other");
                assert_eq!(known, ["control", "treatment"]);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stored_variant(store, "e", "a"), None);
}

/// When all weights are 0, new actors are refused, and those who are assigned keep what they have.
pub fn zero_weights_assign_nobody(store: &dyn ExperimentStore) {
    running(store, "e");
    let before = variant_of(store, "e", "a");
    store
        .set_variants("e", weights(&[("control", 0), ("treatment", 0)]), None)
        .unwrap();
    assert_refused!(assign(store, "e", "b"), ExperimentError::NoVariant(_));
    assert_eq!(stored_variant(store, "e", "b"), None);
    assert_eq!(variant_of(store, "e", "a"), before);
}

/// An actor who is in one experiment of a group is refused by its siblings, whatever the state of
/// the first.
pub fn a_group_shares_no_actor(store: &dyn ExperimentStore) {
    for name in ["one", "two", "three"] {
        running_in_group(store, name, "g");
    }
    variant_of(store, "one", "a");
    let refused = || {
        match assign(store, "two", "a") {
            Err(ExperimentError::ExcludedByGroup(experiment, group)) => {
                assert_eq!((&*experiment, &*group), ("two", "g"));
            }
            other => panic!("{other:?}"),
        }
        assert_refused!(
            record(store, "three", "a", "control", false),
            ExperimentError::ExcludedByGroup(..)
        );
        assert_eq!(stored_variant(store, "two", "a"), None);
    };
    refused();
    conclude(store, "one", "control").unwrap();
    refused();
    archive(store, "one").unwrap();
    refused();
    assert!(store.has_assignment_in_group("a", "g", "two").unwrap());
    assert!(!store.has_assignment_in_group("a", "g", "one").unwrap());
    assert!(
        store
            .has_assignment_in_group("a", "g", "elsewhere")
            .unwrap()
    );
    assert!(!store.has_assignment_in_group("b", "g", "two").unwrap());
    variant_of(store, "two", "b");
}

/// Other groups, and experiments without one, are not concerned.
pub fn groups_are_apart(store: &dyn ExperimentStore) {
    running_in_group(store, "one", "g");
    running_in_group(store, "two", "h");
    running(store, "three");
    running(store, "four");
    for name in ["one", "two", "three", "four"] {
        variant_of(store, name, "a");
    }
    assert!(!store.has_assignment_in_group("a", "h", "two").unwrap());
}

/// An empty or blank actor, one with NUL and one that is too long are refused; one with a blank or a line feed is not.
pub fn unusable_actors_are_refused(store: &dyn ExperimentStore) {
    running(store, "e");
    let too_long = "a".repeat(MAX_ACTOR_BYTES + 1);
    for actor in ["", " ", "\u{200b}", "a\0b", &too_long] {
        assert_refused!(
            assign(store, "e", actor),
            ExperimentError::InvalidConfig { .. }
        );
        assert_refused!(
            record(store, "e", actor, "control", false),
            ExperimentError::InvalidConfig { .. }
        );
        assert_refused!(
            store.set_override("e", actor, "control"),
            ExperimentError::InvalidConfig { .. }
        );
    }
    for actor in [" a", "a\nb"] {
        variant_of(store, "e", actor);
    }
}

/// `variant_counts` is in the variants' order and tells both kinds apart.
pub fn assignments_are_counted(store: &dyn ExperimentStore) {
    running(store, "e");
    let counts = |expected: [(&str, u64, u64); 2]| {
        let expected = expected.map(|(variant, assigned, overridden)| VariantCount {
            variant: variant.to_owned(),
            assigned,
            overridden,
        });
        assert_eq!(store.variant_counts("e").unwrap(), expected);
    };
    counts([("control", 0, 0), ("treatment", 0, 0)]);
    for actor in ["a", "b", "c"] {
        record(store, "e", actor, "control", false).unwrap();
    }
    record(store, "e", "d", "treatment", false).unwrap();
    record(store, "e", "d", "treatment", false).unwrap();
    record(store, "e", "a", "treatment", true).unwrap();
    counts([("control", 2, 0), ("treatment", 1, 1)]);
    store
        .set_variants("e", weights(&[("treatment", 1), ("control", 1)]), None)
        .unwrap();
    counts([("treatment", 1, 1), ("control", 2, 0)]);
}

/// With `keep_exposure`, one exposure for each successful call on a running experiment; none
/// otherwise.
pub fn exposures_are_kept_when_asked_for(store: &dyn ExperimentStore) {
    running_in_group(store, "e", "g");
    running_in_group(store, "sibling", "g");
    store.set_override("e", "b", "control").unwrap();
    let expose = |experiment, actor, request_id| {
        let request = AssignRequest::new(experiment, actor).keep_exposure(request_id);
        store.assign(&request)
    };
    let first = expose("e", "a", Some("r1")).unwrap().variant;
    expose("e", "a", None).unwrap();
    expose("e", "b", None).unwrap();
    assign(store, "e", "c").unwrap();
    assert!(expose("sibling", "a", None).is_err());
    assert!(expose("unknown", "a", None).is_err());
    let kept = store.exposures("e").unwrap();
    let seen: Vec<_> = kept
        .iter()
        .map(|e| {
            (
                &*e.actor,
                &*e.variant,
                e.request_id.as_deref(),
                e.is_override,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("a", &*first, Some("r1"), false),
            ("a", &*first, None, false),
            ("b", "control", None, true),
        ]
    );
    assert!(
        kept.iter()
            .all(|e| e.experiment == "e" && e.timestamp_secs > 0)
    );
    assert_eq!(store.exposures("sibling").unwrap(), []);
}

/// An exposure that happened elsewhere is kept as given, if experiment and variant are known.
pub fn an_exposure_needs_a_known_variant(store: &dyn ExperimentStore) {
    create(store, &ExperimentConfig::new("e", weights(&[("v", 1)])));
    let exposure = ExposureRecord {
        experiment: "e".to_owned(),
        variant: "v".to_owned(),
        actor: "a".to_owned(),
        request_id: None,
        is_override: true,
        timestamp_secs: 7,
    };
    store.record_exposure(&exposure).unwrap();
    assert_eq!(
        store.exposures("e").unwrap(),
        std::slice::from_ref(&exposure)
    );
    let unknown_variant = ExposureRecord {
        variant: "x".to_owned(),
        ..exposure.clone()
    };
    assert_refused!(
        store.record_exposure(&unknown_variant),
        ExperimentError::UnknownVariant { .. }
    );
    let unknown_experiment = ExposureRecord {
        experiment: "x".to_owned(),
        ..exposure
    };
    assert_refused!(
        store.record_exposure(&unknown_experiment),
        ExperimentError::NotFound(_)
    );
}
