//! One test binary, so that the crate is linked once: the stores, and the real `exp`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unnecessary_debug_formatting,
    clippy::unwrap_used,
    reason = "tests"
)]

mod allocations;
mod browser;
mod bulk;
mod completions;
mod conformance;
mod copy;
mod damage;
mod declare;
mod model;
mod permissions;
mod postgres;
mod processes;
mod random;
mod readme;
mod sandbox;
mod schema;
mod server;
mod survey;
mod tls;
mod transcripts;
mod waiting;
mod watch;
mod web;
mod web_failures;
