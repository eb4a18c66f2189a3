//! Overrides of the variants of actors.

use super::{
    assign, conclude, create, even, running, running_in_group, stored_variant, variant_of, weights,
};
use crate::assignment::{AssignManyRequest, AssignRequest, Keep};
use crate::experiment::ExperimentState;
use crate::experiment::VariantConfig;
use crate::rule::AssignmentReason;
use crate::store::ExperimentStore;

/// An actor has at most one override; the list is sorted by actor; a draft and a concluded
/// experiment take them too.
pub fn an_override_is_kept_and_replaced(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Draft));
    store.set_override("e", "b", "control").unwrap();
    store.set_override("e", "a", "control").unwrap();
    conclude(store, "e", "control").unwrap();
    store.set_override("e", "b", "treatment").unwrap();
    let list = store.overrides("e").unwrap();
    let list: Vec<_> = list.iter().map(|o| (&*o.actor, &*o.variant)).collect();
    assert_eq!(list, [("a", "control"), ("b", "treatment")]);
    assert_eq!(
        store.get_override("e", "b").unwrap().as_deref(),
        Some("treatment")
    );
    assert_eq!(store.get_override("e", "c").unwrap(), None);
}

/// An override replaces an ordinary assignment when the actor is next assigned, and is marked.
pub fn an_override_becomes_the_assignment(store: &dyn ExperimentStore) {
    running(store, "checkout_v2");
    assert_eq!(variant_of(store, "checkout_v2", "user:1"), "control");
    store
        .set_override("checkout_v2", "user:1", "treatment")
        .unwrap();
    for _ in 0..2 {
        let assigned = assign(store, "checkout_v2", "user:1").unwrap();
        assert_eq!(assigned.variant, "treatment");
        assert_eq!(assigned.reason, AssignmentReason::Override);
    }
    let stored = store
        .get_assignment("checkout_v2", "user:1")
        .unwrap()
        .unwrap();
    assert_eq!((&*stored.variant, stored.is_override), ("treatment", true));
}

/// Clearing an override drops the assignment that it made: the actor is bucketed again.
pub fn clearing_drops_what_the_override_made(store: &dyn ExperimentStore) {
    running_in_group(store, "checkout_v2", "g");
    running_in_group(store, "sibling", "g");
    store
        .set_override("checkout_v2", "user:1", "treatment")
        .unwrap();
    assert_eq!(variant_of(store, "checkout_v2", "user:1"), "treatment");
    store
        .clear_override("checkout_v2", "user:1")
        .unwrap()
        .unwrap();
    assert_eq!(store.get_override("checkout_v2", "user:1").unwrap(), None);
    assert_eq!(stored_variant(store, "checkout_v2", "user:1"), None);
    assert!(assign(store, "sibling", "user:2").is_ok());
    assert_eq!(variant_of(store, "checkout_v2", "user:1"), "control");
}

/// Clearing an override that was never assigned from leaves the ordinary assignment.
pub fn clearing_keeps_what_the_bucket_made(store: &dyn ExperimentStore) {
    running(store, "checkout_v2");
    assert_eq!(variant_of(store, "checkout_v2", "user:1"), "control");
    store
        .set_override("checkout_v2", "user:1", "treatment")
        .unwrap();
    store
        .clear_override("checkout_v2", "user:1")
        .unwrap()
        .unwrap();
    assert_eq!(
        stored_variant(store, "checkout_v2", "user:1").as_deref(),
        Some("control")
    );
}

/// An override whose variant was removed counts for nothing, until the variant is back.
pub fn an_override_of_a_removed_variant_is_ignored(store: &dyn ExperimentStore) {
    running(store, "e");
    store.set_override("e", "a", "treatment").unwrap();
    store
        .set_variants("e", weights(&[("control", 1)]), None)
        .unwrap();
    let assigned = assign(store, "e", "a").unwrap();
    assert_eq!(assigned.variant, "control");
    assert_eq!(assigned.reason, AssignmentReason::Assigned);
    let next = weights(&[("control", 1), ("treatment", 1)]);
    store.set_variants("e", next, None).unwrap();
    assert_eq!(variant_of(store, "e", "a"), "treatment");
}

/// An override assigns a variant of weight 0, and an actor whom the group excludes.
pub fn an_override_bypasses_weights_and_group(store: &dyn ExperimentStore) {
    running_in_group(store, "one", "g");
    running_in_group(store, "two", "g");
    store
        .set_variants("two", weights(&[("control", 0), ("treatment", 0)]), None)
        .unwrap();
    assign(store, "one", "a").unwrap();
    store.set_override("two", "a", "treatment").unwrap();
    assert_eq!(variant_of(store, "two", "a"), "treatment");
    assert!(store.has_assignment_in_group("a", "g", "one").unwrap());
}

/// Replacing a draft keeps its overrides, each with the time at which it was set.
pub fn a_replaced_draft_keeps_its_overrides(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Draft));
    store.set_override("e", "qa", "treatment").unwrap();
    let before = store.overrides("e").unwrap();
    assert!(before[0].created_at_secs > 0);
    let replacing = even("e", ExperimentState::Draft).salt("2026");
    store.upsert(replacing).unwrap();
    assert_eq!(store.overrides("e").unwrap(), before);
    let replaced = store.get("e").unwrap().unwrap();
    assert_eq!(replaced.salt.as_deref(), Some("2026"));
    store.upsert(even("e", ExperimentState::Draft)).unwrap();
    assert_eq!(store.get("e").unwrap().unwrap().salt, None);
}

/// An override of a removed variant is ignored, and still there to be seen.
pub fn an_override_of_a_removed_variant_is_told(store: &dyn ExperimentStore) {
    running(store, "e");
    store.set_override("e", "qa", "treatment").unwrap();
    let rest = weights(&[("control", 1)]);
    store.set_variants("e", rest, None).unwrap();
    assert_eq!(variant_of(store, "e", "qa"), "control");
    let told = store.get_override("e", "qa").unwrap();
    assert_eq!(told.as_deref(), Some("treatment"));
    let situation = store.situation("e", "qa").unwrap();
    assert_eq!(situation.facts().pinned, told.as_deref());
}

/// An override of the variant that the actor has makes the assignment an override's.
pub fn an_override_of_the_same_variant_marks_the_assignment(store: &dyn ExperimentStore) {
    running(store, "e");
    let variant = variant_of(store, "e", "a");
    store.set_override("e", "a", &variant).unwrap();
    let assigned = assign(store, "e", "a").unwrap();
    assert!(assigned.is_override && assigned.stored);
    let stored = store.get_assignment("e", "a").unwrap().unwrap();
    assert!(stored.is_override);
}

/// An exposure is marked as an override's exactly when the stored assignment is, whatever has become
/// of the override: here it was replaced by one whose variant is gone, and then the variant is back.
pub fn an_exposure_says_what_the_assignment_says(store: &dyn ExperimentStore) {
    let with = |spare: Option<&str>| {
        let names = ["control", "treatment"].into_iter().chain(spare);
        let variants = names.map(|name| VariantConfig::new(name, 1));
        store
            .set_variants("e", variants.collect::<Vec<_>>(), None)
            .unwrap();
    };
    running(store, "e");
    with(Some("spare"));
    store.set_override("e", "qa", "treatment").unwrap();
    assign(store, "e", "qa").unwrap();
    store.set_override("e", "qa", "spare").unwrap();
    with(None);
    for repeat in 0..2 {
        let request = AssignRequest::new("e", "qa").keep_exposure(None);
        let assigned = store.assign(&request).unwrap();
        let seen = (&*assigned.variant, assigned.reason, assigned.is_override);
        let expected = ("treatment", AssignmentReason::Sticky, true);
        assert_eq!(seen, expected, "{repeat}");
        let many = AssignManyRequest {
            experiment: "e",
            actors: &["qa"],
            keep: Keep::AssignmentsAndExposures,
        };
        store.assign_many(&many).unwrap();
    }
    let marked = || -> Vec<(String, bool)> {
        let exposures = store.exposures("e").unwrap();
        let marks = exposures.into_iter().map(|e| (e.variant, e.is_override));
        marks.collect()
    };
    let stored = store.get_assignment("e", "qa").unwrap().unwrap();
    assert!(stored.is_override);
    assert_eq!(marked(), vec![("treatment".to_owned(), true); 4]);

    with(Some("spare"));
    let again = assign(store, "e", "qa").unwrap();
    assert_eq!((&*again.variant, again.is_override), ("spare", true));
    let stored = store.get_assignment("e", "qa").unwrap().unwrap();
    assert_eq!((&*stored.variant, stored.is_override), ("spare", true));
}
