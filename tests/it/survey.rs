//! A store looked at as a whole: `exp store info`, `check`, `backup`.

use std::path::Path;
use std::thread;

use experiments::{
    AssignRequest, ExperimentConfig, ExperimentState, ExperimentStore, PgExperimentStore,
    SqliteExperimentStore, VariantConfig,
};

use crate::server::{self, client, options};

/// Two experiments of a group; `user:1` is in the first, `user:2` in the second.
fn fill(store: &dyn ExperimentStore) {
    for name in ["one", "two"] {
        let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
        let config = ExperimentConfig {
            state: ExperimentState::Running,
            ..ExperimentConfig::new(name, variants)
        };
        store.insert(&config.exclusion_group("g")).unwrap();
    }
    for (experiment, actor) in [("one", "user:1"), ("two", "user:2")] {
        let request = AssignRequest {
            experiment,
            actor,
            request_id: None,
            keep_exposure: true,
        };
        store.assign(&request).unwrap();
    }
    store.set_override("one", "qa:ann", "b").unwrap();
}

fn damaged_file(directory: &Path, damage: &str) -> Vec<String> {
    let path = directory.join("x.db");
    let store = SqliteExperimentStore::open_or_create(&path).unwrap();
    fill(&store);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(damage).unwrap();
    store.check().unwrap()
}

#[test]
fn what_cannot_be_true_of_a_file_is_found() {
    let faults = [
        (
            "UPDATE assignments SET variant = 7 WHERE actor = 'user:1'",
            "experiment 'one': 1 assignment of a variant that it does not have",
        ),
        (
            "UPDATE experiments SET state = 'draft' WHERE name = 'two'",
            "experiment 'two': 1 assignment in a draft",
        ),
        (
            "INSERT INTO assignments SELECT space_id, actor, 1, variant, assigned_after
             FROM assignments WHERE actor = 'user:1'",
            "group 'g': 1 actor assigned in two of its experiments",
        ),
        (
            "UPDATE variants SET assigned = assigned + 3 WHERE experiment_id = 1 AND idx = 0",
            "experiment 'one': 3 assignments more or less than it counts",
        ),
        (
            "DELETE FROM changes WHERE experiment_id = 2",
            "experiment 'two': 1 experiment without an entry in the audit log",
        ),
    ];
    for (damage, told) in faults {
        let directory = tempfile::tempdir().unwrap();
        let found = damaged_file(directory.path(), damage);
        assert!(found.iter().any(|line| line == told), "{damage}: {found:?}");
    }
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn what_cannot_be_true_of_a_database_is_found() {
    let faults = [
        (
            "UPDATE autumn_experiment_assignments SET variant = 'z' WHERE actor = 'user:1'",
            "experiment 'one': 1 assignment of a variant that it does not have",
        ),
        (
            "UPDATE autumn_experiments SET state = 'draft' WHERE name = 'two'",
            "experiment 'two': 1 assignment in a draft",
        ),
        (
            "INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
             VALUES ('two', 'user:1', 'a')",
            "group 'g': 1 actor assigned in two of its experiments",
        ),
        (
            "DELETE FROM autumn_experiments WHERE name = 'two'",
            "experiment 'two': 1 assignment of an experiment that is not there",
        ),
        (
            "UPDATE autumn_experiment_overrides SET experiment = 'gone'",
            "experiment 'gone': 1 override of an experiment that is not there",
        ),
        (
            "UPDATE exp_exposures SET experiment = 'gone'",
            "experiment 'gone': 2 exposures of an experiment that is not there",
        ),
    ];
    for (damage, told) in faults {
        let url = server::shared().database();
        let store = PgExperimentStore::open_or_create(options(&url)).unwrap();
        fill(&store);
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
        let info = store.info().unwrap();
        let counted = (info.experiments, info.assignments, info.overrides);
        assert_eq!(counted, (2, 2, 1));
        assert_eq!((info.exposures, info.changes), (2, 3));
        // Past the triggers that refuse it.
        let damaged = client(&url).batch_execute(&format!("SET exp.writer = 'exp'; {damage}"));
        damaged.unwrap();
        let found = store.check().unwrap();
        assert!(found.iter().any(|line| line == told), "{damage}: {found:?}");
    }
}

/// A copy made while others write is a sound store of its own.
#[test]
fn a_file_is_copied_while_it_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    let store = SqliteExperimentStore::open_or_create(&path).unwrap();
    fill(&store);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let writing = SqliteExperimentStore::open(&path).unwrap();
            for n in 10..60 {
                writing
                    .record_assignment("one", &format!("user:{n}"), "a", false)
                    .unwrap();
            }
        });
        store.backup(&directory.path().join("copy.db")).unwrap();
        writer.join().unwrap();
    });
    let copy = SqliteExperimentStore::open(directory.path().join("copy.db")).unwrap();
    assert_eq!(copy.check().unwrap(), Vec::<String>::new());
    assert!(copy.get_assignment("one", "user:1").unwrap().is_some());
    copy.record_assignment("one", "user:99", "a", false)
        .unwrap();
    assert!(store.get_assignment("one", "user:99").unwrap().is_none());
    // Nothing is written over.
    assert!(store.backup(&directory.path().join("copy.db")).is_err());
}
