//! A store that serves its experiments from memory, and keeps them fresh.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use experiments::{
    AssignRequest, Assigned, ExperimentError, ExperimentState, ExperimentStore, PgExperimentStore,
    PgOptions,
};
use macro_rules_attribute::apply;

use crate::givens::{eventually, running};
use crate::server::{self, Server, client, options};

/// Long enough that nothing is seen by chance.
const NEVER: Duration = Duration::from_hours(1);

fn watched(options: PgOptions) -> PgExperimentStore {
    let store = PgExperimentStore::open_or_create(options).unwrap();
    store.watched().unwrap()
}

fn assign(store: &PgExperimentStore, experiment: &str) -> Result<Assigned, ExperimentError> {
    store.assign(&AssignRequest::new(experiment, "user:1"))
}

fn state(store: &PgExperimentStore, experiment: &str) -> Option<ExperimentState> {
    let listed = store.list().unwrap();
    let found = listed.iter().find(|config| config.name == experiment);
    found.map(|config| config.state)
}

#[apply(needs_postgres!)]
fn a_change_made_elsewhere_is_heard_of() {
    let url = server::shared().database();
    let store = watched(options(&url).refresh_interval(NEVER));
    let elsewhere = PgExperimentStore::open(options(&url)).unwrap();
    elsewhere.insert(running("e")).unwrap();
    // Before it is heard of, it is looked for.
    assert_eq!(store.get("e").unwrap().unwrap().name, "e");
    for winner in ["a", "b", "a"] {
        elsewhere
            .set_state("e", ExperimentState::Concluded, Some(winner))
            .unwrap();
        eventually("the winner is known", || {
            let listed = store.list().unwrap();
            listed
                .iter()
                .any(|config| config.winner.as_deref() == Some(winner))
        });
    }
    // As an application makes it, without anything of ours.
    client(&url)
        .batch_execute(
            "UPDATE autumn_experiments SET state = 'archived';
             INSERT INTO autumn_experiment_changes (experiment, mutation)
                 VALUES ('e', 'state=archived')",
        )
        .unwrap();
    eventually("it is archived", || {
        matches!(assign(&store, "e"), Err(ExperimentError::Archived(_)))
    });
    assert_eq!(store.refresh_errors(), 0);
}

#[apply(needs_postgres!)]
fn its_own_changes_are_seen_at_once() {
    let url = server::shared().database();
    let store = watched(options(&url).refresh_interval(NEVER));
    for n in 0..20 {
        let name = format!("e{n}");
        store.insert(running(&name)).unwrap();
        assert_eq!(state(&store, &name), Some(ExperimentState::Running));
        store
            .set_state(&name, ExperimentState::Archived, None)
            .unwrap();
        assert_eq!(state(&store, &name), Some(ExperimentState::Archived));
    }
}

/// Nothing is told where the trigger is missing, or where a connection pooler is in between.
#[apply(needs_postgres!)]
fn what_nobody_tells_is_found_by_looking() {
    let url = server::shared().database();
    let store = watched(options(&url).refresh_interval(Duration::from_millis(50)));
    store.insert(running("e")).unwrap();
    client(&url)
        .batch_execute("UPDATE autumn_experiments SET state = 'archived'")
        .unwrap();
    eventually("it is archived", || {
        state(&store, "e") == Some(ExperimentState::Archived)
    });
    assert_eq!(store.refresh_errors(), 0);
}

#[apply(needs_postgres!)]
fn a_listener_that_was_lost_listens_again() {
    let url = server::shared().database();
    let store = watched(options(&url).refresh_interval(NEVER));
    store.insert(running("e")).unwrap();
    let mut admin = client(&url);
    let count = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    eventually("it is connected, besides the pool", || {
        admin.query_one(count, &[]).unwrap().get::<_, i64>(0) == 2
    });
    let mut listeners = || {
        let found = admin.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
                 AND backend_type = 'client backend'",
            &[],
        );
        found.unwrap().len()
    };
    // The pool's own are ended as well.
    assert!(listeners() > 0);
    eventually("the loss is counted", || store.refresh_errors() > 0);
    let elsewhere = PgExperimentStore::open(options(&url)).unwrap();
    elsewhere
        .set_state("e", ExperimentState::Archived, None)
        .unwrap();
    eventually("it is archived", || {
        state(&store, "e") == Some(ExperimentState::Archived)
    });
}

#[apply(needs_postgres!)]
fn while_the_database_is_away_what_was_known_is_served() {
    let mut server = Server::start();
    let url = server.database();
    let store = watched(options(&url).refresh_interval(Duration::from_millis(50)));
    store.insert(running("e")).unwrap();
    store.insert(running("done")).unwrap();
    store
        .set_state("done", ExperimentState::Concluded, Some("b"))
        .unwrap();
    server.stop();
    let failures = store.refresh_errors();
    eventually("failures are counted", || {
        store.refresh_errors() > failures + 2
    });
    assert!(store.refreshed_ago().unwrap() > Duration::ZERO);
    assert_eq!(store.list().unwrap().len(), 2);
    assert_eq!(store.get("e").unwrap().unwrap(), store.list().unwrap()[1]);
    assert_eq!(assign(&store, "done").unwrap().variant, "b");
    assert!(matches!(
        assign(&store, "e"),
        Err(ExperimentError::Store(_))
    ));
    server.start_again();
    eventually("it assigns again", || assign(&store, "e").is_ok());
    client(&url)
        .batch_execute("UPDATE autumn_experiments SET state = 'archived'")
        .unwrap();
    eventually("it is fresh again", || {
        state(&store, "e") == Some(ExperimentState::Archived)
    });
}

/// Nothing is left behind: neither its thread nor its connections.
#[apply(needs_postgres!)]
fn when_the_last_handle_is_dropped_nothing_goes_on() {
    let url = server::shared().database();
    let mut admin = client(&url);
    let mut connections = || {
        let count = admin.query_one(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
                 AND backend_type = 'client backend'",
            &[],
        );
        count.unwrap().get::<_, i64>(0)
    };
    let store = watched(options(&url));
    let clone = store.clone();
    eventually("it listens", || connections() == 2);
    drop(store);
    clone.insert(running("e")).unwrap();
    assert_eq!(state(&clone, "e"), Some(ExperimentState::Running));
    assert_eq!(connections(), 2);
    drop(clone);
    eventually("its connections are closed", || connections() == 0);
}

/// The handle of an async server may be dropped on a worker, while the database is away as well.
#[apply(needs_postgres!)]
fn a_thread_that_waits_for_the_database_ends_as_well() {
    let mut server = Server::start();
    let url = server.database();
    // Those of other tests come and go; what is there before and after is none of ours.
    let watchers = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        tasks
            .filter(|task| {
                let name = fs::read_to_string(task.path().join("comm"));
                name.is_ok_and(|name| name.trim() == "exp-watch")
            })
            .map(|task| task.file_name())
            .collect::<HashSet<_>>()
    };
    let others = watchers();
    let store = watched(options(&url).refresh_interval(NEVER));
    server.stop();
    eventually("the loss is counted", || store.refresh_errors() > 0);
    let own: Vec<_> = watchers().difference(&others).cloned().collect();
    assert!(!own.is_empty());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async move { drop(store) });
    eventually("its thread is gone", || {
        let now = watchers();
        own.iter().all(|task| !now.contains(task))
    });
}

/// A replica lets nobody listen; there the experiments are only looked for, until it takes over.
#[apply(needs_postgres!)]
fn on_a_replica_it_looks() {
    const INTERVAL: Duration = Duration::from_secs(8);
    let mut server = Server::start();
    let url = server.database();
    let primary = PgExperimentStore::open_or_create(options(&url)).unwrap();
    primary.insert(running("e")).unwrap();
    let replica_url = server.replica(&url);
    let open = || PgExperimentStore::open(options(&replica_url).refresh_interval(INTERVAL));
    let replica = open().unwrap().watched().unwrap();
    primary
        .set_state("e", ExperimentState::Concluded, Some("a"))
        .unwrap();
    eventually("it is concluded", || {
        state(&replica, "e") == Some(ExperimentState::Concluded)
    });
    client(&replica_url)
        .batch_execute("SELECT pg_promote()")
        .unwrap();
    // The first may have been under way.
    for _ in 0..2 {
        let begun = Instant::now();
        eventually("it has looked", || {
            replica.refreshed_ago().unwrap() < begun.elapsed()
        });
    }
    let elsewhere = open().unwrap();
    let begun = Instant::now();
    elsewhere
        .set_state("e", ExperimentState::Archived, None)
        .unwrap();
    eventually("it is archived", || {
        state(&replica, "e") == Some(ExperimentState::Archived)
    });
    assert!(begun.elapsed() < INTERVAL / 2, "it was not told");
}

/// As a user of the reference makes and keeps one.
#[apply(needs_postgres!)]
fn a_store_is_made_by_its_address_and_watched_later() {
    let url = server::shared().database();
    let store = std::sync::Arc::new(experiments::pg::PgExperimentStore::new(&url));
    // It connects only now, and finds what is missing.
    assert!(store.preload().is_err());
    PgExperimentStore::migrate(&options(&url)).unwrap();
    store.insert(running("e")).unwrap();
    assert_eq!(store.refreshed_ago(), None);
    let polling = PgExperimentStore::spawn_poll_listener(store.clone(), NEVER);
    eventually("it was read", || store.refreshed_ago().is_some());
    client(&url)
        .batch_execute("UPDATE autumn_experiments SET state = 'archived'")
        .unwrap();
    assert_eq!(state(&store, "e"), Some(ExperimentState::Running));
    store.preload().unwrap();
    assert_eq!(state(&store, "e"), Some(ExperimentState::Archived));
    assert_eq!(store.refresh_errors(), 0);
    drop(store);
    polling.join().unwrap();

    let misspelt = PgExperimentStore::with_cache_ttl("postgres://ann:s3cret@", NEVER);
    let told = misspelt.list().unwrap_err().to_string();
    assert!(told.starts_with("that is not a database address"), "{told}");
    assert!(!told.contains("s3cret"));
}
