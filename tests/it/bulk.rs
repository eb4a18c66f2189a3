//! `exp assign --actors` as a process among others: it answers at once when its input pauses, what it
//! has printed is stored whenever it is killed, and it keeps nobody out.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;

use experiments::{ExperimentStore as _, SqliteExperimentStore};

use crate::sandbox::{self, Sandbox};

fn with_experiment() -> Sandbox {
    let sandbox = Sandbox::new();
    let create = "exp create e --variant control=1 --variant treatment=1 --start";
    assert!(sandbox.bash(create).status.success());
    sandbox
}

fn start(sandbox: &Sandbox) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let mut command = sandbox.exp(&["assign", "e", "--actors", "-", "--quiet"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (child, input, BufReader::new(output))
}

fn read_line(output: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn a_coprocess_is_answered_line_by_line() {
    let sandbox = with_experiment();
    let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
    let (mut child, mut input, mut output) = start(&sandbox);
    for actors in ["user:1\n", "user:2\n", "user:3\nuser:4\n"] {
        input.write_all(actors.as_bytes()).unwrap();
        for actor in actors.lines() {
            let line = read_line(&mut output);
            let stored = store.get_assignment("e", actor).unwrap().unwrap();
            assert_eq!(line, format!("{actor}\t{}", stored.variant));
        }
    }
    // A line is a line once its line feed is there.
    input.write_all(b"half").unwrap();
    assert_eq!(store.get_assignment("e", "half").unwrap(), None);
    input.write_all(b" and half\n").unwrap();
    assert!(read_line(&mut output).starts_with("half and half\t"));
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_printed_is_stored_when_it_is_killed() {
    let rounds = sandbox::rounds(6);
    let sandbox = with_experiment();
    let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
    for round in 0..rounds {
        let (mut child, mut input, mut output) = start(&sandbox);
        let feeder = thread::spawn(move || {
            for chunk in 0.. {
                let mut actors = String::new();
                for n in 0..2_000 {
                    let _ = writeln!(actors, "{round}/{chunk}/{n}");
                }
                // It is killed sooner or later.
                if input.write_all(actors.as_bytes()).is_err() {
                    return;
                }
            }
        });
        let mut lines: Vec<String> = Vec::new();
        // A different moment in every round.
        for _ in 0..=round * 1_777 {
            lines.push(read_line(&mut output));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.extend(output.lines().map(Result::unwrap));
        feeder.join().unwrap();

        // The last line may have been cut by the killing.
        let cut = lines.pop().unwrap();
        assert!(!lines.is_empty() || !cut.is_empty());
        for line in &lines {
            let (actor, variant) = line.split_once('\t').unwrap();
            let stored = store.get_assignment("e", actor).unwrap();
            assert_eq!(stored.unwrap().variant, variant, "{actor}");
        }
    }
    // The counts are right, too: they are written with the assignments.
    let counts = store.variant_counts("e").unwrap();
    let connection = rusqlite::Connection::open(sandbox.default_store()).unwrap();
    let rows: u64 = connection
        .query_row("SELECT count(*) FROM assignments", [], |row| row.get(0))
        .unwrap();
    assert_eq!(counts.iter().map(|c| c.assigned).sum::<u64>(), rows);
}

#[test]
fn others_are_served_meanwhile() {
    let sandbox = with_experiment();
    let (mut child, mut input, output) = start(&sandbox);
    let feeder = thread::spawn(move || {
        for n in 0..200_000 {
            writeln!(input, "bulk:{n}").unwrap();
        }
    });
    let reader = thread::spawn(move || output.lines().count());
    let mut served_meanwhile = 0;
    while child.try_wait().unwrap().is_none() {
        let actor = format!("single:{served_meanwhile}");
        let single = sandbox.exp(&["assign", "e", &actor]).output().unwrap();
        assert!(single.status.success(), "{single:?}");
        if child.try_wait().unwrap().is_none() {
            served_meanwhile += 1;
        }
    }
    feeder.join().unwrap();
    assert_eq!(reader.join().unwrap(), 200_000);
    assert!(served_meanwhile > 0);
}
