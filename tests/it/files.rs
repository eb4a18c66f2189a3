//! The files of a store and their neighbours on disk: what a store cannot live beside is refused, what
//! is in use or foreign stays, and a store that goes away is noticed.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Output, Stdio};

use experiments::{
    AssignRequest, ExperimentConfig, ExperimentError, ExperimentState, ExperimentStore as _,
    ExperimentStoreError, SqliteExperimentStore, VariantConfig,
};

use crate::sandbox::Sandbox;

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

/// A store `s.db` with an experiment, its assignments and its log.
pub(crate) fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    let filled = sandbox.bash(
        "exp --store s.db create e --variant a=1 --variant b=1 --start -q &&
         seq -f user:%.0f 300 | exp --store s.db assign e --actors - --expose -q > /dev/null",
    );
    succeeds(&filled);
    sandbox
}

/// All that a store holds, as its own commands print it.
pub(crate) fn content(sandbox: &Sandbox, store: &str) -> String {
    let line = format!("exp --store {store} store info --format tsv | tail -n 5");
    String::from_utf8(sandbox.bash(&line).stdout).unwrap()
}

pub(crate) fn is_sound(sandbox: &Sandbox, store: &str) {
    succeeds(&sandbox.bash(&format!("exp --store {store} store check -q")));
}

/// Names in the directory that begin so.
pub(crate) fn names(sandbox: &Sandbox, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(sandbox.home()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

/// Only the file itself survives: what would be in a log beside it is lost.
pub(crate) fn without_logs(sandbox: &Sandbox, store: &str) {
    for suffix in ["-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(sandbox.home().join(format!("{store}{suffix}")));
    }
}

/// A temporary that somebody still writes stays, and so does what only looks like one.
#[test]
fn what_is_in_use_or_foreign_is_not_removed() {
    let sandbox = filled();
    let path = |name: &str| sandbox.home().join(name);
    for (name, file) in [
        (".exp-backup-held", "store.db"),
        (".exp-backup-theirs", "letter"),
    ] {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join(file), "x").unwrap();
    }
    fs::write(path(".exp-backup-file"), "x").unwrap();
    std::os::unix::fs::symlink("..", path(".exp-backup-link")).unwrap();
    let held = fs::File::open(path(".exp-backup-held")).unwrap();
    held.lock().unwrap();
    succeeds(&sandbox.bash("exp --store s.db store backup one.db"));
    let all = [
        ".exp-backup-file",
        ".exp-backup-held",
        ".exp-backup-link",
        ".exp-backup-theirs",
    ];
    assert_eq!(names(&sandbox, ".exp-"), all);
    drop(held);
    succeeds(&sandbox.bash("exp --store s.db store backup two.db"));
    let rest = [".exp-backup-file", ".exp-backup-link", ".exp-backup-theirs"];
    assert_eq!(names(&sandbox, ".exp-"), rest);
}

#[test]
fn a_store_with_two_names_is_refused() {
    let sandbox = filled();
    succeeds(&sandbox.bash("ln s.db t.db"));
    for store in ["s.db", "t.db"] {
        let refused = sandbox.bash(&format!("exp --store {store} assign e user:1"));
        assert_eq!(refused.status.code(), Some(1));
        let told = format!(
            "error: store {store} has 2 hard links, and SQLite keeps a separate log beside each\n \
             hint: what is written through one name is lost through another: remove the other \
             names (find -samefile FILE prints them), or make them symbolic links\n"
        );
        assert_eq!(stderr(&refused), told);
        assert!(refused.stdout.is_empty());
    }
    succeeds(&sandbox.bash("rm t.db && ln -s s.db t.db && exp --store t.db assign e user:1"));
    is_sound(&sandbox, "s.db");
}

/// Where a file system cannot move a file without replacing another, it has two names for a moment.
#[test]
fn a_second_name_that_a_killed_command_left_is_removed() {
    let sandbox = filled();
    let linked = sandbox.bash("mkdir .exp-new-store-x && ln s.db .exp-new-store-x/store.db");
    succeeds(&linked);
    succeeds(&sandbox.bash("exp --store s.db list"));
    succeeds(&sandbox.bash("exp --store s.db store copy --to c.db -q && ln c.db c.db.unfinished"));
    succeeds(&sandbox.bash("exp --store s.db store copy --to c.db -q && exp --store c.db list"));
    assert_eq!(names(&sandbox, "c.db.unfinished"), [""; 0]);
}

/// A bulk run whose store goes away while it waits for input.
fn bulk_that_loses(damage: &str, lost: &str) {
    let sandbox = filled();
    let mut child = sandbox
        .exp(&["--store", "s.db", "assign", "e", "--actors", "-", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    input.write_all(b"one\ntwo\n").unwrap();
    for actor in ["one\t", "two\t"] {
        line.clear();
        output.read_line(&mut line).unwrap();
        assert!(line.starts_with(actor), "{line}");
    }
    succeeds(&sandbox.bash(damage));
    input.write_all(b"three\nfour\n").unwrap();
    drop(input);
    let mut told = String::new();
    output.read_to_string(&mut told).unwrap();
    assert_eq!(told, "", "reported after the store was lost");
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", stderr(&ended));
    let expected = format!(
        "error: store s.db was lost while it was in use: {lost} was removed or replaced\n hint: \
         what was written since may be lost with it; put the file back, or see what the store \
         holds now and run the command again\n"
    );
    assert_eq!(stderr(&ended), expected);
}

#[test]
fn a_store_that_is_removed_under_a_bulk_run_is_noticed() {
    bulk_that_loses("rm s.db s.db-wal s.db-shm", "s.db");
}

#[test]
fn a_store_that_is_replaced_under_a_bulk_run_is_noticed() {
    bulk_that_loses(
        "exp --store s.db store backup b.db -q && rm s.db-wal s.db-shm && mv b.db s.db",
        "s.db",
    );
}

#[test]
fn a_log_that_is_removed_under_a_bulk_run_is_noticed() {
    bulk_that_loses("rm s.db-wal", "s.db-wal");
    bulk_that_loses("rm s.db-shm", "s.db-shm");
}

/// So is it by a handle that only reads, and once the file is back it works again.
#[test]
fn a_handle_notices_that_its_file_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    let store = SqliteExperimentStore::open_or_create(&path).unwrap();
    let config = ExperimentConfig {
        state: ExperimentState::Running,
        ..ExperimentConfig::new("e", vec![VariantConfig::new("a", 1)])
    };
    store.insert(config).unwrap();
    let assign = |actor| store.assign(&AssignRequest::new("e", actor));
    assert_eq!(assign("user:1").unwrap().variant, "a");
    let away = directory.path().join("away.db");
    fs::rename(&path, &away).unwrap();
    let is_lost = |error: ExperimentError| {
        matches!(
            error,
            ExperimentError::Store(ExperimentStoreError::Replaced { .. })
        )
    };
    assert!(is_lost(assign("user:1").unwrap_err()));
    assert!(is_lost(assign("user:2").unwrap_err()));
    assert!(is_lost(store.list().unwrap_err()));
    fs::rename(&away, &path).unwrap();
    assert_eq!(assign("user:1").unwrap().variant, "a");
    assert_eq!(assign("user:3").unwrap().variant, "a");
}

#[test]
fn what_is_no_file_in_place_of_a_log_is_refused() {
    let kinds = [
        ("mkfifo", "a named pipe"),
        ("mkdir", "a directory"),
        ("ln -s elsewhere", "a symbolic link"),
    ];
    for suffix in ["-journal", "-wal", "-shm"] {
        for (make, kind) in kinds {
            let sandbox = Sandbox::new();
            let file = format!("x.db{suffix}");
            let told = format!(
                "error: store x.db cannot be used: {file} is {kind}, but SQLite needs that name for \
                 a file of its own\n hint: remove {file}, or give it another name\n"
            );
            let refused = |line: &str| {
                let output = sandbox.bash(&format!("timeout 20 {line}"));
                assert_eq!(output.status.code(), Some(1), "{line}: {}", stderr(&output));
                assert_eq!(stderr(&output), told, "{line}");
            };
            succeeds(&sandbox.bash(&format!("{make} {file}")));
            refused("exp --store x.db create e --variant a=1");
            assert!(!sandbox.home().join("x.db").exists());
            succeeds(&sandbox.bash("exp --store y.db create e --variant a=1 --start -q"));
            refused("exp --store y.db store backup x.db");
            refused("exp --store y.db store copy --to x.db");
            succeeds(&sandbox.bash(&format!(
                "mv {file} aside && exp --store x.db create e --variant a=1 --start -q &&
                 rm x.db-wal x.db-shm && mv aside {file}"
            )));
            refused("exp --store x.db list");
            refused("exp --store x.db assign e user:1");
            // Beside the file that a link leads to, too.
            succeeds(&sandbox.bash("mkdir d && ln -s ../x.db d/link.db"));
            let output = sandbox.bash("timeout 20 exp --store d/link.db list");
            assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
            assert!(stderr(&output).contains(kind), "{}", stderr(&output));
        }
    }
}

#[test]
fn the_log_of_another_store_is_not_replayed_over_a_backup() {
    let sandbox = filled();
    succeeds(
        &sandbox.bash(
            "exp --store gone.db create other --variant a=1 -q && rm gone.db && ls gone.db-wal",
        ),
    );
    let refused = sandbox.bash("exp --store s.db store backup gone.db");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("its write-ahead log gone.db-wal is still there"));
}

/// However few files may be open, the message names that, and no missing permission.
#[test]
fn too_many_open_files_are_told_from_a_missing_permission() {
    let sandbox = filled();
    let mut told = 0;
    for line in [
        "exp --store s.db list",
        "exp --store s.db assign e late",
        "exp --store s.db store backup b.db",
    ] {
        for limit in 3..12 {
            let output = sandbox.bash(&format!("rm -f b.db; ulimit -n {limit}; {line}"));
            let seen = stderr(&output);
            if output.status.success() || output.status.code() == Some(127) {
                continue;
            }
            assert!(
                !seen.contains("permission") && !seen.contains("Permission"),
                "{limit}: {seen}"
            );
            if seen.contains("exp: error while loading") {
                continue;
            }
            assert_eq!(output.status.code(), Some(1), "{limit}: {seen}");
            assert!(
                seen.contains("Too many open files (os error 24)\n hint: "),
                "{limit}: {seen}"
            );
            told += 1;
        }
    }
    assert!(told > 3, "{told}");
}

/// As for a new store, and for a copy.
#[test]
fn a_backup_makes_the_directory_that_it_is_to_be_in() {
    let sandbox = Sandbox::new();
    succeeds(&sandbox.bash("exp --store s.db create e --variant a=1 -q"));
    succeeds(&sandbox.bash("exp --store s.db store backup new/deep/b.db"));
    succeeds(&sandbox.bash("exp --store new/deep/b.db status e"));
}

#[test]
fn what_sqlite_says_is_said_once() {
    let sandbox = Sandbox::new();
    succeeds(&sandbox.bash("exp --store s.db create e --variant a=1 --start -q"));
    // No file may grow.
    let refused = sandbox.bash("trap '' XFSZ; ulimit -f 0; exp --store s.db assign e user:1");
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(told.matches("disk I/O error").count(), 1, "{told}");
    assert!(told.contains("disk I/O error (error code "), "{told}");
}
