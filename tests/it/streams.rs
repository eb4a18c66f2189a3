//! Standard error, which many processes may share: each line arrives in one write.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use crate::sandbox::Sandbox;

const PROCESSES: usize = 24;
const ROUNDS: usize = 4;

/// What `exp` writes to standard error, write by write.
fn writes(sandbox: &Sandbox, arguments: &[&str], stdin: &str) -> Vec<String> {
    let input = sandbox.home().join("input");
    std::fs::write(&input, stdin).unwrap();
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let mut command = sandbox.exp(arguments);
    command
        .stdin(File::open(input).unwrap())
        .stdout(Stdio::null())
        .stderr(OwnedFd::from(theirs));
    command.status().unwrap();
    // With it goes the last copy of their end.
    drop(command);
    ours.set_nonblocking(true).unwrap();
    let mut writes = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = ours.recv(&mut buffer) {
        writes.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    writes
}

#[test]
fn every_write_is_whole_lines() {
    let sandbox = Sandbox::new();
    let setup = "exp create e --variant control=1 --start; exp create d --variant a=1";
    assert!(sandbox.bash(setup).status.success());
    let runs: &[&[&str]] = &[
        &["assign", "missing", "u"],
        &["assign", "missing", "u", "--default", "control"],
        &["assign", "e", "u", "--verbose"],
        &["assign", "e", "--actors", "-"],
        &["start", "d"],
        &["--by", "x\u{1b}[31m", "start", "d", "-v"],
        &["list", "--defualt"],
        &["list", "\u{1b}[31m"],
        &["lisst"],
        &["apply", "-"],
        &["check", "missing.toml"],
    ];
    for run in runs {
        let writes = writes(&sandbox, run, "a\u{0}b\nvisitor\n");
        assert!(!writes.is_empty(), "{run:?}");
        for write in &writes {
            assert!(write.ends_with('\n'), "{run:?}: {writes:?}");
        }
    }
}

/// Starts so many processes that fail, all with this standard error, and counts the lines they wrote.
fn lines_of_many(sandbox: &Sandbox, log: impl Fn() -> Stdio) -> usize {
    let fail = |_| -> Child {
        let mut command: Command = sandbox.exp(&["assign", "checkout_v3", "user:1"]);
        command.stderr(log()).spawn().unwrap()
    };
    for _ in 0..ROUNDS {
        let children: Vec<Child> = (0..PROCESSES).map(fail).collect();
        for mut child in children {
            assert_eq!(child.wait().unwrap().code(), Some(3));
        }
    }
    let told = std::fs::read_to_string(sandbox.home().join("log")).unwrap();
    let expected = [
        "error: experiment 'checkout_v3' not found",
        " hint: did you mean 'checkout_v2'?",
    ];
    for line in told.lines() {
        assert!(expected.contains(&line), "a torn line: {line}");
    }
    told.lines().count()
}

#[test]
fn lines_of_many_processes_stay_whole() {
    let sandbox = Sandbox::new();
    let setup = "exp create checkout_v2 --variant a=1";
    assert!(sandbox.bash(setup).status.success());
    let path = sandbox.home().join("log");

    let shared = File::create(&path).unwrap();
    let inherited = lines_of_many(&sandbox, || shared.try_clone().unwrap().into());
    assert_eq!(inherited, 2 * PROCESSES * ROUNDS);

    std::fs::remove_file(&path).unwrap();
    let appended = lines_of_many(&sandbox, || {
        let log = File::options().create(true).append(true).open(&path);
        log.unwrap().into()
    });
    assert_eq!(appended, 2 * PROCESSES * ROUNDS);
}
