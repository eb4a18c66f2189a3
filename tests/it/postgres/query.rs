//! A query of a user's own, on the store's server.

use std::time::Duration;

use experiments::{
    ExperimentError, ExperimentStore as _, ExperimentStoreError, Finite, Outcome,
    PgExperimentStore, RowSink, SqlValue,
};
use macro_rules_attribute::apply;

use crate::givens::{eventually, request, running, store};
use crate::server::{self, client};

/// No query here takes that long.
const PATIENCE: Duration = Duration::from_mins(2);

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

fn told(store: &PgExperimentStore, sql: &str) -> Vec<String> {
    let mut told = Told::default();
    store.query(sql, PATIENCE, &mut told).unwrap();
    told.0
}

fn problem(store: &PgExperimentStore, sql: &str) -> String {
    match store.query(sql, PATIENCE, &mut Told::default()) {
        Err(ExperimentError::Store(ExperimentStoreError::Query { problem, .. })) => problem,
        other => panic!("{sql}: {other:?}"),
    }
}

/// Every type that an actor, a time or a value may have.
#[apply(needs_postgres!)]
fn each_type_arrives_as_what_it_means() {
    let store = store(&server::shared().database());
    for (expression, value) in [
        ("1::smallint", "Integer(1)"),
        ("(-2147483648)::integer", "Integer(-2147483648)"),
        (
            "9223372036854775807::bigint",
            "Integer(9223372036854775807)",
        ),
        ("true", "Integer(1)"),
        ("false", "Integer(0)"),
        ("0.1::real", "Real(0.1)"),
        ("19.99::double precision", "Real(19.99)"),
        ("'NaN'::double precision", "Real(NaN)"),
        ("'infinity'::real", "Real(inf)"),
        ("19.990::numeric(9, 3)", "Real(19.99)"),
        ("42::numeric", "Integer(42)"),
        (
            "9223372036854775807::numeric",
            "Integer(9223372036854775807)",
        ),
        ("'user:1'::text", "Text(\"user:1\")"),
        ("'user:1'::varchar(20)", "Text(\"user:1\")"),
        ("'x'::name", "Text(\"x\")"),
        ("'running'::autumn_experiment_state", "Text(\"running\")"),
        (
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid",
            "Text(\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\")",
        ),
        ("'{\"a\": 1}'::jsonb", "Text(\"{\\\"a\\\": 1}\")"),
        (
            "'2026-09-21 12:26:40.9+00'::timestamptz",
            "Integer(1789993600)",
        ),
        ("'1969-12-31 23:59:59.5+00'::timestamptz", "Integer(-1)"),
        ("'2026-09-21 12:26:40'::timestamp", "Integer(1789993600)"),
        ("'2026-09-21'::date", "Integer(1789948800)"),
        ("'infinity'::timestamptz", "Real(inf)"),
        ("NULL::date", "Null"),
        ("NULL", "Null"),
        ("'x'", "Text(\"x\")"),
    ] {
        let rows = told(&store, &format!("SELECT {expression} AS it"));
        assert_eq!(rows, ["it", value], "{expression}");
    }
}

#[apply(needs_postgres!)]
fn one_select_is_answered_however_it_is_written() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
    store.assign(&request("e", "user:1")).unwrap();
    let outcome = Outcome {
        actor: "user:1".to_owned(),
        metric: "revenue".to_owned(),
        value: Finite::from(3),
        timestamp_secs: 1_790_000_000,
        id: None,
    };
    store.track(&[outcome]).unwrap();
    client(&url)
        .batch_execute(
            "CREATE DOMAIN amount AS integer; CREATE TABLE orders (a amount, \"B \"\"c\" text)",
        )
        .unwrap();
    for (sql, rows) in [
        ("SELECT 1 AS a ; \n;", &["a", "Integer(1)"][..]),
        ("SELECT 1 AS a -- to its end", &["a", "Integer(1)"]),
        ("SELECT 1 AS a; -- it's one", &["a", "Integer(1)"]),
        (
            "/* ; */ SELECT 1 AS a; /* a /* b */ ; */ ;\n--",
            &["a", "Integer(1)"],
        ),
        (
            "SELECT ';--' || $x$/*;$x$ || 'it''s;' AS \"--;\" ;",
            &["--;", "Text(\";--/*;it's;\")"],
        ),
        (
            "VALUES (1, 'x')",
            &["column1,column2", "Integer(1),Text(\"x\")"],
        ),
        (
            "WITH x AS (SELECT 2 AS a) SELECT a, a FROM x",
            &["a,a", "Integer(2),Integer(2)"],
        ),
        ("TABLE orders", &["a,B \"c"]),
        ("SELECT 7::amount AS a", &["a", "Integer(7)"]),
        (
            "SELECT x.actor, o.value, o.at AS timestamp FROM exp_view_outcomes o
             JOIN exp_view_assignments x USING (actor)",
            &[
                "actor,value,timestamp",
                "Text(\"user:1\"),Real(3.0),Integer(1790000000)",
            ],
        ),
        (
            "SELECT n FROM generate_series(3, 1, -1) n ORDER BY n DESC",
            &["n", "Integer(3)", "Integer(2)", "Integer(1)"],
        ),
    ] {
        assert_eq!(told(&store, sql), rows, "{sql}");
    }
}

/// What is not one SELECT, or writes, is refused in the server's words; nothing is written.
#[apply(needs_postgres!)]
fn whatever_is_more_than_a_select_is_refused() {
    let url = server::shared().database();
    let store = store(&url);
    client(&url)
        .batch_execute(
            "CREATE TABLE t (a integer); CREATE SEQUENCE s;
             CREATE FUNCTION writes() RETURNS integer LANGUAGE sql AS
                 'INSERT INTO t VALUES (1) RETURNING a'",
        )
        .unwrap();
    let no_select = "it is not a SELECT";
    let read_only = "in a read-only transaction";
    for (sql, expected) in [
        ("", no_select),
        ("-- nothing", no_select),
        (" ; /* nothing */ ;", no_select),
        ("SELECT 1; -- one\n SELECT 2", "multiple commands"),
        ("SELECT 1 /* no end", "unterminated /* comment"),
        ("INSERT INTO t VALUES (1)", no_select),
        (
            "INSERT INTO t VALUES (1) RETURNING a",
            "syntax error at or near \"INTO\"",
        ),
        ("UPDATE t SET a = 2", no_select),
        ("DROP TABLE t", no_select),
        ("COMMIT", no_select),
        ("SET TRANSACTION READ WRITE", no_select),
        ("EXPLAIN SELECT 1", no_select),
        ("SHOW search_path", no_select),
        (
            "WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x",
            "data-modifying",
        ),
        ("SELECT 1; SELECT 2", "multiple commands"),
        ("SELECT 1; DROP TABLE t", "multiple commands"),
        (
            "SELECT 1) AS q; DROP TABLE t; --",
            "syntax error at or near \")\"",
        ),
        ("SELECT * INTO u FROM t", no_select),
        ("SELECT a FROM t FOR UPDATE", read_only),
        ("SELECT nextval('s')", read_only),
        ("SELECT writes()", read_only),
        (
            "SELECT set_config('transaction_read_only', 'off', true)",
            "must be set before any query",
        ),
        (
            "SELECT a FROM nowhere",
            "relation \"nowhere\" does not exist",
        ),
        ("SELECT $1::text", "it has parameters"),
        ("SELEC 1", "syntax error at or near \"SELEC\""),
        (
            "SELECT 1 / a FROM (VALUES (1), (0)) AS v (a)",
            "division by zero",
        ),
    ] {
        let problem = problem(&store, sql);
        assert!(problem.contains(expected), "{sql}: {problem}");
    }
    let mut db = client(&url);
    assert!(db.query("SELECT FROM t", &[]).unwrap().is_empty());
    let shown = problem_of(&store, "SELEC 1");
    assert!(shown.starts_with("the query on postgres://"), "{shown}");
}

/// The functions that write in a transaction that is READ ONLY.
#[apply(needs_postgres!)]
fn nothing_that_a_query_does_stays() {
    let url = server::shared().database();
    let store = store(&url);
    let made = told(&store, "SELECT lo_create(0) > 0 AS made");
    assert_eq!(made, ["made", "Integer(1)"]);
    let left = "SELECT count(*) FROM pg_largeobject_metadata";
    let left: i64 = client(&url).query_one(left, &[]).unwrap().get(0);
    assert_eq!(left, 0);
}

fn problem_of(store: &PgExperimentStore, sql: &str) -> String {
    let refused = store.query(sql, PATIENCE, &mut Told::default());
    refused.unwrap_err().to_string()
}

/// A query that never ends is given up, and one that gives rows without end as well.
#[apply(needs_postgres!)]
fn a_query_without_end_is_given_up() {
    let store = store(&server::shared().database());
    for sql in [
        "SELECT count(*) FROM generate_series(1, 1000000000000)",
        "WITH RECURSIVE n (n) AS (SELECT 1::bigint UNION ALL SELECT n + 1 FROM n) SELECT n FROM n",
    ] {
        let given_up = store.query(sql, Duration::from_millis(300), &mut Told::default());
        assert!(
            matches!(
                given_up,
                Err(ExperimentError::Store(
                    ExperimentStoreError::QueryTimeout { .. }
                ))
            ),
            "{sql}: {given_up:?}"
        );
    }
}

/// Also one that puts the server's timeout away, and one that does not mind it: that is ended on the server.
#[apply(needs_postgres!)]
fn a_query_does_not_get_around_the_timeout() {
    let url = server::shared().database();
    let store = store(&url);
    let mut observer = client(&url);
    observer
        .batch_execute(
            "CREATE FUNCTION stubborn() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM pg_sleep(600); RETURN 1;
             EXCEPTION WHEN query_canceled THEN PERFORM pg_sleep(600); RETURN 2; END $$",
        )
        .unwrap();
    for sql in [
        "SELECT CASE WHEN n = 1 THEN set_config('statement_timeout', '0', true)
             WHEN n > 1500 THEN pg_sleep(600)::text END FROM generate_series(1, 3000) n",
        "SELECT stubborn()",
    ] {
        let given_up = store.query(sql, Duration::from_millis(500), &mut Told::default());
        assert!(
            matches!(
                given_up,
                Err(ExperimentError::Store(
                    ExperimentStoreError::QueryTimeout { .. }
                ))
            ),
            "{sql}: {given_up:?}"
        );
        eventually("the server has given it up", || {
            let at_work = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'
                AND datname = current_database() AND pid <> pg_backend_pid()";
            let at_work: i64 = observer.query_one(at_work, &[]).unwrap().get(0);
            at_work == 0
        });
    }
}

/// The first error of the sink ends the query, however much would follow.
#[apply(needs_postgres!)]
fn the_sink_ends_a_query() {
    struct Full(usize);
    impl RowSink for Full {
        fn columns(&mut self, _: &[String]) -> Result<(), ExperimentError> {
            Ok(())
        }

        fn row(&mut self, _: &[SqlValue<'_>]) -> Result<(), ExperimentError> {
            self.0 += 1;
            Err(ExperimentError::NoWinner("full".to_owned()))
        }
    }
    let store = store(&server::shared().database());
    let mut full = Full(0);
    let ended = store.query("SELECT generate_series(1, 100000000)", PATIENCE, &mut full);
    assert!(
        matches!(ended, Err(ExperimentError::NoWinner(_))),
        "{ended:?}"
    );
    assert_eq!(full.0, 1);
}
