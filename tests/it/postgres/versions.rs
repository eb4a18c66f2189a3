//! Versions of the schema: stores of older ones, of which `fixtures/stores` has a dump each, and a program
//! that is the older one itself.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use experiments::lifecycle::Mutation;
use experiments::{
    AssignManyRequest, AssignRequest, ChangeScan, ExperimentConfig, ExperimentError,
    ExperimentState, ExperimentStore, ExperimentStoreError, ExposureRecord, Finite, Keep, Outcome,
    OutcomeScan, PgExperimentStore, RowSink, SqlValue, VariantConfig,
};
use macro_rules_attribute::apply;
use postgres::Client;

use super::earlier::{restored, weights_of_periods};
use crate::givens::{await_waiters, eventually, record, request, running, store};
use crate::proxy::Proxy;
use crate::sandbox::Sandbox;
use crate::server::{self, client, options};

const LATEST: i32 = 5;

/// A store of any version is migrated, is sound then, has lost nothing and assigns as ever.
#[apply(needs_postgres!)]
#[expect(
    clippy::too_many_lines,
    reason = "it is a list of what each version added"
)]
fn every_version_is_brought_up_to_date() {
    for version in 1..=LATEST {
        let url = restored(version);
        let sandbox = Sandbox::on_store(&url);
        let exp = |line: &str| {
            let output = sandbox.bash(line);
            let errors = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{version}: {line}: {errors}");
            String::from_utf8(output.stdout).unwrap() + &errors
        };
        exp("exp store migrate");
        assert_eq!(exp("exp store check"), "nothing wrong was found\n");
        let counts = exp("exp store info | grep -E '^(exp|assign|over|changes)' | tr -s ' '");
        let exposures = if version == 1 { 0 } else { 6 };
        let expected = format!(
            "experiments 5\nassignments 6\noverrides 2\nexposures {exposures}\nchanges 10\n"
        );
        assert_eq!(counts, expected, "{version}");
        assert_eq!(
            exp("exp list --format tsv | cut -f 1,2"),
            format!(
                "banner\trunning\ncheckout_v2\trunning\ndone\tconcluded\ndraft_one\t{}\n\
                 old_one\tarchived\n",
                if version < 5 { "draft" } else { "paused" }
            )
        );
        assert_eq!(
            exp("exp history checkout_v2 --format tsv | cut -f 1-3"),
            "1763985610\tann\tset_weights\n\
             1763985606\tbob\toverride=qa:2:control\n\
             1763985605\tbob\toverride=qa:treatment\n\
             1763985600\tann\tcreated\n"
        );
        // What is stored, an override that was and one that was not yet followed, and newcomers.
        for (experiment, actor, variant) in [
            ("checkout_v2", "user:1", "control"),
            ("checkout_v2", "qa", "treatment"),
            ("checkout_v2", "qa:2", "control"),
            ("checkout_v2", "user:3", "treatment"),
            ("banner", "user:9", "b"),
            ("banner", "user:1", if version == 1 { "a" } else { "b" }),
            ("done", "größe", "b"),
            ("done", "user:7", "b"),
        ] {
            let assigned = exp(&format!("exp assign {experiment} {actor}"));
            assert_eq!(
                assigned,
                format!("{variant}\n"),
                "{version}: {experiment} {actor}"
            );
        }

        let store = PgExperimentStore::open(options(&url)).unwrap();
        assert_eq!(store.is_adopted().unwrap(), version == 1);
        let old = store.get("old_one").unwrap().unwrap();
        let entry = (old.salt.as_deref(), old.coverage.per_10000());
        let since_3 = [(None, 10_000), (Some("2026"), 2_500)];
        assert_eq!(entry, since_3[usize::from(version >= 3)]);
        // Before the fourth by time. An application's log does not say what the weights were.
        let first = if version == 1 { [10, 90] } else { [50, 50] };
        let periods = weights_of_periods(&store, "checkout_v2");
        assert_eq!(
            periods,
            [
                (1_763_985_600, first.into()),
                (1_763_985_610, [10, 90].into())
            ]
        );
        let mut by_actor = Vec::new();
        let scanned = store.scan_assignments("checkout_v2", &mut |record| {
            by_actor.push(format!("{} {}", record.actor, record.weight_period));
            Ok(())
        });
        scanned.unwrap();
        let first = format!("user:1 {}", u32::from(version == 1));
        assert_eq!(by_actor, ["qa 1", "qa:2 1", &first, "user:2 1", "user:3 1"]);
        let analysis = store.get("checkout_v2").unwrap().unwrap().analysis;
        let mut outcomes = 0;
        let scanned = store.scan_outcomes(&OutcomeScan::default(), &mut |_| {
            outcomes += 1;
            Ok(())
        });
        scanned.unwrap();
        let since_4 = [(5_000, 0, 0), (1_000, 1, 3)];
        let found = (analysis.tuning_actors, analysis.metrics.len(), outcomes);
        assert_eq!(found, since_4[usize::from(version >= 4)]);
        let done = store.get("done").unwrap().unwrap();
        let pinned = store.overrides("checkout_v2").unwrap().remove(1);
        let found = (
            done.enrolling,
            done.values.get("b").cloned(),
            pinned.expires_at_secs,
            pinned.reason.as_deref(),
            pinned.operator.as_deref(),
        );
        let since_5 = [
            (true, None, None, None, None),
            (
                false,
                Some(3.into()),
                Some(4_102_444_800),
                Some("a look"),
                Some("bob"),
            ),
        ];
        assert_eq!(found, since_5[usize::from(version >= 5)]);
        assert_eq!(schema(&url), schema(&fresh()), "{version}");
    }
}

fn fresh() -> String {
    let url = server::shared().database();
    PgExperimentStore::migrate(&options(&url)).unwrap();
    url
}

/// All that is in the database of tables, columns, indexes, triggers and functions, as far as it is ours.
fn schema(url: &str) -> BTreeSet<String> {
    let rows = client(url).query(
        "SELECT attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod)
                 || attnotnull || coalesce(pg_get_expr(adbin, adrelid), '')
             FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
             LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i', 'v')
                 AND attnum > 0 AND NOT attisdropped
         UNION ALL
         SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid::regclass::text ~ '^(exp|autumn)_'
         UNION ALL
         SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
         UNION ALL
         SELECT pg_get_functiondef(oid) FROM pg_proc
             WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'exp\\_%'",
        &[],
    );
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// A call of the store, by its name.
type Call = (
    &'static str,
    fn(&PgExperimentStore) -> Result<(), ExperimentError>,
);

fn many(store: &PgExperimentStore, experiment: &str, keep: Keep) -> Result<(), ExperimentError> {
    let request = AssignManyRequest {
        experiment,
        actors: &["user:1", "many"],
        keep,
    };
    store.assign_many(&request).map(drop)
}

/// Each kind of call that there is.
const CALLS: &[Call] = &[
    ("assign what is stored", |store| {
        store.assign(&request("e", "user:1")).map(drop)
    }),
    ("assign what is stored, unseen", |store| {
        let request = AssignRequest {
            keep_exposure: false,
            ..request("e", "user:1")
        };
        store.assign(&request).map(drop)
    }),
    ("assign a newcomer", |store| {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        store.assign(&request("e", &format!("new:{n}"))).map(drop)
    }),
    ("assign whom an override pins", |store| {
        store.assign(&request("e", "qa")).map(drop)
    }),
    ("assign in one of a group", |store| {
        store.assign(&request("in_group", "user:1")).map(drop)
    }),
    ("assign where it is concluded", |store| {
        store.assign(&request("done", "user:1")).map(drop)
    }),
    ("assign where nothing is", |store| {
        match store.assign(&request("nothing", "user:1")) {
            Err(ExperimentError::NotFound(_)) => Ok(()),
            other => other.map(drop),
        }
    }),
    ("record_assignment", |store| {
        record(store, "e", "user:1", "a", false).map(drop)
    }),
    ("record_exposure", |store| {
        store.record_exposure(&ExposureRecord {
            experiment: "e".to_owned(),
            variant: "a".to_owned(),
            actor: "user:1".to_owned(),
            request_id: None,
            is_override: false,
            timestamp_secs: 0,
        })
    }),
    ("assign_many, nothing kept", |store| {
        many(store, "e", Keep::Nothing)
    }),
    ("assign_many", |store| many(store, "e", Keep::Assignments)),
    ("assign_many, exposures", |store| {
        many(store, "e", Keep::AssignmentsAndExposures)
    }),
    ("assign_many in one of a group", |store| {
        many(store, "in_group", Keep::Assignments)
    }),
    ("insert what is there", |store| {
        match store.insert(running("e")) {
            Err(error) if !matches!(error, ExperimentError::Store(_)) => Ok(()),
            other => other.map(drop),
        }
    }),
    ("set_state", |store| {
        store
            .set_state("e", ExperimentState::Running, None)
            .map(drop)
    }),
    ("set_override", |store| {
        store.set_override("e", "qa", "b").map(drop)
    }),
    ("clear_override", |store| {
        store.clear_override("e", "nobody").map(drop)
    }),
    ("unassign", |store| {
        store.unassign("e", &["nobody"], None).map(drop)
    }),
    ("delete what is not there", |store| {
        match store.mutate(
            &Mutation::Delete {
                experiment: "nothing",
            },
            None,
        ) {
            Err(ExperimentError::NotFound(_)) => Ok(()),
            other => other.map(drop),
        }
    }),
    ("get", |store| store.get("e").map(drop)),
    ("list", |store| store.list().map(drop)),
    ("preload", ExperimentStore::preload),
    ("history", |store| store.history("e", 0).map(drop)),
    ("changes of all", |store| {
        store.changes(&ChangeScan::default()).map(drop)
    }),
    ("exposure_totals", |store| {
        store.exposure_totals("user:1").map(drop)
    }),
    ("overrides", |store| store.overrides("e").map(drop)),
    ("get_override", |store| {
        store.get_override("e", "qa").map(drop)
    }),
    ("get_assignment", |store| {
        store.get_assignment("e", "user:1").map(drop)
    }),
    ("situation", |store| {
        store.situation("e", "user:1").map(drop)
    }),
    ("variant_counts", |store| {
        store.variant_counts("e").map(drop)
    }),
    ("weight_periods", |store| {
        store.weight_periods("e").map(drop)
    }),
    ("scan_assignments", |store| {
        store.scan_assignments("e", &mut |_| Ok(()))
    }),
    ("prune_exposures", |store| {
        store.prune_exposures("e", 0, None).map(drop)
    }),
    ("track", |store| {
        let outcome = Outcome {
            actor: "user:1".to_owned(),
            metric: "revenue".to_owned(),
            value: Finite::from(1),
            timestamp_secs: 0,
            id: Some("1".to_owned()),
        };
        store.track(&[outcome]).map(drop)
    }),
    ("scan_outcomes", |store| {
        store.scan_outcomes(&OutcomeScan::default(), &mut |_| Ok(()))
    }),
    ("query", |store| {
        let sql = "SELECT actor FROM exp_view_assignments";
        store.query(sql, Duration::from_mins(2), &mut Nothing)
    }),
    ("exposures", |store| store.exposures("e").map(drop)),
    ("info", |store| store.info().map(drop)),
    ("check", |store| store.check().map(drop)),
    ("repair", |store| store.repair().map(drop)),
];

/// Takes rows, and does nothing with them.
struct Nothing;

impl RowSink for Nothing {
    fn columns(&mut self, _: &[String]) -> Result<(), ExperimentError> {
        Ok(())
    }

    fn row(&mut self, _: &[SqlValue<'_>]) -> Result<(), ExperimentError> {
        Ok(())
    }
}

/// Asks often enough to have it prepared.
fn warm_up(store: &PgExperimentStore, calls: &[Call]) {
    for (name, call) in calls {
        for _ in 0..3 {
            if let Err(error) = call(store) {
                panic!("{name}: {error}");
            }
        }
    }
}

fn filled() -> String {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
    store
        .insert(running("in_group").exclusion_group("g"))
        .unwrap();
    let done = ExperimentConfig {
        state: ExperimentState::Concluded,
        winner: Some("b".to_owned()),
        ..running("done")
    };
    store.insert(done.clone()).unwrap();
    store.set_override("e", "qa", "b").unwrap();
    record(&store, "e", "user:1", "a", false).unwrap();
    url
}

/// Does what a newer `exp` does when it changes the schema, but for the end of the transaction.
fn begin_newer_schema(db: &mut Client) {
    db.batch_execute(
        "BEGIN;
         LOCK TABLE exp_migrations, autumn_experiments, autumn_experiment_assignments,
             autumn_experiment_overrides, autumn_experiment_changes IN ACCESS EXCLUSIVE MODE",
    )
    .unwrap();
    let expression: String = db
        .query_one(
            "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute
                 ON attrelid = adrelid AND attnum = adnum WHERE attname = 'exp_version'",
            &[],
        )
        .unwrap()
        .get(0);
    let seed = format!(", ({LATEST})::bigint)");
    assert!(expression.contains(&seed), "{expression}");
    let expression = expression.replace(&seed, &format!(", {}::bigint)", LATEST + 1));
    db.batch_execute(&format!(
        "INSERT INTO exp_migrations (version, adopted) VALUES ({}, false);
         ALTER TABLE autumn_experiments DROP COLUMN exp_version;
         ALTER TABLE autumn_experiments ADD COLUMN exp_version bigint NOT NULL
             GENERATED ALWAYS AS ({expression}) STORED;
         NOTIFY exp_schema",
        LATEST + 1
    ))
    .unwrap();
    let functions = db
        .query(
            "SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc
             WHERE proname ~ '^exp_.*_[0-9]+$'",
            &[],
        )
        .unwrap();
    assert_eq!(functions.len(), 4);
    for function in functions {
        let (name, made): (String, String) = (function.get(0), function.get(1));
        let mut newer = made;
        for name in ["situation", "show_again", "store_assignment", "assign"] {
            newer = newer.replace(
                &format!("exp_{name}_{LATEST}"),
                &format!("exp_{name}_{}", LATEST + 1),
            );
        }
        db.batch_execute(&format!("DROP FUNCTION {name}; {newer}"))
            .unwrap();
    }
}

fn is_refused(result: &Result<(), ExperimentError>) -> bool {
    matches!(
        result,
        Err(ExperimentError::Store(ExperimentStoreError::NewerSchema { found, supported, .. }))
            if (*found, *supported) == (i64::from(LATEST + 1), i64::from(LATEST))
    )
}

/// All rows that decide something or tell of it.
fn contents(url: &str) -> String {
    let row = client(url).query_one(
        "SELECT concat_ws(' ', (SELECT count(*) FROM autumn_experiment_assignments),
             (SELECT count(*) FROM autumn_experiment_overrides),
             (SELECT count(*) FROM autumn_experiment_changes),
             (SELECT count(*) FROM exp_exposures), (SELECT count(*) FROM exp_outcomes),
             (SELECT max(updated_at) FROM autumn_experiments))",
        &[],
    );
    row.unwrap().get(0)
}

/// A process that runs on while a newer one changes the schema is told with its next call.
#[apply(needs_postgres!)]
fn an_older_program_is_refused_at_its_next_call() {
    let url = filled();
    let (warm, cold) = (store(&url), PgExperimentStore::lazy(options(&url)));
    // Each call is the first that a connection makes after it was warm, and one of a pool that has no
    // connection yet.
    let single: Vec<_> = CALLS
        .iter()
        .map(|call| {
            let store = PgExperimentStore::open(options(&url).pool_size(1)).unwrap();
            warm_up(&store, &[*call]);
            store
        })
        .collect();
    warm_up(&warm, CALLS);
    let mut newer = client(&url);
    begin_newer_schema(&mut newer);
    newer.batch_execute("COMMIT").unwrap();
    let before = contents(&url);
    for ((name, call), single) in CALLS.iter().zip(single) {
        for (kind, store) in [("one", &single), ("warm", &warm), ("cold", &cold)] {
            let answer = call(store);
            assert!(is_refused(&answer), "{name}, {kind}: {answer:?}");
        }
    }
    assert_eq!(contents(&url), before);
}

/// So is a call that was under way, and had to wait for the change of the schema.
#[apply(needs_postgres!)]
fn an_older_program_is_refused_in_the_middle_of_a_call() {
    let url = filled();
    for is_warm in [true, false] {
        let stores: Vec<_> = CALLS
            .iter()
            .map(|call| {
                let options = options(&url).lock_timeout(Duration::from_mins(2));
                let store = PgExperimentStore::open(options).unwrap();
                if is_warm {
                    warm_up(&store, &[*call]);
                }
                store
            })
            .collect();
        let (mut newer, mut observer) = (client(&url), client(&url));
        let before = contents(&url);
        begin_newer_schema(&mut newer);
        thread::scope(|scope| {
            let calls: Vec<_> = CALLS
                .iter()
                .zip(&stores)
                .map(|((name, call), store)| (name, scope.spawn(move || call(store))))
                .collect();
            await_waiters(&mut observer, CALLS.len());
            newer.batch_execute("COMMIT").unwrap();
            for (name, call) in calls {
                let answer = call.join().unwrap();
                assert!(is_refused(&answer), "{name}, {is_warm}: {answer:?}");
            }
        });
        assert_eq!(contents(&url), before);
        // Back to the version that this program knows.
        newer
            .batch_execute(&format!(
                "DELETE FROM exp_migrations WHERE version >= {LATEST};
                 DO $$ DECLARE f regprocedure; BEGIN
                     FOR f IN SELECT oid FROM pg_proc WHERE proname ~ '^exp_.*_[0-9]+$' LOOP
                         EXECUTE 'DROP FUNCTION ' || f;
                     END LOOP;
                 END $$"
            ))
            .unwrap();
        assert!(PgExperimentStore::migrate(&options(&url)).unwrap());
    }
}

/// A watched store answers from its memory, until the thread that keeps it fresh is told.
#[apply(needs_postgres!)]
fn an_older_watched_store_answers_from_memory_no_more() {
    let url = filled();
    let options = options(&url).refresh_interval(Duration::from_hours(1));
    let store = PgExperimentStore::open(options).unwrap().watched().unwrap();
    warm_up(&store, CALLS);
    let mut newer = client(&url);
    begin_newer_schema(&mut newer);
    newer.batch_execute("COMMIT").unwrap();
    let first = store.assign(&request("e", "user:1")).map(drop);
    assert!(is_refused(&first), "{first:?}");
    eventually("the thread is told", || store.refresh_errors() > 0);
    for (name, call) in CALLS {
        let answer = call(&store);
        assert!(is_refused(&answer), "{name}: {answer:?}");
    }
}

/// None of it costs a round trip, and an assignment that is tried at once asks for nothing besides.
#[apply(needs_postgres!)]
fn to_be_refused_costs_nothing_while_all_is_well() {
    let url = filled();
    let proxy = Proxy::new(server::shared());
    let store = PgExperimentStore::open(options(&proxy.url(&url)).pool_size(1)).unwrap();
    let is_one_question = |name: &str| {
        name.starts_with("assign what is stored")
            || name.starts_with("get")
            || [
                "list",
                "preload",
                "history",
                "changes of all",
                "exposure_totals",
                "overrides",
                "situation",
                "weight_periods",
            ]
            .contains(&name)
    };
    for call in CALLS.iter().filter(|(name, _)| is_one_question(name)) {
        warm_up(&store, &[*call]);
        let (round_trips, answer) = proxy.count(|| (call.1)(&store));
        assert!(answer.is_ok());
        assert_eq!(round_trips, 1, "{}", call.0);
    }
    let newcomer = request("e", "another");
    assert_eq!(proxy.count(|| store.assign(&newcomer).unwrap()).0, 1);
    drop(store);

    let database = url.split(['/', '?']).nth(3).unwrap();
    let mut observer = client(&url);
    observer
        .batch_execute(&format!(
            "ALTER DATABASE {database} SET track_functions = 'all'"
        ))
        .unwrap();
    let store = PgExperimentStore::open(options(&url).pool_size(1)).unwrap();
    for n in 0..100 {
        store.assign(&request("e", &format!("hot:{n}"))).unwrap();
    }
    drop(store);
    // A session tells what it has called when it ends.
    let mut calls = |function: &str| -> i64 {
        let sql = "SELECT coalesce(max(calls), 0)::bigint FROM pg_stat_user_functions
            WHERE funcname = $1";
        observer.query_one(sql, &[&function]).unwrap().get(0)
    };
    let assign = format!("exp_assign_{LATEST}");
    for _ in 0..3_000 {
        if calls(&assign) > 90 {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert!(calls(&assign) > 90);
    assert!(calls("exp_require") < 3, "{}", calls("exp_require"));
}

/// Whatever changes of a list of many variants, and however alike the changes are, the version is another.
#[apply(needs_postgres!)]
fn a_long_list_of_variants_has_a_version_of_its_own() {
    let url = server::shared().database();
    let store = store(&url);
    let list = |ends: u32, others: u32| -> Vec<VariantConfig> {
        let weight = |name| {
            if matches!(name, 'a' | 'i') {
                ends
            } else {
                others
            }
        };
        ('a'..='i')
            .map(|name| VariantConfig::new(name, weight(name)))
            .collect()
    };
    store
        .insert(ExperimentConfig {
            state: ExperimentState::Running,
            ..ExperimentConfig::new("e", list(100, 1))
        })
        .unwrap();
    // From now on this handle knows it.
    store.assign(&request("e", "first")).unwrap();
    store.set_variants("e", list(0, 1), None).unwrap();
    for n in 0..50 {
        let assigned = store.assign(&request("e", &format!("user:{n}"))).unwrap();
        assert!(!["a", "i"].contains(&&*assigned.variant), "{assigned:?}");
    }
}

/// What two rows have in common that have `exp_version` in common is all that decides an assignment.
#[apply(needs_postgres!)]
fn every_column_that_decides_is_in_the_version_of_the_row() {
    let decides_nothing = [
        ("id", "a number of the row"),
        (
            "name",
            "by which it is looked up, together with the version",
        ),
        ("description", "for people"),
        ("created_at", "a time"),
        ("updated_at", "a time"),
        ("exp_version", "the version itself"),
        ("weight_period", "read where an assignment is stored"),
        ("analysis", "of what comes after the assignment"),
    ];
    let url = server::shared().database();
    store(&url)
        .insert(ExperimentConfig::new("e", vec![VariantConfig::new("a", 1)]))
        .unwrap();
    let mut db = client(&url);
    let columns = db
        .query(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
             WHERE attrelid = 'autumn_experiments'::regclass AND attnum > 0 AND NOT attisdropped",
            &[],
        )
        .unwrap();
    let mut met = BTreeSet::new();
    for column in columns {
        let (name, of_type): (String, String) = (column.get(0), column.get(1));
        if decides_nothing.iter().any(|(other, _)| *other == name) {
            met.insert(name);
            continue;
        }
        let other = match &*of_type {
            "text" => "'other'",
            "autumn_experiment_state" => "'archived'",
            "jsonb" => r#"'[{"name": "b", "weight": 1}]'"#,
            "boolean" => "NOT coalesce(column, false)",
            "smallint" | "integer" | "bigint" | "real" | "double precision" | "numeric" => {
                "coalesce(column, 2) - 1"
            }
            of_type => panic!("{name} is a {of_type}: how is it changed?"),
        };
        let other = other.replace("column", &name);
        // Of another state than a draft nothing is paused.
        db.batch_execute("UPDATE autumn_experiments SET state = 'draft', paused = false")
            .unwrap();
        let changes: bool = db
            .query_one(
                &format!(
                    "WITH before AS MATERIALIZED (SELECT exp_version FROM autumn_experiments)
                     UPDATE autumn_experiments SET {name} = {other}
                     RETURNING exp_version <> (SELECT exp_version FROM before)"
                ),
                &[],
            )
            .unwrap()
            .get(0);
        assert!(
            changes,
            "{name} is not in exp_version: does it decide how an actor is assigned?"
        );
    }
    assert_eq!(met.len(), decides_nothing.len(), "{met:?}");
}
