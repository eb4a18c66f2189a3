//! `exp edit` on a terminal, and what ends it. What it says of each text is in `transcripts/edit.txt`.

use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::sandbox::Sandbox;
use crate::terminal::{Terminal, same};

/// A sandbox with an experiment `e`, a place for temporary files, and `editor`, a script of the shell, as the editor.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir(temporary(&sandbox)).unwrap();
    let create = ["create", "e", "--variant", "a=1", "--variant", "b=1", "-q"];
    assert!(sandbox.exp(&create).status().unwrap().success());
    sandbox
}

fn temporary(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().join("tmp")
}

fn edit(sandbox: &Sandbox, script: &str, arguments: &[&str]) -> Command {
    let editor = sandbox.home().join("editor.sh");
    fs::write(&editor, script).unwrap();
    let mut command = sandbox.exp(&["edit", "e"]);
    command
        .args(arguments)
        .env("TMPDIR", temporary(sandbox))
        .env("EDITOR", format!("sh {}", editor.display()));
    command
}

/// The files below the place for temporary ones.
fn left(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mut directories = vec![temporary(sandbox)];
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

fn weights(sandbox: &Sandbox) -> String {
    let status = sandbox.exp(&["export", "e"]).output().unwrap();
    let text = String::from_utf8(status.stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once("weight = "));
    lines
        .map(|(_, weight)| weight.trim_end_matches(" },").to_owned() + " ")
        .collect()
}

const TO_THREE: &str = "sed -i 's/\"b\", weight = 1/\"b\", weight = 3/' \"$1\"\n";

#[test]
fn a_yes_on_a_terminal_applies_the_plan_that_is_shown() {
    let sandbox = sandbox();
    let mut terminal = Terminal::new(&mut edit(&sandbox, TO_THREE, &[]));
    terminal.wait_for("Apply this? [y/N] ");
    // There is nothing to leave behind any more.
    assert!(is_empty(&temporary(&sandbox)));
    assert_eq!(weights(&sandbox), "1 1 ");
    terminal.type_in("y\n");
    let (status, shown) = terminal.end();
    assert!(status.success(), "{shown}");
    assert!(shown.contains("b  1 → 3"), "{shown}");
    assert!(shown.contains("applied 1 change"), "{shown}");
    assert_eq!(weights(&sandbox), "1 3 ");
    assert!(is_empty(&temporary(&sandbox)));
}

#[test]
fn a_no_applies_nothing_and_keeps_what_was_written() {
    let sandbox = sandbox();
    let mut terminal = Terminal::new(&mut edit(&sandbox, TO_THREE, &[]));
    terminal.wait_for("Apply this? [y/N] ");
    terminal.type_in("n\n");
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(1), "{shown}");
    assert_eq!(weights(&sandbox), "1 1 ");
    let left = left(&sandbox);
    let [kept] = &left[..] else {
        panic!("{left:?}: {shown}");
    };
    assert!(shown.contains(kept.to_str().unwrap()), "{shown}");
    assert!(fs::read_to_string(kept).unwrap().contains("weight = 3"));
}

#[test]
fn nobody_else_can_read_what_is_edited() {
    let sandbox = sandbox();
    let script = "umask; ls -l \"$1\"; ls -ld \"$(dirname \"$1\")\"; basename \"$1\"";
    let output = edit(&sandbox, script, &["--yes"]).output().unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(seen.contains("\n-rw------- "), "{seen}");
    assert!(seen.contains("\ndrwx------ "), "{seen}");
    assert!(seen.ends_with("\ne.toml\n"), "{seen}");
    assert!(is_empty(&temporary(&sandbox)));
}

/// The editor says that it is open, and goes on until it is ended.
const OPEN: &str = "stty -echo -icanon; echo open; exec sleep 1000\n";

#[test]
fn an_interrupt_leaves_no_file_behind_and_the_terminal_as_it_was() {
    let sandbox = sandbox();
    let mut terminal = Terminal::new(edit(&sandbox, OPEN, &[]).process_group(0));
    let before = terminal.settings();
    terminal.wait_for("open");
    assert_eq!(left(&sandbox).len(), 1);
    // As the keyboard sends it: to the editor as well.
    kill_process_group(pid(&terminal), Signal::INT).unwrap();
    terminal.wait_for("the editor");
    let after = terminal.settings();
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(
        shown.contains("was interrupted; nothing changed"),
        "{shown}"
    );
    same(&after, &before).unwrap();
    assert!(is_empty(&temporary(&sandbox)));
}

#[test]
fn what_ends_the_process_ends_the_editor_first() {
    for signal in [Signal::TERM, Signal::HUP] {
        let sandbox = sandbox();
        let mut terminal = Terminal::new(edit(&sandbox, OPEN, &[]).process_group(0));
        let before = terminal.settings();
        terminal.wait_for("open");
        kill_process(pid(&terminal), signal).unwrap();
        terminal.program.wait().unwrap();
        let after = terminal.settings();
        let (status, shown) = terminal.end();
        assert_eq!(status.signal(), Some(signal.as_raw()), "{shown}");
        same(&after, &before).unwrap();
        assert!(is_empty(&temporary(&sandbox)));
        assert_eq!(weights(&sandbox), "1 1 ");
    }
}

#[test]
fn an_interrupt_at_the_question_ends_it() {
    let sandbox = sandbox();
    let mut terminal = Terminal::new(edit(&sandbox, TO_THREE, &[]).process_group(0));
    terminal.wait_for("Apply this? [y/N] ");
    kill_process_group(pid(&terminal), Signal::INT).unwrap();
    let (status, shown) = terminal.end();
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()), "{shown}");
    assert!(is_empty(&temporary(&sandbox)));
    assert_eq!(weights(&sandbox), "1 1 ");
}

fn pid(terminal: &Terminal) -> Pid {
    Pid::from_child(&terminal.program)
}
