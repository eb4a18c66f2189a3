//! Names with white space at their edges, which no command declares any more: a store that has them works on.

use std::fs;

use rusqlite::Connection;

use crate::sandbox::Sandbox;

/// What was printed on both streams, and that it went well.
fn run(sandbox: &Sandbox, line: &str) -> String {
    let output = sandbox.bash(line);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (printed, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{line}: {printed}{told}");
    printed + &told
}

#[test]
fn a_stored_name_with_blank_edges_is_no_fault_and_can_be_reached() {
    let sandbox = Sandbox::new();
    run(
        &sandbox,
        "exp create e --variant a=1 --variant b=1 --metric m:mean:7d -q",
    );
    let store = Connection::open(sandbox.default_store()).unwrap();
    store
        .execute_batch(
            "UPDATE experiments SET name = ' e';
             UPDATE variants SET name = ' b' WHERE name = 'b'",
        )
        .unwrap();
    drop(store);
    run(&sandbox, "exp store check");

    // From a file, with a change elsewhere.
    let file = run(&sandbox, "exp export ' e'");
    assert!(file.contains("\" e\"") && file.contains("\" b\""));
    let changed = file.replace("state =", "description = \"x\"\nstate =");
    fs::write(sandbox.home().join("e.toml"), changed).unwrap();
    let applied = run(&sandbox, "exp apply e.toml --yes");
    assert!(applied.contains("applied 1 change"), "{applied}");

    let set = run(&sandbox, "exp set-weights ' e' 'a=2, b=3'");
    assert!(set.contains("a=2 ' b'=3"), "{set}");
    // One that is new beside them is refused in a file, and trimmed where it is typed.
    let more = run(&sandbox, "exp export ' e'").replace("\"a\"", "\"a \"");
    fs::write(sandbox.home().join("e.toml"), more).unwrap();
    let refused = sandbox.bash("exp apply e.toml --yes");
    assert_eq!(refused.status.code(), Some(8));
    let added = run(&sandbox, "exp set-weights ' e' 'c =1' --keep");
    assert!(added.contains("added c\n"), "{added}");

    run(&sandbox, "exp start ' e'; exp override ' e' qa ' b'");
    assert_eq!(run(&sandbox, "exp assign ' e' qa"), " b\n");
    run(&sandbox, "exp conclude ' e' ' b'; exp store check");
}

/// Trimmed, the group would be another one, whose actors the stored one does not know.
#[test]
fn a_name_that_is_stored_with_blank_edges_is_not_trimmed() {
    let sandbox = Sandbox::new();
    run(
        &sandbox,
        "exp create e --variant a=1 --variant b=1 --group g -q",
    );
    let store = Connection::open(sandbox.default_store()).unwrap();
    let renamed = "UPDATE experiments SET name = ' e'; UPDATE spaces SET exclusion_group = 'g '";
    store.execute_batch(renamed).unwrap();
    drop(store);
    for typed in ["f --group 'g '", "' e'"] {
        let output = sandbox.bash(&format!("exp create {typed} --variant a=1"));
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(8), "{told}");
        assert!(
            told.contains("that name is in the store with its white space"),
            "{told}"
        );
    }
    run(&sandbox, "exp create f --group ' h ' --variant a=1");
}
