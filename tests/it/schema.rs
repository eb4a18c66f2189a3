//! Schema versions: `fixtures/stores/<version>.sql` is the dump of a store of each.

use std::fs;
use std::path::{Path, PathBuf};

use experiments::{
    Bucketing, ExperimentState, ExperimentStore as _, ExperimentStoreError, SqliteExperimentStore,
};
use rusqlite::Connection;

const LATEST: i64 = 2;

fn dump(version: i64) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores");
    fs::read_to_string(fixtures.join(format!("{version}.sql"))).unwrap()
}

fn restored(directory: &Path, version: i64) -> PathBuf {
    let path = directory.join("old.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&dump(version)).unwrap();
    path
}

fn schema(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut query = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        .unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn user_version(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    let read = connection.pragma_query_value(None, "user_version", |row| row.get(0));
    read.unwrap()
}

/// A store of any version opens, has the newest schema then, and has lost nothing.
#[test]
fn every_version_is_brought_up_to_date() {
    for version in 1..=LATEST {
        let directory = tempfile::tempdir().unwrap();
        let path = restored(directory.path(), version);
        assert_eq!(user_version(&path), version);
        let store = SqliteExperimentStore::open(&path).unwrap();

        let names: Vec<_> = store.list().unwrap().into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["banner", "checkout_v2", "old_one"]);
        let banner = store.get("banner").unwrap().unwrap();
        assert_eq!(banner.bucketing, Bucketing::Fnv1aMixed);
        assert_eq!(banner.description.as_deref(), Some("Three banners"));
        assert_eq!(banner.exclusion_group.as_deref(), Some("home"));
        let old = store.get("old_one").unwrap().unwrap();
        assert_eq!(
            (old.state, old.winner.as_deref()),
            (ExperimentState::Archived, Some("b"))
        );
        let entry = (old.salt.as_deref(), old.coverage.per_10000());
        assert_eq!(
            entry,
            [(None, 10_000), (Some("2026"), 2_500)][usize::from(version > 1)]
        );
        let assigned = store
            .get_assignment("checkout_v2", "user:1")
            .unwrap()
            .unwrap();
        assert_eq!(
            (&*assigned.variant, assigned.is_override),
            ("control", false)
        );
        assert_eq!(assigned.assigned_at_secs, 1_763_985_660);
        let pinned = store.get_assignment("checkout_v2", "qa").unwrap().unwrap();
        assert_eq!((&*pinned.variant, pinned.is_override), ("treatment", true));
        assert_eq!(store.overrides("checkout_v2").unwrap().len(), 1);
        let counts = store.variant_counts("checkout_v2").unwrap();
        let counts: Vec<_> = counts.iter().map(|c| (c.assigned, c.overridden)).collect();
        assert_eq!(counts, [(1, 0), (1, 1)]);
        assert_eq!(store.exposures("checkout_v2").unwrap().len(), 3);
        assert!(
            store
                .has_assignment_in_group("user:9", "home", "other")
                .unwrap()
        );
        let log = store.history("checkout_v2", 0).unwrap();
        let log: Vec<_> = log.iter().map(|change| &*change.mutation).collect();
        assert_eq!(log, ["set_weights", "override=qa:treatment", "created"]);

        drop(store);
        assert_eq!(user_version(&path), LATEST);
        let fresh = directory.path().join("fresh.db");
        SqliteExperimentStore::open_or_create(&fresh).unwrap();
        assert_eq!(schema(&path), schema(&fresh));
    }
}

/// A store of a newer version is refused and left as it is.
#[test]
fn a_newer_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.db");
    SqliteExperimentStore::open_or_create(&path).unwrap();
    assert_eq!(user_version(&path), LATEST);
    let connection = Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "user_version", LATEST + 1)
        .unwrap();
    drop(connection);
    match SqliteExperimentStore::open_or_create(&path) {
        Err(ExperimentStoreError::NewerSchema {
            found, supported, ..
        }) => {
            assert_eq!((found, supported), (LATEST + 1, LATEST));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(user_version(&path), LATEST + 1);
}

/// Rows that contradict each other are reported as damage, not as nonsense or a panic.
#[test]
fn contradictions_are_reported_as_damage() {
    let damages = [
        "DELETE FROM variants WHERE idx = 0",
        "UPDATE experiments SET winner = 9",
        "UPDATE assignments SET variant = 9",
        "UPDATE overrides SET variant = -3",
        "UPDATE changes SET detail = '{'",
        "UPDATE variants SET weight = -1",
    ];
    for damage in damages {
        let directory = tempfile::tempdir().unwrap();
        let path = restored(directory.path(), LATEST);
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(damage).unwrap();
        let store = SqliteExperimentStore::open(&path).unwrap();
        let read = [
            store.list().map(drop),
            store.situation("checkout_v2", "user:1").map(drop),
            store.situation("checkout_v2", "qa").map(drop),
            store.history("checkout_v2", 0).map(drop),
        ];
        let corrupt = read
            .iter()
            .filter_map(|result| result.as_ref().err())
            .all(|error| {
                matches!(
                    error,
                    experiments::ExperimentError::Store(ExperimentStoreError::Corrupt { .. })
                )
            });
        assert!(
            corrupt && read.iter().any(Result::is_err),
            "{damage}: {read:?}"
        );
    }
}
