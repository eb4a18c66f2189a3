//! The log of changes.

use super::{
    OPERATOR, archive, assert_refused, assign, conclude, create, even, log, record, running,
    snapshot, start, weights,
};
use crate::error::ExperimentError;
use crate::experiment::{ChangeSide, ExperimentState};
use crate::lifecycle::Mutation;
use crate::store::ExperimentStore;

/// Every successful mutation appends one entry with its text, its operator and its time, and
/// returns it.
pub fn every_change_is_logged_once(store: &dyn ExperimentStore) {
    let draft = even("e", ExperimentState::Draft);
    let returned = [
        store.upsert(draft.clone()),
        store.upsert(draft),
        start(store, "e"),
        store.set_variants("e", weights(&[("control", 1), ("treatment", 3)]), None),
        store.set_override("e", "user:1", "control"),
        store.clear_override("e", "user:1"),
        conclude(store, "e", "treatment"),
        start(store, "e"),
        archive(store, "e"),
    ];
    let mut returned: Vec<_> = returned.into_iter().map(|r| r.unwrap().unwrap()).collect();
    returned.reverse();
    assert_eq!(store.history("e", 0).unwrap(), returned);
    assert_eq!(
        log(store, "e"),
        [
            "state=archived",
            "state=running",
            "concluded=treatment",
            "override_cleared=user:1",
            "override=user:1:control",
            "set_weights",
            "state=running",
            "updated",
            "created",
        ]
    );
    for change in returned {
        assert_eq!(change.experiment, "e");
        assert_eq!(change.actor.as_deref(), Some(OPERATOR));
        assert!(change.timestamp_secs > 0);
    }
}

/// An entry's detail holds the values before and after.
pub fn the_log_reads_as_a_diff(store: &dyn ExperimentStore) {
    let newest = || {
        let change = store.history("e", 1).unwrap().remove(0);
        let detail = change.detail.unwrap();
        (detail.before, detail.after)
    };
    let config = even("e", ExperimentState::Draft);
    create(store, &config);
    let (before, after) = newest();
    assert_eq!(before, ChangeSide::default());
    assert_eq!(after.state, Some(ExperimentState::Draft));
    assert_eq!(after.variants.as_ref(), Some(&config.variants));

    let next = weights(&[("control", 1), ("treatment", 9)]);
    store.set_variants("e", next.clone(), None).unwrap();
    let (before, after) = newest();
    assert_eq!(
        (before.variants, after.variants),
        (Some(config.variants), Some(next))
    );
    assert_eq!((before.state, after.state), (None, None));

    store.set_override("e", "a", "control").unwrap();
    store.set_override("e", "a", "treatment").unwrap();
    let (before, after) = newest();
    assert_eq!(before.pinned.as_deref(), Some("control"));
    assert_eq!(after.pinned.as_deref(), Some("treatment"));

    store.clear_override("e", "a").unwrap();
    let (before, after) = newest();
    assert_eq!(
        (before.pinned.as_deref(), after.pinned),
        (Some("treatment"), None)
    );

    conclude(store, "e", "control").unwrap();
    start(store, "e").unwrap();
    let (before, after) = newest();
    assert_eq!(before.state, Some(ExperimentState::Concluded));
    assert_eq!(before.winner.as_deref(), Some("control"));
    assert_eq!(after.state, Some(ExperimentState::Running));
    assert_eq!(after.winner, None);
}

/// `history` is newest first, also within one second; `limit` 0 means all; each experiment has its
/// own.
pub fn the_log_is_newest_first(store: &dyn ExperimentStore) {
    running(store, "e");
    running(store, "other");
    for n in 0..20 {
        let actor = n.to_string();
        store.set_override("e", &actor, "control").unwrap();
        store.set_override("other", &actor, "control").unwrap();
    }
    let all = log(store, "e");
    let expected: Vec<String> = (0..20)
        .rev()
        .map(|n| format!("override={n}:control"))
        .chain(["created".to_owned()])
        .collect();
    assert_eq!(all, expected);
    for limit in [1, 5, 21, 1_000, usize::MAX] {
        let limited = store.history("e", limit).unwrap();
        let limited: Vec<String> = limited.into_iter().map(|c| c.mutation).collect();
        assert_eq!(limited, all[..limit.min(all.len())]);
    }
}

/// Starting what runs, archiving what is archived, clearing what isn't there and setting what is set
/// succeed, and are not logged.
pub fn what_changes_nothing_is_not_logged(store: &dyn ExperimentStore) {
    running(store, "e");
    assert_eq!(start(store, "e").unwrap(), None);
    assert_eq!(store.clear_override("e", "nobody").unwrap(), None);
    let same = even("e", ExperimentState::Running).variants;
    assert_eq!(store.set_variants("e", same, None).unwrap(), None);
    store.set_override("e", "a", "control").unwrap().unwrap();
    assert_eq!(store.set_override("e", "a", "control").unwrap(), None);
    conclude(store, "e", "control").unwrap().unwrap();
    assert_eq!(conclude(store, "e", "control").unwrap(), None);
    archive(store, "e").unwrap();
    assert_eq!(archive(store, "e").unwrap(), None);
    let logged = [
        "state=archived",
        "concluded=control",
        "override=a:control",
        "created",
    ];
    assert_eq!(log(store, "e"), logged);
}

/// A change that names an operator is logged as that operator's, and only that one.
pub fn an_operator_that_is_named_is_logged(store: &dyn ExperimentStore) {
    running(store, "e");
    let next = weights(&[("control", 1), ("treatment", 2)]);
    let named = store.set_variants("e", next, Some("ann")).unwrap();
    assert_eq!(named.unwrap().actor.as_deref(), Some("ann"));
    let next = weights(&[("control", 1), ("treatment", 3)]);
    store.set_variants("e", next, None).unwrap();
    let draft = even("f", ExperimentState::Draft);
    let batch = [Mutation::Insert(&draft)];
    store.mutate_all(&[], &batch, Some("ann")).unwrap();
    let operators = |name| -> Vec<Option<String>> {
        let changes = store.history(name, 0).unwrap().into_iter();
        changes.map(|change| change.actor).collect()
    };
    let expected = [OPERATOR, "ann", OPERATOR];
    assert_eq!(operators("e"), expected.map(|name| Some(name.to_owned())));
    assert_eq!(operators("f"), [Some("ann".to_owned())]);
}

/// A refused mutation, or a refused assignment, changes nothing and logs nothing.
pub fn a_refusal_leaves_no_trace(store: &dyn ExperimentStore) {
    running(store, "e");
    assign(store, "e", "a").unwrap();
    record(store, "e", "b", "control", false).unwrap();
    let before = snapshot(store, "e");
    assert_refused!(
        store.upsert(even("e", ExperimentState::Running)),
        ExperimentError::AlreadyExists(..)
    );
    assert_refused!(
        conclude(store, "e", "x"),
        ExperimentError::UnknownVariant { .. }
    );
    assert_refused!(
        store.set_variants("e", vec![], None),
        ExperimentError::InvalidConfig { .. }
    );
    assert_refused!(
        store.set_variants("e", weights(&[("new", 1), ("treatment", 1)]), None),
        ExperimentError::VariantInUse { .. }
    );
    assert_refused!(
        store.set_override("e", "a", "x"),
        ExperimentError::UnknownVariant { .. }
    );
    assert_refused!(
        store.set_override("e", "", "control"),
        ExperimentError::InvalidConfig { .. }
    );
    assert_refused!(
        record(store, "e", "c", "x", false),
        ExperimentError::UnknownVariant { .. }
    );
    assert_eq!(snapshot(store, "e"), before);
}
