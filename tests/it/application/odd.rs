//! What an application may store and `exp` would not can be looked at, mended, and copied or named.

use experiments::store::conformance;
use experiments::store::transfer::copy;
use experiments::{
    ConfigField, ConfigProblem, ExperimentConfig, ExperimentState, ExperimentStore, Field, PgCopy,
    SqliteCopy, SqliteExperimentStore,
};
use macro_rules_attribute::apply;
use postgres::Client;

use super::{running, store};
use crate::givens::record;
use crate::sandbox::Sandbox;
use crate::server::{self, client, options};

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
    let many: Vec<String> = (0..1_100)
        .map(|n| format!("{{\"name\": \"v{n}\", \"weight\": 1}}"))
        .collect();
    let many = format!("[{}]", many.join(","));
    put(application, "many", "running", &many, None);
    application
        .batch_execute(
            "UPDATE autumn_experiments SET exclusion_group = '' WHERE name IN ('restarted', 'none');
             UPDATE autumn_experiments SET exclusion_group = repeat('g', 300) WHERE name = 'many';
             UPDATE autumn_experiments SET description = repeat('d', 5000) WHERE name = 'reset'",
        )
        .unwrap();
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
    names.extend(["many".to_owned(), long]);
    names
}

/// The output of a command that must succeed.
fn done(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = sandbox.exp(words).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

#[apply(needs_postgres!)]
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
            (&told["reason"], &told["variant"]),
            (&"sticky".into(), &"b".into())
        );
        assert_eq!(done(&sandbox, &["assign", "restarted", actor]), "b\n");
        done(&sandbox, &["override", "reset", actor, "--clear"]);
    }
}

/// An export of all of it changes nothing where it comes from, checked or applied.
#[apply(needs_postgres!)]
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
    // The winner that was left may stand in a file, and no other.
    for (winner, code) in [("b", 0), ("a", 8)] {
        let declared = format!(
            "[[experiment]]\nname = \"restarted\"\nexclusion_group = \"\"\nstate = \"running\"
             winner = \"{winner}\"\nvariants = [{{ name = \"a\", weight = 1 }}, {{ name = \"b\", weight = 1 }}]\n"
        );
        std::fs::write(file, declared).unwrap();
        let output = sandbox.exp(&["apply", "--yes", file]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
    }
    assert_eq!(store.list().unwrap(), before);
}

#[apply(needs_postgres!)]
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
    let line = "line\nfeed\u{200b}";
    let readable = ["none", "twins", "", " ", line, "many", &long].into_iter();
    for name in readable.chain(UNREADABLE.iter().map(|(name, _)| *name)) {
        done(&sandbox, &["set-weights", name, "a=1", "b=0"]);
        assert_eq!(done(&sandbox, &["assign", name, "user:1"]), "a\n");
    }
    done(&sandbox, &["archive", ""]);
    let file = sandbox.home().join("reset.toml");
    let declared = "[[experiment]]\nname = \"reset\"\ndescription = \"short\"\nvariants = [
        { name = \"a\", weight = 1 }, { name = \"b\", weight = 1 }]\n";
    std::fs::write(&file, declared).unwrap();
    done(&sandbox, &["apply", "--yes", file.to_str().unwrap()]);
    // A name and a group are for good.
    for problem in store
        .list()
        .unwrap()
        .iter()
        .flat_map(ExperimentConfig::problems)
    {
        let (ConfigProblem::Empty(field)
        | ConfigProblem::ControlCharacter(field)
        | ConfigProblem::TooLong { field, .. }) = problem
        else {
            panic!("{problem:?}");
        };
        assert!(
            matches!(
                field,
                Field::Config(ConfigField::Name | ConfigField::ExclusionGroup)
            ),
            "{field}"
        );
    }
}

#[apply(needs_postgres!)]
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

#[apply(needs_postgres!)]
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
        "experiment 'twins': variant 'a' is declared twice"
    );
    store
        .set_variants("twins", running("twins").variants, None)
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
        store
            .set_variants(name, running(name).variants, None)
            .unwrap();
    }
}

/// A file is held to what is in use as a command is, in a draft that the application reset as well.
#[apply(needs_postgres!)]
fn a_file_drops_nothing_that_a_reset_draft_uses() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e").exclusion_group("g")).unwrap();
    record(&store, "e", "user:1", "b", false).unwrap();
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
#[apply(needs_postgres!)]
fn a_sibling_is_the_first_by_its_bytes() {
    let server = server::shared();
    let made = client(&server.url("postgres")).batch_execute(
        "CREATE DATABASE of_letters TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
    );
    made.unwrap();
    let store = store(&server.url("of_letters")).with_operator(conformance::OPERATOR);
    conformance::a_situation_names_the_first_sibling(&store);
}
