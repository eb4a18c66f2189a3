//! What the README and the pages of docs/ show is what is seen: each `console` block is a session and each
//! `bash` block a script that succeeds, from the top of a page to its end in one sandbox. What a page exports holds for
//! all that follows; one that says what the clock is gets it from nowhere else. What they show of Rust is a doctest of the
//! library.

use std::fmt::Write as _;
use std::path::Path;

use macro_rules_attribute::apply;
use snapbox::Data;
use snapbox::assert::Assert;

use crate::sandbox::Sandbox;
use crate::server;

/// The pages that a file as store is enough for.
const PAGES: &[&str] = &[
    "README.md",
    "docs/assignment.md",
    "docs/ci.md",
    "docs/recipes.md",
    "docs/results.md",
    "docs/scripts.md",
];

#[test]
fn every_block_is_what_is_seen() {
    for page in PAGES {
        assert!(run(page, &Sandbox::new()) >= 3, "{page}");
    }
}

/// No page is forgotten: one that shows a session is executed.
#[test]
fn every_page_with_a_session_is_executed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let page = path.strip_prefix(root).unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let is_run = PAGES.contains(&page) || ELSEWHERE.contains(&page);
        assert_eq!(text.contains("```console"), is_run, "{page}");
    }
}

/// Pages with a test of their own.
const ELSEWHERE: &[&str] = &["docs/postgres.md", "docs/switching.md"];

#[apply(needs_postgres!)]
fn every_block_about_databases_is_what_is_seen() {
    for page in ELSEWHERE {
        let url = server::shared().database();
        assert!(run(page, &Sandbox::on_store(&url)) >= 1, "{page}");
    }
}

/// Runs the blocks of a page, and counts them.
fn run(page: &str, sandbox: &Sandbox) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let (mut seen, mut blocks) = (String::new(), 0);
    let mut exported = String::new();
    if text.contains("$ export EXP_NOW=") {
        exported.push_str("unset EXP_NOW EXP_BY TZ COLUMNS; ");
    }
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let _ = writeln!(seen, "{line}");
        match line {
            "```console" => {
                session(sandbox, &mut exported, &mut lines, &mut seen);
                blocks += 1;
            }
            "```bash" => {
                let script: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
                let script = script.join("\n");
                let output = sandbox.bash(&format!("set -eu; {exported}\n{script}"));
                assert!(output.status.success(), "{script}\n{output:?}");
                let _ = write!(seen, "{script}\n```\n");
                blocks += 1;
            }
            _ => {}
        }
    }
    let committed = Data::read_from(&path, None).raw();
    Assert::new().action_env("SNAPSHOTS").eq(seen, committed);
    blocks
}

/// Runs the commands of a block and writes what is seen, up to the end of the block.
fn session<'a>(
    sandbox: &Sandbox,
    exported: &mut String,
    lines: &mut impl Iterator<Item = &'a str>,
    seen: &mut String,
) {
    for line in lines {
        if line == "```" {
            let _ = writeln!(seen, "{line}");
            return;
        }
        if let Some(command) = line.strip_prefix("$ ") {
            let _ = writeln!(seen, "{line}");
            if command.starts_with("export ") {
                let _ = write!(exported, "{command}; ");
            }
            let output = sandbox.bash(&format!("exec 2>&1; {exported}{command}"));
            let text = sandbox.neutral(&String::from_utf8_lossy(&output.stdout));
            seen.push_str(&text);
        }
    }
}

/// The workflow that is shown is the one to copy, and the page runs each of its commands.
#[test]
fn the_workflow_is_the_fixture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (page, workflow) = (read("docs/ci.md"), read("fixtures/ci/experiments.yml"));
    assert!(page.contains(&format!("```yaml\n{workflow}```\n")));
    let commands = workflow.lines().filter_map(|line| {
        let command = line.trim().strip_prefix("- run: ")?;
        command.starts_with("exp ").then_some(command)
    });
    let commands: Vec<&str> = commands.collect();
    assert_eq!(commands.len(), 4);
    for command in commands {
        assert!(page.contains(&format!("\n$ {command}\n")), "{command}");
    }
}
