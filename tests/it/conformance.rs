//! Every store keeps every promise: `experiments::store::conformance`, once a store.

use std::cell::RefCell;
use std::time::Duration;

use experiments::store::conformance::{self, Application, OPERATOR};
use experiments::{
    Clock, ExperimentStore, InMemoryExperimentStore, PgExperimentStore, SqliteAccess,
    SqliteExperimentStore,
};
use macro_rules_attribute::apply;

use crate::{pgbouncer, server};

/// How many callers race.
const CALLERS: usize = 16;

fn in_memory() -> InMemoryExperimentStore {
    InMemoryExperimentStore::new().with_operator(OPERATOR)
}

fn in_file(directory: &tempfile::TempDir) -> SqliteExperimentStore {
    let file = directory.path().join("experiments.db");
    // Many race for its lock, and the machine may have other things to do.
    SqliteExperimentStore::open_as(file, SqliteAccess::Create, Duration::from_mins(2))
        .unwrap()
        .with_operator(OPERATOR)
}

/// Writes to a file as an application writes to its database; a copy of one may bring the same.
pub(crate) struct ByHand(pub(crate) rusqlite::Connection);

impl Application for ByHand {
    fn reset_to_draft(&self, experiment: &str) {
        let reset = "UPDATE experiments SET state = 'draft' WHERE name = ?1";
        self.0.execute(reset, [experiment]).unwrap();
    }

    fn restart(&self, experiment: &str) {
        let restart = "UPDATE experiments SET state = 'running' WHERE name = ?1";
        self.0.execute(restart, [experiment]).unwrap();
    }

    fn remove_override(&self, experiment: &str, actor: &str) {
        let remove = "DELETE FROM overrides WHERE actor = ?2
            AND experiment_id = (SELECT id FROM experiments WHERE name = ?1)";
        self.0.execute(remove, [experiment, actor]).unwrap();
    }
}

/// An application on the same database.
pub(crate) struct Neighbour(pub(crate) RefCell<::postgres::Client>);

impl Application for Neighbour {
    fn reset_to_draft(&self, experiment: &str) {
        let reset = "UPDATE autumn_experiments SET state = 'draft' WHERE name = $1";
        self.0.borrow_mut().execute(reset, &[&experiment]).unwrap();
    }

    fn restart(&self, experiment: &str) {
        let restart = "UPDATE autumn_experiments SET state = 'running' WHERE name = $1";
        self.0
            .borrow_mut()
            .execute(restart, &[&experiment])
            .unwrap();
    }

    fn remove_override(&self, experiment: &str, actor: &str) {
        let remove = "DELETE FROM autumn_experiment_overrides WHERE experiment = $1 AND actor = $2";
        let removed = self.0.borrow_mut().execute(remove, &[&experiment, &actor]);
        removed.unwrap();
    }
}

fn in_database(url: &str) -> PgExperimentStore {
    PgExperimentStore::open_or_create(server::options(url))
        .unwrap()
        .with_operator(OPERATOR)
}

mod memory {
    use super::*;

    macro_rules! promises {
        ($($name:ident)*) => {
            $(#[test] fn $name() { conformance::$name(&in_memory()); })*
        };
    }
    experiments::for_each_promise!(promises);

    macro_rules! time_promises {
        ($($name:ident)*) => {
            $(#[test] fn $name() {
                let store = in_memory();
                conformance::$name(&|secs| Box::new(store.clone().with_clock(Clock::Fixed(secs))));
            })*
        };
    }
    experiments::for_each_time_promise!(time_promises);

    macro_rules! beside_an_application {
        ($($name:ident)*) => {
            $(#[test] fn $name() {
                let store = in_memory();
                conformance::$name(&store, &store);
            })*
        };
    }
    experiments::for_each_application_promise!(beside_an_application);

    mod one_handle {
        use super::*;

        macro_rules! races {
            ($($name:ident)*) => {
                $(#[test] fn $name() {
                    let store = in_memory();
                    conformance::races::$name(&[&store as &dyn ExperimentStore; CALLERS]);
                })*
            };
        }
        experiments::for_each_race!(races);
    }
}

mod sqlite {
    use super::*;

    macro_rules! promises {
        ($($name:ident)*) => {
            $(#[test] fn $name() {
                let directory = tempfile::tempdir().unwrap();
                conformance::$name(&in_file(&directory));
            })*
        };
    }
    experiments::for_each_promise!(promises);

    macro_rules! time_promises {
        ($($name:ident)*) => {
            $(#[test] fn $name() {
                let directory = tempfile::tempdir().unwrap();
                let store = in_file(&directory);
                conformance::$name(&|secs| Box::new(store.clone().with_clock(Clock::Fixed(secs))));
            })*
        };
    }
    experiments::for_each_time_promise!(time_promises);

    macro_rules! beside_an_application {
        ($($name:ident)*) => {
            $(#[test] fn $name() {
                let directory = tempfile::tempdir().unwrap();
                let store = in_file(&directory);
                let file = directory.path().join("experiments.db");
                let by_hand = ByHand(rusqlite::Connection::open(file).unwrap());
                conformance::$name(&store, &by_hand);
            })*
        };
    }
    experiments::for_each_application_promise!(beside_an_application);

    mod one_handle {
        use super::*;

        macro_rules! races {
            ($($name:ident)*) => {
                $(#[test] fn $name() {
                    let directory = tempfile::tempdir().unwrap();
                    let store = in_file(&directory);
                    conformance::races::$name(&[&store as &dyn ExperimentStore; CALLERS]);
                })*
            };
        }
        experiments::for_each_race!(races);
    }

    mod many_handles {
        use super::*;

        macro_rules! races {
            ($($name:ident)*) => {
                $(#[test] fn $name() {
                    let directory = tempfile::tempdir().unwrap();
                    let stores: Vec<_> = (0..CALLERS).map(|_| in_file(&directory)).collect();
                    let handles: Vec<_> = stores.iter().map(|s| s as &dyn ExperimentStore).collect();
                    conformance::races::$name(&handles);
                })*
            };
        }
        experiments::for_each_race!(races);
    }
}

mod postgres {
    use super::*;

    macro_rules! promises {
        ($($name:ident)*) => {
            $(#[apply(needs_postgres!)] fn $name() {
                conformance::$name(&in_database(&server::shared().database()));
            })*
        };
    }
    experiments::for_each_promise!(promises);

    macro_rules! time_promises {
        ($($name:ident)*) => {
            $(#[apply(needs_postgres!)] fn $name() {
                let store = in_database(&server::shared().database());
                conformance::$name(&|secs| Box::new(store.clone().with_clock(Clock::Fixed(secs))));
            })*
        };
    }
    experiments::for_each_time_promise!(time_promises);

    macro_rules! beside_an_application {
        ($($name:ident)*) => {
            $(#[apply(needs_postgres!)] fn $name() {
                let url = server::shared().database();
                let store = in_database(&url);
                let neighbour = Neighbour(RefCell::new(server::client(&url)));
                conformance::$name(&store, &neighbour);
            })*
        };
    }
    experiments::for_each_application_promise!(beside_an_application);

    /// One machine, whose handle serves the experiments from memory.
    mod watched {
        use super::*;

        macro_rules! promises {
            ($($name:ident)*) => {
                $(#[apply(needs_postgres!)] fn $name() {
                    let store = in_database(&server::shared().database());
                    conformance::$name(&store.watched().unwrap());
                })*
            };
        }
        experiments::for_each_promise!(promises);

        macro_rules! time_promises {
            ($($name:ident)*) => {
                $(#[apply(needs_postgres!)] fn $name() {
                    let store = in_database(&server::shared().database()).watched().unwrap();
                    conformance::$name(&|secs| Box::new(store.clone().with_clock(Clock::Fixed(secs))));
                })*
            };
        }
        experiments::for_each_time_promise!(time_promises);

        macro_rules! races {
            ($($name:ident)*) => {
                $(#[apply(needs_postgres!)] fn $name() {
                    let store = in_database(&server::shared().database()).watched().unwrap();
                    conformance::races::$name(&[&store as &dyn ExperimentStore; CALLERS]);
                })*
            };
        }
        experiments::for_each_race!(races);
    }

    mod one_handle {
        use super::*;

        macro_rules! races {
            ($($name:ident)*) => {
                $(#[apply(needs_postgres!)] fn $name() {
                    let store = in_database(&server::shared().database());
                    conformance::races::$name(&[&store as &dyn ExperimentStore; CALLERS]);
                })*
            };
        }
        experiments::for_each_race!(races);
    }

    /// Two pools stand for two machines.
    mod two_machines {
        use super::*;

        macro_rules! races {
            ($($name:ident)*) => {
                $(#[apply(needs_postgres!)] fn $name() {
                    let url = server::shared().database();
                    let stores = [in_database(&url), in_database(&url)];
                    let handles: Vec<_> = (0..CALLERS)
                        .map(|caller| &stores[caller % 2] as &dyn ExperimentStore)
                        .collect();
                    conformance::races::$name(&handles);
                })*
            };
        }
        experiments::for_each_race!(races);
    }
}

/// By way of a pooler, which gives a connection of the server to each client or to each transaction.
mod pooled {
    use super::*;

    fn urls() -> [String; 2] {
        [pgbouncer::SESSION, pgbouncer::TRANSACTION]
            .map(|setup| pgbouncer::shared(setup).url(&server::shared().database()))
    }

    macro_rules! promises {
        ($($name:ident)*) => {
            $(#[apply(needs_pgbouncer!)] fn $name() {
                for url in urls() {
                    conformance::$name(&in_database(&url));
                }
            })*
        };
    }
    experiments::for_each_promise!(promises);

    macro_rules! time_promises {
        ($($name:ident)*) => {
            $(#[apply(needs_pgbouncer!)] fn $name() {
                for url in urls() {
                    let store = in_database(&url);
                    conformance::$name(&|secs| Box::new(store.clone().with_clock(Clock::Fixed(secs))));
                }
            })*
        };
    }
    experiments::for_each_time_promise!(time_promises);

    mod two_machines {
        use super::*;

        macro_rules! races {
            ($($name:ident)*) => {
                $(#[apply(needs_pgbouncer!)] fn $name() {
                    for url in urls() {
                        let stores = [in_database(&url), in_database(&url)];
                        let handles: Vec<_> = (0..CALLERS)
                            .map(|caller| &stores[caller % 2] as &dyn ExperimentStore)
                            .collect();
                        conformance::races::$name(&handles);
                    }
                })*
            };
        }
        experiments::for_each_race!(races);
    }
}
