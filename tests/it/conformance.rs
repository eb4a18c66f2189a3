//! Every store keeps every promise: `experiments::store::conformance`, once a store.

use experiments::store::conformance::{self, OPERATOR};
use experiments::{
    ExperimentStore, InMemoryExperimentStore, PgExperimentStore, SqliteExperimentStore,
};

use crate::{pgbouncer, server};

/// How many callers race.
const CALLERS: usize = 16;

fn in_memory() -> InMemoryExperimentStore {
    InMemoryExperimentStore::new().with_operator(OPERATOR)
}

fn in_file(directory: &tempfile::TempDir) -> SqliteExperimentStore {
    SqliteExperimentStore::open_or_create(directory.path().join("experiments.db"))
        .unwrap()
        .with_operator(OPERATOR)
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
            $(#[test] #[cfg_attr(no_postgres, ignore = "there is no Postgres")] fn $name() {
                conformance::$name(&in_database(&server::shared().database()));
            })*
        };
    }
    experiments::for_each_promise!(promises);

    /// One machine, whose handle serves the experiments from memory.
    mod watched {
        use super::*;

        macro_rules! promises {
            ($($name:ident)*) => {
                $(#[test] #[cfg_attr(no_postgres, ignore = "there is no Postgres")] fn $name() {
                    let store = in_database(&server::shared().database());
                    conformance::$name(&store.watched().unwrap());
                })*
            };
        }
        experiments::for_each_promise!(promises);

        macro_rules! races {
            ($($name:ident)*) => {
                $(#[test] #[cfg_attr(no_postgres, ignore = "there is no Postgres")] fn $name() {
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
                $(#[test] #[cfg_attr(no_postgres, ignore = "there is no Postgres")] fn $name() {
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
                $(#[test] #[cfg_attr(no_postgres, ignore = "there is no Postgres")] fn $name() {
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
            $(#[test] #[cfg_attr(no_pgbouncer, ignore = "there is no PgBouncer")] fn $name() {
                for url in urls() {
                    conformance::$name(&in_database(&url));
                }
            })*
        };
    }
    experiments::for_each_promise!(promises);

    mod two_machines {
        use super::*;

        macro_rules! races {
            ($($name:ident)*) => {
                $(#[test] #[cfg_attr(no_pgbouncer, ignore = "there is no PgBouncer")] fn $name() {
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
