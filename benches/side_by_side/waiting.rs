//! How long one-shot processes wait for each other: many of them at one file, alone and beside bulk runs.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::Report;
use crate::process::{fresh_store, run_build, write_lines};

const PROCESSES: usize = 32;
const BULK_RUNS: usize = 4;
const BULK_ACTORS: usize = 300_000;
/// What the slowest process may take.
const LIMIT: f64 = 1.0;

/// Runs the builds in turn, a minute each in the long run.
pub(crate) fn run(report: &Report, builds: &[&Path], directory: &Path, long: bool) {
    let (rounds, round) = if long { (6, 10) } else { (1, 5) };
    let round = Duration::from_secs(round);
    for (figure, bulk_runs) in [
        ("waiting: 32 processes", 0),
        ("waiting: 32 processes, 4 bulk", BULK_RUNS),
    ] {
        if !report.wants(figure) {
            continue;
        }
        let mut all = vec![Vec::new(); builds.len()];
        for _ in 0..rounds {
            for (build, times) in builds.iter().zip(&mut all) {
                times.extend(contend(build, directory, bulk_runs, round));
            }
        }
        for (build, times) in builds.iter().zip(&mut all) {
            times.sort_unstable();
            let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64();
            let rate = times.len() as f64 / (round.as_secs_f64() * f64::from(rounds));
            let verdict = if at(100) <= LIMIT {
                "reached"
            } else {
                "MISSED"
            };
            println!(
                "{figure:<44} {:.4} s median, {:.3} s 99%, {:.2} s slowest (at most {LIMIT} s: {verdict}), \
                 {rate:.0} a second: {}",
                at(50),
                at(99),
                at(100),
                build.display()
            );
        }
    }
}

/// How long each one-shot took, while so many processes at a time make one after another.
fn contend(exp: &Path, directory: &Path, bulk_runs: usize, round: Duration) -> Vec<Duration> {
    let store = directory.join("waiting.db");
    fresh_store(&store);
    let is_over = AtomicBool::new(false);
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let one_by_one = || {
        let mut times = Vec::new();
        while begun.elapsed() < round {
            let actor = format!("single:{}", next.fetch_add(1, Ordering::Relaxed));
            let one = || run_build(exp, &store, &["assign", "e", &actor], Stdio::null());
            times.push(one());
        }
        times
    };
    thread::scope(|scope| {
        for run in 0..bulk_runs {
            let (store, is_over) = (&store, &is_over);
            scope.spawn(move || keep_enrolling(exp, store, directory, run, is_over));
        }
        let processes: Vec<_> = (0..PROCESSES).map(|_| scope.spawn(one_by_one)).collect();
        let times = processes.into_iter().flat_map(|one| one.join().unwrap());
        let times = times.collect();
        is_over.store(true, Ordering::Relaxed);
        times
    })
}

/// One bulk run after another, each with new actors.
fn keep_enrolling(exp: &Path, store: &Path, directory: &Path, run: usize, is_over: &AtomicBool) {
    for nth in 0.. {
        let list = directory.join(format!("waiting.{run}.txt"));
        let actors: Vec<_> = (0..BULK_ACTORS)
            .map(|n| format!("bulk:{run}:{nth}:{n}"))
            .collect();
        write_lines(&list, &actors);
        let mut command = Command::new(exp);
        command.arg("--quiet").arg("--store").arg(store);
        command.args(["assign", "e", "--actors"]).arg(&list);
        let bulk = command.stdout(Stdio::null()).spawn().unwrap();
        if is_stopped(bulk, is_over) {
            return;
        }
    }
}

/// Waits for the end of the run, or ends it when all is over.
fn is_stopped(mut bulk: Child, is_over: &AtomicBool) -> bool {
    loop {
        if is_over.load(Ordering::Relaxed) {
            bulk.kill().unwrap();
            bulk.wait().unwrap();
            return true;
        }
        if let Some(status) = bulk.try_wait().unwrap() {
            assert!(status.success());
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
