//! The store that `examples/custom_store.rs` writes outside the crate keeps every promise.

use experiments::store::conformance;
use experiments::{Clock, ExperimentStore};

#[path = "../../examples/custom_store.rs"]
#[expect(dead_code, reason = "its `main`")]
mod example;

use self::example::JsonStore;

fn in_directory(directory: &tempfile::TempDir) -> JsonStore {
    JsonStore::new(directory.path().join("experiments.json")).with_operator(conformance::OPERATOR)
}

macro_rules! promises {
    ($($name:ident)*) => {
        $(#[test] fn $name() {
            let directory = tempfile::tempdir().unwrap();
            conformance::$name(&in_directory(&directory));
        })*
    };
}
experiments::for_each_promise!(promises);

macro_rules! time_promises {
    ($($name:ident)*) => {
        $(#[test] fn $name() {
            let directory = tempfile::tempdir().unwrap();
            conformance::$name(&|secs| {
                Box::new(in_directory(&directory).with_clock(Clock::Fixed(secs)))
            });
        })*
    };
}
experiments::for_each_time_promise!(time_promises);

mod races {
    use super::*;

    macro_rules! races {
        ($($name:ident)*) => {
            $(#[test] fn $name() {
                let directory = tempfile::tempdir().unwrap();
                let stores: Vec<_> = (0..8).map(|_| in_directory(&directory)).collect();
                let handles: Vec<_> = stores.iter().map(|s| s as &dyn ExperimentStore).collect();
                conformance::races::$name(&handles);
            })*
        };
    }
    experiments::for_each_race!(races);
}
