//! Sessions with the real binary, as they are seen: `transcripts/*.txt`.
//!
//! A line `$ command` is run in bash, in a sandbox that the file shares. Below it stands what came
//! out: standard output as it is, standard error behind `2> `, and the exit status unless it is 0.
//! Comments are kept. In `odd/` there are files to stumble over. `SNAPSHOTS=overwrite cargo test` writes what
//! is seen now; read the difference before you keep it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use experiments::SqliteExperimentStore;
use macro_rules_attribute::apply;
use rusqlite::Connection;
use snapbox::Data;
use snapbox::assert::Assert;

use crate::sandbox::Sandbox;
use crate::server;

/// Those of the sessions that look at no file of a store, nor at the year 3,170,843.
const SAME_ON_POSTGRES: &[&str] = &[
    "actor",
    "archive",
    "assign",
    "bulk",
    "ci",
    "create",
    "directories",
    "entry",
    "explain",
    "export",
    "history",
    "lifecycle",
    "list",
    "lists",
    "naming",
    "override",
    "pause",
    "results",
    "set_weights",
    "simulate",
    "track",
    "typed",
    "unassign",
];

#[test]
fn every_transcript_is_what_is_seen() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/transcripts");
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 5);
    let assert = Assert::new().action_env("SNAPSHOTS");
    let mut different = Vec::new();
    for path in paths {
        let seen = replay(&fs::read_to_string(&path).unwrap(), &Sandbox::new());
        let expected = Data::read_from(&path, None).raw();
        if let Err(error) = assert.try_eq(Some(&path.display()), seen.into(), expected) {
            different.push(error.to_string());
        }
    }
    assert!(different.is_empty(), "{}", different.concat());
}

/// The sessions in which no file of a store is looked at say the same on a database.
#[apply(needs_postgres!)]
fn a_database_answers_as_a_file_does() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/transcripts");
    for name in SAME_ON_POSTGRES {
        let transcript = fs::read_to_string(directory.join(name).with_extension("txt")).unwrap();
        let seen = replay(
            &transcript,
            &Sandbox::on_store(&server::shared().database()),
        );
        Assert::new().eq(seen, Data::text(transcript).raw());
    }
}

/// What only a database says.
#[apply(needs_postgres!)]
fn every_transcript_of_a_database_is_what_is_seen() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/postgres.txt");
    let seen = replay(
        &fs::read_to_string(&path).unwrap(),
        &Sandbox::on_store(&server::shared().database()),
    );
    let expected = Data::read_from(&path, None).raw();
    Assert::new().action_env("SNAPSHOTS").eq(seen, expected);
}

pub(crate) fn replay(transcript: &str, sandbox: &Sandbox) -> String {
    make_odd_files(&sandbox.home().join("odd"));
    let mut seen = String::new();
    for line in transcript.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let output = sandbox.bash(command);
            let _ = writeln!(seen, "{line}");
            let text = |bytes: &[u8]| sandbox.neutral(&String::from_utf8_lossy(bytes));
            for line in text(&output.stdout).lines() {
                let _ = writeln!(seen, "{line}");
            }
            for line in text(&output.stderr).lines() {
                let _ = writeln!(seen, "2> {line}");
            }
            match output.status.code() {
                Some(0) => {}
                status => {
                    let _ = writeln!(seen, "[exit {}]", status.unwrap_or(-1));
                }
            }
            seen.push('\n');
        } else if line.starts_with("# ") {
            let _ = writeln!(seen, "{line}");
        }
    }
    seen
}

/// SQLite databases that are not a store, or not one that can be used.
fn make_odd_files(directory: &Path) {
    fs::create_dir(directory).unwrap();
    let database = |name: &str, sql: &str| {
        let path = directory.join(name);
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(sql).unwrap();
        path
    };
    database("plain.db", "CREATE TABLE t (x)");
    database(
        "foreign.db",
        "CREATE TABLE t (x); PRAGMA application_id = 252006673",
    );
    let store = directory.join("cut.db");
    drop(SqliteExperimentStore::open_or_create(&store).unwrap());
    fs::copy(&store, directory.join("newer.db")).unwrap();
    database("newer.db", "PRAGMA user_version = 99");
    let whole = fs::read(&store).unwrap();
    fs::write(&store, &whole[..whole.len() / 3]).unwrap();
}
