//! `exp assign --actors` as a process among others: it answers at once when its input pauses, what it
//! has printed is stored whenever it is killed, it says what is stored when it is interrupted, and it keeps nobody out.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use experiments::{ExperimentState, ExperimentStore as _, SqliteExperimentStore};
use rustix::process::{Pid, Signal, kill_process};

use crate::givens::eventually;
use crate::sandbox::{self, Sandbox, told};

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

/// `exp assign --actors` with SIGINT as a terminal has it, or ignored.
fn start_with(sandbox: &Sandbox, sigint: &str, arguments: &[&str]) -> Child {
    let mut command = sandbox.command("env");
    command
        .args([&format!("--{sigint}-signal=INT"), env!("CARGO_BIN_EXE_exp")])
        .args(["assign", "e", "--actors"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

/// Waits for the end that a signal has brought; gives what was told.
fn interrupted(mut child: Child) -> String {
    assert_eq!(child.wait().unwrap().signal(), Some(2));
    told(&mut child)
}

/// A file with so many ids, in their order or in the opposite one.
fn list(sandbox: &Sandbox, ids: usize, is_reversed: bool) {
    let mut lines: Vec<String> = (0..ids).map(|n| format!("user:{n:06}\n")).collect();
    if is_reversed {
        lines.reverse();
    }
    std::fs::write(sandbox.home().join("ids"), lines.concat()).unwrap();
}

fn stored(store: &SqliteExperimentStore) -> u64 {
    let counts = store.variant_counts("e").unwrap();
    counts.iter().map(|count| count.assigned).sum()
}

fn message(stored: u64, of: &str) -> String {
    format!(
        "error: interrupted: stored {stored}{of}\n hint: run the same command again to resume\n"
    )
}

#[test]
fn an_interrupted_list_says_what_is_stored_and_is_resumed() {
    /// More than one transaction takes, however fast the machine is.
    const IDS: u64 = 600_000;
    let sandbox = with_experiment();
    let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
    list(&sandbox, 600_000, false);
    let mut child = start_with(&sandbox, "default", &["ids"]);
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    output.next().unwrap().unwrap();
    interrupt(&child);
    let begun = Instant::now();
    let lines = 1 + output.map(Result::unwrap).count() as u64;
    assert!(lines < IDS);
    let said = interrupted(child);
    let stored_by_then = stored(&store);
    assert_eq!(said, message(stored_by_then, &format!(" of {IDS} actors")));
    // A machine that needs longer for them than they are waited for leaves out the last.
    if begun.elapsed() < Duration::from_secs(2) {
        assert_eq!(lines, stored_by_then);
    }

    let mut child = start_with(&sandbox, "default", &["ids"]);
    let output = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(output.lines().count() as u64, IDS);
    assert!(child.wait().unwrap().success());
    let assigned = IDS - stored_by_then;
    let expected = format!("{IDS} actors: {stored_by_then} sticky, {assigned} assigned\n");
    assert_eq!(told(&mut child), expected);
    assert_eq!(stored(&store), IDS);
}

/// Whoever reads the lines has stopped, as a pager does.
#[test]
fn an_interrupted_list_does_not_wait_for_its_reader() {
    let sandbox = with_experiment();
    let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
    list(&sandbox, 200_000, false);
    let mut child = start_with(&sandbox, "default", &["ids"]);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    read_line(&mut output);
    interrupt(&child);
    let told = interrupted(child);
    assert_eq!(told, message(stored(&store), " of 200000 actors"));
}

#[test]
fn input_that_is_waited_for_is_interrupted_at_once() {
    let sandbox = with_experiment();
    let mut child = start_with(&sandbox, "default", &["-"]);
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    input.write_all(b"user:1\n").unwrap();
    read_line(&mut output);
    interrupt(&child);
    assert_eq!(interrupted(child), message(1, " actor"));
    drop(input);

    // What a script starts in the background is not ended by its terminal.
    let mut child = start_with(&sandbox, "ignore", &["-"]);
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for actor in ["user:1", "user:2"] {
        writeln!(input, "{actor}").unwrap();
        assert!(read_line(&mut output).starts_with(actor));
        interrupt(&child);
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// In whatever order the store takes the actors, the lines are those of the ones it has stored.
#[test]
fn what_was_stored_before_a_pause_is_printed() {
    for (is_reversed, options) in [(false, &["ids"][..]), (true, &["ids", "--expose"])] {
        let sandbox = with_experiment();
        let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
        list(&sandbox, 300_000, is_reversed);
        let mut child = start_with(&sandbox, "default", options);
        let output = BufReader::new(child.stdout.take().unwrap());
        // Nobody reads yet, so that the pipe is full before all are stored.
        eventually("some are stored", || stored(&store) > 0);
        store.set_state("e", ExperimentState::Paused, None).unwrap();
        let lines: Vec<String> = output.lines().map(Result::unwrap).collect();
        let count = lines.len();
        assert_eq!(child.wait().unwrap().code(), Some(4));
        assert_eq!(stored(&store), count as u64);
        let expected = format!("{count} actors: {count} assigned\nerror: ");
        assert!(told(&mut child).starts_with(&expected));
        let mut sorted = lines.clone();
        sorted.sort();
        if is_reversed {
            sorted.reverse();
        }
        assert_eq!(lines, sorted);
        for line in lines.iter().step_by(1_000) {
            let (actor, variant) = line.split_once('\t').unwrap();
            let kept = store.get_assignment("e", actor).unwrap().unwrap();
            assert_eq!(kept.variant, variant);
        }
        let exposures = store.exposures("e").unwrap().len();
        assert_eq!(exposures, if is_reversed { count } else { 0 });
    }
}
