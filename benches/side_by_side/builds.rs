//! Two builds of `exp` beside each other, to see what a setting of the profile or of the linker does.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::measure::{Report, Target};
use crate::process::{EXP, fresh_store, run_build, write_lines};
use crate::waiting;

/// No build has to beat another one.
const NO_TARGET: Target = Target::AtMost(f64::INFINITY);

pub(crate) fn run(other: &Path, report: &Report, long: bool) {
    let directory = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let store = directory.path().join("store.db");
    fresh_store(&store);
    let list = directory.path().join("actors.txt");
    let actors: Vec<String> = (0..300_000).map(|n| format!("user:{n}")).collect();
    write_lines(&list, &actors);
    let list = list.to_str().unwrap();

    let size = |build: &Path| fs::metadata(build).unwrap().len() as f64 / 1e6;
    let builds = [Path::new(EXP), other];
    println!("size in MB: {:.2}, {:.2}", size(builds[0]), size(builds[1]));
    let repeat = ["assign", "e", "user:1", "--no-exposure"];
    let [ours, rival] = builds.map(|build| || run_build(build, &store, &repeat, Stdio::null()));
    report.times("one-shot repeat", 401, NO_TARGET, ours, rival);
    let dry = ["assign", "e", "--actors", list, "--dry-run"];
    let [ours, rival] = builds.map(|build| || run_build(build, &store, &dry, Stdio::null()));
    report.times("bulk --dry-run", 31, NO_TARGET, ours, rival);
    let enrol = ["assign", "e", "--actors", list];
    let [ours, rival] = builds.map(|build| {
        || {
            fresh_store(&store);
            run_build(build, &store, &enrol, Stdio::null())
        }
    });
    report.times("bulk", 15, NO_TARGET, ours, rival);
    // Where syncs take their time.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    waiting::run(report, &builds, disk.path(), long);
}
