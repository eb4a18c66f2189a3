//! A real application beside us: the crate `autumn-web` and the library on the same database.
//!
//! `EXP_TEST_ROUNDS` makes the random steps and the races longer: it is the number of seeds, and of
//! rounds.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod agree;
mod application;
mod calls;
mod layout;
mod library;
mod model;
mod program;
mod races;
#[path = "../it/server.rs"]
mod server;
mod steps;
mod switching;

/// The address of a new database in which both are at home.
fn database() -> String {
    let url = server::shared().database();
    application::migrate_experiments(&url);
    experiments::PgExperimentStore::migrate(&server::options(&url)).unwrap();
    url
}

/// How often something is tried: a few times, unless a long run was asked for.
fn rounds(few: u64) -> u64 {
    let asked = std::env::var("EXP_TEST_ROUNDS").ok();
    asked.map_or(few, |asked| asked.parse().unwrap())
}

/// The same numbers every time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let count = u64::try_from(choices.len()).unwrap();
        &choices[usize::try_from(self.below(count)).unwrap()]
    }
}
