//! One test binary, so that the crate is linked once: the stores, and the real `exp`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unnecessary_debug_formatting,
    clippy::unwrap_used,
    reason = "tests"
)]

mod adoption;
mod allocations;
mod application;
mod browser;
mod bulk;
mod completions;
mod conformance;
mod copy;
mod custom_store;
mod damage;
mod declare;
mod driver;
mod durability;
mod files;
mod givens;
mod model;
mod modules;
mod permissions;
mod pgbouncer;
mod pooler;
mod postgres;
mod processes;
mod proxy;
mod random;
mod readme;
mod reference;
mod sandbox;
mod schema;
mod secrets;
mod server;
mod starved;
mod strace;
mod survey;
mod tls;
mod transcripts;
mod waiting;
mod watch;
mod web;
mod web_failures;
