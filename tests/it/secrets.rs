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

/// Names and ids may look much like an address without a scheme, and a message with another name in it
/// would be untrue.
#[test]
fn names_and_ids_are_shown_as_they_are() {
    let sandbox = Sandbox::new();
    let run = |arguments: &[&str]| {
        let output = sandbox.exp(arguments).output().unwrap();
        let shown = [output.stdout, output.stderr].map(|stream| String::from_utf8(stream).unwrap());
        shown.join("\n")
    };
    for (arguments, expected) in [
        (
            &["create", "shop:v@2", "--variant", "with_password=50"][..],
            &["created shop:v@2"][..],
        ),
        (
            &["assign", "shop:v@2", "user:42@example.com"],
            &["start it: exp start shop:v@2"],
        ),
        (
            &["start", "shop:v@2", "--by", "team:ann@example.com", "-v"],
            &["operator: team:ann@example.com", "started shop:v@2"],
        ),
        (
            &["override", "shop:v@2", "user:42@example.com", "a"],
            &["'shop:v@2' has no variant 'a'"],
        ),
        (
            &[
                "override",
                "shop:v@2",
                "user:42@example.com",
                "with_password",
            ],
            &["set the override of user:42@example.com in shop:v@2: with_password"],
        ),
        (&["assign", "shop:v@2", "user:1"], &["with_password"]),
        (&["set-weights", "shop:v@2", "b=1"], &["with_password=0"]),
        (
            &["status", "shop:v@3"],
            &["'shop:v@3'", "did you mean 'shop:v@2'?"],
        ),
        (
            &[
                "assign",
                "shop:v@3",
                "user:42@example.com",
                "--default",
                "q",
                "--format",
                "json",
            ],
            &[
                r#""experiment":"shop:v@3","actor":"user:42@example.com""#,
                "'shop:v@3'",
            ],
        ),
        (
            &["status", "shop:v@2", "--store", "./ann:S3cret@db"],
            &["ann:...@db"],
        ),
    ] {
        let shown = run(arguments);
        for expected in expected {
            assert!(
                shown.contains(expected),
                "{arguments:?}: {expected}: {shown}"
            );
        }
    }
}

/// In place of a path an address may stand, whatever its form.
#[test]
fn a_password_is_hidden_where_a_path_is_expected() {
    let sandbox = Sandbox::new();
    run_ok(&sandbox, &["create", "e", "--variant", "a=1"]);
    let address = "ann:S3cret@db";
    let with_equals = format!("--store={address}");
    let lines: [&[&str]; 12] = [
        &[address],
        &["list", "--store", "./ann:S3cret@db"],
        &["list", "--store", address, "-v"],
        &["--store", address, "list"],
        &[&with_equals, "status", "e"],
        &["check", address],
        &["check", "x.toml", "--actors", address],
        &["plan", address],
        &["plan", "x.toml", "--out", address],
        &["apply", address],
        &["store", "copy", "--to", address],
        &["store", "backup", address],
    ];
    for arguments in lines {
        assert_hidden(arguments, &sandbox.exp(arguments).output().unwrap());
    }
    for variable in ["EXP_STORE", "EXP_LOCK_TIMEOUT", "EXP_NOW"] {
        let output = sandbox.exp(&["list"]).env(variable, address).output();
        assert_hidden(&[variable, address], &output.unwrap());
    }
}

fn run_ok(sandbox: &Sandbox, arguments: &[&str]) {
    let output = sandbox.exp(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// What follows on a quote that is escaped is the secret too.
#[test]
fn a_quote_in_a_password_does_not_end_it() {
    let sandbox = Sandbox::new();
    for address in [
        r"host=db password='it\'S3cret W%ord'",
        r"host=db password=it\ S3cret",
    ] {
        for arguments in [
            &["--store", address, "list"][..],
            &["status", address],
            &["check", address],
            &[address],
        ] {
            assert_hidden(arguments, &sandbox.exp(arguments).output().unwrap());
        }
    }
}
