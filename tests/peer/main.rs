//! A real application beside us: the crate `autumn-web` and the library on the same database.
//!
//! `EXP_TEST_ROUNDS` makes the random steps and the races longer: the number of seeds, and of rounds.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod application;
mod layout;
#[path = "../it/server.rs"]
mod server;
