//! `exp assign --actors` on a database: its lines come as the transactions of the list commit, in one transaction after
//! another and in two at a time.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use experiments::{ExperimentConfig, ExperimentState, ExperimentStore as _, PgExperimentStore};
use macro_rules_attribute::apply;
use postgres::Client;
use rustix::process::{Pid, Signal, kill_process};

use crate::givens::{await_sessions, running, store};
use crate::sandbox::{Sandbox, told};
use crate::server::{self, client};
use crate::terminal::Terminal;

/// A list some of whose actors are not stored before the test says so.
struct Held {
    sandbox: Sandbox,
    store: PgExperimentStore,
    observer: Client,
    holder: Client,
    ids: usize,
}

impl Held {
    fn new(config: ExperimentConfig, ids: usize, held: &[usize]) -> Self {
        let held: Vec<String> = held.iter().map(|n| format!("'user:{n:06}'")).collect();
        let held = held.join(", ");
        let url = server::shared().database();
        let store = store(&url);
        store.insert(config).unwrap();
        let mut holder = client(&url);
        holder
            .batch_execute(&format!(
                "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
                     'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END';
                 CREATE TRIGGER hold BEFORE INSERT ON autumn_experiment_assignments
                     FOR EACH ROW WHEN (NEW.actor IN ({held})) EXECUTE FUNCTION hold();
                 SELECT pg_advisory_lock(42)"
            ))
            .unwrap();
        let sandbox = Sandbox::on_store(&url);
        let mut list = String::new();
        for n in 0..ids {
            let _ = writeln!(list, "user:{n:06}");
        }
        std::fs::write(sandbox.home().join("ids"), list).unwrap();
        Self {
            sandbox,
            store,
            observer: client(&url),
            holder,
            ids,
        }
    }

    /// `exp assign` of the list, which is interrupted as on a terminal, however the test was started.
    fn command(&self, options: &[&str]) -> Command {
        let mut command = self.sandbox.command("env");
        command.args(["--default-signal=INT", env!("CARGO_BIN_EXE_exp")]);
        command.args(["assign", "e", "--actors", "ids", "--lock-timeout", "600"]);
        command.args(options);
        command
    }

    fn start(&self, options: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut command = self.command(options);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        (child, BufReader::new(output).lines())
    }

    /// Waits until so many wait at a lock of ours: whoever stores an actor who is held, and whoever pauses meanwhile.
    /// Transactions of the list also wait for each other, at locks of other kinds.
    fn await_held(&mut self, waiters: usize) {
        let waits = "wait_event = 'advisory'";
        await_sessions(&mut self.observer, waits, |found| found == waiters);
    }

    /// Waits until all that comes before the actor who is held is stored, too.
    fn await_rest(&mut self) {
        self.await_held(1);
        let has_begun = "xact_start IS NOT NULL";
        await_sessions(&mut self.observer, has_begun, |found| found == 1);
    }

    fn release(&mut self) {
        let release = "SELECT pg_advisory_unlock(42)";
        self.holder.execute(release, &[]).unwrap();
    }

    fn stored(&mut self) -> usize {
        let count = "SELECT count(*) FROM autumn_experiment_assignments";
        let count: i64 = self.observer.query_one(count, &[]).unwrap().get(0);
        usize::try_from(count).unwrap()
    }
}

/// Before the actor who is held there is at least one whole transaction. Its lines are there; then it is interrupted,
/// and the same command resumes.
fn interrupt_and_resume(config: ExperimentConfig, ids: usize, held: usize) {
    let mut list = Held::new(config, ids, &[held]);
    let (mut child, mut lines) = list.start(&[]);
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("user:000000\t"), "{first}");
    list.await_rest();
    let stored = list.stored();
    assert!((1..=held).contains(&stored), "{stored}");
    for n in 1..stored {
        let line = lines.next().unwrap().unwrap();
        assert!(line.starts_with(&format!("user:{n:06}\t")), "{line}");
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(lines.count(), 0);
    assert_eq!(
        told(&mut child),
        format!(
            "error: interrupted: stored {stored} of {ids} actors\n \
             hint: run the same command again to resume\n"
        )
    );
    assert_eq!(child.wait().unwrap().signal(), Some(2));

    list.release();
    let (mut child, lines) = list.start(&[]);
    assert_eq!(lines.count(), ids);
    let assigned = ids - stored;
    assert_eq!(
        told(&mut child),
        format!("{ids} actors: {stored} sticky, {assigned} assigned\n")
    );
    assert!(child.wait().unwrap().success());
    assert_eq!(list.stored(), ids);
    assert_eq!(list.store.check().unwrap(), []);
}

#[apply(needs_postgres!)]
fn lines_come_while_the_rest_is_not_stored() {
    interrupt_and_resume(running("e"), 40_000, 6_000);
}

/// The actors of a group are locked, and stored in two transactions at a time.
#[apply(needs_postgres!)]
fn lines_of_a_group_come_while_the_rest_is_not_stored() {
    interrupt_and_resume(running("e").exclusion_group("g"), 12_000, 11_000);
}

/// Somebody pauses the experiment while the list is stored. All transactions that have begun are held until then: the
/// first, and of a group also the second.
#[apply(needs_postgres!)]
fn what_was_stored_before_a_pause_is_printed() {
    for (config, begun) in [(running("e"), 1), (running("e").exclusion_group("g"), 2)] {
        for options in [&[][..], &["--expose"]] {
            let mut list = Held::new(config.clone(), 40_000, &[3_000, 6_000]);
            let (mut child, lines) = list.start(options);
            let reader = thread::spawn(move || lines.map(Result::unwrap).collect::<Vec<_>>());
            list.await_held(begun);
            let pausing = {
                let store = list.store.clone();
                thread::spawn(move || {
                    store
                        .set_state("e", ExperimentState::Paused, None)
                        .map(drop)
                })
            };
            list.await_held(begun + 1);
            list.release();
            pausing.join().unwrap().unwrap();
            let lines = reader.join().unwrap();
            let told = told(&mut child);
            assert_eq!(child.wait().unwrap().code(), Some(4), "{told}");
            let count = lines.len();
            assert!((3_001..list.ids).contains(&count), "{count}");
            assert_eq!(list.stored(), count);
            assert_eq!(
                told,
                format!(
                    "{count} actors: {count} assigned\n\
                     error: experiment 'e' is not running: it is paused\n \
                     hint: resume it: exp resume e\n"
                )
            );
            for (n, line) in lines.iter().enumerate() {
                assert!(line.starts_with(&format!("user:{n:06}\t")), "{line}");
            }
            let exposures = list.store.exposures("e").unwrap().len();
            assert_eq!(exposures, if options.is_empty() { 0 } else { count });
        }
    }
}

/// On a terminal it shows how much is stored.
#[apply(needs_postgres!)]
fn progress_moves_with_what_is_stored() {
    let mut list = Held::new(running("e").exclusion_group("g"), 12_000, &[11_000]);
    let mut command = list.command(&[]);
    command.env("TERM", "xterm").stdout(Stdio::null());
    let mut terminal = Terminal::of_errors(&mut command);
    terminal.wait_until(|shown| shown.contains(" 42%") || shown.contains(" 85%"));
    list.await_held(1);
    list.release();
    let (status, shown) = terminal.end();
    assert!(status.success());
    assert!(shown.contains(" 0%"), "{shown:?}");
    assert!(
        shown.ends_with("12000 actors: 12000 assigned\n"),
        "{shown:?}"
    );
}
