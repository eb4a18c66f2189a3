//! Files that may not be read or written, seen by somebody who is not root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use crate::sandbox::Sandbox;

/// Debian's `nobody`.
const NOBODY: u32 = 65534;

/// A sandbox with a store that belongs to somebody without privileges.
struct Unprivileged {
    sandbox: Sandbox,
    is_root: bool,
}

impl Unprivileged {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let is_root = sandbox.home().metadata().unwrap().uid() == 0;
        let made = Self { sandbox, is_root };
        made.own(made.sandbox.home());
        // The binary may be below a directory that only root can enter. Another process copies it: a file
        // that is open for writing here would be so in whatever a neighbouring test starts meanwhile, and
        // what is being written can't be run.
        let copy = made.sandbox.home().join("exp");
        let copying = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_exp"))
            .arg(&copy)
            .status();
        assert!(copying.unwrap().success());
        fs::set_permissions(copy, Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(made.path("d")).unwrap();
        made.own(&made.path("d"));
        let created = made.exp(&["create", "e", "--variant", "a=1", "--start"]);
        assert!(created.status.success(), "{created:?}");
        made
    }

    fn own(&self, path: &Path) {
        if self.is_root {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.sandbox.home().join(name)
    }

    fn exp(&self, arguments: &[&str]) -> Output {
        let mut command: Command = if self.is_root {
            let mut command = self.sandbox.command("setpriv");
            let user = format!("--reuid={NOBODY}");
            command.args([&user, "--clear-groups", "./exp"]);
            command
        } else {
            self.sandbox.command("./exp")
        };
        command
            .args(["--store", "d/x.db"])
            .args(arguments)
            .output()
            .unwrap()
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn fails(&self, arguments: &[&str], expected: &str) {
        let output = self.exp(arguments);
        let seen = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{seen}");
        assert_eq!(seen, expected);
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn an_unreadable_store_says_so() {
    let place = Unprivileged::new();
    place.chmod("d/x.db", 0o000);
    let expected = "error: store d/x.db failed to open: no permission to read and write d/x.db\n \
        hint: you need permission for the file and for its directory\n";
    place.fails(&["list"], expected);
    place.fails(&["create", "f", "--variant", "a=1"], expected);
    place.chmod("d/x.db", 0o600);
    assert!(place.exp(&["list"]).status.success());
}

#[test]
fn a_store_in_a_closed_directory_says_so() {
    let place = Unprivileged::new();
    place.chmod("d", 0o000);
    let expected = "error: store d/x.db failed to open: Permission denied (os error 13)\n \
        hint: you need permission for the file and for its directory\n";
    place.fails(&["list"], expected);
    place.chmod("d", 0o700);
}

#[test]
fn a_read_only_store_is_read_and_not_written() {
    let place = Unprivileged::new();
    place.chmod("d/x.db", 0o400);
    let listed = place.exp(&["list", "--format", "tsv"]);
    assert!(listed.status.success(), "{listed:?}");
    let expected = "error: store d/x.db cannot be written: it is read-only\n \
        hint: you need write permission for the file and for its directory\n";
    place.fails(&["archive", "e"], expected);
    place.fails(&["assign", "e", "user:1"], expected);
    place.chmod("d/x.db", 0o600);
    assert!(place.exp(&["conclude", "e", "a"]).status.success());
    place.chmod("d/x.db", 0o400);
    let winner = place.exp(&["assign", "e", "user:1"]);
    assert_eq!(String::from_utf8_lossy(&winner.stdout), "a\n", "{winner:?}");
    place.chmod("d/x.db", 0o600);
    let history = place.exp(&["history", "e", "--format", "tsv"]);
    assert_eq!(String::from_utf8_lossy(&history.stdout).lines().count(), 2);
}

/// As on read-only media: neither the file nor anything beside it can be written.
#[test]
fn a_store_beside_which_nothing_can_be_written_is_read() {
    let place = Unprivileged::new();
    assert!(place.exp(&["assign", "e", "user:1"]).status.success());
    assert!(place.exp(&["store", "checkpoint"]).status.success());
    fs::write(place.path("ids"), "user:1\nuser:2\n").unwrap();
    fs::write(place.path("e.toml"), place.exp(&["export"]).stdout).unwrap();
    let read = [
        &["list"][..],
        &["status", "e"],
        &["history", "e"],
        &["explain", "e", "user:1"],
        &["actor", "show", "user:1"],
        &["override", "e", "--list"],
        &["results", "e"],
        &["assignments", "e"],
        &["exposures", "e"],
        &["outcomes"],
        &["export"],
        &["store", "info"],
        &["store", "check"],
        &["assign", "e", "user:2", "--preview"],
        &["assign", "e", "--actors", "ids", "--dry-run"],
        &["plan", "e.toml"],
        &["check", "e.toml"],
    ];
    let answers = || read.map(|arguments| place.exp(arguments));
    let expected = answers();
    // With what SQLite leaves beside it, and without.
    for beside in [true, false] {
        if beside {
            place.chmod("d/x.db-wal", 0o400);
            place.chmod("d/x.db-shm", 0o400);
        } else {
            place.chmod("d", 0o700);
            for file in ["d/x.db-wal", "d/x.db-shm"] {
                fs::remove_file(place.path(file)).unwrap();
            }
        }
        place.chmod("d/x.db", 0o400);
        place.chmod("d", 0o500);
        for (answer, expected) in answers().iter().zip(&expected) {
            assert_eq!(answer.status, expected.status, "{answer:?}");
            assert_eq!(answer.stdout, expected.stdout, "{answer:?}");
        }
        let told = "error: store d/x.db cannot be written: it is read-only\n \
            hint: you need write permission for the file and for its directory\n";
        place.fails(&["archive", "e"], told);
        place.fails(&["assign", "e", "user:2"], told);
        let backup = if beside { "one.db" } else { "two.db" };
        let copied = place.exp(&["store", "backup", "--to", backup]);
        assert!(copied.status.success(), "{copied:?}");
    }
    // What is in a log cannot be read without an index of it.
    place.chmod("d", 0o700);
    place.chmod("d/x.db", 0o600);
    assert!(place.exp(&["assign", "e", "user:2"]).status.success());
    fs::remove_file(place.path("d/x.db-shm")).unwrap();
    place.chmod("d", 0o500);
    place.fails(
        &["list"],
        "error: store d/x.db failed to open: a part of it is in d/x.db-wal, which cannot be read where \
         nothing can be written: copy both files to a directory that you can write\n",
    );
    place.chmod("d", 0o700);
}

#[test]
fn a_store_that_cannot_be_made_says_so() {
    let place = Unprivileged::new();
    for file in ["d/x.db", "d/x.db-wal", "d/x.db-shm"] {
        fs::remove_file(place.path(file)).unwrap();
    }
    place.chmod("d", 0o500);
    let expected = "error: store d/x.db failed to create: permission denied\n \
        hint: you need permission for the file and for its directory\n";
    place.fails(&["create", "f", "--variant", "a=1"], expected);
    place.chmod("d", 0o700);
}

#[test]
fn a_backup_that_cannot_be_made_says_so() {
    let place = Unprivileged::new();
    fs::create_dir(place.path("closed")).unwrap();
    let hint = " hint: you need permission for the file and for its directory\n";
    for (file, reason) in [
        ("closed/b.db", "permission denied"),
        ("closed/new/b.db", "Permission denied (os error 13)"),
    ] {
        let expected = format!("error: store {file} failed to write a backup: {reason}\n{hint}");
        place.fails(&["store", "backup", file], &expected);
    }
}
