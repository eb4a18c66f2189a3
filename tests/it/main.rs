//! One test binary, so that the crate is linked once: the stores, and the real `exp`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unnecessary_debug_formatting,
    clippy::unwrap_used,
    reason = "tests"
)]

// `#[apply(needs_postgres!)]` makes a test of a function, ignored where there is no server to start.
macro_rules_attribute::attribute_alias! {
    #[apply(needs_postgres!)] =
        #[test]
        #[cfg_attr(no_postgres, ignore = "there is no Postgres")];
    #[apply(needs_pgbouncer!)] =
        #[test]
        #[cfg_attr(no_pgbouncer, ignore = "there is no PgBouncer")];
    #[apply(needs_chromium!)] =
        #[test]
        #[cfg_attr(no_chromium, ignore = "there is no Chromium")];
    #[apply(needs_bash!)] =
        #[test]
        #[cfg_attr(no_bash, ignore = "there is no bash")];
    #[apply(needs_fish!)] =
        #[test]
        #[cfg_attr(no_fish, ignore = "there is no fish")];
    #[apply(needs_zsh!)] =
        #[test]
        #[cfg_attr(no_zsh, ignore = "there is no zsh")];
}

mod adoption;
mod allocations;
mod analysis;
mod application;
mod browser;
mod bulk;
mod chromium;
mod completions;
mod conformance;
mod copy;
mod coverage;
mod custom_store;
mod damage;
mod declare;
mod default;
mod documents;
mod driver;
mod durability;
mod edges;
mod edit;
mod files;
mod givens;
mod jobs;
mod model;
mod modules;
mod outcomes;
mod page;
mod peeking;
mod permissions;
mod pgbouncer;
mod picture;
mod pooler;
mod postgres;
mod processes;
mod proxy;
mod random;
mod readme;
mod reference;
mod restore;
mod results_golden;
mod sandbox;
mod schema;
mod secrets;
mod server;
mod sqlite_query;
mod starved;
mod statistics;
mod strace;
mod streams;
mod survey;
mod terminal;
mod tls;
mod transcripts;
mod waiting;
mod watch;
mod web;
mod web_entry;
mod web_failures;
