//! Tab, in real shells: what is completed arrives as one word, and nothing that is stored is ever run.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};

use macro_rules_attribute::apply;

use crate::givens::eventually;
use crate::sandbox::Sandbox;

/// Names that some shell would take for something else, and what of each is typed.
const NAMES: &[(&str, &str)] = &[
    ("te", "team:alpha"),
    ("team:b", "team:beta"),
    ("n0", "n0 two words"),
    ("n1", "n1$(touch pwned)"),
    ("n2", "n2`touch pwned`"),
    ("n3", "n3;touch pwned"),
    ("n4", "n4'it''s'"),
    ("n5", "n5\"$HOME\""),
    ("n6", "n6*?[ab]{c,d}"),
    ("n7", "n7|q&r<in>out"),
    ("n8", "n8\\back#~(x)"),
    ("n9", "n9!bang^hat%j"),
    ("na", "na=b,c:d@e"),
    ("nb", "nbünï 漢字 🙂"),
    ("nc", "nc -dash --flag"),
];

/// The shell, ready to complete for `exp`, and for a stand-in that records its words.
#[derive(Clone, Copy)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    /// How it is started, after its script has been installed as `exp completions --help` says.
    fn install(self, home: &Path) -> &'static str {
        let write = |path: &str, text: &str| {
            let path = home.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let show = "show() { printf '[%s]' \"$@\" > new; mv new seen; }";
        match self {
            Self::Bash => {
                let rc = "source <(exp completions bash); complete -F _exp show; PS1='READY '";
                write("rc", &format!("{show}\n{rc}"));
                "bash --noprofile --rcfile rc -i"
            }
            Self::Zsh => {
                let rc = "mkdir -p functions; exp completions zsh > functions/_exp
                    fpath=(~/functions $fpath); autoload -U compinit; compinit -u
                    compdef _exp show; PS1='READY '";
                write(".zshrc", &format!("{show}\n{rc}"));
                "zsh -i"
            }
            Self::Fish => {
                let rc = "exp completions fish | source; complete --command show --wraps exp
                    function show; printf '[%s]' $argv > new; mv new seen; end
                    function fish_prompt; echo -n 'READY '; end; set fish_greeting";
                write(".config/fish/config.fish", rc);
                "fish -i"
            }
        }
    }

    /// What the stand-in was called with after this was typed, with a Tab at its end or where it says `<Tab>`.
    fn complete(self, sandbox: &Sandbox, typed: &str) -> String {
        let start = self.install(sandbox.home());
        let seen = sandbox.home().join("seen");
        let _ = fs::remove_file(&seen);
        let mut terminal = sandbox.command("script");
        terminal
            .args(["--quiet", "--command", start, "/dev/null"])
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut running = Running(terminal.spawn().unwrap());
        let terminal = &mut running.0;
        let (mut keys, mut screen) = (
            terminal.stdin.take().unwrap(),
            terminal.stdout.take().unwrap(),
        );
        let mut shown = Vec::new();
        let mut piece = [0; 1024];
        while !String::from_utf8_lossy(&shown).contains("READY") {
            let length = screen.read(&mut piece).unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&shown));
            shown.extend_from_slice(&piece[..length]);
        }
        let typed = if typed.contains("<Tab>") {
            typed.replace("<Tab>", "\t")
        } else {
            format!("{typed}\t")
        };
        keys.write_all(format!("show {typed}\r").as_bytes())
            .unwrap();
        let rest = std::thread::spawn(move || {
            let _ = screen.read_to_end(&mut shown);
            shown
        });
        eventually(&format!("{typed} was run"), || seen.exists());
        drop((keys, running));
        rest.join().unwrap();
        fs::read_to_string(seen).unwrap()
    }
}

/// A terminal, which is closed when it is dropped; the shell in it ends with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A store with names that are hard to type, and files to complete.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for (_, name) in NAMES {
        let create = sandbox
            .exp(&[
                "create",
                name,
                "--variant=control=1",
                "--variant=x $(y)=1",
                "-q",
            ])
            .status();
        assert!(create.unwrap().success());
    }
    let more = "exp override team:alpha 'qa:$(touch pwned) 1' control -q && mkdir 'sub dir' &&
        exp --store 'sub dir/other.db' create elsewhere --variant a=1 --group 'big group' -q &&
        exp create grouped --variant a=1 --group 'big group' -q && touch file.toml '$(touch pwned).csv'";
    assert!(sandbox.bash(more).status.success());
    sandbox
}

fn every_word_arrives(shell: Shell) {
    let sandbox = sandbox();
    let complete = |typed: &str| shell.complete(&sandbox, typed);
    for (typed, name) in NAMES {
        let typed = if *typed == "te" { "team:a" } else { typed };
        assert_eq!(
            complete(&format!("status {typed}")),
            format!("[status][{name}]")
        );
        // A quote that was opened is closed, or goes on.
        let quotes: &[&str] = if name.contains(['$', '\'', '"', '!', '\\']) {
            &["\"", "'"]
        } else {
            &[]
        };
        for quote in quotes {
            let seen = complete(&format!("status {quote}{typed}"));
            assert_eq!(seen, format!("[status][{name}]"), "{quote}");
        }
    }
    let lines = [
        ("conc", "[conclude]"),
        ("conclude team:alpha co", "[conclude][team:alpha][control]"),
        ("conclude team:alpha x", "[conclude][team:alpha][x $(y)]"),
        (
            "set-weights team:alpha co<Tab>5",
            "[set-weights][team:alpha][control=5]",
        ),
        (
            "set-weights team:alpha control=5,x<Tab>6",
            "[set-weights][team:alpha][control=5,x $(y)=6]",
        ),
        (
            "override team:alpha qa<Tab>--clear",
            "[override][team:alpha][qa:$(touch pwned) 1][--clear]",
        ),
        (
            "override team:alpha qa:<Tab>co<Tab>",
            "[override][team:alpha][qa:$(touch pwned) 1][control]",
        ),
        ("create --group bi", "[create][--group][big group]"),
        ("create --group=bi", "[create][--group=big group]"),
        (
            "--store sub<Tab>oth<Tab> start el<Tab>",
            "[--store][sub dir/other.db][start][elsewhere]",
        ),
        (
            "--store=sub<Tab>oth<Tab> start el<Tab>",
            "[--store=sub dir/other.db][start][elsewhere]",
        ),
        ("--store=./sub<Tab>oth<Tab>", "[--store=./sub dir/other.db]"),
        ("check fi", "[check][file.toml]"),
        (
            "results team:alpha --population e",
            "[results][team:alpha][--population][exposed]",
        ),
        ("man store co", "[man][store][copy]"),
        ("schema --of store inf", "[schema][--of][store][info]"),
        ("ren", "[rename]"),
        ("mv", "[mv]"),
        ("plan --format mark", "[plan][--format][markdown]"),
        ("check --format=sar", "[check][--format=sarif]"),
        ("assign --def", "[assign][--default]"),
    ];
    for (typed, words) in lines {
        assert_eq!(complete(typed), words, "{typed}");
    }
    let home = complete("--store ~/sub<Tab>oth<Tab>");
    assert_eq!(
        home,
        format!("[--store][{}/sub dir/other.db]", sandbox.home().display())
    );
    assert!(!sandbox.home().join("pwned").exists());
}

#[apply(needs_bash!)]
fn bash_completes() {
    every_word_arrives(Shell::Bash);
}

#[apply(needs_zsh!)]
fn zsh_completes() {
    every_word_arrives(Shell::Zsh);
}

#[apply(needs_fish!)]
fn fish_completes() {
    every_word_arrives(Shell::Fish);
}

/// What is offered for the last of these words, to a shell that quotes by itself.
fn offered(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let mut asked = sandbox.exp(&["--"]);
    let output = asked.args(words).env("EXP_COMPLETE", "elvish").output();
    let output = output.unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_named_store_is_looked_into() {
    let sandbox = sandbox();
    let other = ["exp", "--store", "sub dir/other.db", "start", ""];
    assert_eq!(offered(&sandbox, &other), ["elsewhere"]);
    let other = ["exp", "--store=sub dir/other.db", "start", ""];
    assert_eq!(offered(&sandbox, &other), ["elsewhere"]);
    let other = ["exp", "start", "--store", "sub dir/other.db", ""];
    assert_eq!(offered(&sandbox, &other), ["elsewhere"]);
    let missing = ["exp", "--store", "missing.db", "start", "els"];
    assert_eq!(offered(&sandbox, &missing), [""; 0]);
    assert!(!sandbox.home().join("missing.db").exists());
}

/// Names of experiments that the command can do something with.
#[test]
fn only_what_fits_is_offered() {
    let sandbox = Sandbox::new();
    let setup = "for state in draft running paused concluded archived; do
            exp create $state --variant a=1 --variant b=1 -q; done
        exp start running -q; exp start paused -q; exp pause paused -q
        exp conclude concluded a -q; exp archive archived -q
        exp create --variant a=1 -q -- -dash; exp override running qa b -q";
    assert!(sandbox.bash(setup).status.success());
    let offered = |words: &[&str]| offered(&sandbox, &[&["exp"], words].concat());

    assert_eq!(offered(&["start", ""]), ["concluded", "draft", "paused"]);
    for command in ["conclude", "archive", "edit", "override"] {
        let live = ["concluded", "draft", "paused", "running"];
        assert_eq!(offered(&[command, ""]), live, "{command}");
    }
    for command in ["set-weights", "set-coverage", "close", "open", "unassign"] {
        let unfinished = ["draft", "paused", "running"];
        assert_eq!(offered(&[command, ""]), unfinished, "{command}");
    }
    assert_eq!(offered(&["pause", ""]), ["running"]);
    assert_eq!(offered(&["resume", ""]), ["paused"]);
    assert_eq!(offered(&["delete", ""]), ["draft"]);
    assert_eq!(offered(&["rename", ""]), ["draft"]);
    assert_eq!(offered(&["rename", "draft", ""]), [""; 0]);
    assert_eq!(offered(&["list", "--state", "pau"]), ["paused"]);
    assert_eq!(offered(&["status", "", ""]), [""; 0]);
    assert_eq!(offered(&["conclude", "draft", ""]), ["a", "b"]);
    assert_eq!(offered(&["conclude", "nothing", ""]), [""; 0]);
    assert_eq!(offered(&["set-weights", "draft", ""]), ["a=", "b="]);
    assert_eq!(offered(&["set-weights", "draft", "a=1", ""]), ["b="]);
    assert_eq!(offered(&["set-weights", "draft", "a=1,"]), ["a=1,b="]);
    assert_eq!(
        offered(&["set-weights", "draft", "--variant", ""]),
        ["a=", "b="]
    );
    assert_eq!(offered(&["override", "running", ""]), ["qa"]);
    assert_eq!(offered(&["override", "running", "qa", ""]), ["a", "b"]);
    assert_eq!(
        offered(&["assign", "running", "u", "--default", "b"]),
        ["b"]
    );

    // A name that looks like an option can stand behind `--` alone; flags are for those who begin one.
    assert_eq!(offered(&["status", "--", "-"]), ["-dash"]);
    assert!(!offered(&["status", ""]).contains(&"-dash".to_owned()));
    assert!(offered(&["status", "--f"]).contains(&"--format".to_owned()));
    assert!(offered(&["assign", "running", ""]).is_empty());
}

/// Names of commands rather than their aliases, and only what the command takes.
#[test]
fn commands_and_formats_are_offered_where_they_fit() {
    let sandbox = Sandbox::new();
    let offered = |words: &[&str]| offered(&sandbox, &[&["exp"], words].concat());

    let commands = offered(&[""]);
    for (name, alias) in [
        ("create", "new"),
        ("rename", "mv"),
        ("delete", "rm"),
        ("list", "ls"),
        ("history", "log"),
    ] {
        assert!(commands.iter().any(|command| command == name), "{name}");
        assert!(!commands.iter().any(|command| command == alias), "{alias}");
        assert_eq!(offered(&[alias]), [alias]);
    }
    assert_eq!(offered(&["r"]), ["resume", "rename", "results"]);

    let of_all = ["text", "json", "tsv"];
    let only: [(&[&str], &[&str]); 5] = [
        (&["status"], &[]),
        (&["store", "info"], &[]),
        (&["plan"], &["markdown"]),
        (&["check"], &["github", "sarif"]),
        (&["exposures"], &["csv"]),
    ];
    for (command, only) in only {
        let formats = offered(&[command, &["--format", ""]].concat());
        assert_eq!(formats, [&of_all, only].concat(), "{command:?}");
    }
    assert_eq!(offered(&["export", "--format", ""]), ["text", "json"]);
    assert_eq!(offered(&["--format", "mark"]), ["markdown"]);

    let documents = offered(&["schema", "--of", ""]);
    assert!(documents.iter().any(|command| command == "status"));
    for without in ["completions", "man", "schema"] {
        assert!(
            !documents.iter().any(|command| command == without),
            "{without}"
        );
    }
    let of_store = offered(&["schema", "--of", "store", ""]);
    assert!(of_store.iter().any(|command| command == "info"));
}

#[test]
fn other_shells_have_scripts_too() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = sandbox.exp(&["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("EXP_COMPLETE"), "{shell}");
    }
    let unknown = sandbox
        .exp(&["--", "exp", ""])
        .env("EXP_COMPLETE", "csh")
        .output();
    assert_eq!(unknown.unwrap().status.code(), Some(1));
}
