//! Beside an application of the reference in one database: what it may legally leave in the tables,
//! and what it does while `exp` does something else. Its statements are written as the reference's
//! behave: a check and a write in one statement, on a view from before it waits for anybody.

use std::thread;
use std::time::Duration;

use experiments::store::conformance;
use experiments::store::transfer::{Record, Source as _, copy};
use experiments::{
    AssignManyRequest, AssignRequest, Clock, ExperimentConfig, ExperimentState, ExperimentStore,
    Keep, PgCopy, PgExperimentStore, SqliteCopy, SqliteExperimentStore, VariantConfig,
};
use postgres::Client;

use crate::sandbox::{Sandbox, rounds};
use crate::server::{self, client, options};

fn store(url: &str) -> PgExperimentStore {
    PgExperimentStore::open_or_create(options(url)).unwrap()
}

fn running(name: &str) -> ExperimentConfig {
    let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
    ExperimentConfig {
        state: ExperimentState::Running,
        ..ExperimentConfig::new(name, variants)
    }
}

/// Names and all but the state of experiments that `exp` would refuse to create.
const ODD: &[(&str, &str, &str, Option<&str>)] = &[
    // Concluded, and started again: the reference keeps the winner.
    (
        "restarted",
        "running",
        r#"[{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]"#,
        Some("b"),
    ),
    (
        "reset",
        "draft",
        r#"[{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]"#,
        Some("b"),
    ),
    (
        "stranger",
        "concluded",
        r#"[{"name": "a", "weight": 1}]"#,
        Some("nobody"),
    ),
    (
        "undecided",
        "concluded",
        r#"[{"name": "a", "weight": 1}]"#,
        None,
    ),
    ("none", "running", "[]", None),
    (
        "twins",
        "running",
        r#"[{"name": "a", "weight": 1}, {"name": "a", "weight": 2}]"#,
        None,
    ),
    ("", "running", r#"[{"name": "a", "weight": 1}]"#, None),
    (
        " ",
        "running",
        r#"[{"name": " ", "weight": 1}, {"name": "", "weight": 1}]"#,
        None,
    ),
    (
        "line\nfeed\u{200b}",
        "running",
        r#"[{"name": "a\u001b[2J", "weight": 1}]"#,
        None,
    ),
];

/// Lists of variants that neither program can read.
const UNREADABLE: &[(&str, &str)] = &[
    ("negative", r#"[{"name": "a", "weight": -1}]"#),
    ("large", r#"[{"name": "a", "weight": 4294967296}]"#),
    ("fraction", r#"[{"name": "a", "weight": 0.5}]"#),
    ("weightless", r#"[{"name": "a"}]"#),
    ("numbered", r#"[{"name": 1, "weight": 1}]"#),
    ("null", "null"),
    ("object", r#"{"name": "a", "weight": 1}"#),
];

fn put(application: &mut Client, name: &str, state: &str, variants: &str, winner: Option<&str>) {
    let sql = "WITH made AS (
            INSERT INTO autumn_experiments (name, state, variants, winner)
            VALUES ($1, $2::text::autumn_experiment_state, $3::text::jsonb, $4) RETURNING name)
        INSERT INTO autumn_experiment_changes (experiment, mutation) SELECT name, 'created' FROM made";
    let put = application.execute(sql, &[&name, &state, &variants, &winner]);
    put.unwrap();
}

/// All of the odd ones, with what is odd of actors.
fn fill(application: &mut Client) -> Vec<String> {
    let long = format!("long{}", "x".repeat(300));
    for (name, state, variants, winner) in ODD {
        put(application, name, state, variants, *winner);
    }
    put(
        application,
        &long,
        "running",
        r#"[{"name": "a", "weight": 1}]"#,
        None,
    );
    let actor = "u".repeat(1_500);
    for actor in ["", &actor] {
        let sql = "INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
            VALUES ('restarted', $1, 'b')";
        application.execute(sql, &[&actor]).unwrap();
        let sql = "INSERT INTO autumn_experiment_overrides (experiment, actor, variant)
            VALUES ('reset', $1, 'never was')";
        application.execute(sql, &[&actor]).unwrap();
    }
    let mut names: Vec<String> = ODD.iter().map(|(name, ..)| (*name).to_owned()).collect();
    names.push(long);
    names
}

/// The output of a command that must succeed.
fn done(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = sandbox.exp(words).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn whatever_an_application_stores_can_be_looked_at() {
    let url = server::shared().database();
    store(&url);
    let mut application = client(&url);
    let mut names = fill(&mut application);
    for (name, variants) in UNREADABLE {
        put(&mut application, name, "running", variants, None);
        names.push((*name).to_owned());
    }
    let sandbox = Sandbox::on_store(&url);
    let listed = done(&sandbox, &["list", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), names.len());
    for name in &names {
        done(&sandbox, &["status", name]);
        done(&sandbox, &["explain", name, "user:1"]);
        done(&sandbox, &["history", name]);
        done(&sandbox, &["override", name, "--list"]);
    }
    let listed = done(&sandbox, &["list"]);
    let restarted = listed.lines().find(|line| line.starts_with("restarted"));
    assert!(restarted.unwrap().ends_with("a 1, b 1"), "{listed}");
    let refused = sandbox
        .exp(&["assign", "undecided", "user:1"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(7));
    assert_eq!(
        String::from_utf8(refused.stderr).unwrap(),
        "error: experiment 'undecided' is concluded without a winner\n \
         hint: name one: exp conclude undecided WINNER\n"
    );
    let sticky = "u".repeat(1_500);
    for actor in ["", &*sticky] {
        let told = done(
            &sandbox,
            &["explain", "restarted", actor, "--format", "json"],
        );
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(
            (&told["outcome"], &told["variant"]),
            (&"sticky".into(), &"b".into())
        );
        assert_eq!(done(&sandbox, &["assign", "restarted", actor]), "b\n");
        done(&sandbox, &["override", "reset", actor, "--clear"]);
    }
}

/// An export of all of it changes nothing where it comes from, checked or applied.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn an_export_of_odd_experiments_changes_nothing() {
    let url = server::shared().database();
    let store = store(&url);
    fill(&mut client(&url));
    let before = store.list().unwrap();
    let sandbox = Sandbox::on_store(&url);
    let file = sandbox.home().join("all.toml");
    std::fs::write(&file, done(&sandbox, &["export"])).unwrap();
    let file = file.to_str().unwrap();
    done(&sandbox, &["plan", "--exit-code", file]);
    done(&sandbox, &["apply", "--yes", file]);
    assert_eq!(store.list().unwrap(), before);
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_command_mends_what_an_application_stored() {
    let url = server::shared().database();
    let store = store(&url);
    let mut application = client(&url);
    let long = fill(&mut application).pop().unwrap();
    for (name, variants) in UNREADABLE {
        put(&mut application, name, "running", variants, None);
    }
    let sandbox = Sandbox::on_store(&url);
    let found = |name: &str| store.get(name).unwrap().unwrap();
    // What a list that can't be read says is in use all the same.
    let held = "INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
        VALUES ('negative', 'user:1', 'a')";
    application.execute(held, &[]).unwrap();
    let refused = sandbox
        .exp(&["set-weights", "negative", "b=1"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(8), "{told}");
    assert!(told.contains("cannot delete variant 'a'"), "{told}");
    done(&sandbox, &["conclude", "stranger", "a"]);
    done(&sandbox, &["start", "undecided"]);
    done(&sandbox, &["start", "restarted"]);
    done(&sandbox, &["start", "reset"]);
    for name in ["restarted", "reset", "undecided"] {
        assert_eq!(
            (found(name).state, found(name).winner),
            (ExperimentState::Running, None)
        );
    }
    let readable = ["none", "twins", "", " ", &long].into_iter();
    for name in readable.chain(UNREADABLE.iter().map(|(name, _)| *name)) {
        done(&sandbox, &["set-weights", name, "a=1", "b=0"]);
        assert_eq!(done(&sandbox, &["assign", name, "user:1"]), "a\n");
    }
    done(&sandbox, &["archive", ""]);
    for config in store.list().unwrap() {
        let problems = config.problems();
        let is_named =
            |name: &str| !name.trim().is_empty() && name.len() < 200 && !name.contains('\n');
        assert!(
            problems.is_empty() || !is_named(&config.name),
            "{problems:?}"
        );
    }
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_change_keeps_a_list_that_it_cannot_read() {
    let url = server::shared().database();
    let store = store(&url);
    let mut application = client(&url);
    for (name, variants) in UNREADABLE {
        put(&mut application, name, "draft", variants, None);
        store
            .set_state(name, ExperimentState::Running, None)
            .unwrap();
        let sql = "SELECT variants = $2::text::jsonb FROM autumn_experiments WHERE name = $1";
        let kept: bool = application
            .query_one(sql, &[name, variants])
            .unwrap()
            .get(0);
        assert!(kept, "{name}");
    }
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn odd_experiments_are_copied_or_named() {
    let url = server::shared().database();
    let store = store(&url);
    let mut application = client(&url);
    fill(&mut application);
    let directory = tempfile::tempdir().unwrap();
    let copied = |name: &str| {
        let path = directory.path().join(name);
        copy(&store, &mut SqliteCopy::new(&path), false, &mut |_, _| {})
            .map(|copied| (copied, SqliteExperimentStore::open(&path).unwrap()))
    };
    let refused = copied("twins.db").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "experiment 'twins': variant 'a' is there twice"
    );
    store
        .set_variants("twins", &running("twins").variants)
        .unwrap();
    let (copied_all, file) = copied("all.db").unwrap();
    assert_eq!(
        copied_all.tally.experiments,
        store.list().unwrap().len() as u64
    );
    assert_eq!(file.list().unwrap(), store.list().unwrap());
    for config in store.list().unwrap() {
        assert_eq!(
            file.overrides(&config.name).unwrap(),
            store.overrides(&config.name).unwrap()
        );
    }
    // And from there to a database.
    let other = server::shared().database();
    let back = copy(
        &file,
        &mut PgCopy::new(options(&other)),
        false,
        &mut |_, _| {},
    )
    .unwrap();
    assert_eq!(back.tally, copied_all.tally);

    for (name, variants) in UNREADABLE {
        put(&mut application, name, "running", variants, None);
        let refused = copied("unreadable.db").unwrap_err().to_string();
        assert_eq!(
            refused,
            format!("experiment '{name}': its variants can't be read")
        );
        store.set_variants(name, &running(name).variants).unwrap();
    }
}

/// A file is held to what is in use as a command is, in a draft that the application reset as well.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_file_drops_nothing_that_a_reset_draft_uses() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(&running("e").exclusion_group("g")).unwrap();
    store.record_assignment("e", "user:1", "b", false).unwrap();
    let reset = "UPDATE autumn_experiments SET state = 'draft'";
    client(&url).batch_execute(reset).unwrap();
    let before = store.list().unwrap();
    let sandbox = Sandbox::on_store(&url);
    let file = sandbox.home().join("e.toml");
    let path = file.to_str().unwrap();
    let name = "[[experiment]]\nname = \"e\"\nvariants = [{ name = \"a\", weight = 1 }";
    let b = ", { name = \"b\", weight = 1 }]\n";
    for (rest, rule) in [
        (
            "]\nexclusion_group = \"g\"\n".to_owned(),
            "error[variant-in-use]",
        ),
        (
            format!("{b}exclusion_group = \"h\"\n"),
            "error[group-fixed]",
        ),
        (b.to_owned(), "error[group-fixed]"),
    ] {
        std::fs::write(&file, format!("{name}{rest}")).unwrap();
        for words in [&["plan", path][..], &["apply", "--yes", path]] {
            let output = sandbox.exp(words).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(8), "{told}");
            assert!(told.contains(rule), "{told}");
        }
        assert_eq!(store.list().unwrap(), before);
    }
    std::fs::write(
        &file,
        format!("{name}{b}exclusion_group = \"g\"\nstate = \"running\"\n"),
    )
    .unwrap();
    done(&sandbox, &["apply", "--yes", path]);
    assert_eq!(done(&sandbox, &["assign", "e", "user:1"]), "b\n");
}

/// Whatever the order of letters in the database.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_sibling_is_the_first_by_its_bytes() {
    let server = server::shared();
    let made = client(&server.url("postgres")).batch_execute(
        "CREATE DATABASE of_letters TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
    );
    made.unwrap();
    let store = store(&server.url("of_letters")).with_operator(conformance::OPERATOR);
    conformance::a_situation_names_the_first_sibling(&store);
}

/// Waits until so many sessions of the database wait for an advisory lock.
fn await_waiters(observer: &mut Client, count: i64) {
    let waiting = "SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    for _ in 0..3_000 {
        let found: i64 = observer.query_one(waiting, &[]).unwrap().get(0);
        if found >= count {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("nobody waits");
}

/// As the application removes `b`: one statement, whose check is of the time when it began. Says
/// whether it did.
fn remove_b(application: &mut Client) -> bool {
    let removed = application.execute(
        r#"WITH updated AS (
               UPDATE autumn_experiments
               SET variants = '[{"name": "a", "weight": 1}]', updated_at = NOW()
               WHERE name = 'e' AND NOT EXISTS (
                   SELECT FROM autumn_experiment_assignments
                   WHERE experiment = 'e' AND variant <> 'a')
               RETURNING name)
           INSERT INTO autumn_experiment_changes (experiment, mutation)
           SELECT name, 'set_weights' FROM updated"#,
        &[],
    );
    removed.unwrap() > 0
}

/// The same by creating the experiment again.
fn create_without_b(application: &mut Client) -> bool {
    let created = application.execute(
        r#"WITH upserted AS (
               INSERT INTO autumn_experiments (name, state, variants)
               VALUES ('e', 'draft', '[{"name": "a", "weight": 1}]')
               ON CONFLICT (name) DO UPDATE SET state = excluded.state,
                   variants = excluded.variants, updated_at = NOW()
               WHERE NOT EXISTS (
                   SELECT FROM autumn_experiment_assignments
                   WHERE experiment = excluded.name AND variant <> 'a')
               RETURNING name)
           INSERT INTO autumn_experiment_changes (experiment, mutation)
           SELECT name, 'updated' FROM upserted"#,
        &[],
    );
    created.unwrap() > 0
}

/// As the application stores an assignment, after it has looked at the experiment.
fn insert_b(application: &mut Client, actor: &str, is_override: bool) -> Result<String, String> {
    let mut transaction = application.transaction().unwrap();
    let lock = "SELECT pg_advisory_xact_lock(hashtext($1))";
    transaction.execute(lock, &[&actor]).unwrap();
    let stored = transaction.query_one(
        "INSERT INTO autumn_experiment_assignments AS a (experiment, actor, variant, is_override)
         VALUES ('e', $1, 'b', $2) ON CONFLICT (experiment, actor) DO UPDATE
         SET variant = CASE WHEN excluded.is_override THEN excluded.variant ELSE a.variant END,
             is_override = a.is_override OR excluded.is_override
         RETURNING variant",
        &[&actor, &is_override],
    );
    match stored {
        Ok(row) => {
            let variant = row.get(0);
            transaction.commit().unwrap();
            Ok(variant)
        }
        Err(error) => Err(error.as_db_error().unwrap().message().to_owned()),
    }
}

fn has_b(store: &PgExperimentStore) -> bool {
    store.get("e").unwrap().unwrap().variant("b").is_some()
}

/// Its check is older than its wait at the gate; what was assigned meanwhile counts all the same.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn the_application_removes_no_variant_that_is_being_assigned() {
    for remove in [remove_b, create_without_b] {
        let url = server::shared().database();
        let store = store(&url);
        store.insert(&running("e")).unwrap();
        let (mut assigning, mut application) = (client(&url), client(&url));
        let mut assigning = assigning.transaction().unwrap();
        let assign = "SELECT exp_store_assignment('e', 'user:1', (SELECT exp_version FROM
            autumn_experiments), NULL, NULL, NULL, 'b', false, now(), true, false, NULL)";
        let stored: bool = assigning.query_one(assign, &[]).unwrap().get(0);
        assert!(stored);
        let removed = thread::scope(|scope| {
            let removing = scope.spawn(|| remove(&mut application));
            await_waiters(&mut client(&url), 1);
            assigning.commit().unwrap();
            removing.join().unwrap()
        });
        assert!(!removed);
        assert!(has_b(&store));
        assert_eq!(store.history("e", 0).unwrap().len(), 1);
        // Without assignments it is removed as ever, and what is not removed may change.
        store
            .insert(&ExperimentConfig::new("other", running("other").variants))
            .unwrap();
        let sql = "UPDATE autumn_experiments SET variants = '[]' WHERE name = 'other'";
        assert_eq!(application.execute(sql, &[]).unwrap(), 1);
        let sql = r#"UPDATE autumn_experiments SET variants = '[{"name": "b", "weight": 7}]'
            WHERE name = 'e'"#;
        assert_eq!(application.execute(sql, &[]).unwrap(), 1);
    }
}

/// It has looked at the experiment before it waits, and is told that the variant is gone.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn the_application_assigns_no_variant_that_is_being_removed() {
    for is_override in [false, true] {
        let url = server::shared().database();
        let store = store(&url);
        store.insert(&running("e")).unwrap();
        let (mut gate, mut application) = (client(&url), client(&url));
        if is_override {
            // Its statement finds a row then, and updates it.
            store.record_assignment("e", "user:1", "a", false).unwrap();
        }
        let mut gate = gate.transaction().unwrap();
        let hold = "SELECT pg_advisory_xact_lock_shared(1163415621, hashtext('e'))";
        gate.execute(hold, &[]).unwrap();
        let inserted = thread::scope(|scope| {
            let removing = scope.spawn(|| store.set_variants("e", &[VariantConfig::new("a", 1)]));
            await_waiters(&mut client(&url), 1);
            let inserting = scope.spawn(|| insert_b(&mut application, "user:1", is_override));
            await_waiters(&mut client(&url), 2);
            gate.commit().unwrap();
            removing.join().unwrap().unwrap();
            inserting.join().unwrap()
        });
        assert_eq!(inserted.unwrap_err(), "experiment 'e' has no variant 'b'");
        let kept = store.get_assignment("e", "user:1").unwrap();
        assert_eq!(
            kept.map(|kept| kept.variant),
            is_override.then(|| "a".to_owned())
        );
        // What it does otherwise it does as ever.
        assert_eq!(insert_b(&mut application, "user:2", false).ok(), None);
        let sql = "INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
            VALUES ('unknown', 'user:1', 'b'), ('e', 'user:3', 'a')";
        assert_eq!(application.execute(sql, &[]).unwrap(), 2);
    }
}

/// Whoever is first: a variant is either there or without assignments.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn no_race_leaves_an_assignment_of_a_removed_variant() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(&running("e")).unwrap();
    let dangling = "SELECT count(*) FROM autumn_experiment_assignments WHERE variant = 'b'";
    for round in 0..rounds(8) {
        let mut observer = client(&url);
        let reset = r#"UPDATE autumn_experiments SET state = 'running',
            variants = '[{"name": "a", "weight": 0}, {"name": "b", "weight": 1}]'"#;
        observer
            .batch_execute("DELETE FROM autumn_experiment_assignments")
            .unwrap();
        observer.batch_execute(reset).unwrap();
        let (mut one, mut other) = (client(&url), client(&url));
        thread::scope(|scope| {
            scope.spawn(|| match round % 2 {
                0 => remove_b(&mut one),
                _ => store
                    .set_variants("e", &[VariantConfig::new("a", 1)])
                    .is_ok(),
            });
            scope.spawn(|| insert_b(&mut other, "theirs", false));
            scope.spawn(|| {
                let request = AssignRequest {
                    experiment: "e",
                    actor: "ours",
                    request_id: None,
                    keep_exposure: true,
                };
                store.assign(&request).unwrap()
            });
            scope.spawn(|| {
                let many = AssignManyRequest {
                    experiment: "e",
                    actors: &["x", "y", "z"],
                    keep: Keep::Assignments,
                };
                store.assign_many(&many).unwrap()
            });
        });
        let dangling: i64 = observer.query_one(dangling, &[]).unwrap().get(0);
        assert!(has_b(&store) || dangling == 0, "{round}: {dangling}");
    }
}

/// The log of an experiment as the application shows it, newest first.
fn shown_by_the_application(application: &mut Client, experiment: &str) -> Vec<String> {
    let sql = "SELECT mutation FROM autumn_experiment_changes
        WHERE experiment = $1 ORDER BY changed_at DESC";
    let rows = application.query(sql, &[&experiment]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn change_often(store: &dyn ExperimentStore, application: Option<&mut Client>) {
    store.insert(&running("e")).unwrap();
    let mut application = application;
    for n in 0..20 {
        let actor = format!("user:{n}");
        store.set_override("e", &actor, "b").unwrap();
        if let Some(application) = application.as_mut() {
            let sql = "INSERT INTO autumn_experiment_changes (experiment, mutation)
                VALUES ('e', 'override=theirs:' || $1::text)";
            application.execute(sql, &[&actor]).unwrap();
        }
    }
}

fn log(store: &dyn ExperimentStore) -> Vec<String> {
    let changes = store.history("e", 0).unwrap().into_iter();
    changes.map(|change| change.mutation).collect()
}

/// It sorts by time, and times must be in the order of what happened.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn the_application_shows_the_log_in_its_order() {
    for clock in [Clock::System, Clock::Fixed(1_700_000_000)] {
        let url = server::shared().database();
        let store = store(&url).with_clock(clock);
        let mut application = client(&url);
        let neighbour = (clock == Clock::System).then(|| client(&url));
        change_often(&store, neighbour.as_ref().map(|_| &mut application));
        let mut application = client(&url);
        assert_eq!(shown_by_the_application(&mut application, "e"), log(&store));
        for change in store.history("e", 0).unwrap() {
            if let Clock::Fixed(secs) = clock {
                assert_eq!(change.timestamp_secs, secs);
            }
        }
        let ordered = "SELECT bool_and(updated_at >= created_at) FROM autumn_experiments";
        store
            .set_state("e", ExperimentState::Archived, None)
            .unwrap();
        assert!(
            application
                .query_one(ordered, &[])
                .unwrap()
                .get::<_, bool>(0)
        );
    }
}

/// What happened after a wait is written after what it waited for, though it began before.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn an_entry_of_the_application_that_waited_comes_later() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(&running("e")).unwrap();
    let (mut early, mut application) = (client(&url), client(&url));
    let mut transaction = early.transaction().unwrap();
    transaction.execute("SELECT now()", &[]).unwrap();
    store.set_override("e", "user:1", "a").unwrap();
    let sql = "INSERT INTO autumn_experiment_changes (experiment, mutation) VALUES ('e', 'late')";
    transaction.execute(sql, &[]).unwrap();
    let sql = "UPDATE autumn_experiments SET updated_at = created_at - interval '1 hour'";
    transaction.execute(sql, &[]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(shown_by_the_application(&mut application, "e"), log(&store));
    let ordered = "SELECT bool_and(updated_at >= created_at) FROM autumn_experiments";
    assert!(
        application
            .query_one(ordered, &[])
            .unwrap()
            .get::<_, bool>(0)
    );
}

/// A file keeps whole seconds, and the order all the same.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_copied_log_is_shown_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("experiments.db");
    let source = SqliteExperimentStore::open_or_create(path).unwrap();
    change_often(
        &source.clone().with_clock(Clock::Fixed(1_700_000_000)),
        None,
    );
    // Of a clock that was put back.
    let earlier = source.clone().with_clock(Clock::Fixed(1_600_000_000));
    earlier.set_override("e", "late", "a").unwrap();
    earlier.set_override("e", "later", "a").unwrap();
    earlier
        .set_variants("e", &[VariantConfig::new("b", 1)])
        .unwrap();
    source
        .view(&mut |view| {
            view.scan(&mut |record| {
                if let Record::Experiment {
                    config,
                    created_at_secs,
                } = record
                {
                    assert!(config.updated_at_secs >= created_at_secs);
                }
                Ok(())
            })
        })
        .unwrap();
    let url = server::shared().database();
    copy(
        &source,
        &mut PgCopy::new(options(&url)),
        false,
        &mut |_, _| {},
    )
    .unwrap();
    let database = store(&url);
    assert_eq!(
        database.history("e", 0).unwrap(),
        source.history("e", 0).unwrap()
    );
    let mut shown = shown_by_the_application(&mut client(&url), "e");
    shown.rotate_right(3);
    assert_eq!(shown, log(&source));
}
