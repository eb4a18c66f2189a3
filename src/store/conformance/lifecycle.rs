//! What a mutation does, and what is refused.

use super::{
    archive, assert_refused, assign, conclude, create, even, log, record, running, start, state_of,
    stored_variant, variant_of, weights,
};
use crate::error::{ConfigProblem, ExperimentError, Field};
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::field::ConfigField::{Description, ExclusionGroup, Name};
use crate::field::MAX_NAME_BYTES;
use crate::lifecycle::Mutation;
use crate::store::ExperimentStore;

/// `upsert` replaces a draft and logs that as `updated`.
pub fn creating_replaces_a_draft(store: &dyn ExperimentStore) {
    let draft = ExperimentConfig::new("e", weights(&[("old", 1), ("both", 1)]));
    store.upsert(draft).unwrap();
    let next = ExperimentConfig::new("e", weights(&[("both", 2), ("new", 3)])).description("d");
    store.upsert(next.clone()).unwrap();
    let stored = store.get("e").unwrap().unwrap();
    assert_eq!(stored.variants, next.variants);
    assert_eq!(stored.description, next.description);
    assert_eq!(log(store, "e"), ["updated", "created"]);
}

/// `upsert` refuses an experiment that runs, is concluded or archived.
pub fn creating_never_replaces_what_left_draft(store: &dyn ExperimentStore) {
    let config = even("e", ExperimentState::Draft);
    running(store, "e");
    assert_refused!(
        store.upsert(config.clone()),
        ExperimentError::AlreadyExists(_, ExperimentState::Running)
    );
    conclude(store, "e", "control").unwrap();
    assert_refused!(
        store.upsert(config.clone()),
        ExperimentError::AlreadyExists(_, ExperimentState::Concluded)
    );
    archive(store, "e").unwrap();
    assert_refused!(store.upsert(config), ExperimentError::Archived(_));
    assert_eq!(log(store, "e").len(), 3);
}

/// `insert` refuses an experiment that is there in any state.
pub fn inserting_never_replaces_anything(store: &dyn ExperimentStore) {
    let config = even("e", ExperimentState::Draft);
    create(store, &config);
    assert_refused!(
        store.insert(config.clone()),
        ExperimentError::AlreadyExists(_, ExperimentState::Draft)
    );
    archive(store, "e").unwrap();
    assert_refused!(store.insert(config), ExperimentError::Archived(_));
}

/// A draft that is replaced may join, change and leave a group; only the last one counts.
pub fn a_replaced_draft_changes_its_group(store: &dyn ExperimentStore) {
    for (name, group) in [("in_g", "g"), ("in_h", "h")] {
        super::running_in_group(store, name, group);
        assign(store, name, &format!("actor of {name}")).unwrap();
    }
    let draft = even("e", ExperimentState::Draft);
    let replace = |config: ExperimentConfig| {
        store.upsert(config.clone()).unwrap();
        assert_eq!(
            store.get("e").unwrap().unwrap().exclusion_group,
            config.exclusion_group
        );
    };
    replace(draft.clone());
    replace(draft.clone().exclusion_group("g"));
    replace(draft.clone());
    replace(draft.clone().exclusion_group("g"));
    replace(draft.exclusion_group("h"));
    start(store, "e").unwrap();
    assert!(assign(store, "e", "actor of in_g").is_ok());
    assert_refused!(
        assign(store, "e", "actor of in_h"),
        ExperimentError::ExcludedByGroup(..)
    );
}

/// What breaks a rule of validity is refused, and the error says what and where.
pub fn invalid_configurations_are_refused(store: &dyn ExperimentStore) {
    let good = || even("e", ExperimentState::Draft);
    let named = |name: &str| ExperimentConfig {
        name: name.to_owned(),
        ..good()
    };
    let variants = |list: &[(&str, u32)]| ExperimentConfig {
        variants: weights(list),
        ..good()
    };
    let long = "n".repeat(MAX_NAME_BYTES + 1);
    let cases = [
        (named(""), ConfigProblem::Empty(Field::Config(Name))),
        (named(" \u{a0} "), ConfigProblem::Empty(Field::Config(Name))),
        (
            named("\u{200b}\u{feff}"),
            ConfigProblem::Empty(Field::Config(Name)),
        ),
        (
            named("\u{2800} \u{3164}"),
            ConfigProblem::Empty(Field::Config(Name)),
        ),
        (
            named("a\u{1b}[2J"),
            ConfigProblem::ControlCharacter(Field::Config(Name)),
        ),
        (
            named("a\u{9b}"),
            ConfigProblem::ControlCharacter(Field::Config(Name)),
        ),
        (
            named(&long),
            ConfigProblem::TooLong {
                field: Field::Config(Name),
                bytes: MAX_NAME_BYTES + 1,
                limit: MAX_NAME_BYTES,
            },
        ),
        (variants(&[]), ConfigProblem::NoVariants),
        (
            variants(&[("a", 1), (" ", 1)]),
            ConfigProblem::Empty(Field::Variant(1)),
        ),
        (
            variants(&[("\u{ad}", 1)]),
            ConfigProblem::Empty(Field::Variant(0)),
        ),
        (
            variants(&[("a\n", 1)]),
            ConfigProblem::ControlCharacter(Field::Variant(0)),
        ),
        (
            variants(&[("a", 1), ("b", 1), ("a", 2)]),
            ConfigProblem::DuplicateVariant("a".to_owned()),
        ),
        (
            good().exclusion_group(""),
            ConfigProblem::Empty(Field::Config(ExclusionGroup)),
        ),
        (
            good().exclusion_group("\u{e0020}\u{fe0f}"),
            ConfigProblem::Empty(Field::Config(ExclusionGroup)),
        ),
        (
            good().description("\0"),
            ConfigProblem::ControlCharacter(Field::Config(Description)),
        ),
        (
            even("e", ExperimentState::Concluded),
            ConfigProblem::WinnerMissing,
        ),
        (
            ExperimentConfig {
                winner: Some("nobody".to_owned()),
                ..even("e", ExperimentState::Concluded)
            },
            ConfigProblem::WinnerUnknown("nobody".to_owned()),
        ),
        (
            ExperimentConfig {
                winner: Some("control".to_owned()),
                ..good()
            },
            ConfigProblem::WinnerNotConcluded,
        ),
    ];
    for (config, expected) in cases {
        for result in [store.upsert(config.clone()), store.insert(config.clone())] {
            match result {
                Err(ExperimentError::InvalidConfig { problem, .. }) => {
                    assert_eq!(problem, expected);
                }
                other => panic!("{expected:?} gave {other:?}"),
            }
        }
    }
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.history("e", 0).unwrap(), []);
}

/// A concluded experiment that is started again runs without its winner.
pub fn starting_clears_the_winner(store: &dyn ExperimentStore) {
    running(store, "e");
    conclude(store, "e", "treatment").unwrap();
    start(store, "e").unwrap();
    let stored = store.get("e").unwrap().unwrap();
    assert_eq!(
        (stored.state, stored.winner),
        (ExperimentState::Running, None)
    );
}

/// The winner must be one of the variants; a concluded experiment may get another winner; a draft
/// may be concluded; archiving keeps the winner.
pub fn concluding_needs_a_variant_as_winner(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Draft));
    assert_refused!(
        store.set_state("e", ExperimentState::Concluded, None),
        ExperimentError::InvalidConfig { .. }
    );
    assert_refused!(
        conclude(store, "e", "nobody"),
        ExperimentError::UnknownVariant { .. }
    );
    assert_eq!(state_of(store, "e"), ExperimentState::Draft);
    let winner = || store.get("e").unwrap().unwrap().winner;
    conclude(store, "e", "control").unwrap();
    assert_eq!(winner().as_deref(), Some("control"));
    conclude(store, "e", "treatment").unwrap();
    assert_eq!(winner().as_deref(), Some("treatment"));
    archive(store, "e").unwrap();
    assert_eq!(winner().as_deref(), Some("treatment"));
}

/// Nothing about an archived experiment changes any more.
pub fn archived_is_terminal(store: &dyn ExperimentStore) {
    running(store, "e");
    store.set_override("e", "pinned", "treatment").unwrap();
    archive(store, "e").unwrap();
    let before = super::snapshot(store, "e");
    assert_refused!(start(store, "e"), ExperimentError::Archived(_));
    assert_refused!(
        conclude(store, "e", "control"),
        ExperimentError::Archived(_)
    );
    assert_refused!(
        store.set_variants("e", weights(&[("control", 1)]), None),
        ExperimentError::Archived(_)
    );
    assert_refused!(
        store.set_override("e", "a", "control"),
        ExperimentError::Archived(_)
    );
    assert_refused!(
        store.clear_override("e", "pinned"),
        ExperimentError::Archived(_)
    );
    assert_refused!(assign(store, "e", "a"), ExperimentError::Archived(_));
    assert_refused!(assign(store, "e", "pinned"), ExperimentError::Archived(_));
    assert_eq!(archive(store, "e").unwrap(), None);
    assert_eq!(super::snapshot(store, "e"), before);
}

/// No state leads back to draft.
pub fn nothing_goes_back_to_draft(store: &dyn ExperimentStore) {
    running(store, "e");
    assert_refused!(
        store.set_state("e", ExperimentState::Draft, None),
        ExperimentError::InvalidConfig { .. }
    );
    assert_eq!(state_of(store, "e"), ExperimentState::Running);
}

/// A mutation of an unknown experiment is `NotFound` and logs nothing.
pub fn unknown_experiments_cannot_be_changed(store: &dyn ExperimentStore) {
    assert_refused!(start(store, "e"), ExperimentError::NotFound(_));
    assert_refused!(conclude(store, "e", "v"), ExperimentError::NotFound(_));
    assert_refused!(archive(store, "e"), ExperimentError::NotFound(_));
    assert_refused!(
        store.set_variants("e", weights(&[("v", 1)]), None),
        ExperimentError::NotFound(_)
    );
    assert_refused!(
        store.set_override("e", "a", "v"),
        ExperimentError::NotFound(_)
    );
    assert_refused!(store.clear_override("e", "a"), ExperimentError::NotFound(_));
    assert_refused!(assign(store, "e", "a"), ExperimentError::NotFound(_));
    assert_refused!(
        record(store, "e", "a", "v", false),
        ExperimentError::NotFound(_)
    );
    assert_eq!(store.history("e", 0).unwrap(), []);
    assert_eq!(store.list().unwrap(), []);
}

/// The weights of some variants change, and the others stay as they are; one that is new comes to the end.
pub fn some_weights_leave_the_others(store: &dyn ExperimentStore) {
    running(store, "e");
    let set = |given: &[(&str, u32)]| {
        let weights = &weights(given);
        let experiment = "e";
        let mutation = Mutation::SetWeights {
            experiment,
            weights,
        };
        store.mutate(&mutation, None)
    };
    let change = set(&[("new", 3), ("control", 7)]).unwrap().unwrap();
    assert_eq!(change.mutation, "set_weights");
    let before = store.get("e").unwrap().unwrap();
    let names: Vec<&str> = before.variants.iter().map(|v| &*v.name).collect();
    assert_eq!(names, ["control", "treatment", "new"]);
    assert_eq!(
        (before.variants[0].weight, before.variants[2].weight),
        (7, 3)
    );
    assert_eq!(set(&[("new", 3)]).unwrap(), None);
    assert_refused!(
        set(&[("new", 1), ("new", 2)]),
        ExperimentError::InvalidConfig { .. }
    );
    assert_eq!(store.get("e").unwrap().unwrap(), before);
}

/// Actors who are assigned keep their variant whatever the weights become; new ones follow them.
pub fn weights_change_and_nobody_moves(store: &dyn ExperimentStore) {
    running(store, "checkout_v2");
    let first = variant_of(store, "checkout_v2", "user:1");
    assert_eq!(first, "control");
    let next = weights(&[("treatment", 1), ("control", 0)]);
    store
        .set_variants("checkout_v2", next.clone(), None)
        .unwrap();
    assert_eq!(store.get("checkout_v2").unwrap().unwrap().variants, next);
    assert_eq!(variant_of(store, "checkout_v2", "user:1"), "control");
    for n in 2..30 {
        assert_eq!(
            variant_of(store, "checkout_v2", &format!("user:{n}")),
            "treatment"
        );
    }
}

/// A concluded experiment's weights are fixed.
pub fn weights_of_a_concluded_experiment_are_fixed(store: &dyn ExperimentStore) {
    running(store, "e");
    conclude(store, "e", "control").unwrap();
    assert_refused!(
        store.set_variants("e", weights(&[("control", 1)]), None),
        ExperimentError::Concluded(_)
    );
}

/// A variant that has assignments, of either kind, is not removed, and the error names it.
pub fn a_variant_with_assignments_stays(store: &dyn ExperimentStore) {
    running(store, "e");
    record(store, "e", "a", "control", false).unwrap();
    store.set_override("e", "b", "treatment").unwrap();
    variant_of(store, "e", "b");
    for (kept, dropped) in [("treatment", "control"), ("control", "treatment")] {
        match store.set_variants("e", weights(&[(kept, 1)]), None) {
            Err(error @ ExperimentError::VariantInUse { .. }) => assert_eq!(
                error.to_string(),
                format!("cannot delete variant '{dropped}' because it has active assignments")
            ),
            other => panic!("{dropped} was removed: {other:?}"),
        }
    }
    store.clear_override("e", "b").unwrap();
    store
        .set_variants("e", weights(&[("control", 1)]), None)
        .unwrap();
    assert_eq!(stored_variant(store, "e", "a").as_deref(), Some("control"));
}

/// A variant that was removed can be added again.
pub fn a_removed_variant_comes_back(store: &dyn ExperimentStore) {
    running(store, "e");
    store
        .set_variants("e", weights(&[("new", 1)]), None)
        .unwrap();
    assert_eq!(variant_of(store, "e", "a"), "new");
    let next = weights(&[("treatment", 1), ("new", 0)]);
    store.set_variants("e", next.clone(), None).unwrap();
    assert_eq!(store.get("e").unwrap().unwrap().variants, next);
    assert_eq!(variant_of(store, "e", "a"), "new");
    assert_eq!(variant_of(store, "e", "b"), "treatment");
}
