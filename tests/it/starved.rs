//! Without threads, file descriptors or memory, `exp` still answers with a line and an exit status that a
//! script can read; and `--default` still prints its word.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use experiments::PgExperimentStore;
use macro_rules_attribute::apply;

use crate::sandbox::Sandbox;
use crate::server::{self, is_root, options};

/// The binary by an open file, which also a user can run who may not enter the directory that it is in.
fn bash(sandbox: &Sandbox, line: &str) -> Output {
    let line = format!("exec 9< {}; {line}", env!("CARGO_BIN_EXE_exp"));
    sandbox.bash(&line)
}

/// Runs as the user of the servers, who may start no more processes or threads.
fn without_threads(arguments: &str) -> String {
    let user = "setpriv --reuid=postgres --regid=postgres --clear-groups";
    format!("{user} prlimit --nproc=1:1 /proc/self/fd/9 {arguments}")
}

fn created(store: &str) -> Sandbox {
    let sandbox = Sandbox::on_store(store);
    let create = ["create", "e", "--variant", "a=1", "--start"];
    assert!(sandbox.exp(&create).output().unwrap().status.success());
    sandbox
}

/// A database is reached with one descriptor of our own, and without a thread.
#[apply(needs_postgres!)]
fn a_database_needs_one_file_descriptor_and_no_thread() {
    let url = server::shared().database();
    PgExperimentStore::open_or_create(options(&url)).unwrap();
    let sandbox = created(&url);
    let with_few = |arguments: &str| format!("exec 9<&-; ulimit -n 4; exp {arguments}");
    let mut ways: Vec<&dyn Fn(&str) -> String> = vec![&with_few];
    if is_root() {
        ways.push(&without_threads);
    }
    for way in ways {
        for (arguments, printed) in [
            ("--format tsv list", "e\trunning"),
            ("assign e user:1", "a\n"),
            ("assign e user:1 --default safe", "a\n"),
        ] {
            let output = bash(&sandbox, &way(arguments));
            let told = String::from_utf8(output.stderr).unwrap();
            let seen = String::from_utf8(output.stdout).unwrap();
            assert!(seen.starts_with(printed), "{arguments}: {seen} {told}");
        }
    }
}

/// A file needs no thread, and a progress bar does without.
#[test]
fn a_file_needs_no_threads() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let everybody = fs::Permissions::from_mode(0o777);
    fs::set_permissions(sandbox.home(), everybody).unwrap();
    for line in [
        "--store e.db create e --variant a=1 --start",
        "--store e.db assign e --actors - <<< user:1",
        "--store e.db store copy --to copy.db",
        "--store e.db store check",
        "simulate e --store e.db",
    ] {
        let output = bash(&sandbox, &without_threads(line));
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {told}");
    }
}

/// Only the part of it that could be of use is read.
#[test]
fn input_without_end_is_refused() {
    let sandbox = Sandbox::new();
    for line in [
        "check /dev/zero",
        "plan /dev/zero",
        "apply --yes - < /dev/zero",
    ] {
        let output = bash(&sandbox, &format!("exp {line}"));
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {told}");
        assert!(
            told.ends_with("it is larger than 16 MiB\n"),
            "{line}: {told}"
        );
    }
    let ids = "touch x.toml; yes | awk '{ print NR }' | exp check x.toml --actors -";
    let output = bash(&sandbox, ids);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("the first 262144 ids"), "{told}");
}
