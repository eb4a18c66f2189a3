//! The committed scripts are what `exp completions` prints, and the shell's questions are answered.

use std::fs;
use std::path::Path;

use snapbox::Data;
use snapbox::assert::Assert;

use crate::sandbox::Sandbox;

#[test]
fn committed_scripts_are_up_to_date() {
    let sandbox = Sandbox::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    let scripts = [
        ("bash", "exp.bash"),
        ("zsh", "_exp"),
        ("fish", "exp.fish"),
        ("powershell", "_exp.ps1"),
        ("elvish", "exp.elv"),
    ];
    for (shell, file) in scripts {
        let output = sandbox.exp(&["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("EXP_COMPLETE"), "{shell}");
        let committed = Data::read_from(&directory.join(file), None).raw();
        Assert::new().action_env("SNAPSHOTS").eq(script, committed);
    }
    assert_eq!(fs::read_dir(directory).unwrap().count(), scripts.len());
}

/// What bash is offered for the last of these words.
fn offered(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let output = sandbox
        .exp(&["--"])
        .args(words)
        .env("EXP_COMPLETE", "bash")
        .env("_CLAP_IFS", "\n")
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true")
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[test]
fn commands_and_experiments_are_offered() {
    let sandbox = Sandbox::new();
    let setup = "exp create checkout_v2 --variant a=1 && exp create banner --variant a=1 &&
        exp --store other.db create elsewhere --variant a=1";
    assert!(sandbox.bash(setup).status.success());

    assert_eq!(offered(&sandbox, &["exp", "conc"]), ["conclude"]);
    assert_eq!(
        offered(&sandbox, &["exp", "assign", "che"]),
        ["checkout_v2"]
    );
    let other = ["exp", "--store", "other.db", "start", "els"];
    assert_eq!(offered(&sandbox, &other), ["elsewhere"]);
    let other = ["exp", "--store=other.db", "start", "els"];
    assert_eq!(offered(&sandbox, &other), ["elsewhere"]);
    let missing = ["exp", "--store", "missing.db", "start", "els"];
    assert_eq!(offered(&sandbox, &missing), [""; 0]);
}

/// The script works in a real, interactive bash.
#[test]
fn bash_completes_a_name() {
    let sandbox = Sandbox::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions/exp.bash");
    let line = format!(
        "exp create checkout_v2 --variant a=1 && source {} &&
         COMP_WORDS=(exp assign che) COMP_CWORD=2 COMP_TYPE=9 &&
         _clap_complete_exp exp che assign && echo \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let output = sandbox.bash(&line);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "checkout_v2"
    );
}
