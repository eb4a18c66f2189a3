//! Beside an application of the reference in one database: what it may legally leave in the tables
//! (`odd`), what it makes of what it does not know (`entry`), what it does while `exp` does something else (`races`),
//! and what it sees of the log (`log`).
//! Its statements are written as the reference's behave: a check and a write in one statement, on a
//! view from before it waits for anybody.

mod entry;
mod log;
mod odd;
mod periods;
mod races;

use experiments::{ExperimentConfig, ExperimentState, PgExperimentStore, VariantConfig};

use crate::server::options;

fn store(url: &str) -> PgExperimentStore {
    PgExperimentStore::open_or_create(options(url)).unwrap()
}

fn running(name: &str) -> ExperimentConfig {
    let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
    ExperimentConfig {
        state: ExperimentState::Running,
        ..ExperimentConfig::new(name, variants)
    }
}
