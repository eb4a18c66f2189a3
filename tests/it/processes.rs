//! Several processes at one store: eight of the real binary at the same actors and at one exclusion
//! group, and one that has to wait for another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Child, Stdio};

use experiments::{ExperimentStore as _, SqliteExperimentStore};

use rusqlite::Connection;

use crate::sandbox::Sandbox;

const PROCESSES: usize = 8;
const ACTORS: usize = 10;

/// Starts a shell loop in each of the processes at once, and gives back what each printed.
fn race(sandbox: &Sandbox, body: impl Fn(usize) -> String) -> Vec<String> {
    let gate = sandbox.home().join("gate");
    let start = |index: usize| -> Child {
        let line = format!(
            "until [ -e gate ]; do :; done; for n in $(seq {ACTORS}); do {}; done",
            body(index)
        );
        let mut command = sandbox.command("bash");
        command.args(["-c", &line]).stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let children: Vec<Child> = (0..PROCESSES).map(start).collect();
    fs::write(gate, "").unwrap();
    let outputs = children.into_iter().map(|child| {
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    outputs.collect()
}

#[test]
fn first_assignments_agree() {
    let sandbox = Sandbox::new();
    let setup = "exp create e --variant control=1 --variant treatment=1 --start";
    assert!(sandbox.bash(setup).status.success());
    let told = race(&sandbox, |_| {
        "exp assign e user:$n --format json || exit 1".to_owned()
    });

    let mut by_actor: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut first = 0;
    for line in told.iter().flat_map(|told| told.lines()) {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| json[field].as_str().unwrap().to_owned();
        by_actor
            .entry(text("actor"))
            .or_default()
            .insert(text("variant"));
        first += usize::from(text("reason") == "assigned");
    }
    assert_eq!(by_actor.len(), ACTORS);
    assert!(by_actor.values().all(|variants| variants.len() == 1));
    assert_eq!(first, ACTORS);
    let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
    let counts = store.variant_counts("e").unwrap();
    assert_eq!(
        counts.iter().map(|c| c.assigned).sum::<u64>(),
        ACTORS as u64
    );
    assert_eq!(store.exposures("e").unwrap().len(), ACTORS * PROCESSES);
}

#[test]
fn a_group_admits_each_actor_once() {
    let sandbox = Sandbox::new();
    for index in 0..PROCESSES {
        let create = format!("exp create e{index} --variant a=1 --group g --start");
        assert!(sandbox.bash(&create).status.success());
    }
    let told = race(&sandbox, |index| {
        format!(
            "exp assign e{index} user:$n --format tsv 2>/dev/null; [[ $? =~ ^[06]$ ]] || exit 1"
        )
    });

    let admitted: Vec<&str> = told.iter().flat_map(|told| told.lines()).collect();
    let distinct: BTreeSet<&str> = admitted.iter().copied().collect();
    assert_eq!((admitted.len(), distinct.len()), (ACTORS, ACTORS));
    let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
    let stored: u64 = (0..PROCESSES)
        .flat_map(|index| store.variant_counts(&format!("e{index}")).unwrap())
        .map(|count| count.assigned)
        .sum();
    assert_eq!(stored, ACTORS as u64);
}

#[test]
fn one_creation_wins() {
    let sandbox = Sandbox::new();
    let told = race(&sandbox, |_| {
        "exp create e$n --variant a=1 -q 2>/dev/null; echo $?".to_owned()
    });
    let codes: Vec<&str> = told.iter().flat_map(|told| told.lines()).collect();
    assert_eq!(codes.iter().filter(|code| **code == "0").count(), ACTORS);
    assert_eq!(
        codes.iter().filter(|code| **code == "8").count(),
        ACTORS * (PROCESSES - 1)
    );
    let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
    assert_eq!(store.list().unwrap().len(), ACTORS);
    let leftovers = fs::read_dir(sandbox.default_store().parent().unwrap()).unwrap();
    let leftovers = leftovers.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        !name.to_string_lossy().starts_with("experiments.db")
    });
    assert_eq!(leftovers.count(), 0);
}

/// While another process holds the lock, reading goes on, and writing waits as long as it is told to.
#[test]
fn writing_waits_for_the_lock() {
    let sandbox = Sandbox::new();
    assert!(sandbox.bash("exp create e --variant a=1").status.success());
    let other = Connection::open(sandbox.default_store()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    assert!(sandbox.bash("exp list").status.success());
    let impatient = sandbox.bash("exp start e --lock-timeout 0");
    assert_eq!(impatient.status.code(), Some(1));
    let seen = sandbox.neutral(&String::from_utf8_lossy(&impatient.stderr));
    let expected = "error: store [HOME]/.local/state/exp/experiments.db is busy: another process kept \
        it locked for 0 s\n hint: try again, or wait longer with --lock-timeout SECONDS\n";
    assert_eq!(seen, expected);

    let mut patient = sandbox
        .exp(&["start", "e", "--lock-timeout", "60", "--quiet"])
        .spawn()
        .unwrap();
    // It has met the lock once it sleeps, for it has nothing else to wait for.
    let status = format!("/proc/{}/status", patient.id());
    while !fs::read_to_string(&status).unwrap().contains("State:\tS") {
        assert!(patient.try_wait().unwrap().is_none(), "it did not wait");
    }
    other.execute_batch("COMMIT").unwrap();
    assert!(patient.wait().unwrap().success());
}

/// So does opening a store that another process has to itself.
#[test]
fn opening_waits_for_the_lock() {
    let sandbox = Sandbox::new();
    assert!(sandbox.bash("exp create e --variant a=1").status.success());
    let other = Connection::open(sandbox.default_store()).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE")
        .unwrap();
    let impatient = sandbox.bash("exp list --lock-timeout 0");
    let seen = String::from_utf8_lossy(&impatient.stderr);
    assert!(seen.contains("kept it locked for 0 s"), "{seen}");
}

/// One short process after another keeps the write-ahead log short: each of them reads it whole.
#[test]
fn the_log_stays_short() {
    const LONGEST: u64 = 70 * (4096 + 24);
    let sandbox = Sandbox::new();
    let run = "exp create e --variant a=1 --start --quiet;
        for n in $(seq 60); do exp assign e user:$n > /dev/null; done";
    assert!(sandbox.bash(run).status.success());
    let log = sandbox.default_store().with_extension("db-wal");
    let length = fs::metadata(log).unwrap().len();
    assert!(length < LONGEST, "{length} bytes");
}
