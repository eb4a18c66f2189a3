//! Deleting and renaming: of a draft that nobody has used, and what becomes of its log.

use super::{
    assert_refused, assign, create, even, log, running, snapshot, start, variant_of, weights,
};
use crate::error::{ConfigProblem, ExperimentError, Field, UsedBy};
use crate::experiment::{ChangeRecord, ChangeSide, ExperimentConfig, ExperimentState};
use crate::exposure::ExposureRecord;
use crate::field::{ConfigField, MAX_NAME_BYTES};
use crate::lifecycle::Mutation;
use crate::store::{Expected, ExperimentStore};

pub(super) fn delete(
    store: &dyn ExperimentStore,
    experiment: &str,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    store.mutate(&Mutation::Delete { experiment }, None)
}

pub(super) fn rename(
    store: &dyn ExperimentStore,
    experiment: &str,
    to: &str,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    store.mutate(&Mutation::Rename { experiment, to }, None)
}

fn draft(name: &str) -> ExperimentConfig {
    even(name, ExperimentState::Draft)
}

/// A deleted draft is gone but for its log, which is found by its name.
pub fn a_deleted_draft_leaves_its_log(store: &dyn ExperimentStore) {
    create(store, &draft("e").description("d"));
    create(store, &draft("f"));
    let config = store.get("e").unwrap().unwrap();
    let created = store.history("e", 0).unwrap();
    let change = delete(store, "e").unwrap().unwrap();
    assert_eq!((&*change.experiment, &*change.mutation), ("e", "deleted"));
    let detail = change.detail.clone().unwrap();
    assert_eq!(detail.before, ChangeSide::from(&config));
    assert_eq!(detail.after, ChangeSide::default());
    assert_eq!(
        store.history("e", 0).unwrap(),
        [&[change][..], &created].concat()
    );

    assert_eq!(store.get("e").unwrap(), None);
    let names: Vec<_> = store.list().unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(names, ["f"]);
    assert_eq!(store.weight_periods("e").unwrap(), []);
    assert_refused!(assign(store, "e", "a"), ExperimentError::NotFound(_));
    assert_refused!(start(store, "e"), ExperimentError::NotFound(_));
    assert_refused!(delete(store, "e"), ExperimentError::NotFound(_));
    assert_refused!(rename(store, "e", "g"), ExperimentError::NotFound(_));
    assert_eq!(log(store, "e"), ["deleted", "created"]);
}

/// The name of a deleted draft is free. A new experiment of that name has nothing of the old one but its log, with
/// which it goes on.
pub fn a_deleted_name_is_used_again(store: &dyn ExperimentStore) {
    let first = ExperimentConfig::new("e", weights(&[("old", 1), ("older", 1)]));
    create(
        store,
        &first
            .clone()
            .exclusion_group("g")
            .salt("s")
            .enrolling(false),
    );
    store
        .set_variants("e", weights(&[("old", 2)]), None)
        .unwrap();
    delete(store, "e").unwrap();
    running(store, "e");
    let config = store.get("e").unwrap().unwrap();
    assert_eq!(
        ExperimentConfig {
            updated_at_secs: 0,
            ..config
        },
        even("e", ExperimentState::Running)
    );
    let periods = store.weight_periods("e").unwrap();
    assert_eq!(periods.len(), 1);
    assert_eq!(periods[0].period, 0);
    variant_of(store, "e", "a");
    assert_eq!(super::scanned(store, "e")[0].weight_period, 0);
    super::periods::assert_counted(store, "e");
    assert_eq!(
        log(store, "e"),
        ["created", "deleted", "set_weights", "created"]
    );
}

/// A draft of which something is kept is neither deleted nor renamed, and the error says what it is.
pub fn a_used_draft_keeps_its_name(store: &dyn ExperimentStore) {
    let assert_in_use = |name: &str, expected: UsedBy| {
        let before = snapshot(store, name);
        for refused in [delete(store, name), rename(store, name, "free")] {
            match refused {
                Err(ExperimentError::InUse {
                    experiment,
                    used_by,
                }) => assert_eq!((&*experiment, used_by), (name, expected)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(snapshot(store, name), before);
        assert_eq!(store.get("free").unwrap(), None);
    };
    create(store, &draft("e"));
    store.set_override("e", "qa", "control").unwrap();
    assert_in_use("e", UsedBy::Overrides);
    store.clear_override("e", "qa").unwrap();
    let exposure = ExposureRecord {
        experiment: "e".to_owned(),
        variant: "control".to_owned(),
        actor: "a".to_owned(),
        request_id: None,
        is_override: false,
        timestamp_secs: 7,
    };
    store.record_exposure(&exposure).unwrap();
    assert_in_use("e", UsedBy::Exposures);
    store.unassign("e", &["a"], None).unwrap();
    rename(store, "e", "free").unwrap().unwrap();
    delete(store, "free").unwrap().unwrap();
}

/// A renamed draft is the same under another name, and its log with it.
pub fn a_renamed_draft_keeps_what_it_is(store: &dyn ExperimentStore) {
    create(store, &draft("e").description("d").exclusion_group("g"));
    store
        .set_variants("e", weights(&[("control", 1), ("treatment", 3)]), None)
        .unwrap();
    let before = store.get("e").unwrap().unwrap();
    let (periods, entries) = (
        store.weight_periods("e").unwrap(),
        store.history("e", 0).unwrap(),
    );
    let change = rename(store, "e", "f").unwrap().unwrap();
    assert_eq!((&*change.experiment, &*change.mutation), ("f", "renamed=f"));
    let detail = change.detail.clone().unwrap();
    assert_eq!(detail.before.name.as_deref(), Some("e"));
    assert_eq!(detail.after.name.as_deref(), Some("f"));

    let after = store.get("f").unwrap().unwrap();
    assert_eq!(
        ExperimentConfig {
            name: "f".to_owned(),
            updated_at_secs: after.updated_at_secs,
            ..before
        },
        after
    );
    assert_eq!(store.list().unwrap(), [after]);
    assert_eq!(store.weight_periods("f").unwrap(), periods);
    let renamed = entries.into_iter().map(|entry| ChangeRecord {
        experiment: "f".to_owned(),
        ..entry
    });
    let renamed: Vec<_> = [change].into_iter().chain(renamed).collect();
    assert_eq!(store.history("f", 0).unwrap(), renamed);

    assert_eq!(store.get("e").unwrap(), None);
    assert_eq!(store.history("e", 0).unwrap(), []);
    assert_eq!(store.weight_periods("e").unwrap(), []);
    assert_refused!(start(store, "e"), ExperimentError::NotFound(_));
    create(store, &draft("e"));
    assert_eq!(log(store, "e"), ["created"]);
    assert_eq!(log(store, "f").len(), 3);
}

/// The buckets follow the next name, unless there is a salt.
pub fn buckets_follow_the_next_name(store: &dyn ExperimentStore) {
    create(store, &draft("e"));
    create(store, &draft("salted").salt("e"));
    rename(store, "e", "checkout_v2").unwrap();
    rename(store, "salted", "onboarding_v3").unwrap();
    start(store, "checkout_v2").unwrap();
    start(store, "onboarding_v3").unwrap();
    assert_eq!(variant_of(store, "checkout_v2", "user:1"), "control");
    assert_eq!(variant_of(store, "checkout_v2", "user:2"), "treatment");
    for n in 0..20 {
        let actor = format!("user:{n}");
        let bucket = crate::bucketing::experiment_bucket("e", &actor);
        let expected = if bucket < 5_000 {
            "control"
        } else {
            "treatment"
        };
        assert_eq!(variant_of(store, "onboarding_v3", &actor), expected);
    }
}

/// No name that is given begins or ends with white space: of an experiment, its group, its variants.
pub fn a_new_name_has_no_blank_edges(store: &dyn ExperimentStore) {
    create(store, &draft("e"));
    let before = snapshot(store, "e");
    let mut variants = draft("v");
    "treatment ".clone_into(&mut variants.variants[1].name);
    for config in [
        draft(" n"),
        draft("g").exclusion_group("g\u{3000}"),
        variants,
    ] {
        assert_refused!(
            store.insert(config),
            ExperimentError::InvalidConfig {
                problem: ConfigProblem::BlankEdge(_),
                ..
            }
        );
    }
    let variants = weights(&[("control", 1), (" treatment", 1)]);
    for mutation in [
        Mutation::SetVariants {
            experiment: "e",
            variants: &variants,
            values: None,
        },
        Mutation::SetWeights {
            experiment: "e",
            weights: &variants[1..],
        },
        Mutation::Rename {
            experiment: "e",
            to: "e ",
        },
    ] {
        assert_refused!(
            store.mutate(&mutation, None),
            ExperimentError::InvalidConfig {
                problem: ConfigProblem::BlankEdge(_),
                ..
            }
        );
    }
    assert_eq!(snapshot(store, "e"), before);
}

/// A draft takes no name that is there in any state, nor one that no experiment may have. Its own is no change.
pub fn a_name_that_is_taken_is_refused(store: &dyn ExperimentStore) {
    create(store, &draft("e"));
    create(store, &draft("draft"));
    running(store, "running");
    running(store, "archived");
    super::archive(store, "archived").unwrap();
    let before = snapshot(store, "e");
    for state in [
        ExperimentState::Draft,
        ExperimentState::Running,
        ExperimentState::Archived,
    ] {
        match rename(store, "e", state.as_str()) {
            Err(ExperimentError::AlreadyExists(name, found)) => {
                assert_eq!((&*name, found), (state.as_str(), state));
            }
            other => panic!("{other:?}"),
        }
    }
    let field = Field::Config(ConfigField::Name);
    let long = "n".repeat(MAX_NAME_BYTES + 1);
    for (to, expected) in [
        ("", ConfigProblem::Empty(field)),
        (" ", ConfigProblem::Empty(field)),
        ("a\n", ConfigProblem::ControlCharacter(field)),
        (
            &long,
            ConfigProblem::TooLong {
                field,
                bytes: MAX_NAME_BYTES + 1,
                limit: MAX_NAME_BYTES,
            },
        ),
    ] {
        match rename(store, "e", to) {
            Err(ExperimentError::InvalidConfig { problem, .. }) => assert_eq!(problem, expected),
            other => panic!("{to:?} gave {other:?}"),
        }
    }
    assert_eq!(rename(store, "e", "e").unwrap(), None);
    assert_eq!(snapshot(store, "e"), before);
    assert_eq!(log(store, "draft"), ["created"]);
}

/// A draft may take a name whose experiment was deleted or renamed. The log of the deleted one is then its own as
/// well, in the order in which all of it happened.
pub fn a_renamed_draft_goes_on_with_the_log_of_its_name(store: &dyn ExperimentStore) {
    create(store, &draft("old"));
    create(store, &draft("e"));
    delete(store, "old").unwrap();
    store
        .set_variants("e", weights(&[("control", 1), ("treatment", 3)]), None)
        .unwrap();
    rename(store, "e", "old").unwrap();
    assert_eq!(
        log(store, "old"),
        [
            "renamed=old",
            "set_weights",
            "deleted",
            "created",
            "created"
        ]
    );
    assert_eq!(log(store, "e").len(), 0);
    rename(store, "old", "e").unwrap();
    assert_eq!(log(store, "e").len(), 6);
    assert_eq!(log(store, "old").len(), 0);
}

/// In a batch each mutation finds the names as the ones before it have left them, and if one is refused, no name has
/// changed.
pub fn a_batch_renames_and_deletes(store: &dyn ExperimentStore) {
    for name in ["a", "b", "c"] {
        create(store, &draft(name).description(name));
    }
    let rename = |experiment, to| Mutation::Rename { experiment, to };
    let delete = |experiment| Mutation::Delete { experiment };
    let again = draft("c").description("again");
    let swap = [
        rename("a", "between"),
        rename("b", "a"),
        rename("between", "b"),
        delete("c"),
        Mutation::Insert(&again),
        Mutation::SetDescription {
            experiment: "a",
            description: Some("was b"),
        },
    ];
    let changes = store.mutate_all(&[], &swap, None).unwrap();
    let told: Vec<_> = changes
        .into_iter()
        .map(|change| change.unwrap().mutation)
        .collect();
    let expected = [
        "renamed=between",
        "renamed=a",
        "renamed=b",
        "deleted",
        "created",
        "updated",
    ];
    assert_eq!(told, expected);
    let described = || -> Vec<_> {
        let all = store.list().unwrap().into_iter();
        all.map(|e| (e.name, e.description.unwrap())).collect()
    };
    let expected = [("a", "was b"), ("b", "a"), ("c", "again")];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(described(), expected);
    assert_eq!(log(store, "a"), ["updated", "renamed=a", "created"]);
    assert_eq!(log(store, "b"), ["renamed=b", "renamed=between", "created"]);
    assert_eq!(log(store, "c"), ["created", "deleted", "created"]);

    let before = ["a", "b", "c"].map(|name| log(store, name));
    for refused in [
        &[rename("a", "free"), Mutation::Insert(&draft("free"))][..],
        &[delete("c"), rename("a", "b")],
        &[rename("a", "free"), delete("a")],
        &[
            delete("b"),
            Mutation::SetOverride {
                experiment: "a",
                actor: "qa",
                variant: "control",
                expires_at_secs: None,
                reason: None,
            },
            delete("a"),
        ],
    ] {
        assert!(store.mutate_all(&[], refused, None).is_err());
        assert_eq!(described(), expected);
        assert_eq!(["a", "b", "c"].map(|name| log(store, name)), before);
        assert_eq!(log(store, "free").len(), 0);
        assert_eq!(store.overrides("a").unwrap(), []);
    }
}

/// A deleted experiment is as absent as one that never was, for a batch that expects something.
pub fn a_deleted_experiment_is_not_expected(store: &dyn ExperimentStore) {
    create(store, &draft("e"));
    let seen = store.get("e").unwrap();
    delete(store, "e").unwrap();
    let next = draft("e").description("next");
    let insert = [Mutation::Insert(&next)];
    let expected = |config| Expected {
        experiment: "e",
        config,
    };
    assert_refused!(
        store.mutate_all(&[expected(seen.as_ref())], &insert, None),
        ExperimentError::DeletedMeanwhile(_)
    );
    store.mutate_all(&[expected(None)], &insert, None).unwrap();
    let found = store.get("e").unwrap().unwrap();
    assert_eq!(found.description.as_deref(), Some("next"));
}
