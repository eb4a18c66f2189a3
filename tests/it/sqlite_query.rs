//! A query of a user's own, on the store's file or on another one beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use experiments::{
    AssignRequest, ExperimentConfig, ExperimentError, ExperimentState, ExperimentStore as _,
    ExperimentStoreError, Finite, Outcome, RowSink, SqlValue, SqliteExperimentStore, VariantConfig,
};
use rusqlite::Connection;

/// No query here takes that long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Keeps the columns and the rows as text.
#[derive(Default)]
struct Told(Vec<String>);

impl RowSink for Told {
    fn columns(&mut self, names: &[String]) -> Result<(), ExperimentError> {
        self.0.push(names.join(","));
        Ok(())
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> Result<(), ExperimentError> {
        let values = values.iter().map(|value| format!("{value:?}"));
        self.0.push(values.collect::<Vec<_>>().join(","));
        Ok(())
    }
}

/// A store with one assignment and one outcome.
fn store(directory: &Path) -> SqliteExperimentStore {
    let store = SqliteExperimentStore::open_or_create(directory.join("store.db")).unwrap();
    let config = ExperimentConfig {
        state: ExperimentState::Running,
        ..ExperimentConfig::new("e", vec![VariantConfig::new("a", 1)])
    };
    store.insert(config).unwrap();
    store.assign(&AssignRequest::new("e", "user:1")).unwrap();
    let outcome = Outcome {
        actor: "user:1".to_owned(),
        metric: "revenue".to_owned(),
        value: Finite::from(3),
        timestamp_secs: 1_790_000_000,
        id: None,
    };
    store.track(&[outcome]).unwrap();
    store
}

/// A shop's own database.
fn shop(directory: &Path) -> PathBuf {
    let file = directory.join("the shop? #1.db");
    let shop = Connection::open(&file).unwrap();
    shop.execute_batch(
        "CREATE TABLE orders (customer TEXT, total REAL, placed_at INTEGER, note);
         INSERT INTO orders VALUES ('user:1', 19.5, 7, 'x'), ('user:2', 1, 8, NULL),
             ('user:3', NULL, 9, x'ff');
         CREATE TABLE outcomes (mine TEXT);
         INSERT INTO outcomes VALUES ('of the shop')",
    )
    .unwrap();
    file
}

fn told(store: &SqliteExperimentStore, file: Option<&Path>, sql: &str) -> Vec<String> {
    let mut told = Told::default();
    store.query(sql, file, PATIENCE, &mut told).unwrap();
    told.0
}

#[test]
fn a_query_reads_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let sql = "SELECT actor, metric, value, at, id FROM exp_view_outcomes; -- all";
    let row = r#"Text("user:1"),Text("revenue"),Real(3.0),Text("2026-09-21T14:13:20Z"),Null"#;
    let expected = ["actor,metric,value,at,id", row];
    assert_eq!(told(&store, None, sql), expected);
    let none = "SELECT actor FROM exp_view_assignments WHERE experiment = 'unknown'";
    assert_eq!(told(&store, None, none), ["actor"]);
}

/// Its own tables come first, and the store is beside them.
#[test]
fn a_query_reads_another_file_with_the_store_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let file = shop(directory.path());
    let of_shop = |sql| told(&store, Some(&file), sql);
    assert_eq!(
        of_shop("SELECT customer AS actor, total, placed_at, note FROM orders"),
        [
            "actor,total,placed_at,note",
            r#"Text("user:1"),Real(19.5),Integer(7),Text("x")"#,
            r#"Text("user:2"),Real(1.0),Integer(8),Null"#,
            "Text(\"user:3\"),Null,Integer(9),Text(\"\u{fffd}\")",
        ]
    );
    assert_eq!(
        of_shop(
            "SELECT customer, a.variant FROM orders
             JOIN exp_view_assignments a ON a.actor = customer"
        ),
        ["customer,variant", r#"Text("user:1"),Text("a")"#]
    );
    assert_eq!(
        of_shop("SELECT * FROM outcomes"),
        ["mine", r#"Text("of the shop")"#]
    );
    assert_eq!(
        of_shop("SELECT metric FROM exp.exp_view_outcomes"),
        ["metric", r#"Text("revenue")"#]
    );
}

/// What is wrong with a query.
fn problem(store: &SqliteExperimentStore, file: Option<&Path>, sql: &str) -> String {
    let mut told = Told::default();
    match store.query(sql, file, PATIENCE, &mut told) {
        Err(ExperimentError::Store(ExperimentStoreError::Query { problem, .. })) => problem,
        other => panic!("{sql}: {other:?}, {:?}", told.0),
    }
}

#[test]
fn a_query_that_is_not_one_select_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let file = shop(directory.path());
    let before = fs::read(&file).unwrap();
    let no_select = "it is not a SELECT, or does more than read";
    let refused = [
        ("", "SQL is empty or comment only"),
        ("-- nothing", "SQL is empty or comment only"),
        ("EXPLAIN SELECT * FROM orders", "it is not a SELECT"),
        ("SELECT 1; SELECT 2", "it is more than one statement"),
        ("SELECT 1; DELETE FROM orders", no_select),
        ("DELETE FROM orders", no_select),
        ("DELETE FROM exp.outcomes", no_select),
        (
            "INSERT INTO orders DEFAULT VALUES RETURNING total",
            no_select,
        ),
        ("UPDATE orders SET total = 0", no_select),
        ("CREATE TEMP TABLE t AS SELECT * FROM orders", no_select),
        ("PRAGMA user_version", no_select),
        ("PRAGMA journal_mode = delete", no_select),
        ("ATTACH 'other.db' AS other", no_select),
        ("DETACH exp", no_select),
        ("BEGIN IMMEDIATE", no_select),
        ("VACUUM INTO 'copy.db'", "it is not a SELECT"),
        ("SELECT * FROM unknown", "no such table: unknown"),
        ("SELECT unknown FROM orders", "no such column: unknown"),
        ("SELEC 1", "near \"SELEC\": syntax error"),
        ("SELECT abs(-9223372036854775807 - 1)", "integer overflow"),
    ];
    for (sql, expected) in refused {
        assert_eq!(problem(&store, Some(&file), sql), expected, "{sql}");
    }
    assert_eq!(problem(&store, None, "DELETE FROM outcomes"), no_select);
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(
        told(&store, None, "SELECT count(*) FROM outcomes")[1],
        "Integer(1)"
    );
}

#[test]
fn what_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let text = directory.path().join("orders.csv");
    fs::write(&text, "actor,total\n".repeat(100)).unwrap();
    let of = |path: &Path| problem(&store, Some(path), "SELECT * FROM orders");
    let missing = directory.path().join("missing.db");
    assert_eq!(of(&missing), "No such file or directory (os error 2)");
    assert!(!missing.exists());
    assert_eq!(of(directory.path()), "that is not a file");
    assert_eq!(of(&text), "file is not a database");
}

/// Whether it gives rows or not, and wherever the store is.
#[test]
fn a_query_that_never_ends_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let file = shop(directory.path());
    for select in ["SELECT count(*) FROM n", "SELECT n FROM n"] {
        let sql =
            format!("WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) {select}");
        for file in [None, Some(&*file)] {
            let timeout = Duration::from_millis(1);
            let ended = store.query(&sql, file, timeout, &mut Nothing).unwrap_err();
            let ExperimentError::Store(error) = ended else {
                panic!("{ended:?}");
            };
            assert!(
                matches!(error, ExperimentStoreError::QueryTimeout { .. }),
                "{error:?}"
            );
        }
    }
}

struct Nothing;

impl RowSink for Nothing {
    fn columns(&mut self, _names: &[String]) -> Result<(), ExperimentError> {
        Ok(())
    }

    fn row(&mut self, _values: &[SqlValue<'_>]) -> Result<(), ExperimentError> {
        Ok(())
    }
}

/// Uses the store with each row, until it has enough.
struct Using<'a>(&'a SqliteExperimentStore, u32);

impl RowSink for Using<'_> {
    fn columns(&mut self, names: &[String]) -> Result<(), ExperimentError> {
        assert_eq!(names, ["customer"]);
        Ok(())
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> Result<(), ExperimentError> {
        self.1 += 1;
        let [SqlValue::Text(customer)] = values else {
            panic!("{values:?}");
        };
        if *customer == "user:2" {
            return Err(ExperimentError::NotFound("enough".to_owned()));
        }
        self.0.assign(&AssignRequest::new("e", customer)).map(drop)
    }
}

#[test]
fn what_takes_the_rows_may_use_the_store_and_end_the_query() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let file = shop(directory.path());
    let mut using = Using(&store, 0);
    let sql = "SELECT customer FROM orders ORDER BY customer";
    let ended = store.query(sql, Some(&file), PATIENCE, &mut using);
    match ended {
        Err(ExperimentError::NotFound(what)) => assert_eq!((&*what, using.1), ("enough", 2)),
        other => panic!("{other:?}"),
    }
    assert!(store.get_assignment("e", "user:1").unwrap().is_some());
}
