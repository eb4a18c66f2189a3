//! Several mutations in one step.

use super::{
    archive, assert_refused, assign, create, even, log, running, snapshot, state_of, weights,
};
use crate::error::ExperimentError;
use crate::experiment::ExperimentState;
use crate::lifecycle::Mutation;
use crate::store::{Expected, ExperimentStore};

fn set_state(experiment: &str, state: ExperimentState) -> Mutation<'_> {
    Mutation::SetState {
        experiment,
        state,
        winner: None,
    }
}

/// A mutation of a batch finds what the ones before it did, and each is logged.
pub fn a_batch_builds_on_itself(store: &dyn ExperimentStore) {
    let draft = even("new", ExperimentState::Draft);
    let variants = weights(&[("control", 1), ("treatment", 3)]);
    running(store, "old");
    assign(store, "old", "user:1").unwrap();
    let changes = store
        .mutate_all(
            &[],
            &[
                Mutation::Insert(&draft),
                set_state("new", ExperimentState::Running),
                set_state("new", ExperimentState::Running),
                Mutation::SetVariants {
                    experiment: "old",
                    variants: &variants,
                    values: None,
                },
                set_state("old", ExperimentState::Archived),
            ],
            None,
        )
        .unwrap();
    let told: Vec<bool> = changes.iter().map(Option::is_some).collect();
    assert_eq!(told, [true, true, false, true, true]);
    assert_eq!(log(store, "new"), ["state=running", "created"]);
    assert_eq!(
        log(store, "old"),
        ["state=archived", "set_weights", "created"]
    );
    assert_eq!(store.get("old").unwrap().unwrap().variants, variants);
}

/// If one mutation is refused, none has happened, whatever stands before it or after it.
pub fn a_batch_is_taken_whole_or_not_at_all(store: &dyn ExperimentStore) {
    let draft = even("new", ExperimentState::Draft);
    running(store, "old");
    assign(store, "old", "user:1").unwrap();
    store.set_override("old", "qa", "control").unwrap();
    assign(store, "old", "qa").unwrap();
    let before = snapshot(store, "old");
    let others = weights(&[("others", 1)]);
    let refused = store.mutate_all(
        &[],
        &[
            Mutation::Insert(&draft),
            Mutation::ClearOverride {
                experiment: "old",
                actor: "qa",
            },
            Mutation::SetOverride {
                experiment: "old",
                actor: "user:1",
                variant: "control",
                expires_at_secs: None,
                reason: None,
            },
            Mutation::SetVariants {
                experiment: "old",
                variants: &others,
                values: None,
            },
            set_state("old", ExperimentState::Archived),
        ],
        None,
    );
    assert_refused!(refused, ExperimentError::VariantInUse { .. });
    assert_eq!(store.get("new").unwrap(), None);
    assert!(log(store, "new").is_empty());
    assert_eq!(snapshot(store, "old"), before);
}

/// Nothing happens unless every expected experiment is as expected, also one that must be absent.
pub fn a_batch_needs_what_it_expects(store: &dyn ExperimentStore) {
    running(store, "e");
    let seen = store.get("e").unwrap();
    let expected = |experiment, config| Expected { experiment, config };
    let end = [set_state("e", ExperimentState::Archived)];
    let absent = [expected("e", None)];
    let changed = even("e", ExperimentState::Draft);
    for wrong in [&absent[..], &[expected("e", Some(&changed))]] {
        let refused = store.mutate_all(wrong, &end, None);
        assert_refused!(refused, ExperimentError::ChangedMeanwhile(_));
        assert_eq!(state_of(store, "e"), ExperimentState::Running);
    }
    let gone = [expected("e", seen.as_ref()), expected("f", seen.as_ref())];
    let refused = store.mutate_all(&gone, &end, None);
    assert_refused!(refused, ExperimentError::DeletedMeanwhile(_));
    assert_eq!(state_of(store, "e"), ExperimentState::Running);
    let right = [expected("e", seen.as_ref()), expected("f", None)];
    store.mutate_all(&right, &end, None).unwrap();
    assert_eq!(state_of(store, "e"), ExperimentState::Archived);
}

/// A description changes in any state but archived; the same one again is no change.
pub fn a_description_changes_until_the_archive(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Running));
    let describe = |description| {
        store.mutate(
            &Mutation::SetDescription {
                experiment: "e",
                description,
            },
            None,
        )
    };
    let change = describe(Some("one page")).unwrap().unwrap();
    assert_eq!(change.mutation, "updated");
    let detail = change.detail.unwrap();
    assert_eq!(detail.before.description, None);
    assert_eq!(detail.after.description.as_deref(), Some("one page"));
    assert_eq!(describe(Some("one page")).unwrap(), None);
    assert_refused!(
        describe(Some("nul: \0")),
        ExperimentError::InvalidConfig { .. }
    );
    let found = store.get("e").unwrap().unwrap();
    assert_eq!(found.description.as_deref(), Some("one page"));
    assert_eq!(found.state, ExperimentState::Running);
    assert!(describe(None).unwrap().is_some());
    archive(store, "e").unwrap();
    assert_refused!(describe(Some("late")), ExperimentError::Archived(_));
}
