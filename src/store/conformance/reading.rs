//! What a store answers when it is asked.

use super::{assign, create, even, running, running_in_group, weights};
use crate::assignment::AssignRequest;
use crate::bucketing::Bucketing;
use crate::coverage::Coverage;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::field::{MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES};
use crate::store::ExperimentStore;
use crate::validation::MAX_ACTOR_BYTES;

/// An unknown experiment is `None` or empty, never an error.
pub fn unknown_experiments_are_absent(store: &dyn ExperimentStore) {
    running(store, "known");
    assert_eq!(store.get("unknown").unwrap(), None);
    assert_eq!(store.get_assignment("unknown", "a").unwrap(), None);
    assert_eq!(store.get_override("unknown", "a").unwrap(), None);
    assert_eq!(store.overrides("unknown").unwrap(), []);
    assert_eq!(store.variant_counts("unknown").unwrap(), []);
    assert_eq!(store.history("unknown", 0).unwrap(), []);
    assert_eq!(store.exposures("unknown").unwrap(), []);
    assert!(!store.has_assignment_in_group("a", "unknown", "").unwrap());
    assert_eq!(store.situation("unknown", "a").unwrap().config, None);
}

/// `get` gives back what was created, with the time of the change.
pub fn a_configuration_is_kept_as_it_is(store: &dyn ExperimentStore) {
    let configs = [
        ExperimentConfig::new("plain", weights(&[("only", 1)])),
        ExperimentConfig::new("whole", weights(&[("z", 0), ("a", u32::MAX), ("m", 7)]))
            .description("all its fields")
            .exclusion_group("group")
            .bucketing(Bucketing::Fnv1aMixed)
            .salt("2026")
            .coverage(Coverage::of_10000(2500).unwrap()),
        ExperimentConfig {
            winner: Some("treatment".to_owned()),
            ..even("over", ExperimentState::Concluded)
        },
    ];
    for config in configs {
        create(store, &config);
        let stored = store.get(&config.name).unwrap().unwrap();
        assert!(stored.updated_at_secs > 0);
        let expected = ExperimentConfig {
            updated_at_secs: stored.updated_at_secs,
            ..config
        };
        assert_eq!(stored, expected);
    }
}

/// Names, descriptions, actors and request ids come back byte for byte, up to the longest allowed.
pub fn texts_are_kept_as_they_are(store: &dyn ExperimentStore) {
    let longest = "n".repeat(MAX_NAME_BYTES);
    let names = ["it's \"50%\"", "Größe 日本", "pad  ded", "a:b", &longest];
    let long_actor = "x".repeat(MAX_ACTOR_BYTES);
    let actors = [
        "user:42",
        "tab\there",
        "line\nfeed",
        "🦀",
        "' OR 1=1 --",
        &long_actor,
    ];
    for name in names {
        let mut config = even(name, ExperimentState::Running);
        config = config.description("d\n".repeat(MAX_DESCRIPTION_BYTES / 2));
        name.clone_into(&mut config.variants[0].name);
        create(
            store,
            &config.clone().exclusion_group(format!("{}g", &name[1..])),
        );
        let stored = store.get(name).unwrap().unwrap();
        assert_eq!(stored.name, name);
        assert_eq!(stored.description, config.description);
        assert_eq!(stored.variants, config.variants);
        for actor in actors {
            let request = AssignRequest::new(name, actor).keep_exposure(Some(actor));
            let variant = store.assign(&request).unwrap().variant;
            let stored = store.get_assignment(name, actor).unwrap().unwrap();
            assert_eq!((&*stored.actor, &stored.variant), (actor, &variant));
            let exposure = store.exposures(name).unwrap().pop().unwrap();
            assert_eq!(exposure.actor, actor);
            assert_eq!(exposure.request_id.as_deref(), Some(actor));
        }
    }
}

/// `list` is sorted by name, byte by byte.
pub fn the_list_is_sorted_by_name(store: &dyn ExperimentStore) {
    for name in ["b", "a10", "B", "ä", "a9", "_"] {
        running(store, name);
    }
    let names: Vec<String> = store.list().unwrap().into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["B", "_", "a10", "a9", "b", "ä"]);
    for config in store.list().unwrap() {
        assert_eq!(store.get(&config.name).unwrap(), Some(config));
    }
}

/// `situation` is what the separate questions answer, and names the sibling.
pub fn a_situation_tells_all_that_decides(store: &dyn ExperimentStore) {
    running_in_group(store, "one", "group");
    running_in_group(store, "two", "group");
    assign(store, "one", "a").unwrap();
    store.set_override("two", "a", "treatment").unwrap();

    let two = store.situation("two", "a").unwrap();
    assert_eq!(two.config, store.get("two").unwrap());
    assert_eq!(two.facts().pinned, Some("treatment"));
    assert_eq!(two.assignment, None);
    assert_eq!(two.sibling.as_deref(), Some("one"));

    let one = store.situation("one", "a").unwrap();
    assert_eq!(one.assignment, store.get_assignment("one", "a").unwrap());
    assert!(one.assignment.is_some());
    assert_eq!(one.facts().pinned, None);
    assert_eq!(one.sibling, None);
}

/// Where overrides have put an actor into several experiments of a group, `situation` names the first
/// of the others by name, byte by byte.
pub fn a_situation_names_the_first_sibling(store: &dyn ExperimentStore) {
    for name in ["asked", "b", "é", "B", "a"] {
        running_in_group(store, name, "group");
    }
    for name in ["b", "é", "B", "a"] {
        store.set_override(name, "qa", "treatment").unwrap();
        assign(store, name, "qa").unwrap();
    }
    let sibling = |name: &str| store.situation(name, "qa").unwrap().sibling;
    assert_eq!(sibling("asked").as_deref(), Some("B"));
    assert_eq!(sibling("B").as_deref(), Some("a"));
    store.clear_override("B", "qa").unwrap();
    assert_eq!(sibling("asked").as_deref(), Some("a"));
}
