//! What the variants stand for: kept as it is, and given with every answer.

use serde_json::{Value, json};

use super::{assign, conclude, create, even, running, scanned, weights};
use crate::assignment::{AssignManyRequest, Explanation, Keep};
use crate::error::{ConfigProblem, ExperimentError, Field};
use crate::experiment::{ChangeRecord, ExperimentState, VariantValues};
use crate::field::{MAX_VALUE_BYTES, MAX_VALUE_DEPTH};
use crate::lifecycle::Mutation;
use crate::store::ExperimentStore;

pub(super) fn values(values: &[(&str, Value)]) -> VariantValues {
    let owned = values.iter().cloned();
    owned
        .map(|(variant, value)| (variant.to_owned(), value))
        .collect()
}

pub(super) fn set_values(
    store: &dyn ExperimentStore,
    experiment: &str,
    values: &VariantValues,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    store.mutate(&Mutation::SetValues { experiment, values }, None)
}

/// A list within a list, so many levels deep.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

fn colours() -> VariantValues {
    values(&[
        ("control", json!({ "colour": "grey", "columns": 2 })),
        ("treatment", json!({ "colour": "green", "columns": 3 })),
    ])
}

/// Whoever is given a variant is given its value as well: a newcomer, who is in, who has an override, one of many,
/// in a dry run, in an explanation, and as the winner.
pub fn an_answer_carries_the_value(store: &dyn ExperimentStore) {
    let config = even("checkout_v2", ExperimentState::Running).values(colours());
    create(store, &config);
    store
        .set_override("checkout_v2", "qa", "treatment")
        .unwrap();
    // (checkout_v2, user:1) is in the first half, (checkout_v2, user:2) in the second.
    for (actor, variant) in [
        ("user:1", "control"),
        ("user:2", "treatment"),
        ("qa", "treatment"),
    ] {
        let value = config.values.get(variant);
        let situation = store.situation("checkout_v2", actor).unwrap();
        assert_eq!(situation.verdict().unwrap().value, value);
        let explanation = Explanation::of(situation).unwrap();
        assert_eq!(explanation.value.as_ref(), value);
        for _ in 0..2 {
            let assigned = assign(store, "checkout_v2", actor).unwrap();
            assert_eq!(
                (&*assigned.variant, assigned.value.as_ref()),
                (variant, value)
            );
        }
    }
    for keep in [
        Keep::Nothing,
        Keep::Assignments,
        Keep::AssignmentsAndExposures,
    ] {
        let request = AssignManyRequest {
            experiment: "checkout_v2",
            actors: &["user:2", "user:1", "qa", "new"],
            keep,
        };
        let answers = store.assign_many(&request).unwrap();
        assert_eq!(answers.len(), 4);
        for verdict in answers.iter() {
            let value = config.values.get(verdict.variant.unwrap());
            assert_eq!(verdict.value, value);
            assert!(value.is_some());
        }
    }
    conclude(store, "checkout_v2", "treatment").unwrap();
    let winner = assign(store, "checkout_v2", "user:1").unwrap();
    assert_eq!(winner.value.as_ref(), config.values.get("treatment"));
}

/// A value is any JSON without null and not too deep, and it is given back as it was.
pub fn values_are_kept_as_they_are(store: &dyn ExperimentStore) {
    let all = [
        json!(""),
        json!("with \"quotes\", \\ and \u{0}, \u{1f} and 🙂"),
        json!(false),
        json!(0.1 + 0.2),
        json!(1.0),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!([]),
        json!([1, "two", [true]]),
        json!({}),
        json!({ "z": { "a": {} }, "a": [1.5], "": "empty key" }),
        nested(MAX_VALUE_DEPTH),
    ];
    for (number, value) in all.into_iter().enumerate() {
        let name = format!("e{number}");
        let given = values(&[("control", value.clone()), ("treatment", value.clone())]);
        create(
            store,
            &even(&name, ExperimentState::Running).values(given.clone()),
        );
        assert_eq!(store.get(&name).unwrap().unwrap().values, given);
        let assigned = assign(store, &name, "a").unwrap();
        assert_eq!(assigned.value, Some(value));
        let created = store.history(&name, 1).unwrap().remove(0).detail.unwrap();
        assert_eq!(created.after.values, Some(given));
    }
    running(store, "without");
    assert_eq!(assign(store, "without", "a").unwrap().value, None);
}

/// Values that no store may hold are refused in a new experiment, in a replaced draft and by themselves: of two
/// types, of no variant, with a null, too deep, not for each variant, too long.
pub fn values_that_are_wrong_are_refused(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Draft));
    let long = Value::from("x".repeat(MAX_VALUE_BYTES));
    let cases = [
        (
            values(&[("control", json!(1)), ("treatment", json!("1"))]),
            ConfigProblem::ValueTypes {
                variant: "treatment".to_owned(),
                found: "string",
                other: "control".to_owned(),
                expected: "number",
            },
        ),
        (
            values(&[
                ("control", json!(1)),
                ("treatment", json!(2)),
                ("x", json!(3)),
            ]),
            ConfigProblem::ValueUnknown("x".to_owned()),
        ),
        (
            values(&[("control", Value::Null), ("treatment", Value::Null)]),
            ConfigProblem::ValueNull("control".to_owned()),
        ),
        (
            values(&[
                ("control", json!([{ "a": null }])),
                ("treatment", json!([])),
            ]),
            ConfigProblem::ValueNull("control".to_owned()),
        ),
        (
            values(&[
                ("control", json!([])),
                ("treatment", nested(MAX_VALUE_DEPTH + 1)),
            ]),
            ConfigProblem::ValueTooDeep {
                variant: "treatment".to_owned(),
                limit: MAX_VALUE_DEPTH,
            },
        ),
        (
            values(&[("treatment", json!(1))]),
            ConfigProblem::ValueMissing("control".to_owned()),
        ),
        (
            values(&[("control", json!("")), ("treatment", long)]),
            ConfigProblem::TooLong {
                field: Field::Value(1),
                // The quotation marks count.
                bytes: MAX_VALUE_BYTES + 2,
                limit: MAX_VALUE_BYTES,
            },
        ),
    ];
    let before = super::snapshot(store, "e");
    for (wrong, expected) in cases {
        let draft = |name| even(name, ExperimentState::Draft).values(wrong.clone());
        for result in [
            store.insert(draft("new")),
            store.upsert(draft("e")),
            set_values(store, "e", &wrong),
        ] {
            match result {
                Err(ExperimentError::InvalidConfig { problem, .. }) => {
                    assert_eq!(problem, expected);
                }
                other => panic!("{expected:?} gave {other:?}"),
            }
        }
    }
    assert_eq!(super::snapshot(store, "e"), before);
    assert_eq!(store.get("new").unwrap(), None);

    let longest = Value::from("x".repeat(MAX_VALUE_BYTES - 2));
    let longest = values(&[("control", longest), ("treatment", json!(""))]);
    set_values(store, "e", &longest).unwrap().unwrap();
    assert_eq!(store.get("e").unwrap().unwrap().values, longest);
}

/// A changed value is what the next answer has; nobody is moved, and no period of weights begins.
pub fn a_changed_value_is_answered_at_once(store: &dyn ExperimentStore) {
    create(
        store,
        &even("e", ExperimentState::Running).values(colours()),
    );
    let first = assign(store, "e", "a").unwrap();
    let stored = (scanned(store, "e"), store.weight_periods("e").unwrap());
    let next = values(&[("control", json!(1)), ("treatment", json!(2))]);
    let change = set_values(store, "e", &next).unwrap().unwrap();
    assert_eq!(change.mutation, "values");
    let detail = change.detail.unwrap();
    assert_eq!(detail.before.values, Some(colours()));
    assert_eq!(detail.after.values, Some(next.clone()));
    assert_eq!(set_values(store, "e", &next).unwrap(), None);

    let again = assign(store, "e", "a").unwrap();
    assert_eq!(again.variant, first.variant);
    assert_eq!(again.value.as_ref(), next.get(&first.variant));
    assert_eq!(
        (scanned(store, "e"), store.weight_periods("e").unwrap()),
        stored
    );

    set_values(store, "e", &VariantValues::default())
        .unwrap()
        .unwrap();
    assert_eq!(assign(store, "e", "a").unwrap().value, None);
    assert_eq!(store.history("e", 0).unwrap().len(), 3);
}

/// A variant that goes takes its value along. One that is new beside others with values brings one in the same step,
/// or is refused.
pub fn a_value_goes_with_its_variant(store: &dyn ExperimentStore) {
    create(
        store,
        &even("e", ExperimentState::Running).values(colours()),
    );
    let only = weights(&[("control", 1)]);
    let change = store.set_variants("e", only, None).unwrap().unwrap();
    assert_eq!(change.mutation, "set_weights");
    let rest = values(&[("control", colours().get("control").unwrap().clone())]);
    let detail = change.detail.unwrap();
    assert_eq!(detail.before.values, Some(colours()));
    assert_eq!(detail.after.values, Some(rest.clone()));
    assert_eq!(store.get("e").unwrap().unwrap().values, rest);

    let more = weights(&[("control", 0), ("new", 1)]);
    let entries = store.history("e", 0).unwrap().len();
    match store.set_variants("e", more.clone(), None) {
        Err(ExperimentError::InvalidConfig { problem, .. }) => {
            assert_eq!(problem, ConfigProblem::ValueMissing("new".to_owned()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.get("e").unwrap().unwrap().values, rest);
    let new = json!({ "colour": "blue", "columns": 1 });
    let both = values(&[("control", json!({})), ("new", new.clone())]);
    let mutation = Mutation::SetVariants {
        experiment: "e",
        variants: &more,
        values: Some(&both),
    };
    let change = store.mutate(&mutation, None).unwrap().unwrap();
    assert_eq!(change.detail.unwrap().after.values, Some(both.clone()));
    assert_eq!(store.history("e", 0).unwrap().len(), entries + 1);
    assert!(store.mutate(&mutation, None).unwrap().is_none());
    let assigned = assign(store, "e", "a").unwrap();
    assert_eq!((&*assigned.variant, assigned.value), ("new", Some(new)));

    // Other weights for the same variants leave the values, and the log does not speak of them.
    let heavier = weights(&[("control", 0), ("new", 2)]);
    let change = store.set_variants("e", heavier, None).unwrap().unwrap();
    assert_eq!(change.detail.unwrap().after.values, None);
    assert_eq!(store.get("e").unwrap().unwrap().values, both);
}

/// A replaced draft has the values of the new one, or none.
pub fn a_replaced_draft_changes_its_values(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Draft).values(colours()));
    let next = values(&[("control", json!("a")), ("treatment", json!("b"))]);
    for given in [next, VariantValues::default(), colours()] {
        let draft = even("e", ExperimentState::Draft).values(given.clone());
        store.upsert(draft).unwrap();
        assert_eq!(store.get("e").unwrap().unwrap().values, given);
    }
}
