//! What is reported as done is on the disk, whichever system call fails or is the last: a failed one is
//! reported, and what a killed command leaves is removed or completed by the next.

use std::fs;
use std::path::Path;

use crate::files::{content, filled, is_sound, names, stderr, succeeds, without_logs};
use crate::sandbox::Sandbox;
use crate::strace::{can_trace, injected, traced};

/// No command in these tests syncs more often.
const MOST_SYNCS: usize = 60;

/// Every way to sync a file.
const SYNCS: &str = "fsync,fdatasync";
/// And what makes names come and go.
pub(crate) const STEPS: &str =
    "fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir";

/// Calls `step` with what kills a command at the first, second, ... call of each kind, as strace is told it,
/// until it says of that kind that the command was not killed any more. strace counts each kind by itself.
pub(crate) fn at_every_call(mut step: impl FnMut(&str) -> bool) {
    let mut killed = 0;
    for kind in STEPS.split(',') {
        let mut calls = 1..=MOST_SYNCS;
        let ends = calls.any(|n| !step(&format!("{kind}:signal=KILL:when={n}")));
        assert!(ends, "there is no end to {kind}");
        killed += calls.start() - 2;
    }
    assert!(killed > 3, "nothing was injected");
}

/// How many system calls of these kinds the command makes.
pub(crate) fn calls(sandbox: &Sandbox, kinds: &str, arguments: &[&str]) -> usize {
    let (output, trace) = traced(sandbox, kinds, arguments);
    succeeds(&output);
    trace.lines().filter(|line| line.contains('(')).count()
}

#[test]
fn a_copy_is_complete_whichever_sync_fails() {
    if !can_trace() {
        return;
    }
    let sandbox = filled();
    let expected = content(&sandbox, "s.db");
    let copy = ["--store", "s.db", "store", "copy", "--to", "new.db", "-q"];
    let remove = || {
        for name in names(&sandbox, "new.db") {
            fs::remove_file(sandbox.home().join(name)).unwrap();
        }
    };
    let syncs = calls(&sandbox, SYNCS, &copy);
    let mut failed = 0;
    for n in 1..=syncs {
        remove();
        let inject = format!("{SYNCS}:error=EIO:when={n}");
        let output = injected(&sandbox, &inject, &copy);
        if !output.status.success() {
            failed += 1;
            assert_eq!(
                output.status.code(),
                Some(1),
                "sync {n}: {}",
                stderr(&output)
            );
            let seen = stderr(&output);
            // What was not synced may be on the disk or not, whatever a later sync says: it is not used.
            if seen.contains("disk I/O error") {
                assert_eq!(
                    names(&sandbox, "new.db.unfinished"),
                    [""; 0],
                    "sync {n}: {seen}"
                );
            }
            succeeds(&sandbox.exp(&copy).output().unwrap());
        }
        without_logs(&sandbox, "new.db");
        assert_eq!(content(&sandbox, "new.db"), expected, "sync {n}");
        is_sound(&sandbox, "new.db");
        assert_eq!(names(&sandbox, "new.db.unfinished"), [""; 0], "sync {n}");
    }
    assert!(
        failed > 3,
        "only {failed} of {syncs} failing syncs were noticed"
    );
}

#[test]
fn a_killed_copy_is_completed_by_the_next() {
    if !can_trace() {
        return;
    }
    let sandbox = filled();
    let expected = content(&sandbox, "s.db");
    let copy = ["--store", "s.db", "store", "copy", "--to", "new.db", "-q"];
    at_every_call(|kill| {
        for name in names(&sandbox, "new.db") {
            fs::remove_file(sandbox.home().join(name)).unwrap();
        }
        let was_killed = !injected(&sandbox, kill, &copy).status.success();
        let again = sandbox.exp(&copy).output().unwrap();
        assert!(again.status.success(), "{kill}: {}", stderr(&again));
        without_logs(&sandbox, "new.db");
        assert_eq!(content(&sandbox, "new.db"), expected, "{kill}");
        is_sound(&sandbox, "new.db");
        assert_eq!(names(&sandbox, "new.db.unfinished"), [""; 0], "{kill}");
        was_killed
    });
}

#[test]
fn a_backup_is_complete_or_refused_whichever_sync_fails() {
    if !can_trace() {
        return;
    }
    let sandbox = filled();
    let expected = content(&sandbox, "s.db");
    let backup = ["--store", "s.db", "store", "backup", "b.db", "-q"];
    let syncs = calls(&sandbox, SYNCS, &backup);
    let mut failed = 0;
    for n in 1..=syncs {
        for name in names(&sandbox, "b.db") {
            fs::remove_file(sandbox.home().join(name)).unwrap();
        }
        let inject = format!("{SYNCS}:error=EIO:when={n}");
        let output = injected(&sandbox, &inject, &backup);
        if !output.status.success() {
            failed += 1;
            assert_eq!(output.status.code(), Some(1));
            assert_eq!(names(&sandbox, "b.db"), [""; 0], "sync {n}");
            succeeds(&sandbox.exp(&backup).output().unwrap());
        }
        without_logs(&sandbox, "b.db");
        assert_eq!(content(&sandbox, "b.db"), expected, "sync {n}");
        is_sound(&sandbox, "b.db");
        assert_eq!(names(&sandbox, ".exp-"), [""; 0], "sync {n}");
    }
    assert!(
        failed > 3,
        "only {failed} of {syncs} failing syncs were noticed"
    );
}

/// The trace shows, after the last call that gave a name, that the directory was synced.
fn is_synced_after_naming(trace: &str, name: &str, directory: &Path) -> bool {
    let lines: Vec<&str> = trace.lines().collect();
    let named = lines.iter().rposition(|line| {
        let gives_a_name = ["rename", "link", "mkdir"];
        gives_a_name.iter().any(|call| line.contains(call)) && line.contains(&format!("{name}\""))
    });
    let named = named.unwrap_or_else(|| panic!("no call that names {name}:\n{trace}"));
    let synced = format!("<{}>)", directory.display());
    lines[named..]
        .iter()
        .any(|line| line.contains("sync(") && line.contains(&synced) && line.ends_with("= 0"))
}

#[test]
fn a_new_name_is_synced_with_its_directory() {
    if !can_trace() {
        return;
    }
    let sandbox = filled();
    let home = fs::canonicalize(sandbox.home()).unwrap();
    let (made, trace) = traced(
        &sandbox,
        STEPS,
        &[
            "--store",
            "one/two/new.db",
            "create",
            "e",
            "--variant",
            "a=1",
            "-q",
        ],
    );
    succeeds(&made);
    assert!(
        is_synced_after_naming(&trace, "new.db", &home.join("one/two")),
        "{trace}"
    );
    assert!(
        is_synced_after_naming(&trace, "two", &home.join("one")),
        "{trace}"
    );
    assert!(is_synced_after_naming(&trace, "one", &home), "{trace}");

    let (made, trace) = traced(
        &sandbox,
        STEPS,
        &["--store", "s.db", "store", "backup", "one/b.db", "-q"],
    );
    succeeds(&made);
    assert!(
        is_synced_after_naming(&trace, "b.db", &home.join("one")),
        "{trace}"
    );

    let (made, trace) = traced(
        &sandbox,
        STEPS,
        &[
            "--store",
            "s.db",
            "store",
            "copy",
            "--to",
            "three/c.db",
            "-q",
        ],
    );
    succeeds(&made);
    assert!(
        is_synced_after_naming(&trace, "c.db", &home.join("three")),
        "{trace}"
    );
    assert!(is_synced_after_naming(&trace, "three", &home), "{trace}");
}

/// A directory whose name could not be synced is not taken for a safe one the next time.
#[test]
fn a_first_create_fails_if_its_directories_cannot_be_synced() {
    if !can_trace() {
        return;
    }
    let create = [
        "--store",
        "one/two/x.db",
        "create",
        "e",
        "--variant",
        "a=1",
        "-q",
    ];
    let sandbox = Sandbox::new();
    let output = injected(&sandbox, "fsync,fdatasync:error=EIO:when=1", &create);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let told = "error: store one/two/x.db failed to create: Input/output error (os error 5)\n";
    assert_eq!(stderr(&output), told);
    assert!(!sandbox.home().join("one").exists());
    succeeds(&sandbox.exp(&create).output().unwrap());
}

#[test]
fn what_killed_commands_leave_is_removed_by_the_next() {
    if !can_trace() {
        return;
    }
    let sandbox = filled();
    let mut left = 0;
    let backup = ["--store", "s.db", "store", "backup", "b.db", "-q"];
    let create = ["--store", "n.db", "create", "e", "--variant", "a=1", "-q"];
    for arguments in [&backup[..], &create[..]] {
        at_every_call(|kill| {
            for prefix in ["b.db", "n.db"] {
                for name in names(&sandbox, prefix) {
                    fs::remove_file(sandbox.home().join(name)).unwrap();
                }
            }
            let was_killed = !injected(&sandbox, kill, arguments).status.success();
            left += names(&sandbox, ".exp-").len();
            was_killed
        });
    }
    assert!(left > 10, "{left}");
    // A power cut after which the tidying of one may begin anew.
    let again = sandbox.exp(&["--store", "s.db", "store", "backup", "last.db", "-q"]);
    succeeds(&{ again }.output().unwrap());
    assert_eq!(names(&sandbox, ".exp-"), [""; 0]);
}

/// SQLite makes a new log, and ignores it when its name cannot be synced.
#[test]
fn a_log_whose_name_cannot_be_synced_is_not_written_to() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    succeeds(&sandbox.bash(
        "exp --store s.db create e --variant a=1 --start -q && exp --store s.db store backup b.db",
    ));
    let assign = ["--store", "b.db", "assign", "e", "user:1"];
    let syncs = calls(&sandbox, SYNCS, &assign);
    for n in 1..=syncs {
        succeeds(&sandbox.bash("rm b.db* && exp --store s.db store backup b.db"));
        let inject = format!("{SYNCS}:error=EIO:when={n}");
        let output = injected(&sandbox, &inject, &assign);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let home = fs::canonicalize(sandbox.home()).unwrap();
        if output.status.success() {
            assert_eq!(told, "a\n");
            // The one that is left is SQLite's own sync of the directory, after ours.
            succeeds(&sandbox.bash("rm b.db* && exp --store s.db store backup b.db"));
            let (_, trace) = traced(&sandbox, SYNCS, &assign);
            let of_directory = format!("<{}>", home.display());
            let syncs = trace.lines().take(n);
            let syncs: Vec<bool> = syncs.map(|line| line.contains(&of_directory)).collect();
            let (this, before) = syncs.split_last().unwrap();
            assert!(*this && before.contains(&true), "{n}: {trace}");
        } else {
            assert_eq!((output.status.code(), &*told), (Some(1), ""), "sync {n}");
        }
    }
}

/// What was written by a commit that failed must not be found by the next command, and then be the ground
/// on which later commits stand: it may not be on the disk, whatever a later sync says.
#[test]
fn a_commit_that_fails_leaves_nothing_in_the_log() {
    if !can_trace() {
        return;
    }
    let sandbox = filled();
    let before = content(&sandbox, "s.db");
    let conclude = ["--store", "s.db", "conclude", "e", "a", "-q"];
    let output = injected(&sandbox, "fsync,fdatasync:error=EIO:when=1", &conclude);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(content(&sandbox, "s.db"), before);
    assert_eq!(
        fs::metadata(sandbox.home().join("s.db-wal")).unwrap().len(),
        0
    );
    succeeds(&sandbox.exp(&conclude).output().unwrap());
    is_sound(&sandbox, "s.db");
}

/// Who hears that a change failed must be able to rely on it.
#[test]
fn a_commit_that_fails_may_have_been_done_or_not() {
    if !can_trace() {
        return;
    }
    let sandbox = filled();
    for arguments in [
        &["--store", "s.db", "assign", "e", "late"][..],
        &["--store", "s.db", "conclude", "e", "a"][..],
    ] {
        let output = injected(&sandbox, "fsync,fdatasync:error=EIO:when=1+", arguments);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let seen = stderr(&output);
        assert!(output.stdout.is_empty());
        assert!(
            seen.starts_with("error: store s.db did not confirm the commit when asked to "),
            "{seen}"
        );
        assert!(
            seen.contains("\n hint: it may or may not have been done"),
            "{seen}"
        );
    }
    let sandbox = filled();
    let word = injected(
        &sandbox,
        "fsync,fdatasync:error=EIO:when=1+",
        &[
            "--store",
            "s.db",
            "assign",
            "e",
            "late",
            "--default",
            "fallback",
        ],
    );
    assert_eq!(String::from_utf8_lossy(&word.stdout), "fallback\n");
}
