//! Damage on purpose: processes are killed, system calls fail, and the power is cut. What was told
//! before is in the store, and the store is sound.
//!
//! Everything random comes from a seed, the number of the round, which a failure names.
//! `EXP_TEST_ROUNDS=1000 cargo test damage` tries that many rounds in place of a few.

mod disk;
mod random;
mod told;
mod trace;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use self::disk::Disk;
use self::random::Random;
use self::told::{Change, Told};
use self::trace::Event;
use crate::sandbox::{Sandbox, rounds};
use crate::strace::can_trace;

/// A command line, and what is true once it returned 0.
#[derive(Clone)]
struct Step {
    line: Vec<String>,
    changes: &'static [Change],
}

impl Step {
    fn new(line: &str, changes: &'static [Change]) -> Self {
        let line = line.split(' ').map(str::to_owned).collect();
        Self { line, changes }
    }

    fn command(&self, sandbox: &Sandbox) -> Command {
        let line: Vec<&str> = self.line.iter().map(String::as_str).collect();
        let mut command = sandbox.exp(&["--store", "x.db", "--quiet"]);
        command.args(line);
        command
    }

    /// Notes what this step printed and whether it succeeded.
    fn note(&self, told: &mut Told, output: &[u8], succeeded: bool) {
        if self.line[0] == "assign" {
            let single = self.line[2] != "--actors";
            told.lines(single.then_some(&*self.line[2]), output);
        }
        if succeeded {
            told.changes(self.changes);
            if self.line[0] == "store" {
                told.copy(self.line.last().unwrap());
            }
        }
    }
}

const CREATE: &str = "create e --variant a=1 --variant b=1 --start";

/// Files that the steps name.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for list in 0..4 {
        let mut actors = String::new();
        for n in 0..300 {
            writeln!(actors, "bulk:{list}:{n}").unwrap();
        }
        fs::write(sandbox.home().join(format!("{list}.txt")), actors).unwrap();
    }
    let mut file = String::new();
    for name in ["f", "g", "h"] {
        writeln!(
            file,
            "[[experiment]]\nname = \"{name}\"\nvariants = [{{ name = \"a\", weight = 1 }}]"
        )
        .unwrap();
    }
    fs::write(sandbox.home().join("apply.toml"), file).unwrap();
    sandbox
}

const APPLIED: &[Change] = &[("f", "created"), ("g", "created"), ("h", "created")];

/// Something of everything that changes a store.
fn workload() -> Vec<Step> {
    let mut steps = vec![Step::new(CREATE, &[("e", "created")])];
    let single = |n: usize| Step::new(&format!("assign e user:{n}"), &[]);
    steps.extend((0..4).map(single));
    steps.push(Step::new("assign e --actors 0.txt", &[]));
    steps.push(Step::new("apply --yes apply.toml", APPLIED));
    steps.push(Step::new("set-weights e a=3 b=1", &[("e", "set_weights")]));
    steps.push(Step::new("override e qa b", &[("e", "override=qa:b")]));
    // Enough for the log to be emptied.
    steps.extend((4..14).map(single));
    steps.push(Step::new("assign e --actors 1.txt --expose", &[]));
    steps.push(Step::new("store backup backup.db", &[]));
    steps.push(Step::new("store copy --to copy.db", &[]));
    steps.extend((14..16).map(single));
    steps
}

/// `strace` where `command` runs, with its children.
fn under_strace(command: &Command) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q"]).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            strace.env(name, value);
        }
    }
    strace.current_dir(command.get_current_dir().unwrap());
    strace
}

/// Runs the workload, and gives back all that it asked of the system.
fn recorded(sandbox: &Sandbox) -> Vec<Event> {
    let trace = sandbox.home().join("trace");
    let mut events = Vec::new();
    for step in workload() {
        let output = trace::watched(&step.command(sandbox), &trace)
            .output()
            .unwrap();
        assert!(output.status.success(), "{:?}: {output:?}", step.line);
        let seen = fs::read_to_string(&trace).unwrap();
        events.extend(trace::read(&seen, sandbox.home()));
    }
    events
}

/// What was told at each moment, and the disk of that moment.
struct Replay {
    disk: Disk,
    told: Told,
    steps: std::vec::IntoIter<Step>,
    current: Option<Step>,
    printed: Vec<u8>,
    process: u32,
}

impl Replay {
    fn new(ignores_syncs: bool) -> Self {
        Self {
            disk: Disk::new(ignores_syncs),
            told: Told::default(),
            steps: workload().into_iter(),
            current: None,
            printed: Vec::new(),
            process: 0,
        }
    }

    fn take(&mut self, event: &Event) {
        self.disk.take(event);
        match event {
            Event::Run(process, line) => {
                self.current = self.steps.next();
                assert!(
                    self.current
                        .as_ref()
                        .is_some_and(|step| line.ends_with(&step.line))
                );
                self.process = *process;
                self.printed.clear();
            }
            Event::Told(text) => {
                self.printed.extend(text);
                self.note(false);
            }
            Event::Exit(process, 0) if *process == self.process => self.note(true),
            _ => {}
        }
    }

    fn note(&mut self, succeeded: bool) {
        if let Some(step) = &self.current {
            step.note(&mut self.told, &self.printed, succeeded);
        }
    }

    /// Cuts the power now, and looks at what is left.
    fn cut(&self, random: &mut Random, home: &Path) -> Result<(), String> {
        let left = tempfile::tempdir().unwrap();
        self.disk.cut(random, home, left.path());
        self.told.missing_in(&left.path().join("x.db"))
    }
}

/// Cuts the power at random moments; what is missing then.
fn cut_at_random(ignores_syncs: bool, rounds: usize) -> Vec<String> {
    let sandbox = sandbox();
    let events = recorded(&sandbox);
    // A thread's end is reported as that of a process.
    let mut process = 0;
    let mut is_end = |event: &Event| match event {
        Event::Run(pid, _) => {
            process = *pid;
            false
        }
        Event::Exit(pid, _) => *pid == process,
        _ => false,
    };
    let ends: Vec<usize> = (1..=events.len())
        .filter(|moment| is_end(&events[moment - 1]))
        .collect();
    assert_eq!(ends.len(), workload().len());
    let mut missing = Vec::new();
    for round in 0..rounds {
        let mut random = Random::new(round);
        // At any moment, or just after a command has said that all is well.
        let moment = match random.below(3) {
            0 => ends[random.below(ends.len())],
            _ => random.below(events.len() + 1),
        };
        let mut replay = Replay::new(ignores_syncs);
        for event in &events[..moment] {
            replay.take(event);
        }
        if let Err(what) = replay.cut(&mut random, sandbox.home()) {
            missing.push(format!("round {round}, after {moment} calls: {what}"));
        }
    }
    missing
}

#[test]
fn what_was_told_survives_a_power_cut() {
    if can_trace() {
        let missing = cut_at_random(false, rounds(40));
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }
}

/// The checker finds what is lost: here on a disk that takes no notice of syncs.
#[test]
fn the_checker_finds_what_is_lost() {
    if can_trace() {
        let missing = cut_at_random(true, 20);
        assert!(missing.len() > 5, "{}", missing.join("\n"));
    }
}

/// A step of a store in use, for a round.
fn any_step(round: usize, random: &mut Random) -> Step {
    match random.below(9) {
        0..3 => Step::new(&format!("assign e single:{round}"), &[]),
        3 | 4 => {
            let list = random.below(4);
            Step::new(&format!("assign e --actors {list}.txt"), &[])
        }
        5 => Step::new("apply --yes apply.toml", &[]),
        6 => {
            let weight = 1 + round;
            Step::new(
                &format!("set-weights e a={weight} b=1"),
                &[("e", "set_weights")],
            )
        }
        7 => Step::new(&format!("store backup backup.{round}.db"), &[]),
        _ => Step::new(&format!("store copy --to copy.{round}.db"), &[]),
    }
}

/// A store in use, and all that its commands told.
struct Victim {
    sandbox: Sandbox,
    told: Told,
}

impl Victim {
    fn new() -> Self {
        let mut victim = Self {
            sandbox: sandbox(),
            told: Told::default(),
        };
        let create = Step::new(CREATE, &[("e", "created")]);
        let output = create.command(&victim.sandbox).output().unwrap();
        victim.note(&create, &output);
        victim
    }

    fn note(&mut self, step: &Step, output: &Output) {
        let code = output.status.code();
        let panicked = code == Some(101) || output.status.core_dumped();
        assert!(!panicked, "{:?}: {output:?}", step.line);
        step.note(&mut self.told, &output.stdout, code == Some(0));
    }

    fn verify(&mut self, after: &str) {
        let store = self.sandbox.home().join("x.db");
        if let Err(what) = self.told.missing_in(&store) {
            panic!("{after}: {what}");
        }
        // Nobody uses them any more.
        self.told.forget_copies();
    }
}

#[test]
fn what_was_told_survives_a_killed_process() {
    let mut victim = Victim::new();
    for round in 0..rounds(40) {
        let mut random = Random::new(round);
        let step = any_step(round, &mut random);
        let mut command = step.command(&victim.sandbox);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A random moment is what this is about.
        let moment = random.below(30_000);
        thread::sleep(Duration::from_micros(u64::try_from(moment).unwrap()));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        victim.note(&step, &output);
        victim.verify(&format!("round {round}, {:?}", step.line));
    }
}

#[test]
fn what_was_told_survives_failing_system_calls() {
    const CALLS: [&str; 6] = [
        "pwrite64",
        "fsync,fdatasync",
        "ftruncate",
        "pread64",
        "openat",
        "rename,renameat2",
    ];
    const ERRORS: [&str; 4] = ["EIO", "ENOSPC", "EINTR", "EMFILE"];
    if !can_trace() {
        return;
    }
    let mut victim = Victim::new();
    for round in 0..rounds(40) {
        let mut random = Random::new(round);
        let step = any_step(round, &mut random);
        let calls = CALLS[random.below(CALLS.len())];
        let error = ERRORS[random.below(ERRORS.len())];
        // From one call on, or one call alone.
        let nth = 1 + random.below(20);
        let lasts = random.below(2) == 1 && error != "EINTR";
        let on = if lasts { "+" } else { "" };
        let inject = format!("inject={calls}:error={error}:when={nth}{on}");
        let command = step.command(&victim.sandbox);
        let mut strace = under_strace(&command);
        strace.args([
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={calls}"),
            "-e",
            &inject,
        ]);
        strace.arg(command.get_program()).args(command.get_args());
        let output = strace.output().unwrap();
        victim.note(&step, &output);
        victim.verify(&format!("round {round}, {inject}, {:?}", step.line));
    }
}
