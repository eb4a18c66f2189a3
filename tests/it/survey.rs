//! A store looked at as a whole: `exp store info`, `check`, `backup`.

use std::path::Path;
use std::thread;

use experiments::lifecycle::Mutation;
use experiments::store::transfer;
use experiments::{
    AssignRequest, ExperimentConfig, ExperimentState, ExperimentStore, Finite, Outcome,
    PgExperimentStore, SqliteCopy, SqliteExperimentStore, StoreFinding, VariantConfig,
};
use macro_rules_attribute::apply;

use crate::givens::record;
use crate::sandbox::Sandbox;
use crate::server::{self, client, options};

/// Two experiments of a group; `user:1` is in the first, `user:2` in the second.
fn fill(store: &dyn ExperimentStore) {
    for name in ["one", "two"] {
        let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
        let config = ExperimentConfig {
            state: ExperimentState::Running,
            ..ExperimentConfig::new(name, variants)
        };
        store.insert(config.exclusion_group("g")).unwrap();
    }
    for (experiment, actor) in [("one", "user:1"), ("two", "user:2")] {
        let request = AssignRequest::new(experiment, actor).keep_exposure(None);
        store.assign(&request).unwrap();
    }
    store.set_override("one", "qa:ann", "b").unwrap();
    let outcome = Outcome {
        actor: "user:1".to_owned(),
        metric: "revenue".to_owned(),
        value: Finite::from(3),
        timestamp_secs: 1_790_000_000,
        id: Some("order 1".to_owned()),
    };
    store.track(&[outcome]).unwrap();
}

/// A damaged store: what is done to it, the kind and the subject of what is found, and whether a repair
/// mends it.
type Fault = (&'static str, &'static str, &'static str, bool);

fn kinds(found: &[StoreFinding]) -> Vec<(&str, &str, bool)> {
    let kinds = found.iter();
    kinds
        .map(|f| (f.code.id(), &*f.subject, f.repairable))
        .collect()
}

fn damaged_file(directory: &Path, damage: &str) -> SqliteExperimentStore {
    let path = directory.join("x.db");
    let store = SqliteExperimentStore::open_or_create(&path).unwrap();
    fill(&store);
    assert_eq!(store.check().unwrap(), []);
    drop(store);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(damage).unwrap();
    SqliteExperimentStore::open(&path).unwrap()
}

const FAULTS_OF_A_FILE: &[Fault] = &[
    (
        "UPDATE assignments SET variant = 7 WHERE actor = 'user:1'",
        "unknown-variant",
        "one",
        false,
    ),
    (
        "UPDATE assignments SET variant = -8 WHERE actor = 'user:1'",
        "unknown-variant",
        "one",
        false,
    ),
    (
        "UPDATE overrides SET variant = 7",
        "unknown-variant",
        "one",
        true,
    ),
    (
        "UPDATE overrides SET variant = -1",
        "unknown-variant",
        "one",
        true,
    ),
    (
        "UPDATE exposures SET variant = 7 WHERE actor = 'user:2'",
        "unknown-variant",
        "two",
        false,
    ),
    (
        "UPDATE variants SET position = NULL WHERE experiment_id = 1
            AND idx IN (SELECT variant FROM assignment_counts WHERE experiment_id = 1)",
        "removed-variant",
        "one",
        true,
    ),
    (
        "INSERT INTO assignments SELECT space_id, actor, 1, variant, assigned_after, 0
         FROM assignments WHERE actor = 'user:1'",
        "shared-actor",
        "g",
        false,
    ),
    (
        "UPDATE assignment_counts SET assigned = assigned + 3 WHERE experiment_id = 1",
        "miscounted",
        "one",
        true,
    ),
    (
        "UPDATE assignment_counts SET assigned = overridden, overridden = assigned WHERE experiment_id = 1",
        "miscounted",
        "one",
        true,
    ),
    (
        "UPDATE assignment_counts SET assigned = -9223372036854775808",
        "miscounted",
        "one",
        true,
    ),
    (
        "UPDATE assignment_counts SET assigned = 9223372036854775807, overridden = 9223372036854775807",
        "miscounted",
        "two",
        true,
    ),
    (
        "UPDATE variants SET position = NULL WHERE experiment_id = 1
            AND idx IN (SELECT variant FROM assignment_counts WHERE experiment_id = 1);
         UPDATE experiments SET updated_at = -1",
        "removed-variant",
        "one",
        false,
    ),
    (
        "UPDATE assignment_counts SET weight_period = 1 WHERE experiment_id = 1",
        "miscounted",
        "one",
        true,
    ),
    ("DELETE FROM assignment_counts", "miscounted", "two", true),
    (
        "UPDATE assignments SET weight_period = 1 WHERE actor = 'user:1'",
        "unknown-period",
        "one",
        false,
    ),
    (
        "UPDATE assignments SET weight_period = -1 WHERE actor = 'user:1'",
        "unknown-period",
        "one",
        false,
    ),
    (
        "DELETE FROM weight_periods WHERE experiment_id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE weight_periods SET variants = '{' WHERE experiment_id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE weight_periods SET began_at = -1 WHERE experiment_id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE experiments SET analysis = '{\"confidence\":\"high\"}' WHERE id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE outcomes SET actor = CAST(x'ff' AS TEXT)",
        "unreadable",
        "revenue",
        false,
    ),
    (
        "UPDATE outcomes SET value = 9e999",
        "unreadable",
        "revenue",
        false,
    ),
    (
        "UPDATE outcomes SET happened_at = -1",
        "unreadable",
        "revenue",
        false,
    ),
    ("DELETE FROM metrics", "unreadable", "", false),
    (
        "DELETE FROM changes WHERE experiment_id = 2",
        "unlogged",
        "two",
        false,
    ),
    ("DELETE FROM spaces", "missing-space", "two", true),
    (
        "DELETE FROM spaces; UPDATE changes SET detail = NULL",
        "missing-space",
        "one",
        false,
    ),
    (
        "UPDATE spaces SET exclusion_group = NULL",
        "shared-space",
        "one",
        false,
    ),
    (
        "UPDATE changes SET detail = '{' WHERE id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE changes SET detail = '{\"before\":3}' WHERE id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE changes SET mutation = CAST(x'ff' AS TEXT) WHERE id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE changes SET operator = CAST(x'ff' AS TEXT) WHERE id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE changes SET changed_at = -1 WHERE id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE exposures SET request_id = CAST(x'ff' AS TEXT)",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE exposures SET actor = CAST(x'ff' AS TEXT)",
        "unreadable",
        "two",
        false,
    ),
    (
        "UPDATE overrides SET actor = CAST(x'ff' AS TEXT)",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE assignments SET actor = CAST(x'ff' AS TEXT) WHERE actor = 'user:1'",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE experiments SET winner = 9 WHERE id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE experiments SET updated_at = -1 WHERE id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE experiments SET description = CAST(x'ff' AS TEXT) WHERE id = 1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE variants SET name = CAST(x'ff' AS TEXT) WHERE experiment_id = 2",
        "unreadable",
        "two",
        false,
    ),
    (
        "UPDATE variants SET weight = -1 WHERE experiment_id = 2",
        "unreadable",
        "two",
        false,
    ),
    (
        "DELETE FROM variants WHERE experiment_id = 2 AND idx = 0",
        "unreadable",
        "two",
        false,
    ),
    (
        "UPDATE variants SET name = ' ' WHERE experiment_id = 2 AND idx = 0",
        "invalid-experiment",
        "two",
        false,
    ),
    (
        "UPDATE variants SET position = 0 WHERE experiment_id = 2",
        "invalid-experiment",
        "two",
        false,
    ),
    (
        "DELETE FROM experiments WHERE id = 1",
        "orphan",
        "number 1",
        false,
    ),
    (
        "DELETE FROM experiments WHERE id = 2",
        "orphan",
        "in slot 1 of space 1",
        false,
    ),
    (
        "INSERT INTO variants VALUES (9, 0, 'a', 1, 0)",
        "orphan",
        "number 9",
        false,
    ),
    (
        "INSERT INTO weight_periods VALUES (9, 0, 0, '[]')",
        "orphan",
        "number 9",
        false,
    ),
    (
        "INSERT INTO assignment_counts VALUES (9, 0, 0, 1, 0)",
        "orphan",
        "number 9",
        false,
    ),
    (
        "INSERT INTO deleted_experiments VALUES (9, 'one')",
        "invalid-experiment",
        "one",
        false,
    ),
    (
        "INSERT INTO deleted_experiments VALUES (2, 'three')",
        "invalid-experiment",
        "three",
        false,
    ),
    (
        "INSERT INTO deleted_experiments VALUES (9, CAST(x'66ff' AS TEXT))",
        "unreadable",
        "f\u{fffd}",
        false,
    ),
    (
        "INSERT INTO deleted_experiments VALUES (9, 'gone');
         INSERT INTO changes (experiment_id, mutation, changed_at, detail)
         VALUES (9, 'deleted', 0, '{')",
        "unreadable",
        "gone",
        false,
    ),
    (
        "INSERT INTO deleted_experiments VALUES (9, 'gone');
         INSERT INTO overrides (experiment_id, actor, variant, created_at) VALUES (9, 'a', 0, 0)",
        "orphan",
        "number 9",
        false,
    ),
    (
        "UPDATE experiments SET variant_values = '{' WHERE id = 2",
        "unreadable",
        "two",
        false,
    ),
    (
        "UPDATE experiments SET variant_values = '{\"c\":1}' WHERE id = 2",
        "invalid-experiment",
        "two",
        false,
    ),
    (
        "UPDATE overrides SET expires_at = -1",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE overrides SET reason = CAST(x'66ff' AS TEXT)",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE overrides SET operator = CAST(x'66ff' AS TEXT)",
        "unreadable",
        "one",
        false,
    ),
    (
        "DROP VIEW exp_view_assignments",
        "schema",
        "exp_view_assignments",
        true,
    ),
    (
        "DROP INDEX outcomes_by_id",
        "schema",
        "outcomes_by_id",
        true,
    ),
    ("DROP TABLE outcomes", "schema", "outcomes", false),
    (
        "DROP INDEX changes_by_experiment",
        "schema",
        "changes_by_experiment",
        true,
    ),
    (HOLE_IN_INDEX, "structure", "file", true),
    ("DROP TABLE exposures", "schema", "exposures", false),
    (
        "ALTER TABLE overrides DROP COLUMN created_at",
        "schema",
        "overrides",
        false,
    ),
];

/// A row that its index does not have.
const HOLE_IN_INDEX: &str = "
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = sql || ' WHERE id < 0' WHERE name = 'changes_by_experiment';
    PRAGMA writable_schema = RESET;
    INSERT INTO changes (experiment_id, mutation, changed_at) VALUES (1, 'updated', 0);
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, ' WHERE id < 0', '')
        WHERE name = 'changes_by_experiment';
    PRAGMA writable_schema = RESET;";

#[test]
fn what_is_wrong_with_a_file_is_found_and_mended_where_it_can_be() {
    for &(damage, code, subject, repairable) in FAULTS_OF_A_FILE {
        let directory = tempfile::tempdir().unwrap();
        let store = damaged_file(directory.path(), damage).with_operator("ann");
        let found = store.check().unwrap();
        let kinds = kinds(&found);
        assert!(
            kinds.contains(&(code, subject, repairable)),
            "{damage}: {found:#?}"
        );
        let changes = store.info().map_or(0, |info| info.changes);
        let mended = store
            .repair()
            .unwrap_or_else(|error| panic!("{damage}: {error:?} {found:#?}"));
        assert_eq!(
            mended.iter().any(|f| f.code.id() == code),
            repairable,
            "{damage}"
        );
        let left = store.check().unwrap();
        assert!(!left.iter().any(|f| f.repairable), "{damage}: {left:#?}");
        if repairable && !["schema", "structure", "missing-space"].contains(&code) {
            let logged = store.history(subject, 1).unwrap();
            assert_eq!(logged[0].mutation, format!("repaired={code}"));
            assert_eq!(logged[0].actor.as_deref(), Some("ann"));
            assert_eq!(left, [], "{damage}");
        }
        if mended.is_empty() {
            assert_eq!(
                store.info().map_or(0, |info| info.changes),
                changes,
                "{damage}"
            );
        }
    }
}

/// What one command after another would stumble over, a check names; and what they all pass, it passes.
#[test]
fn a_file_that_is_found_sound_can_be_read_by_every_command() {
    for &(damage, code, _, _) in FAULTS_OF_A_FILE {
        let directory = tempfile::tempdir().unwrap();
        let store = damaged_file(directory.path(), damage);
        let mut target = SqliteCopy::new(directory.path().join("copy.db"));
        if transfer::copy(&store, &mut target, false, &mut |_, _| {}).is_err() {
            assert!(!store.check().unwrap().is_empty(), "{code}: {damage}");
        }
    }
}

/// Rows that were lost are still missed when the next experiment has been made: it takes no number that
/// other rows refer to.
#[test]
fn a_new_experiment_does_not_take_the_place_of_a_lost_one() {
    for damage in [
        "DELETE FROM spaces",
        "DELETE FROM experiments WHERE id = 2",
        "DELETE FROM spaces; DELETE FROM experiments; DELETE FROM overrides; DELETE FROM variants;
         DELETE FROM changes; DELETE FROM exposures",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = damaged_file(directory.path(), damage);
        let before = store.check().unwrap();
        assert_ne!(before, [], "{damage}");
        let variants = vec![VariantConfig::new("a", 1)];
        store.insert(ExperimentConfig::new("f", variants)).unwrap();
        assert_eq!(store.check().unwrap(), before, "{damage}");
        assert_eq!(store.history("f", 0).unwrap().len(), 1, "{damage}");
        if damage == "DELETE FROM spaces" {
            store.repair().unwrap();
            assert_eq!(store.check().unwrap(), []);
            let group = |name| store.get(name).unwrap().unwrap().exclusion_group;
            assert_eq!(group("one").as_deref(), Some("g"));
            assert_eq!(group("two").as_deref(), Some("g"));
            assert_eq!(group("f"), None);
        }
    }
}

/// The log of what was deleted or renamed stays under its name, in a sound file.
#[test]
fn deleting_and_renaming_leave_a_sound_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteExperimentStore::open_or_create(directory.path().join("x.db")).unwrap();
    fill(&store);
    let draft = |name: &str| ExperimentConfig::new(name, vec![VariantConfig::new("a", 1)]);
    let rename = |experiment, to| Mutation::Rename { experiment, to };
    let delete = |experiment| Mutation::Delete { experiment };
    let log = |name: &str| {
        let log = store.history(name, 0).unwrap();
        log.into_iter()
            .map(|change| change.mutation)
            .collect::<Vec<_>>()
    };
    for group in [None, Some("g")] {
        let mut config = draft("old");
        config.exclusion_group = group.map(str::to_owned);
        store.insert(config.clone()).unwrap();
        store.mutate(&delete("old"), None).unwrap();
        assert_eq!(store.check().unwrap(), []);
        config.name = "other".to_owned();
        store.insert(config).unwrap();
        // The next experiment takes no log over but that of its name.
        store.mutate(&rename("other", "old"), None).unwrap();
        assert_eq!(
            log("old")[..4],
            ["renamed=old", "created", "deleted", "created"]
        );
        assert_eq!(log("other"), [""; 0]);
        assert_eq!(store.check().unwrap(), []);
        store.mutate(&delete("old"), None).unwrap();
        store.insert(draft("other")).unwrap();
        assert_eq!(log("other"), ["created"]);
        store.mutate(&delete("other"), None).unwrap();
        store.mutate(&rename("other", "old"), None).unwrap_err();
        // Whoever would give the number of a deleted one away would mix two logs.
        for name in ["third", "fourth"] {
            store.insert(draft(name)).unwrap();
            assert_eq!(log(name)[..1], ["created"]);
            store.mutate(&delete(name), None).unwrap();
        }
        assert_eq!(store.check().unwrap(), []);
        connection_of(directory.path())
            .execute_batch(
                "DELETE FROM changes WHERE experiment_id IN (SELECT id FROM deleted_experiments);
                 DELETE FROM deleted_experiments",
            )
            .unwrap();
        assert_eq!(log("old"), [""; 0]);
    }
    let connection = connection_of(directory.path());
    let left =
        "SELECT (SELECT count(*) FROM experiments) || ' ' || (SELECT count(*) FROM spaces) || ' '
        || (SELECT count(DISTINCT experiment_id) FROM variants) || ' '
        || (SELECT count(DISTINCT experiment_id) FROM weight_periods)";
    let left: String = connection.query_row(left, [], |row| row.get(0)).unwrap();
    assert_eq!(left, "2 1 2 2");
}

fn connection_of(directory: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(directory.join("x.db")).unwrap()
}

/// A variant that actors still hold is listed again, and nobody new gets it.
#[test]
fn a_removed_variant_that_actors_hold_comes_back_without_weight() {
    let directory = tempfile::tempdir().unwrap();
    let remove = "UPDATE variants SET position = NULL WHERE experiment_id = 1
            AND idx IN (SELECT variant FROM assignment_counts WHERE experiment_id = 1)";
    let store = damaged_file(directory.path(), remove);
    let before = store.get("one").unwrap().unwrap().variants;
    store.repair().unwrap();
    let after = store.get("one").unwrap().unwrap().variants;
    assert_eq!((before.len(), after.len()), (1, 2));
    assert_eq!(after[..1], before[..]);
    assert_eq!(after[1].weight, 0);
    let change = store.history("one", 1).unwrap().remove(0);
    assert_eq!(change.detail.unwrap().after.variants, Some(after));
}

/// The rows of one table are named one by one up to a number, and then counted.
#[test]
fn of_very_many_damaged_rows_some_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let many = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 300)
        INSERT INTO exposures (experiment_id, variant, actor, exposed_at)
        SELECT 1, 7, 'user:' || n, 0 FROM n";
    let found = damaged_file(directory.path(), many).check().unwrap();
    let counts: u64 = found.iter().map(|finding| finding.count).sum();
    assert_eq!((found.len(), counts), (101, 300));
}

/// Also where each of them is of an experiment of its own, and the number of rows is that of all.
#[test]
fn of_very_many_orphans_some_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let many = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 600)
        INSERT INTO assignments SELECT 10 + n / 2, 'user:' || n, 0, 0, 0, 0 FROM n";
    let found = damaged_file(directory.path(), many).check().unwrap();
    let counts: u64 = found.iter().map(|finding| finding.count).sum();
    assert_eq!((found.len(), counts), (101, 600));
}

/// All of them, those that are only counted too, and that is what is printed.
#[test]
fn very_many_damaged_rows_are_repaired_at_once() {
    let sandbox = Sandbox::new();
    let directory = sandbox.home();
    let many = "
        WITH RECURSIVE n(n) AS (SELECT 3 UNION ALL SELECT n + 1 FROM n WHERE n < 8)
        INSERT INTO spaces (id) SELECT n FROM n;
        INSERT INTO experiments (id, name, state, space_id, slot, bucketing, created_at, updated_at)
            SELECT id, 'e' || id, 'draft', id, 0, 'fnv1a', 0, 0 FROM spaces WHERE id > 2;
        INSERT INTO variants SELECT id, 0, 'a', 1, 0 FROM experiments WHERE id > 2;
        INSERT INTO weight_periods SELECT id, 0, 0, '[]' FROM experiments WHERE id > 2;
        INSERT INTO changes (experiment_id, mutation, changed_at)
            SELECT id, 'created', 0 FROM experiments WHERE id > 2;
        WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 150)
        INSERT INTO overrides (experiment_id, actor, variant, created_at)
            SELECT id, 'user:' || n, 9, 0 FROM n, experiments WHERE id > 2";
    let store = damaged_file(directory, many);
    let found = store.check().unwrap();
    let counts: u64 = found.iter().map(|finding| finding.count).sum();
    assert_eq!((found.len(), counts), (101, 900), "{found:#?}");
    assert!(found.iter().all(|finding| finding.repairable));
    let run = |arguments: &[&str]| {
        let arguments = [&["--store", "x.db", "store", "check"], arguments].concat();
        let output = sandbox.exp(&arguments).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(run(&[]), "exp store check --repair mends 900 of 900\n");
    assert_eq!(
        run(&["--repair"]),
        "repaired 900\nnothing wrong was found\n"
    );
    for experiment in 3..9 {
        let logged = store.history(&format!("e{experiment}"), 0).unwrap();
        assert_eq!(logged.len(), 2);
        assert_eq!(logged[0].mutation, "repaired=unknown-variant");
    }
}

const FAULTS_OF_A_DATABASE: &[Fault] = &[
    (
        "UPDATE autumn_experiment_assignments SET variant = 'z' WHERE actor = 'user:1'",
        "removed-variant",
        "one",
        true,
    ),
    (
        "INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
         VALUES ('two', 'user:1', 'a')",
        "shared-actor",
        "g",
        false,
    ),
    (
        "DELETE FROM autumn_experiments WHERE name = 'two'",
        "orphan",
        "two",
        false,
    ),
    (
        "UPDATE autumn_experiment_overrides SET experiment = 'gone'",
        "orphan",
        "gone",
        false,
    ),
    (
        "UPDATE exp_exposures SET experiment = 'gone'",
        "orphan",
        "gone",
        false,
    ),
    (
        "UPDATE autumn_experiment_changes SET experiment = 'gone'",
        "orphan",
        "gone",
        false,
    ),
    (
        "UPDATE autumn_experiment_changes SET detail = '{\"before\": 3}'",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE autumn_experiments SET variants = '[{\"name\": 3}]'",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE autumn_experiments SET bucketing = 'x'",
        "unreadable",
        "two",
        false,
    ),
    (
        "UPDATE autumn_experiments SET variant_values = '{\"a\": }'",
        "unreadable",
        "one",
        false,
    ),
    (
        "UPDATE autumn_experiments SET paused = true WHERE name = 'one'",
        "invalid-experiment",
        "one",
        false,
    ),
    (
        "UPDATE autumn_experiments SET exclusion_group = ' '",
        "invalid-experiment",
        "one",
        false,
    ),
    (
        "UPDATE autumn_experiments SET updated_at = 'infinity'",
        "infinite-time",
        "one",
        false,
    ),
    (
        "UPDATE autumn_experiments SET created_at = '-infinity'",
        "infinite-time",
        "one",
        false,
    ),
    (
        "UPDATE autumn_experiment_assignments SET assigned_at = 'infinity'",
        "infinite-time",
        "two",
        false,
    ),
    (
        "UPDATE autumn_experiment_overrides SET created_at = 'infinity'",
        "infinite-time",
        "one",
        false,
    ),
    (
        "UPDATE autumn_experiment_overrides SET expires_at = 'infinity'",
        "infinite-time",
        "one",
        false,
    ),
    (
        "UPDATE autumn_experiment_changes SET changed_at = 'infinity'",
        "infinite-time",
        "two",
        false,
    ),
    (
        "UPDATE exp_exposures SET exposed_at = 'infinity'",
        "infinite-time",
        "one",
        false,
    ),
    ("DROP TABLE exp_exposures", "schema", "exp_exposures", false),
    (
        "DROP TABLE autumn_experiment_overrides",
        "schema",
        "autumn_experiment_overrides",
        false,
    ),
    (
        "ALTER TABLE autumn_experiment_changes DROP COLUMN detail",
        "schema",
        "autumn_experiment_changes.detail",
        false,
    ),
    (
        "DROP INDEX exp_changes_by_experiment",
        "schema",
        "exp_changes_by_experiment",
        true,
    ),
    (
        "ALTER TABLE autumn_experiment_assignments
         DROP CONSTRAINT autumn_experiment_assignments_experiment_actor_key",
        "schema",
        "autumn_experiment_assignments (actor, experiment)",
        false,
    ),
    (
        "CREATE OR REPLACE FUNCTION exp_close_gate() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN RETURN NEW; END'",
        "schema",
        "exp_close_gate",
        true,
    ),
    (
        "DELETE FROM exp_assignment_counts WHERE experiment = 'one'",
        "miscounted",
        "one",
        true,
    ),
    (
        "UPDATE autumn_experiment_assignments SET weight_period = 7 WHERE experiment = 'one'",
        "unknown-period",
        "one",
        false,
    ),
    ("DROP TABLE exp_outcomes", "schema", "exp_outcomes", false),
    (
        "DROP TABLE exp_weight_periods",
        "schema",
        "exp_weight_periods",
        false,
    ),
    (
        "DROP VIEW exp_view_changes",
        "schema",
        "exp_view_changes",
        true,
    ),
    (
        "DROP TRIGGER exp_count_removed ON autumn_experiment_assignments",
        "schema",
        "exp_count_removed",
        true,
    ),
    (
        "DROP FUNCTION exp_situation_5",
        "schema",
        "exp_situation_5",
        true,
    ),
    (
        "DROP FUNCTION exp_store_assignment_5",
        "schema",
        "exp_store_assignment_5",
        true,
    ),
    (
        "DROP FUNCTION exp_close_gate CASCADE",
        "schema",
        "exp_close_gate",
        true,
    ),
    (
        "DROP TRIGGER exp_close_gate ON autumn_experiments",
        "schema",
        "exp_close_gate",
        true,
    ),
    (
        "ALTER TABLE autumn_experiments DISABLE TRIGGER exp_close_gate",
        "schema",
        "exp_close_gate",
        true,
    ),
    (
        "DROP TRIGGER autumn_experiment_change_notify ON autumn_experiment_changes;
         DROP FUNCTION autumn_notify_experiment_change",
        "schema",
        "autumn_experiment_change_notify",
        true,
    ),
];

#[apply(needs_postgres!)]
fn what_is_wrong_with_a_database_is_found_and_mended_where_it_can_be() {
    for &(damage, code, subject, repairable) in FAULTS_OF_A_DATABASE {
        let url = server::shared().database();
        let store = PgExperimentStore::open_or_create(options(&url)).unwrap();
        fill(&store);
        assert_eq!(store.check().unwrap(), [], "{damage}");
        let info = store.info().unwrap();
        assert_eq!(
            (info.experiments, info.assignments, info.overrides),
            (2, 2, 1)
        );
        assert_eq!((info.exposures, info.changes), (2, 3));
        // Past the triggers that refuse it.
        let past = "SET session_replication_role = replica";
        let damaged = client(&url).batch_execute(&format!("{past}; {damage}"));
        damaged.unwrap();
        let store = PgExperimentStore::open(options(&url))
            .unwrap()
            .with_operator("ann");
        let found = store
            .check()
            .unwrap_or_else(|error| panic!("{damage}: {error:?}"));
        let kinds = kinds(&found);
        assert!(
            kinds.contains(&(code, subject, repairable)),
            "{damage}: {found:#?}"
        );
        let mended = store
            .repair()
            .unwrap_or_else(|error| panic!("{damage}: {error:?} {found:#?}"));
        assert_eq!(
            mended.iter().any(|f| f.code.id() == code),
            repairable,
            "{damage}"
        );
        let left = store.check().unwrap();
        assert!(!left.iter().any(|f| f.repairable), "{damage}: {left:#?}");
        if repairable {
            assert_eq!(left, [], "{damage}");
            // Whatever was missing works again.
            store
                .assign(&AssignRequest::new("one", "user:7").keep_exposure(None))
                .unwrap();
        }
        if code == "removed-variant" {
            // Past the triggers nothing was counted.
            let logged = store.history(subject, 2).unwrap();
            assert_eq!(logged[0].mutation, "repaired=miscounted");
            assert_eq!(logged[1].mutation, "repaired=removed-variant");
            assert_eq!(logged[1].actor.as_deref(), Some("ann"));
            let variants = store.get("one").unwrap().unwrap().variants;
            assert_eq!(variants[2], VariantConfig::new("z", 0));
        }
    }
}

#[apply(needs_postgres!)]
fn very_many_faults_of_a_database_are_counted_and_repaired_at_once() {
    let url = server::shared().database();
    let store = PgExperimentStore::open_or_create(options(&url)).unwrap();
    fill(&store);
    let many = "SET session_replication_role = replica;
        INSERT INTO autumn_experiments (name, state, variants)
        SELECT 'e' || n, 'draft', '[{\"name\": \"a\", \"weight\": 1}]'
            FROM generate_series(1, 250) n;
        INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
            SELECT 'e' || n, 'user:' || n, 'z' FROM generate_series(1, 250) n
            UNION ALL SELECT 'gone' || n / 2, 'user:' || n, 'z' FROM generate_series(1, 600) n";
    client(&url).batch_execute(many).unwrap();
    let count = |found: &[StoreFinding], code| {
        let of_code = found.iter().filter(|finding| finding.code.id() == code);
        let counts: u64 = of_code.clone().map(|finding| finding.count).sum();
        (of_code.count(), counts)
    };
    let found = store.check().unwrap();
    assert_eq!(count(&found, "orphan"), (101, 600));
    assert_eq!(count(&found, "removed-variant"), (101, 250));
    let mended = store.repair().unwrap();
    assert_eq!(count(&mended, "removed-variant"), (101, 250));
    let left = store.check().unwrap();
    assert_eq!(count(&left, "orphan"), (101, 600));
    assert_eq!(count(&left, "removed-variant"), (0, 0));
}

/// A read that fails, as the disk or memory does, is no fault of the store.
#[test]
fn a_sound_file_is_not_called_damaged_when_a_read_fails() {
    let sandbox = Sandbox::new();
    let created = sandbox.exp(&[
        "--store",
        "e.db",
        "create",
        "e",
        "--variant",
        "a=1",
        "--start",
    ]);
    assert!({ created }.output().unwrap().status.success());
    let actors = "seq 20000 | exp --store e.db assign e --actors - > /dev/null";
    assert!(sandbox.bash(actors).status.success());
    let traced = "strace -f -qq -o /dev/null -P e.db -e trace=pread64,read";
    if !sandbox.bash(&format!("{traced} true")).status.success() {
        return;
    }
    let mut failed = 0;
    // The first read, of the header, is told by SQLite itself.
    for when in [3, 5, 10, 40, 80, 150] {
        let line = format!(
            "{traced} -e inject=pread64:error=EIO:when={when}+ \
             -e inject=read:error=EIO exp --store e.db store check"
        );
        let output = sandbox.bash(&line);
        let told = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => continue,
            Some(1) => failed += 1,
            _ => panic!("when={when}: {told}"),
        }
        assert!(
            told.contains("error (os error 5)") && !told.contains("damaged"),
            "{told}"
        );
        assert!(output.stdout.is_empty());
    }
    assert!(failed > 2, "{failed}");
}

#[test]
fn a_check_prints_its_findings_in_every_format() {
    let sandbox = Sandbox::new();
    let run = |arguments: &[&str]| {
        let output = sandbox
            .exp(&[&["--store", "e.db"], arguments].concat())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    run(&["create", "e", "--variant", "a=1", "--start"]);
    assert_eq!(run(&["store", "check"]).0, Some(0));
    let connection = rusqlite::Connection::open(sandbox.home().join("e.db")).unwrap();
    connection
        .execute_batch("INSERT INTO assignment_counts VALUES (1, 0, 0, 3, 0)")
        .unwrap();
    let message = "experiment 'e': 3 assignments more or less than it counts";
    let (code, text, told) = run(&["store", "check"]);
    assert_eq!((code, &*text), (Some(9), &*format!("{message}\n")));
    assert_eq!(told, "exp store check --repair mends 1 of 1\n");
    let line = |status| format!("miscounted\te\t3\t{status}\t{message}\n");
    assert_eq!(
        run(&["store", "check", "--format", "tsv"]).1,
        line("repairable")
    );
    let json: serde_json::Value =
        serde_json::from_str(&run(&["store", "check", "--format", "json"]).1).unwrap();
    assert_eq!(json[0]["code"], "miscounted");
    assert_eq!(json[0]["repairable"], true);
    let (code, text, _) = run(&["store", "check", "--repair", "--format", "tsv"]);
    assert_eq!((code, text), (Some(0), line("repaired")));
    assert_eq!(run(&["store", "check"]).0, Some(0));
    assert!(run(&["history", "e"]).1.contains("repaired=miscounted"));
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
                record(&writing, "one", &format!("user:{n}"), "a", false).unwrap();
            }
        });
        store.backup(&directory.path().join("copy.db")).unwrap();
        writer.join().unwrap();
    });
    let copy = SqliteExperimentStore::open(directory.path().join("copy.db")).unwrap();
    assert_eq!(copy.check().unwrap(), []);
    assert!(copy.get_assignment("one", "user:1").unwrap().is_some());
    record(&copy, "one", "user:99", "a", false).unwrap();
    assert!(store.get_assignment("one", "user:99").unwrap().is_none());
    // Nothing is written over.
    assert!(store.backup(&directory.path().join("copy.db")).is_err());
}
