//! Who is let in, and for how long anything is waited for.

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use experiments::{
    ExperimentError, ExperimentService, ExperimentStore, ExperimentStoreError, PgExperimentStore,
    PgOptions,
};
use macro_rules_attribute::apply;

use crate::givens::{request, running, store};
use crate::server::{self, Server, client, options};

/// Whoever waits for a lock, or for an answer, is told after a while.
#[apply(needs_postgres!)]
fn waiting_has_an_end() {
    let url = server::shared().database();
    store(&url).insert(running("e")).unwrap();
    let mut other = client(&url);
    let mut holding = other.transaction().unwrap();
    holding
        .batch_execute("SELECT pg_advisory_xact_lock(hashtext('user:1'))")
        .unwrap();
    for impatient in [
        options(&url).lock_timeout(Duration::from_millis(50)),
        // Long enough for what has to succeed.
        options(&url).statement_timeout(Duration::from_secs(1)),
    ] {
        let store = PgExperimentStore::open(impatient).unwrap();
        for refused in [
            store.assign(&request("e", "user:1")).map(drop),
            store.set_override("e", "user:1", "a").map(drop),
        ] {
            assert!(
                matches!(
                    refused,
                    Err(ExperimentError::Store(ExperimentStoreError::Busy { .. }))
                ),
                "{refused:?}"
            );
        }
        // Nothing is left of it.
        assert_eq!(store.get_override("e", "user:1").unwrap(), None);
        store.assign(&request("e", "user:2")).unwrap();
    }
}

#[apply(needs_postgres!)]
fn a_password_and_permissions_are_asked_for_and_never_shown() {
    let server = Server::start();
    let mut admin = client(&server.url("postgres"));
    for statement in [
        "CREATE ROLE guarded LOGIN PASSWORD 's3cret'",
        "CREATE ROLE guest LOGIN",
        "CREATE DATABASE guarded OWNER guarded",
    ] {
        admin.batch_execute(statement).unwrap();
    }
    let host = server.directory().display();
    let url =
        |user: &str, password: &str| format!("postgres://{user}:{password}@/guarded?host={host}");
    store(&url("guarded", "s3cret"))
        .insert(running("e"))
        .unwrap();

    let wrong = PgExperimentStore::open(options(&url("guarded", "wr0ng"))).unwrap_err();
    assert_eq!(
        source(&wrong),
        "password authentication failed for user \"guarded\""
    );
    assert!(!format!("{wrong} {wrong:?}").contains("wr0ng"));
    let asked = PgOptions::parse(&format!("postgres://guarded@/guarded?host={host}")).unwrap();
    PgExperimentStore::open(asked.or_password("s3cret")).unwrap();
    let nobody = server.url("guarded").replace("admin", "guest");
    let error = PgExperimentStore::open(options(&nobody)).map(|store| store.list());
    let told = format!("{error:?}");
    assert!(
        told.contains("Denied") || told.contains("password"),
        "{told}"
    );
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://ann@{}/app", silent.local_addr().unwrap());
    let options = PgOptions::parse(&url)
        .unwrap()
        .connect_timeout(Duration::from_millis(300));
    let error = PgExperimentStore::open(options).unwrap_err();
    assert_eq!(source(&error), "there was no answer within 0.3 s");
}

/// Each attempt that is given up would leave a thread and its descriptors behind.
#[apply(needs_postgres!)]
fn a_server_that_falls_silent_costs_nothing_more_with_each_attempt() {
    let server = Server::start();
    let url = server.database();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join(".s.PGSQL.5432");
    let target = server.directory().join(".s.PGSQL.5432");
    std::os::unix::fs::symlink(&target, &socket).unwrap();
    let (base, _) = url.split_once("?host=").unwrap();
    let silent_url = format!("{base}?host={}", directory.path().display());
    drop(PgExperimentStore::open_or_create(options(&url)).unwrap());
    let impatient = options(&silent_url).connect_timeout(Duration::from_secs(1));
    let store = PgExperimentStore::open(impatient).unwrap();
    let mut admin = client(&url);
    std::fs::remove_file(&socket).unwrap();
    let silent = UnixListener::bind(&socket).unwrap();
    admin
        .batch_execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .unwrap();
    for _ in 0..8 {
        assert!(matches!(
            store.list(),
            Err(ExperimentError::Store(
                ExperimentStoreError::Unreachable { .. } | ExperimentStoreError::Lost { .. }
            ))
        ));
    }
    // Those that were hung up can be read to their end.
    silent.set_nonblocking(true).unwrap();
    let waiting = std::iter::from_fn(|| silent.accept().ok())
        .filter(|(client, _)| {
            client.set_nonblocking(true).unwrap();
            let mut bytes = Vec::new();
            matches!((&mut &*client).read_to_end(&mut bytes), Err(error)
                if error.kind() == std::io::ErrorKind::WouldBlock)
        })
        .count();
    assert_eq!(waiting, 0);
}

fn source(error: &ExperimentStoreError) -> String {
    std::error::Error::source(error).unwrap().to_string()
}

/// The synchronous client of the `postgres` crate must not be dropped on a runtime's worker.
#[apply(needs_postgres!)]
fn handlers_of_an_async_server_assign_and_let_go() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
    let service = ExperimentService::new(store);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async move {
        let first = service.assign_async("e", "user:1", None).await.unwrap();
        assert_eq!(
            service.assign_async("e", "user:1", None).await.unwrap(),
            first
        );
        drop(service);
    });
}
