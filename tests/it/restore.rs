//! Backups that are put in place, and stores that are taken away.

use std::fs;
use std::process::Stdio;

use crate::durability::{STEPS, at_every_call, calls};
use crate::files::{content, filled, is_sound, names, stderr, succeeds};
use crate::givens::eventually;
use crate::strace::{can_trace, injected};

#[test]
fn a_restored_backup_leaves_the_store_that_was_there() {
    let sandbox = filled();
    succeeds(&sandbox.bash("exp --store s.db store backup --to b.db -q"));
    let before = content(&sandbox, "s.db");
    succeeds(&sandbox.bash("exp --store s.db assign e late && test -s s.db-wal"));
    let present = content(&sandbox, "s.db");
    assert_ne!(before, present);
    let restored = sandbox.bash("chmod 640 s.db && exp --store s.db store restore b.db");
    succeeds(&restored);
    assert_eq!(
        stderr(&restored),
        "what was there before is kept as s.db.before-restore\nrestored s.db\n"
    );
    assert_eq!(content(&sandbox, "s.db"), before);
    assert_eq!(content(&sandbox, "s.db.before-restore"), present);
    is_sound(&sandbox, "s.db");
    succeeds(&sandbox.bash("test $(stat -c %a s.db) = 640"));
    // It can be undone in the same way.
    succeeds(&sandbox.bash("exp --store s.db store restore s.db.before-restore -q"));
    assert_eq!(content(&sandbox, "s.db"), present);
    assert_eq!(content(&sandbox, "s.db.before-restore-2"), before);
}

#[test]
fn a_store_that_is_gone_or_damaged_is_restored() {
    let sandbox = filled();
    succeeds(&sandbox.bash("exp --store s.db store backup --to b.db -q"));
    let expected = content(&sandbox, "s.db");
    for (damage, kept) in [
        ("rm s.db*", ""),
        ("rm s.db", "s.db.before-restore-wal"),
        ("rm s.db-*; head -c 9000 b.db > s.db", "s.db.before-restore"),
        (": > s.db", "s.db.before-restore s.db.before-restore-wal"),
        (
            "head -c 9000 /dev/urandom > s.db",
            "s.db.before-restore s.db.before-restore-wal",
        ),
    ] {
        succeeds(&sandbox.bash(&format!("exp --store s.db assign e late -q && {damage}")));
        let restored = sandbox.bash("exp --store s.db store restore b.db -q");
        assert!(restored.status.success(), "{damage}: {}", stderr(&restored));
        assert_eq!(content(&sandbox, "s.db"), expected, "{damage}");
        is_sound(&sandbox, "s.db");
        assert_eq!(names(&sandbox, "s.db.before").join(" "), kept, "{damage}");
        for name in names(&sandbox, "s.db.before") {
            fs::remove_file(sandbox.home().join(name)).unwrap();
        }
    }
}

#[test]
fn what_is_no_whole_backup_is_not_restored() {
    let sandbox = filled();
    let expected = content(&sandbox, "s.db");
    succeeds(&sandbox.bash(
        "exp --store s.db store backup --to b.db -q && head -c 20000 b.db > cut.db &&
         cp b.db open.db && exp --store open.db assign e late -q &&
         echo text > text.db && head -c 9000 /dev/urandom > noise.db && ln -s s.db link.db",
    ));
    for (file, told) in [
        ("nothing.db", "no store at nothing.db"),
        ("cut.db", "store cut.db is damaged"),
        ("open.db", "a part of it is still in open.db-wal"),
        ("text.db", "text.db is not an exp store"),
        ("noise.db", "noise.db is not an exp store"),
        ("link.db", "it is the store itself"),
        ("s.db", "it is the store itself"),
    ] {
        let refused = sandbox.bash(&format!("exp --store s.db store restore {file}"));
        assert_eq!(refused.status.code(), Some(1), "{file}");
        assert!(
            stderr(&refused).contains(told),
            "{file}: {}",
            stderr(&refused)
        );
    }
    assert_eq!(content(&sandbox, "s.db"), expected);
    assert_eq!(names(&sandbox, "s.db.before"), [""; 0]);
    assert_eq!(names(&sandbox, ".exp-"), [""; 0]);
}

/// Whichever system call is the last, there is the old store or the new one, and the old one is somewhere.
#[test]
fn a_killed_restore_leaves_either_store() {
    if !can_trace() {
        return;
    }
    let sandbox = filled();
    succeeds(&sandbox.bash(
        "exp --store s.db store backup --to b.db -q && exp --store s.db store checkpoint -q && cp s.db model.db",
    ));
    // What is in the log must not be lost either.
    let again =
        || {
            succeeds(&sandbox.bash(
                "rm -rf s.db* .exp-* && cp model.db s.db && exp --store s.db assign e late -q",
            ));
        };
    again();
    let (old, new) = (content(&sandbox, "s.db"), content(&sandbox, "b.db"));
    assert_ne!(old, new);
    for can_exchange in [true, false] {
        at_every_call(|kill| {
            if !can_exchange && kill.starts_with("renameat2:") {
                return false;
            }
            again();
            let mut command = sandbox.command("strace");
            command.args(["-f", "-qq", "-o", "/dev/null"]);
            command.args(["-e", &format!("inject={kill}")]);
            if !can_exchange {
                command.args(["-e", "inject=renameat2:error=EINVAL"]);
            }
            command.arg(env!("CARGO_BIN_EXE_exp"));
            command.args(["--store", "s.db", "store", "restore", "b.db", "-q"]);
            let was_killed = !command.output().unwrap().status.success();
            let in_place = content(&sandbox, "s.db");
            assert!([&old, &new].contains(&&in_place), "{kill}: {in_place}");
            is_sound(&sandbox, "s.db");
            // A store that was kept has no log, and may have a second name yet.
            let is_kept = in_place == old
                || names(&sandbox, "s.db.").iter().any(|name| {
                    succeeds(&sandbox.bash(&format!("rm -f kept.db && cp {name} kept.db")));
                    content(&sandbox, "kept.db") == old
                });
            assert!(is_kept, "{kill}: {:?}", names(&sandbox, "s.db."));
            was_killed
        });
    }
}

/// Whichever call fails: also one of which SQLite ignores it, such as the removal of the log.
#[test]
fn a_restore_that_fails_leaves_either_store() {
    if !can_trace() {
        return;
    }
    let sandbox = filled();
    succeeds(&sandbox.bash(
        "exp --store s.db store backup --to b.db -q && exp --store s.db store checkpoint -q &&
         cp s.db model.db",
    ));
    let again =
        || {
            succeeds(&sandbox.bash(
                "rm -rf s.db* .exp-* && cp model.db s.db && exp --store s.db assign e late -q",
            ));
            content(&sandbox, "s.db")
        };
    let (old, new) = (again(), content(&sandbox, "b.db"));
    let restore = ["--store", "s.db", "store", "restore", "b.db", "-q"];
    let mut failed = 0;
    for kind in STEPS.split(',') {
        again();
        for n in 1..=calls(&sandbox, kind, &restore) {
            again();
            let restored = injected(&sandbox, &format!("{kind}:error=EIO:when={n}"), &restore);
            failed += usize::from(!restored.status.success());
            let in_place = content(&sandbox, "s.db");
            let expected = if restored.status.success() {
                &[&new][..]
            } else {
                &[&old, &new]
            };
            assert!(
                expected.contains(&&in_place),
                "{kind} {n}: {}",
                stderr(&restored)
            );
            is_sound(&sandbox, "s.db");
            if in_place == new {
                assert_eq!(content(&sandbox, "s.db.before-restore"), old, "{kind} {n}");
                let is_told = stderr(&restored).contains("it is s.db.before-restore now");
                assert_ne!(restored.status.success(), is_told, "{}", stderr(&restored));
            }
        }
    }
    assert!(failed > 5, "only {failed} failures were noticed");
}

/// A process that has opened the file, and not begun to read it when that is replaced, would take the log of the
/// new file for that of the old one.
#[test]
fn who_opens_a_store_while_it_is_replaced_uses_the_new_one() {
    if !can_trace() {
        return;
    }
    let sandbox = filled();
    succeeds(&sandbox.bash("exp --store s.db store backup --to b.db -q"));
    let file = fs::canonicalize(sandbox.home()).unwrap().join("s.db");
    let mut waiting = sandbox.command("strace");
    waiting
        .args(["-f", "-qq", "-o", "trace", "-e", "trace=openat", "-P"])
        .arg(&file)
        .args(["-e", "inject=openat:signal=STOP:when=1"])
        .arg(env!("CARGO_BIN_EXE_exp"))
        .args(["--store", "s.db", "assign", "e", "waiting", "-q"]);
    let mut waiting = waiting.stdout(Stdio::null()).spawn().unwrap();
    let mut stopped = None;
    eventually("it is stopped", || {
        assert!(waiting.try_wait().unwrap().is_none(), "it was not stopped");
        let trace = fs::read_to_string(sandbox.home().join("trace")).unwrap_or_default();
        let mut lines = trace.lines();
        let line = lines.find(|line| line.contains("stopped by SIGSTOP"));
        stopped = line.map(|line| line.split(' ').next().unwrap().to_owned());
        stopped.is_some()
    });
    let stopped = stopped.unwrap();
    succeeds(&sandbox.bash(
        "exp --store s.db store restore b.db -q > /dev/null && exp --store s.db assign e first -q &&
         exp --store s.db assign e second -q",
    ));
    succeeds(&sandbox.bash(&format!("kill -CONT {stopped}")));
    succeeds(&waiting.wait_with_output().unwrap());
    is_sound(&sandbox, "s.db");
    let assigned =
        sandbox.bash("exp --store s.db assignments e | grep -cE '^(first|second|waiting)'");
    assert_eq!(String::from_utf8_lossy(&assigned.stdout), "3\n");
}

/// Whoever was told a variant finds the assignment in the store, or in the one that was kept.
#[test]
fn nothing_is_lost_that_is_written_while_stores_are_replaced() {
    let sandbox = filled();
    let all = sandbox.bash(
        "export EXP_LOCK_TIMEOUT=120
         exp --store s.db store backup --to b.db -q
         for worker in 1 2 3; do
             for n in $(seq 12); do
                 exp --store s.db assign e new:$worker:$n -q > /dev/null && echo new:$worker:$n
             done > told.$worker 2> failed.$worker &
         done
         for n in 1 2 3; do exp --store s.db store restore b.db -q > /dev/null || exit 1; done
         wait
         cat told.* | sort > told",
    );
    succeeds(&all);
    let mut found = String::new();
    for store in names(&sandbox, "s.db") {
        if !store.ends_with("-wal") && !store.ends_with("-shm") {
            is_sound(&sandbox, &store);
            let assigned = sandbox.bash(&format!("exp --store {store} assignments e | cut -f 1"));
            found.push_str(&String::from_utf8(assigned.stdout).unwrap());
        }
    }
    let told = fs::read_to_string(sandbox.home().join("told")).unwrap();
    // Who had opened the store that was replaced meanwhile is refused, and says so.
    let failed = sandbox.bash("cat failed.* | grep -v '^ hint: '");
    let failed = String::from_utf8(failed.stdout).unwrap();
    let is_refusal = |line: &str| line.ends_with("s.db was removed or replaced");
    assert!(failed.lines().all(is_refusal), "{failed}");
    assert_eq!(told.lines().count() + failed.lines().count(), 36);
    for actor in told.lines() {
        assert!(found.lines().any(|line| line == actor), "{actor}");
    }
}

#[test]
fn a_store_that_is_in_use_is_neither_replaced_nor_retired() {
    let sandbox = filled();
    succeeds(&sandbox.bash("exp --store s.db store backup --to b.db -q"));
    let used = experiments::SqliteExperimentStore::open(sandbox.home().join("s.db")).unwrap();
    for command in ["restore b.db", "copy --to c.db --retire"] {
        let refused = sandbox.bash(&format!(
            "exp --store s.db --lock-timeout 0 store {command}"
        ));
        assert_eq!(refused.status.code(), Some(1), "{command}");
        assert!(
            stderr(&refused).contains("store s.db is busy")
                && stderr(&refused).contains("hint: stop what has it open"),
            "{}",
            stderr(&refused)
        );
    }
    drop(used);
    is_sound(&sandbox, "s.db");
    assert_eq!(names(&sandbox, "s.db.").join(" "), "");
    succeeds(&sandbox.bash("exp --store s.db store copy --to c.db --retire -q"));
    assert_eq!(names(&sandbox, "s.db").join(" "), "s.db.retired");
    assert_eq!(content(&sandbox, "s.db.retired"), content(&sandbox, "c.db"));
}

#[test]
fn a_checkpoint_leaves_the_file_alone_whole() {
    let sandbox = filled();
    succeeds(&sandbox.bash("exp --store s.db assign e late -q && test -s s.db-wal"));
    let expected = content(&sandbox, "s.db");
    succeeds(&sandbox.bash("exp --store s.db store checkpoint && cp s.db alone.db"));
    assert_eq!(content(&sandbox, "alone.db"), expected);
    let none = sandbox.bash("exp --store s.db store checkpoint");
    assert!(
        stderr(&none).starts_with("the write-ahead log was empty"),
        "{}",
        stderr(&none)
    );
}

/// The system says so of the directory, as it would for one that is mounted from another machine.
#[test]
fn a_store_on_another_machine_is_refused() {
    if !can_trace() {
        return;
    }
    let sandbox = filled();
    for (magic, system) in [
        ("6969000000000000", "NFS"),
        ("424d53fe00000000", "an SMB share"),
    ] {
        let inject = format!("statfs:poke_exit=@arg2={magic}");
        let refused = injected(&sandbox, &inject, &["--store", "s.db", "list"]);
        assert_eq!(refused.status.code(), Some(1));
        let told = format!("error: store s.db is on {system}, where SQLite's locks");
        assert!(stderr(&refused).starts_with(&told), "{}", stderr(&refused));
    }
}
