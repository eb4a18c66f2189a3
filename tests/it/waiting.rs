//! Writers that wait for each other stand in a queue: it is left by who is killed, it stops nobody
//! when who is first is stopped, and a bulk run is behind everybody who waits.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use experiments::{AssignManyRequest, ExperimentStore as _, Keep, SqliteExperimentStore};
use rusqlite::Connection;

use crate::givens::record;
use crate::sandbox::Sandbox;

/// How long a process may take to be where it is expected.
const DEADLINE: Duration = Duration::from_mins(1);

/// A store whose write lock is taken.
struct Locked {
    sandbox: Sandbox,
    holder: Connection,
}

impl Locked {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let create = sandbox.bash("exp create e --variant a=1 --start");
        assert!(create.status.success());
        let holder = Connection::open(sandbox.default_store()).unwrap();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self { sandbox, holder }
    }

    fn release(&self) {
        self.holder.execute_batch("COMMIT").unwrap();
    }

    fn assign(&self, actor: &str) -> Command {
        let mut assign = self
            .sandbox
            .exp(&["assign", "e", actor, "--lock-timeout", "120"]);
        assign.stdout(Stdio::null());
        assign
    }

    /// Starts an assignment, and returns when it stands in the queue.
    fn queue(&self, actor: &str) -> Child {
        let child = self.assign(actor).spawn().unwrap();
        let begun = Instant::now();
        while !self.queued().contains(&child.id()) {
            assert!(begun.elapsed() < DEADLINE, "{actor} is not in the queue");
            thread::sleep(Duration::from_millis(2));
        }
        child
    }

    fn log(&self) -> PathBuf {
        self.sandbox.default_store().with_extension("db-wal")
    }

    /// The processes in the queue, as the system has it: a lock on the write-ahead log.
    fn queued(&self) -> Vec<u32> {
        let queue = format!(":{} ", fs::metadata(self.log()).unwrap().ino());
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let queued = locks
            .lines()
            .filter(|line| line.contains(" FLOCK ") && line.contains(&queue));
        let holder = |line: &str| {
            let (_, rest) = line.split_once(" WRITE ").unwrap();
            rest.split_whitespace().next().unwrap().parse().unwrap()
        };
        queued.map(holder).collect()
    }

    /// The actors in the order in which they were assigned.
    fn assigned(&self) -> Vec<String> {
        let store = SqliteExperimentStore::open(self.sandbox.default_store()).unwrap();
        let exposures = store.exposures("e").unwrap().into_iter();
        exposures.map(|exposure| exposure.actor).collect()
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn succeeds(mut child: Child) {
    assert!(child.wait().unwrap().success());
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn who_is_killed_leaves_the_queue() {
    let place = Locked::new();
    let first = place.queue("first");
    let second = place.queue("second");
    let third = place.queue("third");
    let fourth = place.queue("fourth");
    kill(second);
    kill(first);
    place.release();
    succeeds(fourth);
    succeeds(third);
    assert_eq!(place.queued(), [0_u32; 0]);
    let mut assigned = place.assigned();
    assigned.sort();
    assert_eq!(assigned, ["fourth", "third"]);

    let directory = fs::read_dir(place.sandbox.default_store().parent().unwrap()).unwrap();
    let mut files: Vec<_> = directory.map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    let expected = ["experiments.db", "experiments.db-shm", "experiments.db-wal"];
    assert_eq!(files, expected);
}

/// The queue only orders the waiting: SQLite's lock decides.
#[test]
fn a_stopped_waiter_stops_nobody() {
    let place = Locked::new();
    let stopped = place.queue("stopped");
    let behind = place.queue("behind");
    signal(&stopped, "-STOP");
    place.release();
    succeeds(behind);
    assert!(place.assign("late").status().unwrap().success());
    assert_eq!(place.assigned(), ["behind", "late"]);
    signal(&stopped, "-CONT");
    succeeds(stopped);
    assert_eq!(place.assigned(), ["behind", "late", "stopped"]);
}

/// Whether it has just written or comes for the first time.
#[test]
fn a_bulk_run_is_behind_who_waits() {
    let place = Locked::new();
    let store = SqliteExperimentStore::open(place.sandbox.default_store()).unwrap();
    let assign = |actor: &str| {
        let request = AssignManyRequest {
            experiment: "e",
            actors: &[actor],
            keep: Keep::AssignmentsAndExposures,
        };
        store.assign_many(&request).unwrap();
    };
    let single = place.queue("single:1");
    place.release();
    assign("bulk:1");
    succeeds(single);
    place.holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let single = place.queue("single:2");
    place.release();
    assign("bulk:2");
    succeeds(single);
    let expected = ["single:1", "bulk:1", "single:2", "bulk:2"];
    assert_eq!(place.assigned(), expected);
}

/// A call that gives up leaves the queue, and the next call of the handle finds its way.
#[test]
fn who_gives_up_leaves_the_queue() {
    let place = Locked::new();
    let store = SqliteExperimentStore::open(place.sandbox.default_store()).unwrap();
    let first = place.queue("first");
    for _ in 0..3 {
        let hasty = store.clone().with_busy_timeout(Duration::from_millis(20));
        let refused = record(&hasty, "e", "hasty", "a", false);
        assert!(refused.unwrap_err().to_string().contains("is busy"));
    }
    // However often it was tried, one place is left.
    let ours = std::process::id();
    let places = place.queued().iter().filter(|id| **id == ours).count();
    assert_eq!(places, 1);
    place.release();
    succeeds(first);
    let begun = Instant::now();
    while !place.queued().is_empty() {
        assert!(begun.elapsed() < DEADLINE, "somebody stays in the queue");
        thread::sleep(Duration::from_millis(2));
    }
    let stored = record(&store, "e", "hasty", "a", false).unwrap();
    assert_eq!(stored, "a");
}
