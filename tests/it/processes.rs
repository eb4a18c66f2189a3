//! Several processes at one store: eight of the real binary at the same actors and at one exclusion
//! group, and one that has to wait for another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Child, Stdio};

use experiments::bucketing::coverage_bucket;
use experiments::{Clock, ExperimentStore as _, SqliteExperimentStore};

use rusqlite::Connection;
use serde_json::Value;

use crate::sandbox::Sandbox;

const PROCESSES: usize = 8;
const ACTORS: usize = 10;

/// Starts a shell loop in each of the processes at once, and gives back what each printed.
fn race(sandbox: &Sandbox, body: impl Fn(usize) -> String) -> Vec<String> {
    at_once(sandbox, |index| {
        format!("for n in $(seq {ACTORS}); do {}; done", body(index))
    })
}

/// Starts some lines of bash in each of the processes at once, and gives back what each printed.
fn at_once(sandbox: &Sandbox, lines: impl Fn(usize) -> String) -> Vec<String> {
    let gate = sandbox.home().join("gate");
    let start = |index: usize| -> Child {
        let lines = format!("until [ -e gate ]; do :; done; {}", lines(index));
        let mut command = sandbox.command("bash");
        command.args(["-c", &lines]).stdout(Stdio::piped());
        // They race for the lock, and the machine may have other things to do.
        command.env("EXP_LOCK_TIMEOUT", "120");
        command.spawn().unwrap()
    };
    let children: Vec<Child> = (0..PROCESSES).map(start).collect();
    fs::write(&gate, "").unwrap();
    let outputs = children.into_iter().map(|child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{:?}", output.status);
        String::from_utf8(output.stdout).unwrap()
    });
    let outputs = outputs.collect();
    fs::remove_file(gate).unwrap();
    outputs
}

/// Documents of one line each.
fn documents(told: &str) -> impl Iterator<Item = Value> {
    told.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn text(document: &Value, field: &str) -> String {
    document[field].as_str().unwrap().to_owned()
}

fn stored(sandbox: &Sandbox, experiment: &str) -> BTreeSet<(String, String)> {
    let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
    let mut all = BTreeSet::new();
    let scan = store.scan_assignments(experiment, &mut |found| {
        all.insert((found.actor.clone(), found.variant.clone()));
        Ok(())
    });
    scan.unwrap();
    all
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
    for line in told.iter().flat_map(|told| documents(told)) {
        by_actor
            .entry(text(&line, "actor"))
            .or_default()
            .insert(text(&line, "variant"));
        first += usize::from(text(&line, "reason") == "assigned");
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

/// While seven processes bring newcomers, one stops it once some are in. Whoever was told a variant is stored, and
/// nobody is who was not in when that returned.
fn nobody_enters_after(stop: &str, exit_code: u8) {
    let sandbox = Sandbox::new();
    let setup = "exp create e --variant control=1 --variant treatment=1 --start";
    assert!(sandbox.bash(setup).status.success());
    let told = at_once(&sandbox, |index| match index {
        0 => format!(
            "until (( $(exp assignments e --format tsv | wc -l) >= {ACTORS} )); do :; done
            {stop} --quiet > /dev/null && exp assignments e --format json"
        ),
        index => {
            // The smallest coverage covers none of them.
            let actors = (0..).map(|n| format!("{index}/{n}"));
            let actors = actors.filter(|actor| coverage_bucket("e", actor) > 0);
            let actors: Vec<_> = actors.take(ACTORS * 2).collect();
            format!(
                "for actor in {}; do exp assign e $actor --format json 2> /dev/null
                [[ $? =~ ^[0{exit_code}]$ ]] || exit 1; done",
                actors.join(" ")
            )
        }
    });
    let told: Vec<BTreeSet<_>> = told
        .iter()
        .map(|told| {
            let given = documents(told).filter(|document| document["variant"].is_string());
            given
                .map(|document| (text(&document, "actor"), text(&document, "variant")))
                .collect()
        })
        .collect();
    let stored = stored(&sandbox, "e");
    assert_eq!(stored, told[0], "entered after that");
    let all = told[1..].iter().flatten().cloned().collect();
    assert_eq!(stored, all, "told, not stored");
}

#[test]
fn nobody_enters_after_closing() {
    nobody_enters_after("exp close e", 6);
}

#[test]
fn nobody_enters_after_lowering_the_coverage() {
    nobody_enters_after("exp set-coverage e 0.01%", 6);
}

#[test]
fn nobody_enters_after_pausing() {
    nobody_enters_after("exp pause e", 4);
}

/// Each assignment is there or was counted as taken back, and so is each exposure.
#[test]
fn unassigning_balances() {
    let sandbox = Sandbox::new();
    let setup = "exp create e --variant control=1 --variant treatment=1 --start
        seq 10 > list";
    assert!(sandbox.bash(setup).status.success());
    let told = race(&sandbox, |index| match index {
        0 => "exp unassign e --actors list --format json --quiet || exit 1".to_owned(),
        _ => "exp assign e $n --format json || exit 1".to_owned(),
    });
    let (mut assigned, mut shown) = (0, 0);
    for document in told[1..].iter().flat_map(|told| documents(told)) {
        assigned += u64::from(document["reason"] == "assigned");
        shown += 1;
    }
    for document in documents(&told[0]) {
        assigned -= document["assignments"].as_u64().unwrap();
        shown -= document["exposures"].as_u64().unwrap();
    }
    assert_eq!(stored(&sandbox, "e").len() as u64, assigned);
    let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
    assert_eq!(store.exposures("e").unwrap().len() as u64, shown);
    let counts = store.variant_counts("e").unwrap();
    assert_eq!(counts.iter().map(|c| c.assigned).sum::<u64>(), assigned);
}

/// Nobody is told of an override at a second at which it has expired, and no actor is ever in two experiments of the
/// group.
#[test]
fn overrides_expire() {
    const END: u64 = 2_000_000_000;
    let sandbox = Sandbox::new();
    for name in ["one", "two"] {
        let create =
            format!("exp create {name} --variant a=1 --variant b=1 --group g --start --quiet");
        assert!(sandbox.bash(&create).status.success());
    }
    let pin =
        format!("for n in $(seq {ACTORS}); do exp override one $n b --expires {END} --quiet; done");
    assert!(sandbox.bash(&pin).status.success());
    let told = race(&sandbox, |index| {
        let experiment = ["one", "two"][index % 2];
        // The clock goes on once one of them has asked for half of the actors.
        format!(
            "(( {index} == 0 && n == {ACTORS} / 2 )) && touch expired
            now={}; [ -e expired ] && now={END}
            answer=$(EXP_NOW=$now exp assign {experiment} $n --format json 2> /dev/null)
            [[ $? =~ ^[06]$ ]] || exit 1
            echo \"$now $answer\"",
            END - 1
        )
    });
    let mut given = 0;
    for (now, answer) in told
        .iter()
        .flat_map(|told| told.lines())
        .filter_map(|line| line.split_once(' '))
    {
        for document in documents(answer).filter(|document| document["variant"].is_string()) {
            let counts = now.parse::<u64>().unwrap() < END && document["experiment"] == "one";
            assert_eq!(document["reason"] == "override", counts, "{document}");
            given += 1;
        }
    }
    assert!(given > 0);
    let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
    let store = store.with_clock(Clock::Fixed(END));
    for n in 1..=ACTORS {
        let counting = ["one", "two"].map(|name| {
            let situation = store.situation(name, &n.to_string()).unwrap();
            situation.facts().stored.is_some()
        });
        assert_ne!(counting, [true, true], "{n}");
    }
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
