//! `exp assign --default V` prints V for whatever is wrong, but for the words of the command line.

use rusqlite::Connection;

use crate::sandbox::Sandbox;

/// A sandbox with a running experiment `e` of one variant.
fn running() -> Sandbox {
    let sandbox = Sandbox::new();
    let setup = "exp create e --variant only=1 --start";
    assert!(sandbox.bash(setup).status.success());
    sandbox
}

/// What a line of bash prints, and its exit status.
fn printed(sandbox: &Sandbox, line: &str) -> (String, Option<i32>) {
    let output = sandbox.bash(line);
    let text = String::from_utf8(output.stdout).unwrap();
    (text, output.status.code())
}

fn answer(text: &str) -> (String, Option<i32>) {
    (text.to_owned(), Some(0))
}

#[test]
fn whatever_a_store_is_there_is_an_answer() {
    let sandbox = running();
    let setup = "cp ~/.local/state/exp/experiments.db newer.db && head -c 5000 newer.db > cut.db &&
        mkdir directory && mkfifo fifo && touch empty && exp --store busy.db create e --variant a=1 -q";
    assert!(sandbox.bash(setup).status.success());
    let newer = Connection::open(sandbox.home().join("newer.db")).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    let busy = Connection::open(sandbox.home().join("busy.db")).unwrap();
    busy.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE")
        .unwrap();
    let stores = [
        "missing.db",
        "no/such/directory.db",
        "directory",
        "fifo",
        "empty",
        "newer.db",
        "cut.db",
        "busy.db",
        "/dev/null",
        "postgres://127.0.0.1:1/closed",
    ];
    for store in stores {
        let assign = format!("exp --store {store} --lock-timeout 0 assign e u --default control");
        assert_eq!(printed(&sandbox, &assign), answer("control\n"), "{store}");
    }
}

#[test]
fn whatever_the_environment_says_there_is_an_answer() {
    let sandbox = running();
    let environments = [
        "EXP_STORE=mysql://db/x",
        "EXP_STORE=host=db",
        "EXP_STORE=missing.db",
        "EXP_STORE=postgres://db:port/x",
        "EXP_STORE=$'\\xff'",
        "EXP_LOCK_TIMEOUT=soon",
        "EXP_NOW=today",
    ];
    for environment in environments {
        let assign = format!("{environment} exp assign e u --default control");
        assert_eq!(printed(&sandbox, &assign), answer("control\n"), "{assign}");
        let (text, code) = printed(&sandbox, &format!("{environment} exp assign e u"));
        assert_eq!(text, "", "{environment}");
        assert_ne!(code, Some(0), "{environment}");
    }
}

#[test]
fn whatever_an_actor_is_called_there_is_an_answer() {
    let sandbox = running();
    for actor in ["$'\\xff'", "$'u\\xff'", "''", "\"$(printf %2000s x)\""] {
        for form in [
            format!("{actor} --default control"),
            format!("--default control -- {actor}"),
        ] {
            let assign = format!("exp assign e {form}");
            assert_eq!(printed(&sandbox, &assign), answer("control\n"), "{assign}");
        }
    }
    assert_eq!(printed(&sandbox, "exp assignments e"), answer(""));
    assert_eq!(printed(&sandbox, "exp exposures e"), answer(""));
    assert_eq!(
        printed(&sandbox, "exp assign e $'\\xff' 2>&1"),
        (
            "error: experiment 'e': the actor is not UTF-8\n".to_owned(),
            Some(8)
        )
    );

    for actor in ["-5", "-1e9", "-Xk_3", "-", "'-q x'"] {
        for form in [
            format!("{actor} --default control"),
            format!("--default control -- {actor}"),
        ] {
            let assign = format!("exp assign e {form}");
            assert_eq!(printed(&sandbox, &assign), answer("only\n"), "{assign}");
        }
    }
    for actor in [
        "--",
        "--help",
        "--default",
        "-q",
        "-h",
        "--5",
        "help",
        "'-- x'",
    ] {
        let assign = format!("exp assign e --default control -- {actor}");
        assert_eq!(printed(&sandbox, &assign), answer("only\n"), "{assign}");
    }
    for id in ["-7", "--format", "''"] {
        let assign = format!("exp assign e u --request-id {id} --default control");
        assert_eq!(printed(&sandbox, &assign), answer("only\n"), "{assign}");
    }
    let assign = "exp assign e u --request-id $'\\xff' --default control";
    assert_eq!(printed(&sandbox, assign), answer("control\n"));
}

/// The words of the command line are the script's own, and wrong every time.
#[test]
fn a_wrong_command_line_is_refused() {
    let sandbox = running();
    let lines = [
        "exp assign e u --defualt control",
        "exp assign e --defualt control u",
        "exp assign e --defualt=control u",
        "exp assign e --defualt=control",
        "exp assign --defualt control e u",
        "exp assign e u --default control --no-exposre",
        "exp assign e --no-exposre --default control",
        "exp assign e --default control",
        "exp assign e u extra --default control",
        "exp assign e u --default control --store mysql://db/x",
        "exp assign e u --default control --format csv",
        "exp assign e u --default control --lock-timeout soon",
    ];
    for line in lines {
        assert_eq!(printed(&sandbox, line), (String::new(), Some(2)), "{line}");
    }
    assert_eq!(printed(&sandbox, "exp assignments e"), answer(""));
}

/// Ids that begin with `-` are understood by every command that takes one.
#[test]
fn every_command_takes_an_actor_that_begins_with_a_hyphen() {
    let sandbox = running();
    let line = "exp override e -5 only && exp explain e -5 && exp override e -5 --clear &&
        exp track -5 bought -2";
    let output = sandbox.bash(line);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(printed(&sandbox, "exp explain e --5").1, Some(2));
    assert_eq!(printed(&sandbox, "exp explain e -- --5").1, Some(0));
}
