//! Has the tests that need a Postgres server, PgBouncer, Chromium or a shell ignored where there is none to start. With
//! `EXP_TEST_POSTGRES`, `EXP_TEST_CHROMIUM` or `EXP_TEST_SHELLS` set they fail there.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a build script"
)]

use std::env;
use std::fs;

/// Where Debian's packages put the servers, a folder for each version.
const OF_DISTRIBUTION: &str = "/usr/lib/postgresql";

fn main() {
    println!("cargo::rerun-if-changed=tests/build.rs");
    // A path that is not there would count as changed every time.
    if fs::exists(OF_DISTRIBUTION).unwrap_or(false) {
        println!("cargo::rerun-if-changed={OF_DISTRIBUTION}");
    }
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=EXP_TEST_POSTGRES");
    println!("cargo::rerun-if-env-changed=EXP_TEST_CHROMIUM");
    println!("cargo::rerun-if-env-changed=EXP_TEST_SHELLS");
    println!("cargo::rustc-check-cfg=cfg(no_bash, no_fish, no_zsh)");
    println!("cargo::rustc-check-cfg=cfg(no_chromium)");
    println!("cargo::rustc-check-cfg=cfg(no_postgres)");
    println!("cargo::rustc-check-cfg=cfg(no_pgbouncer)");
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir(OF_DISTRIBUTION)
        .into_iter()
        .flatten()
        .flatten();
    let is_there = env::split_paths(&path)
        .chain(versions.map(|version| version.path().join("bin")))
        .any(|directory| directory.join("initdb").is_file());
    let may_miss = env::var_os("EXP_TEST_POSTGRES").is_none();
    if !is_there && may_miss {
        println!("cargo::rustc-cfg=no_postgres");
    }
    // `script` gives a shell the terminal at which it completes.
    let has = |program| env::split_paths(&path).any(|place| place.join(program).is_file());
    for shell in ["bash", "fish", "zsh"] {
        let can_run = has(shell) && has("script");
        if !can_run && env::var_os("EXP_TEST_SHELLS").is_none() {
            println!("cargo::rustc-cfg=no_{shell}");
        }
    }
    let has_pooler = env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .any(|directory| directory.join("pgbouncer").is_file());
    if !(is_there && has_pooler) && may_miss {
        println!("cargo::rustc-cfg=no_pgbouncer");
    }
    let has_browser = env::split_paths(&path).any(|directory| directory.join("chromium").is_file());
    if !has_browser && env::var_os("EXP_TEST_CHROMIUM").is_none() {
        println!("cargo::rustc-cfg=no_chromium");
    }
}
