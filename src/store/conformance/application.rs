//! What holds where another program writes to the same tables: an application of the reference resets
//! a running experiment to a draft, which keeps its assignments, and starts a concluded one again,
//! which keeps its winner; or a hand in the database removes an override. Each function also takes what
//! does that to the store.

use super::naming::{delete, rename};
use super::{
    assert_refused, assign, conclude, create, even, log, pause, record, running, start, state_of,
    stored_variant, variant_of, weights,
};
use crate::assignment::AssignRequest;
use crate::error::{ExperimentError, UsedBy};
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::lifecycle::Mutation;
use crate::rule::AssignmentReason;
use crate::store::ExperimentStore;

/// What an application does to an experiment without asking the store.
pub trait Application {
    /// Makes it a draft. Its assignments stay.
    fn reset_to_draft(&self, experiment: &str);

    /// Makes it a running one. Its winner stays.
    fn restart(&self, experiment: &str);

    /// Removes an override. The assignment that it made stays.
    fn remove_override(&self, experiment: &str, actor: &str);
}

fn draft(variants: &[(&str, u32)]) -> ExperimentConfig {
    ExperimentConfig::new("e", weights(variants))
}

/// A draft with an assignment of `control` to `a`.
fn reset(store: &dyn ExperimentStore, application: &dyn Application) {
    running(store, "e");
    let stored = record(store, "e", "a", "control", false);
    assert_eq!(stored.unwrap(), "control");
    application.reset_to_draft("e");
}

/// A variant with assignments is not removed from a draft either: by replacing the draft, by setting
/// its variants, or in a batch.
pub fn a_draft_keeps_the_variants_in_use(
    store: &dyn ExperimentStore,
    application: &dyn Application,
) {
    reset(store, application);
    let before = (store.get("e").unwrap(), log(store, "e"));
    let without = draft(&[("treatment", 1)]);
    let by_any_path = [
        Mutation::Upsert(&without),
        Mutation::SetVariants {
            experiment: "e",
            variants: &without.variants,
            values: None,
        },
    ];
    for mutation in by_any_path {
        for batch in [
            &[mutation][..],
            &[
                Mutation::SetDescription {
                    experiment: "e",
                    description: Some("first"),
                },
                mutation,
            ],
        ] {
            match store.mutate_all(&[], batch, None) {
                Err(ExperimentError::VariantInUse { variant, .. }) => {
                    assert_eq!(variant, "control");
                }
                other => panic!("{mutation:?} gave {other:?}"),
            }
            assert_eq!((store.get("e").unwrap(), log(store, "e")), before);
        }
    }
    store
        .upsert(draft(&[("new", 1), ("control", 0)]))
        .unwrap()
        .unwrap();
    start(store, "e").unwrap();
    assert_eq!(assign(store, "e", "a").unwrap().variant, "control");
    assert_eq!(assign(store, "e", "b").unwrap().variant, "new");
}

/// The exclusion group of a draft with assignments is fixed, as its actors may be in another
/// experiment of the group that it would join.
pub fn a_draft_with_assignments_keeps_its_group(
    store: &dyn ExperimentStore,
    application: &dyn Application,
) {
    for (name, group) in [("e", "g"), ("sibling", "g"), ("other", "h")] {
        super::running_in_group(store, name, group);
    }
    for name in ["e", "other"] {
        record(store, name, "a", "control", false).unwrap();
    }
    application.reset_to_draft("e");
    let draft = even("e", ExperimentState::Draft);
    let before = (store.get("e").unwrap(), log(store, "e"));
    for moved in [draft.clone(), draft.clone().exclusion_group("h")] {
        assert_refused!(store.upsert(moved.clone()), ExperimentError::GroupInUse(_));
        assert_eq!((store.get("e").unwrap(), log(store, "e")), before);
    }
    let kept = draft.exclusion_group("g").description("reset");
    store.upsert(kept).unwrap().unwrap();
    assert_refused!(
        assign(store, "sibling", "a"),
        ExperimentError::ExcludedByGroup(..)
    );
    start(store, "e").unwrap();
    assert_eq!(stored_variant(store, "e", "a").as_deref(), Some("control"));
}

/// An override's assignment holds a variant and a group as any other does, until it is cleared.
pub fn an_override_in_a_draft_counts_until_it_is_cleared(
    store: &dyn ExperimentStore,
    application: &dyn Application,
) {
    running(store, "e");
    store.set_override("e", "qa", "treatment").unwrap();
    assign(store, "e", "qa").unwrap();
    application.reset_to_draft("e");
    let next = draft(&[("control", 1)]).exclusion_group("g");
    assert_refused!(
        store.upsert(next.clone()),
        ExperimentError::VariantInUse { .. } | ExperimentError::GroupInUse(_)
    );
    store.clear_override("e", "qa").unwrap().unwrap();
    store.upsert(next).unwrap().unwrap();
}

/// A running experiment that has kept a winner gives nobody that winner; starting it clears it, and is
/// logged, once.
pub fn starting_clears_a_winner_that_was_left(
    store: &dyn ExperimentStore,
    application: &dyn Application,
) {
    running(store, "e");
    let stored = record(store, "e", "a", "control", false);
    assert_eq!(stored.unwrap(), "control");
    conclude(store, "e", "treatment").unwrap();
    application.restart("e");
    let found = || store.get("e").unwrap().unwrap();
    assert_eq!(found().state, ExperimentState::Running);
    assert_eq!(found().winner.as_deref(), Some("treatment"));
    assert_eq!(assign(store, "e", "a").unwrap().variant, "control");

    // What has nothing to do with the winner goes through all the same.
    let description = Mutation::SetDescription {
        experiment: "e",
        description: Some("again"),
    };
    store.mutate(&description, None).unwrap().unwrap();
    let next = weights(&[("control", 1), ("treatment", 2)]);
    store.set_variants("e", next, None).unwrap().unwrap();

    let change = start(store, "e").unwrap().unwrap();
    assert_eq!(change.mutation, "state=running");
    let detail = change.detail.unwrap();
    assert_eq!(detail.before.winner.as_deref(), Some("treatment"));
    assert_eq!((detail.after.winner, found().winner), (None, None));
    assert_eq!(start(store, "e").unwrap(), None);
}

/// An assignment that has outlived its override is sticky, and it and its exposures stay marked as an
/// override's.
pub fn an_assignment_outlives_its_override(
    store: &dyn ExperimentStore,
    application: &dyn Application,
) {
    running(store, "e");
    // Now a store that looks experiments up beforehand has seen it.
    variant_of(store, "e", "another");
    store.set_override("e", "qa", "treatment").unwrap();
    variant_of(store, "e", "qa");
    application.remove_override("e", "qa");
    for keep_exposure in [true, false, true] {
        let request = AssignRequest {
            keep_exposure,
            ..AssignRequest::new("e", "qa")
        };
        let assigned = store.assign(&request).unwrap();
        let seen = (&*assigned.variant, assigned.reason, assigned.is_override);
        assert_eq!(seen, ("treatment", AssignmentReason::Sticky, true));
    }
    assert!(
        store
            .get_assignment("e", "qa")
            .unwrap()
            .unwrap()
            .is_override
    );
    let exposures = store.exposures("e").unwrap();
    let marks: Vec<bool> = exposures.iter().map(|e| e.is_override).collect();
    assert_eq!(marks, [true, true]);
    assert_eq!(store.clear_override("e", "qa").unwrap(), None);
}

/// A draft with assignments is neither deleted nor renamed, until they are taken back.
pub fn a_draft_with_assignments_keeps_its_name(
    store: &dyn ExperimentStore,
    application: &dyn Application,
) {
    reset(store, application);
    let before = (store.get("e").unwrap(), log(store, "e"));
    for mutation in [
        Mutation::Delete { experiment: "e" },
        Mutation::Rename {
            experiment: "e",
            to: "f",
        },
    ] {
        for batch in [&[mutation][..], &[mutation, mutation]] {
            match store.mutate_all(&[], batch, None) {
                Err(ExperimentError::InUse { used_by, .. }) => {
                    assert_eq!(used_by, UsedBy::Assignments);
                }
                other => panic!("{mutation:?} gave {other:?}"),
            }
            assert_eq!((store.get("e").unwrap(), log(store, "e")), before);
        }
    }
    assert_eq!(store.unassign("e", &["a"], None).unwrap().assignments, 1);
    delete(store, "e").unwrap().unwrap();
    assert_eq!(log(store, "e"), ["deleted", "unassigned=1", "created"]);
}

/// If the application starts a paused experiment, that is a resume; and if it makes a draft of it then, it is a draft.
pub fn an_application_resumes_what_is_paused(
    store: &dyn ExperimentStore,
    application: &dyn Application,
) {
    running(store, "e");
    let before = variant_of(store, "e", "a");
    pause(store, "e").unwrap().unwrap();
    application.restart("e");
    assert_eq!(state_of(store, "e"), ExperimentState::Running);
    let again = assign(store, "e", "a").unwrap();
    assert_eq!(
        (again.variant, again.reason),
        (before, AssignmentReason::Sticky)
    );
    assign(store, "e", "b").unwrap();
    assert_eq!(start(store, "e").unwrap(), None);
    application.reset_to_draft("e");
    assert_eq!(state_of(store, "e"), ExperimentState::Draft);
    assert_refused!(
        pause(store, "e"),
        ExperimentError::NotRunning(_, ExperimentState::Draft)
    );
}

/// The buckets of a renamed draft follow its next name, also if it is the application that starts it.
pub fn buckets_follow_the_name_that_an_application_starts(
    store: &dyn ExperimentStore,
    application: &dyn Application,
) {
    create(store, &even("e", ExperimentState::Draft));
    rename(store, "e", "checkout_v2").unwrap().unwrap();
    application.restart("checkout_v2");
    // (checkout_v2, user:1) is in the first half, (checkout_v2, user:2) in the second.
    assert_eq!(variant_of(store, "checkout_v2", "user:1"), "control");
    assert_eq!(variant_of(store, "checkout_v2", "user:2"), "treatment");
}
