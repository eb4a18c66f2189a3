//! Tells the tests whether there is a Postgres to start, so that those that need one are reported as
//! ignored where there is none. With `EXP_TEST_POSTGRES` set they fail there.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a build script"
)]

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=tests/build.rs");
    println!("cargo::rerun-if-changed=/usr/lib/postgresql");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=EXP_TEST_POSTGRES");
    println!("cargo::rustc-check-cfg=cfg(no_postgres)");
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).any(|directory| directory.join("initdb").is_file());
    let of_distribution = Path::new("/usr/lib/postgresql").is_dir();
    if !on_path && !of_distribution && env::var_os("EXP_TEST_POSTGRES").is_none() {
        println!("cargo::rustc-cfg=no_postgres");
    }
}
