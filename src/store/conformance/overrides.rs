//! Variants pinned to actors.

use super::{
    assign, conclude, create, even, running, running_in_group, stored_variant, variant_of, weights,
};
use crate::experiment::ExperimentState;
use crate::rules::assignment::AssignmentReason;
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
        .set_variants("e", &weights(&[("control", 1)]))
        .unwrap();
    let assigned = assign(store, "e", "a").unwrap();
    assert_eq!(assigned.variant, "control");
    assert_eq!(assigned.reason, AssignmentReason::Assigned);
    let next = weights(&[("control", 1), ("treatment", 1)]);
    store.set_variants("e", &next).unwrap();
    assert_eq!(variant_of(store, "e", "a"), "treatment");
}

/// An override assigns a variant of weight 0, and an actor whom the group excludes.
pub fn an_override_bypasses_weights_and_group(store: &dyn ExperimentStore) {
    running_in_group(store, "one", "g");
    running_in_group(store, "two", "g");
    store
        .set_variants("two", &weights(&[("control", 0), ("treatment", 0)]))
        .unwrap();
    assign(store, "one", "a").unwrap();
    store.set_override("two", "a", "treatment").unwrap();
    assert_eq!(variant_of(store, "two", "a"), "treatment");
    assert!(store.has_assignment_in_group("g", "a", "one").unwrap());
}
