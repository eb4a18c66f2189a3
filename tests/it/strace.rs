//! System calls that fail, or kill the process, when a test says so: strace does it.

use std::process::{Command, Output};

use crate::sandbox::Sandbox;

/// Whether strace is installed and may trace here; some containers forbid it. Where everything has to be there, a
/// test fails without it.
pub(crate) fn can_trace() -> bool {
    let traced = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .output();
    let can = traced.is_ok_and(|output| output.status.success());
    #[expect(clippy::disallowed_methods, reason = "as for the tests with Postgres")]
    let is_required = std::env::var_os("EXP_TEST_STRACE").is_some();
    assert!(can || !is_required, "strace is missing, or may not trace");
    can
}

/// Runs `exp` with these arguments while strace does `inject`, in its syntax, to its system calls.
pub(crate) fn injected(sandbox: &Sandbox, inject: &str, arguments: &[&str]) -> Output {
    let mut command = sandbox.command("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("inject={inject}"))
        .arg(env!("CARGO_BIN_EXE_exp"))
        .args(arguments);
    command.output().unwrap()
}

/// Runs `exp` and gives its system calls of these kinds, one a line, with the paths of descriptors.
pub(crate) fn traced(sandbox: &Sandbox, calls: &str, arguments: &[&str]) -> (Output, String) {
    let log = sandbox.home().join("trace");
    let mut command = sandbox.command("strace");
    command
        .args(["-f", "-qq", "-y", "-s", "4096", "-o"])
        .arg(&log)
        .args(["-e", &format!("trace={calls}")])
        .arg(env!("CARGO_BIN_EXE_exp"))
        .args(arguments);
    let output = command.output().unwrap();
    (output, std::fs::read_to_string(log).unwrap())
}
