//! Whole jobs from end to end, as a user does them: `jobs/*.txt`, in the form of the [transcripts](super::transcripts).
//! The other files of that directory are in the sandbox.

use std::fs;
use std::path::Path;

use macro_rules_attribute::apply;
use snapbox::Data;
use snapbox::assert::Assert;

use crate::sandbox::Sandbox;
use crate::server;
use crate::transcripts::replay;

#[test]
fn a_nightly_list_from_cron() {
    done("nightly", &Sandbox::new());
}

#[test]
fn experiments_in_git_with_ci() {
    done("git", &Sandbox::new());
}

#[test]
fn qa_asks_why() {
    done("qa", &Sandbox::new());
}

#[test]
fn two_exclusive_tests_and_one_is_wound_down() {
    done("exclusive", &Sandbox::new());
}

#[apply(needs_postgres!)]
fn the_move_to_postgres() {
    let sandbox = Sandbox::new();
    let address = server::shared().database();
    fs::write(sandbox.home().join("database"), &address).unwrap();
    done("postgres", &sandbox);
}

/// Runs the job in the sandbox, and compares what is seen.
fn done(job: &str, sandbox: &Sandbox) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/jobs");
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if Path::new(&name)
            .extension()
            .is_none_or(|extension| extension != "txt")
        {
            fs::copy(entry.path(), sandbox.home().join(name)).unwrap();
        }
    }
    let path = directory.join(job).with_extension("txt");
    let seen = replay(&fs::read_to_string(&path).unwrap(), sandbox);
    let expected = Data::read_from(&path, None).raw();
    Assert::new().action_env("SNAPSHOTS").eq(seen, expected);
}
