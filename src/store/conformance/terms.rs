//! What is kept of an override beside its variant: its end, what it is for, and who set it.

use super::expiry::{END, SET, pin, pin_because};
use super::{At, OPERATOR, archive, assert_refused, create, even, running, snapshot};
use crate::error::{ConfigProblem, ExperimentError, Field};
use crate::experiment::{ChangeSide, ExperimentState, Override};
use crate::lifecycle::Mutation;
use crate::validation::MAX_ACTOR_BYTES;

/// An override that would have expired when it is set is refused; one that lasts a second is not.
pub fn an_end_in_the_past_is_refused(at: At<'_>) {
    let store = at(SET);
    running(&*store, "e");
    pin(&*store, "e", "qa", "control", Some(END)).unwrap();
    let before = snapshot(&*store, "e");
    for past in [0, SET - 1, SET] {
        match pin(&*store, "e", "qa", "treatment", Some(past)) {
            Err(ExperimentError::InvalidConfig { problem, .. }) => {
                assert_eq!(problem, ConfigProblem::ExpiryPassed);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(snapshot(&*store, "e"), before);
    pin(&*store, "e", "qa", "treatment", Some(SET + 1))
        .unwrap()
        .unwrap();
    assert_eq!(
        store.get_override("e", "qa").unwrap().as_deref(),
        Some("treatment")
    );
}

/// An override is kept with its end, its reason, who set it and when; the newest counts, and the log has both sides.
pub fn an_override_says_what_it_is_for(at: At<'_>) {
    let store = at(SET);
    create(&*store, &even("e", ExperimentState::Draft));
    let first = pin_because(&*store, "e", "qa", "control", Some(END), Some("demo \"1\""));
    let first = first.unwrap().unwrap();
    assert_eq!(first.mutation, "override=qa:control");
    let expected = Override {
        experiment: "e".to_owned(),
        actor: "qa".to_owned(),
        variant: "control".to_owned(),
        created_at_secs: SET,
        expires_at_secs: Some(END),
        reason: Some("demo \"1\"".to_owned()),
        operator: Some(OPERATOR.to_owned()),
    };
    let found = store.overrides("e").unwrap();
    assert_eq!(found, std::slice::from_ref(&expected));
    let situation = store.situation("e", "qa").unwrap();
    assert_eq!(situation.pinned, Some(expected));
    let side = |expires_at_secs, reason: Option<&str>| ChangeSide {
        pinned: Some("control".to_owned()),
        expires_at_secs,
        reason: reason.map(str::to_owned),
        ..ChangeSide::default()
    };
    let detail = first.detail.unwrap();
    let both = side(Some(END), Some("demo \"1\""));
    assert_eq!(
        (detail.before, &detail.after),
        (ChangeSide::default(), &both)
    );

    let later = at(SET + 1);
    let without = Mutation::SetOverride {
        experiment: "e",
        actor: "qa",
        variant: "control",
        expires_at_secs: None,
        reason: None,
    };
    let second = later.mutate(&without, Some("ann")).unwrap().unwrap();
    let detail = second.detail.unwrap();
    assert_eq!((detail.before, detail.after), (both, side(None, None)));
    let kept = later.overrides("e").unwrap().remove(0);
    assert_eq!(kept.operator.as_deref(), Some("ann"));
    assert_eq!(
        (kept.created_at_secs, kept.expires_at_secs, kept.reason),
        (SET + 1, None, None)
    );
}

/// The same variant with the same end and the same reason is no change, whoever asks for it; anything else is.
pub fn the_same_override_again_is_no_change(at: At<'_>) {
    let store = at(SET);
    running(&*store, "e");
    let set = |end, reason| {
        let change = pin_because(&*store, "e", "qa", "control", end, reason);
        change.unwrap().is_some()
    };
    for (end, reason) in [
        (None, None),
        (Some(END), None),
        (Some(END + 1), None),
        (Some(END + 1), Some("demo")),
        (Some(END + 1), Some("another demo")),
        (None, None),
    ] {
        assert!(set(end, reason), "{end:?} {reason:?}");
        let before = snapshot(&*store, "e");
        assert!(!set(end, reason), "{end:?} {reason:?}");
        assert_eq!(snapshot(&*store, "e"), before);
    }
    assert_eq!(store.history("e", 0).unwrap().len(), 7);
}

/// A reason that no store can hold is refused.
pub fn an_unusable_reason_is_refused(at: At<'_>) {
    let store = at(SET);
    running(&*store, "e");
    let before = snapshot(&*store, "e");
    let long = "r".repeat(MAX_ACTOR_BYTES + 1);
    for (reason, expected) in [
        ("a\0b", ConfigProblem::ControlCharacter(Field::Reason)),
        (
            &long,
            ConfigProblem::TooLong {
                field: Field::Reason,
                bytes: MAX_ACTOR_BYTES + 1,
                limit: MAX_ACTOR_BYTES,
            },
        ),
    ] {
        match pin_because(&*store, "e", "qa", "control", None, Some(reason)) {
            Err(ExperimentError::InvalidConfig { problem, .. }) => assert_eq!(problem, expected),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(snapshot(&*store, "e"), before);
    let longest = "r".repeat(MAX_ACTOR_BYTES);
    pin_because(&*store, "e", "qa", "control", None, Some(&longest)).unwrap();
    archive(&*store, "e").unwrap();
    assert_refused!(
        pin(&*store, "e", "qa", "treatment", Some(END)),
        ExperimentError::Archived(_)
    );
}
