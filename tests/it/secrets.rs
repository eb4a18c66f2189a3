//! A password in what was typed, wherever it was typed, is not shown.

use std::process::Output;

use crate::sandbox::Sandbox;

/// Ways to write an address with a password in it.
const ADDRESSES: [&str; 6] = [
    "postgres://ann:S3cret/W%ord@db.invalid:5432/app",
    "ann:S3cret/W%ord@db.invalid/app",
    "jdbc:postgresql://db.invalid/app?user=ann&password=S3cret/W%ord",
    "host=db.invalid user=ann password = 'S3cret/W%ord'",
    "mysql://ann:S3cret/W%ord",
    "postgres://ann:S3cret W%ord it's long, longer than a name is that is shown in a message of exp@db",
];

/// Every command and every command of `exp store`, as the help lists them.
fn commands(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let listed = |arguments: &[&str]| {
        let help = sandbox.exp(arguments).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let commands = help.split_once("Commands:\n").unwrap().1;
        let lines = commands.lines().take_while(|line| !line.is_empty());
        let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names = names.map(|line| line.split_whitespace().next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let all = listed(&["--help"]);
    assert!(all.len() > 15, "{all:?}");
    let of_store = listed(&["store", "--help"]).into_iter();
    let of_store = of_store.map(|name| vec!["store".to_owned(), name]);
    all.into_iter()
        .map(|name| vec![name])
        .chain(of_store)
        .collect()
}

fn assert_hidden(arguments: &[&str], output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        let shown = String::from_utf8_lossy(stream);
        let is_hidden = !shown.contains("S3cret") && !shown.contains("W%ord");
        assert!(is_hidden, "{arguments:?}:\n{shown}");
    }
}

#[test]
fn no_command_shows_a_password_that_was_typed_as_an_argument() {
    let sandbox = Sandbox::new();
    let commands = commands(&sandbox);
    for (number, address) in ADDRESSES.into_iter().enumerate() {
        for command in &commands {
            // Each form everywhere would take long, and all are told of in one place.
            let positions = if number == 0 { 0..4 } else { 0..2 };
            for position in positions {
                let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
                arguments.extend(std::iter::repeat_n("x=1", position));
                arguments.push(address);
                arguments.push("-v");
                assert_hidden(&arguments, &sandbox.exp(&arguments).output().unwrap());
            }
        }
    }
}

#[test]
fn no_option_shows_a_password_that_was_typed_as_its_value() {
    let sandbox = Sandbox::new();
    for address in ADDRESSES {
        let with_equals = format!("--limit={address}");
        let unknown = format!("--nothing={address}");
        let lines: [&[&str]; 15] = [
            &[address],
            &["--store", "list", address],
            &["--store", address, "-v", "list"],
            &["--format", address, "list"],
            &["--by", address, "-v", "create", "e", "--variant", "a=1"],
            &["--lock-timeout", address, "list"],
            &["history", "e", &with_equals],
            &["list", &unknown],
            &["list", &address[..1], address],
            &["create", "e", "--variant", address],
            &["create", "f", "--variant", "a=1", "--bucketing", address],
            &["assign", "e", "--actors", address],
            &[
                "assign",
                address,
                "user:1",
                "--default",
                "a",
                "--format",
                "json",
            ],
            &["check", "--actors", address, "Cargo.toml"],
            &["plan", "x.toml", "--out", address],
        ];
        for arguments in lines {
            assert_hidden(arguments, &sandbox.exp(arguments).output().unwrap());
        }
        let output = sandbox
            .exp(&["-v", "list"])
            .env("EXP_STORE", address)
            .output();
        assert_hidden(&["EXP_STORE", address], &output.unwrap());
        for variable in ["EXP_LOCK_TIMEOUT", "EXP_NOW"] {
            let output = sandbox.exp(&["list"]).env(variable, address).output();
            assert_hidden(&[variable, address], &output.unwrap());
        }
    }
}

#[test]
fn the_password_of_the_environment_is_not_shown_when_it_was_typed() {
    let sandbox = Sandbox::new();
    for arguments in [&["status", "S3cret"][..], &["S3cret"], &["check", "S3cret"]] {
        let output = sandbox.exp(arguments).env("PGPASSWORD", "S3cret").output();
        assert_hidden(arguments, &output.unwrap());
    }
    // A word of a message that happens to be somebody's password is no secret there.
    let output = sandbox
        .exp(&["list"])
        .env("PGPASSWORD", "store")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("error: no store at"), "{told}");
}

/// A backup is a file; a database that is named for one is refused before anything is read.
#[test]
fn a_backup_goes_to_no_database() {
    let sandbox = Sandbox::new();
    sandbox
        .exp(&["create", "e", "--variant", "a=1"])
        .output()
        .unwrap();
    let output = sandbox
        .exp(&["store", "backup", ADDRESSES[0]])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_hidden(&["store", "backup"], &output);
}
