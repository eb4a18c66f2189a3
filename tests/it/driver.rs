//! What the Postgres store's own way of driving a connection promises: it works on any thread, it has an
//! end, and a server can't make it take more than its share.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use experiments::{
    AssignManyRequest, AssignRequest, ExperimentError, ExperimentService, ExperimentStore,
    ExperimentStoreError, Keep, PgExperimentStore, PgOptions,
};
use macro_rules_attribute::apply;

use crate::givens::{eventually, running, store};
use crate::sandbox::Sandbox;
use crate::server::{self, Server, client, options};

/// Every kind of call, on the workers of both kinds of runtime.
#[apply(needs_postgres!)]
fn a_blocking_call_works_on_a_runtimes_worker() {
    let runtimes = [
        tokio::runtime::Builder::new_current_thread(),
        tokio::runtime::Builder::new_multi_thread(),
    ];
    for mut runtime in runtimes {
        let url = server::shared().database();
        let runtime = runtime.enable_all().build().unwrap();
        let everything = async move {
            let store = store(&url).watched().unwrap();
            store.insert(running("e").exclusion_group("g")).unwrap();
            let service = ExperimentService::new(store.clone()).with_stored_exposures();
            let variant = service.assign("e", "user:1").unwrap();
            assert_eq!(
                service.assign_async("e", "user:1", None).await.unwrap(),
                variant
            );
            let request = AssignManyRequest {
                experiment: "e",
                actors: &["user:1", "user:2"],
                keep: Keep::AssignmentsAndExposures,
            };
            assert_eq!(service.assign_many(&request).unwrap().len(), 2);
            service.set_override("e", "qa", "a").unwrap();
            assert_eq!(store.check().unwrap(), []);
            assert_eq!(store.info().unwrap().assignments, 2);
            // A connection that can't be opened is an error here as well.
            let nowhere = options("postgres://admin@/app?host=/nowhere");
            assert!(PgExperimentStore::open(nowhere).is_err());
            drop((service, store));
        };
        runtime
            .block_on(async { tokio::spawn(everything).await })
            .unwrap();
    }
}

/// Relays to the server until it is told to fall silent; then it takes what is sent, and says nothing.
struct Silencer {
    port: u16,
    is_silent: Arc<AtomicBool>,
}

impl Silencer {
    fn new(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_silent = Arc::new(AtomicBool::new(false));
        let target = server.directory().join(".s.PGSQL.5432");
        let silenced = Arc::clone(&is_silent);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = std::os::unix::net::UnixStream::connect(&target).unwrap();
                let (mut from_client, mut to_server) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
                let (silenced, mut from_server, mut to_client) =
                    (Arc::clone(&silenced), server, client);
                thread::spawn(move || {
                    let mut bytes = [0; 8192];
                    while let Ok(read @ 1..) = from_server.read(&mut bytes) {
                        if !silenced.load(Ordering::SeqCst)
                            && to_client.write_all(&bytes[..read]).is_err()
                        {
                            break;
                        }
                    }
                });
            }
        });
        Self { port, is_silent }
    }

    fn url(&self, url: &str) -> String {
        let (base, _) = url.split_once("@/").unwrap();
        let (database, _) = url.split_once("@/").unwrap().1.split_once('?').unwrap();
        format!("{base}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}

/// The grace that a server has to say by itself that it gave up.
const GRACE: u64 = 5;

#[apply(needs_postgres!)]
fn a_server_that_falls_silent_after_the_login_is_given_up() {
    let silencer = Silencer::new(server::shared());
    let direct = server::shared().database();
    let url = silencer.url(&direct);
    let patience = options(&url)
        .lock_timeout(Duration::from_secs(1))
        .statement_timeout(Duration::from_secs(1))
        .connect_timeout(Duration::from_secs(1));
    let store = PgExperimentStore::open_or_create(patience).unwrap();
    store.insert(running("e")).unwrap();
    let request = AssignRequest::new("e", "user:1").keep_exposure(None);
    store.assign(&request).unwrap();

    silencer.is_silent.store(true, Ordering::SeqCst);
    let refused = store.assign(&request).unwrap_err();
    match refused {
        ExperimentError::Store(ExperimentStoreError::Silent {
            doing, waited_secs, ..
        }) => assert_eq!((doing, waited_secs), ("assign", 1 + GRACE)),
        other => panic!("{other}"),
    }
    // It had reached the server, so that saying it was not done would have been wrong.
    assert_eq!(
        crate::givens::store(&direct).exposures("e").unwrap().len(),
        2
    );
    // Nor is a login waited for without end.
    let sandbox = Sandbox::on_store(&format!("{url}&connect_timeout=1"));
    let output = sandbox.bash("exp --lock-timeout 1 assign e user:2 --default control");
    assert_eq!(output.stdout, b"control\n");
    silencer.is_silent.store(false, Ordering::SeqCst);
    assert_eq!(store.get("e").unwrap().unwrap().name, "e");
}

/// Sends a message that says it is huge, and goes on with it as long as somebody reads.
fn flood(mut client: TcpStream) -> usize {
    let mut startup = [0; 1024];
    let _ = client.read(&mut startup);
    let mut sent = 0;
    let head = [b'R', 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    let mut bytes: &[u8] = &head;
    let chunk = vec![0; 1 << 16];
    while sent < 1 << 28 && client.write_all(bytes).is_ok() {
        sent += bytes.len();
        bytes = &chunk;
    }
    sent
}

#[test]
fn a_server_can_not_send_without_end_before_the_login() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://ann@{}/app?sslmode=disable",
        listener.local_addr().unwrap()
    );
    let flooded = thread::spawn(move || flood(listener.accept().unwrap().0));
    let error = PgExperimentStore::open(PgOptions::parse(&url).unwrap()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "it sent more than 1 MiB before the login");
    // What the sockets of both ends hold comes on top.
    assert!(flooded.join().unwrap() < 64 << 20);
}

/// Lets anybody in, and then sends `bytes` over and over as long as somebody reads.
fn endless(bytes: &'static [u8]) -> String {
    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            thread::spawn(move || {
                let mut asked = [0; 1 << 12];
                let _ = client.read(&mut asked);
                let greeting = [
                    message(b'R', &[0; 4]),
                    message(b'S', b"server_encoding\0UTF8\0"),
                    message(b'S', b"client_encoding\0UTF8\0"),
                    message(b'K', &[0; 8]),
                    message(b'Z', b"I"),
                ];
                let _ = client.write_all(&greeting.concat());
                let _ = client.read(&mut asked);
                while client.write_all(bytes).is_ok() {}
            });
        }
    });
    format!("postgres://ann@127.0.0.1:{port}/app?sslmode=disable")
}

#[test]
fn a_server_can_not_send_without_end_after_the_login() {
    const NOTICES: [u8; 36 * 100] = {
        let one = b"N\0\0\0\x23SNOTICE\0VNOTICE\0C00000\0Mhello\0\0";
        let mut many = [0; 36 * 100];
        let mut at = 0;
        while at < many.len() {
            many[at] = one[at % 36];
            at += 1;
        }
        many
    };
    for sent in [&NOTICES[..], b"D\x3f\xff\xff\xff"] {
        let url = endless(sent);
        let impatient = options(&url)
            .lock_timeout(Duration::ZERO)
            .statement_timeout(Duration::ZERO);
        let refused = PgExperimentStore::lazy(impatient).get("e").unwrap_err();
        match refused {
            ExperimentError::Store(ExperimentStoreError::Silent { waited_secs, .. }) => {
                assert_eq!(waited_secs, GRACE);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// To wait as long as can be said is to wait for ever.
#[apply(needs_postgres!)]
fn every_duration_is_waited_for() {
    for longest in [Duration::MAX, Duration::from_secs(u64::MAX / 2)] {
        let url = server::shared().database();
        let patient = options(&url)
            .lock_timeout(longest)
            .statement_timeout(longest)
            .connect_timeout(longest)
            .refresh_interval(longest);
        let store = PgExperimentStore::open_or_create(patient).unwrap();
        store.insert(running("e")).unwrap();
        assert_eq!(store.list().unwrap().len(), 1);
        let watched = store.watched().unwrap();
        // It is told of changes.
        crate::givens::store(&url)
            .set_state("e", experiments::ExperimentState::Archived, None)
            .unwrap();
        eventually("it is archived", || {
            watched.list().unwrap()[0].state == experiments::ExperimentState::Archived
        });
        assert_eq!(watched.refresh_errors(), 0);
    }
    let sandbox = Sandbox::on_store(&format!(
        "{}&connect_timeout={}",
        server::shared().database(),
        i64::MAX
    ));
    let create = sandbox.bash("exp create e --variant a=1 --variant b=1");
    assert!(create.status.success(), "{create:?}");
}

/// The first statement of a connection and every later one: neither the lock of another nor what the
/// database is set to makes it longer or shorter.
#[apply(needs_postgres!)]
fn a_read_waits_for_a_lock_as_long_as_it_was_told() {
    let url = server::shared().database();
    crate::givens::store(&url).insert(running("e")).unwrap();
    let name = url.split(['/', '?']).nth(3).unwrap();
    let mut other = client(&url);
    other
        .batch_execute(&format!("ALTER DATABASE {name} SET statement_timeout = 1"))
        .unwrap();
    let impatient = || options(&url).lock_timeout(Duration::from_secs(1));
    let used = PgExperimentStore::open(impatient()).unwrap();
    for _ in 0..3 {
        assert_eq!(used.list().unwrap().len(), 1);
    }
    let mut holding = other.transaction().unwrap();
    holding
        .batch_execute("LOCK TABLE autumn_experiments")
        .unwrap();
    for store in [used, PgExperimentStore::lazy(impatient())] {
        for refused in [store.list().map(drop), store.get("e").map(drop)] {
            match refused {
                Err(ExperimentError::Store(ExperimentStoreError::Busy { waited_secs, .. })) => {
                    assert_eq!(waited_secs, 1);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let sandbox = Sandbox::on_store(&url);
    let output = sandbox.bash("exp --lock-timeout 1 list");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("for 1 s"), "{told}");
}

/// A text in another encoding could not be kept: one such actor would lose the whole list.
#[apply(needs_postgres!)]
fn a_database_that_is_not_in_utf_8_is_refused() {
    let server = server::shared();
    let mut admin = client(&server.url("postgres"));
    for (name, encoding) in [("in_latin1", "LATIN1"), ("in_ascii", "SQL_ASCII")] {
        admin
            .batch_execute(&format!(
                "CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
            ))
            .unwrap();
        let url = server.url(name);
        for refused in [
            PgExperimentStore::open(options(&url)).map(drop),
            PgExperimentStore::open_or_create(options(&url)).map(drop),
            PgExperimentStore::migrate(&options(&url)).map(drop),
        ] {
            match refused {
                Err(ExperimentStoreError::Encoding {
                    encoding: found, ..
                }) => assert_eq!(found, encoding),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A commit that was reported survives a crash, whatever the database is set to.
#[apply(needs_postgres!)]
fn commits_wait_for_the_disk_where_the_database_would_not() {
    let server = Server::start();
    let url = server.database();
    let store = store(&url);
    let name = url.split(['/', '?']).nth(3).unwrap();
    let mut other = client(&url);
    other
        .batch_execute(&format!(
            "ALTER DATABASE {name} SET synchronous_commit = off;
             CREATE TABLE seen (setting text);
             CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN INSERT INTO seen VALUES (current_setting(''synchronous_commit'')); RETURN NULL; END';
             CREATE TRIGGER look AFTER INSERT ON autumn_experiment_assignments
                 FOR EACH STATEMENT EXECUTE FUNCTION look();
             CREATE TRIGGER look AFTER INSERT ON exp_exposures
                 FOR EACH STATEMENT EXECUTE FUNCTION look();
             CREATE TRIGGER look AFTER INSERT ON autumn_experiment_changes
                 FOR EACH STATEMENT EXECUTE FUNCTION look()"
        ))
        .unwrap();
    // Those that are open already have the old setting.
    drop(store);
    let store = crate::givens::store(&url);
    store.insert(running("e")).unwrap();
    for actor in ["user:1", "user:2", "user:2"] {
        let request = AssignRequest::new("e", actor).keep_exposure(None);
        store.assign(&request).unwrap();
    }
    let request = AssignManyRequest {
        experiment: "e",
        actors: &["user:3"],
        keep: Keep::AssignmentsAndExposures,
    };
    store.assign_many(&request).unwrap();
    // Nor does a change of the settings reach a session that is open.
    let mut admin = client(&server.url("postgres"));
    admin
        .batch_execute("ALTER SYSTEM SET synchronous_commit = off")
        .unwrap();
    let reload = "SELECT pg_reload_conf()";
    admin.execute(reload, &[]).unwrap();
    eventually("the settings are read anew", || {
        let found = admin.query_one("SHOW synchronous_commit", &[]).unwrap();
        found.get::<_, String>(0) == "off"
    });
    let request = AssignRequest::new("e", "user:4").keep_exposure(None);
    store.assign(&request).unwrap();
    let seen = other.query("SELECT DISTINCT setting FROM seen", &[]);
    let seen: Vec<String> = seen.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(seen, ["on"]);
}
