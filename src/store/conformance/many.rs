//! Many actors at once.

use std::ops::ControlFlow;

use super::{
    archive, assert_refused, conclude, create, even, running, running_in_group, start,
    stored_variant, variant_of, weights,
};
use crate::assignment::{AssignManyRequest, EachPart, Keep};
use crate::error::ExperimentError;
use crate::experiment::ExperimentState;
use crate::rule::AssignmentReason;
use crate::store::ExperimentStore;

fn many(
    store: &dyn ExperimentStore,
    experiment: &str,
    actors: &[&str],
    keep: Keep,
) -> Vec<(Option<String>, AssignmentReason)> {
    let request = AssignManyRequest {
        experiment,
        actors,
        keep,
    };
    let answers = store.assign_many(&request).unwrap();
    let answers = answers.iter();
    answers
        .map(|verdict| (verdict.variant.map(str::to_owned), verdict.reason))
        .collect()
}

/// Many actors are answered in their order, each as if asked for alone; one who comes twice is
/// assigned the first time.
pub fn many_are_answered_in_order(store: &dyn ExperimentStore) {
    running_in_group(store, "checkout_v2", "g");
    running_in_group(store, "sibling", "g");
    variant_of(store, "checkout_v2", "user:3");
    variant_of(store, "sibling", "elsewhere");
    store
        .set_override("checkout_v2", "qa", "treatment")
        .unwrap();
    let actors = ["user:2", "qa", "user:1", "elsewhere", "user:3", "user:2"];
    let answers = many(store, "checkout_v2", &actors, Keep::Assignments);
    let reasons: Vec<_> = answers.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(
        reasons,
        [
            AssignmentReason::Assigned,
            AssignmentReason::Override,
            AssignmentReason::Assigned,
            AssignmentReason::Excluded,
            AssignmentReason::Sticky,
            AssignmentReason::Sticky,
        ]
    );
    for (actor, (variant, _)) in actors.iter().zip(answers) {
        assert_eq!(
            stored_variant(store, "checkout_v2", actor),
            variant,
            "{actor}"
        );
    }
    let counts = store.variant_counts("checkout_v2").unwrap();
    assert_eq!(counts.iter().map(|count| count.assigned).sum::<u64>(), 3);
    assert_eq!(counts.iter().map(|count| count.overridden).sum::<u64>(), 1);
}

/// When all weights are 0, those of many who are assigned keep what they have, the others get nothing.
pub fn many_keep_what_they_have_when_weights_are_zero(store: &dyn ExperimentStore) {
    running(store, "e");
    let before = variant_of(store, "e", "old");
    let zero = weights(&[("control", 0), ("treatment", 0)]);
    store.set_variants("e", zero, None).unwrap();
    let answers = many(store, "e", &["new", "old"], Keep::Assignments);
    let expected = [
        (None, AssignmentReason::NoVariant),
        (Some(before), AssignmentReason::Sticky),
    ];
    assert_eq!(answers, expected);
}

/// Many get the winner of a concluded experiment, and nothing is stored of them. Whose assignment is an
/// override's is said of each.
pub fn many_get_the_winner(store: &dyn ExperimentStore) {
    running(store, "e");
    store.set_override("e", "qa", "treatment").unwrap();
    let ask = |actors, keep| {
        let request = AssignManyRequest {
            experiment: "e",
            actors,
            keep,
        };
        store.assign_many(&request).unwrap()
    };
    let answers = ask(&["a", "qa"], Keep::Assignments);
    let overridden: Vec<_> = answers.iter().map(|verdict| verdict.is_override).collect();
    assert_eq!(overridden, [false, true]);
    conclude(store, "e", "treatment").unwrap();
    let answers = ask(&["a", "new"], Keep::AssignmentsAndExposures);
    for verdict in answers.iter() {
        assert_eq!(verdict.variant, Some("treatment"));
        assert_eq!(verdict.reason, AssignmentReason::Concluded);
        assert!(!verdict.store);
    }
    assert_eq!(stored_variant(store, "e", "new"), None);
    assert_eq!(store.exposures("e").unwrap(), []);
}

/// Of many, no more is kept than asked for: nothing, assignments, or exposures as well.
pub fn of_many_only_what_is_asked_for_is_kept(store: &dyn ExperimentStore) {
    running(store, "e");
    let actors = ["a", "b", "a"];
    let preview = many(store, "e", &actors, Keep::Nothing);
    assert!(
        preview
            .iter()
            .all(|(_, reason)| *reason == AssignmentReason::Assigned)
    );
    assert_eq!(stored_variant(store, "e", "a"), None);
    let kept = many(store, "e", &actors, Keep::Assignments);
    let variants = |answers: Vec<(Option<String>, AssignmentReason)>| {
        let variants = answers.into_iter().map(|(variant, _)| variant);
        variants.collect::<Vec<_>>()
    };
    assert_eq!(variants(kept), variants(preview));
    assert_eq!(store.exposures("e").unwrap(), []);
    many(store, "e", &actors, Keep::AssignmentsAndExposures);
    let exposures = store.exposures("e").unwrap();
    let exposed: Vec<_> = exposures.iter().map(|exposure| &*exposure.actor).collect();
    assert_eq!(exposed, actors);
}

/// Many are refused as one would be, and an actor who can't be stored spoils the call before anything
/// is kept.
pub fn many_are_refused_as_one_would_be(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Draft));
    let ask = |experiment, actors| {
        store.assign_many(&AssignManyRequest {
            experiment,
            actors,
            keep: Keep::Assignments,
        })
    };
    assert_refused!(ask("unknown", &["a"]), ExperimentError::NotFound(_));
    assert_refused!(
        ask("e", &["a"]),
        ExperimentError::NotRunning(_, ExperimentState::Draft)
    );
    start(store, "e").unwrap();
    assert_refused!(ask("e", &["a", ""]), ExperimentError::InvalidConfig { .. });
    assert_eq!(stored_variant(store, "e", "a"), None);
    archive(store, "e").unwrap();
    assert_refused!(ask("e", &["a"]), ExperimentError::Archived(_));
}

/// Many are shown part by part, each once, and what is shown is stored. Once it is broken off, nobody else is stored.
pub fn many_are_shown_once_they_are_stored(store: &dyn ExperimentStore) {
    running(store, "e");
    let actors = ["c", "a", "b", "a"];
    let show = |actors: &[&str], flow: ControlFlow<()>| {
        let request = AssignManyRequest {
            experiment: "e",
            actors,
            keep: Keep::Assignments,
        };
        let mut shown = Vec::new();
        let each: EachPart<'_> = &mut |part| {
            for (place, verdict) in part.iter() {
                let stored = stored_variant(store, "e", actors[place]);
                assert_eq!(stored.as_deref(), verdict.variant, "{place}");
                shown.push(place);
            }
            flow
        };
        store.assign_many_in_parts(&request, each).unwrap();
        shown
    };
    let mut shown = show(&actors, ControlFlow::Continue(()));
    shown.sort_unstable();
    assert_eq!(shown, [0, 1, 2, 3]);

    let further: Vec<String> = (0..9).map(|n| format!("further:{n}")).collect();
    let further: Vec<&str> = further.iter().map(String::as_str).collect();
    let shown = show(&further, ControlFlow::Break(()));
    assert!(!shown.is_empty());
    for (place, actor) in further.iter().enumerate() {
        let is_stored = stored_variant(store, "e", actor).is_some();
        assert_eq!(is_stored, shown.contains(&place), "{actor}");
    }
}
