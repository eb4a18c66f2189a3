//! PgBouncer between a store and the server, in session mode and in transaction mode, as it comes and
//! with the parameter that people set for clients that need it.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use experiments::{
    AssignManyRequest, ExperimentError, ExperimentState, ExperimentStore, ExperimentStoreError,
    Keep, PgExperimentStore,
};
use macro_rules_attribute::apply;

use crate::givens::{eventually, request, running};
use crate::pgbouncer::{Pooler, SESSION, Setup, TRANSACTION, shared};
use crate::proxy::Proxy;
use crate::sandbox::Sandbox;
use crate::server::{self, Server, client, options};

/// What is usually done for clients that begin with `options`, on a database that begins its
/// transactions otherwise than the locks need: who is in one experiment of a group is in no other, and
/// whoever waits is told in time.
#[apply(needs_pgbouncer!)]
fn isolation_and_timeouts_hold_behind_it() {
    for mode in ["session", "transaction"] {
        let setup = Setup {
            mode,
            passes_over_options: true,
        };
        let pooler = Pooler::start(server::shared(), setup);
        let direct = server::shared().database();
        let url = pooler.url(&direct);
        PgExperimentStore::migrate(&options(&url)).unwrap();
        let name = direct.split(['/', '?']).nth(3).unwrap();
        client(&direct)
            .batch_execute(&format!(
                "ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"
            ))
            .unwrap();
        let stores = [0, 1].map(|_| PgExperimentStore::open(options(&url)).unwrap());
        for experiment in ["one", "other"] {
            stores[0]
                .insert(running(experiment).exclusion_group("g"))
                .unwrap();
        }
        let actors: Vec<String> = (0..100).map(|n| format!("user:{n}")).collect();
        thread::scope(|scope| {
            for (store, experiment) in stores.iter().zip(["one", "other"]) {
                for caller in 0..4 {
                    let actors = &actors;
                    scope.spawn(move || {
                        for actor in actors.iter().skip(caller).step_by(4) {
                            match store.assign(&request(experiment, actor)) {
                                Ok(_) | Err(ExperimentError::ExcludedByGroup(..)) => {}
                                Err(other) => panic!("{other}"),
                            }
                        }
                    });
                }
            }
        });
        assert_eq!(stores[0].info().unwrap().assignments, 100);
        assert_eq!(stores[0].check().unwrap(), []);

        let mut other = client(&direct);
        let mut holding = other.transaction().unwrap();
        holding
            .batch_execute("SELECT pg_advisory_xact_lock(hashtext('held'))")
            .unwrap();
        let impatient = options(&url).lock_timeout(Duration::from_millis(50));
        let impatient = PgExperimentStore::open(impatient).unwrap();
        let refused = impatient.assign(&request("one", "held")).unwrap_err();
        assert!(
            matches!(
                refused,
                ExperimentError::Store(ExperimentStoreError::Busy { .. })
            ),
            "{refused}"
        );
    }
}

/// Bulk copies by a prepared statement, whose name other programs behind the pooler use as well.
#[apply(needs_pgbouncer!)]
fn many_are_assigned_behind_it() {
    for setup in [SESSION, TRANSACTION] {
        let direct = server::shared().database();
        let url = shared(setup).url(&direct);
        let sandbox = Sandbox::on_store(&url);
        let create = "exp create e --variant a=1 --variant b=1 --start -q";
        assert!(sandbox.bash(create).status.success());
        // Processes of their own, so that each begins to count its statements anew.
        let many = "export EXP_LOCK_TIMEOUT=120; for n in 1 2 3; do seq $n 20000 | sed 's/^/user:/' | exp assign e --actors - --expose -q > $n & done; wait; sort -u 1 2 3 | wc -l; exp store check -q && echo sound";
        let output = sandbox.bash(many);
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            printed,
            "20000\nsound\n",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Neither a lock nor a statement stays on a connection that is somebody else's next.
#[apply(needs_pgbouncer!)]
fn nothing_stays_in_the_servers_session() {
    let direct = server::shared().database();
    let url = shared(TRANSACTION).url(&direct);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| PgExperimentStore::migrate(&options(&url)).unwrap());
        }
    });
    let store = PgExperimentStore::open(options(&url)).unwrap();
    store.insert(running("e")).unwrap();
    let actors: Vec<String> = (0..100).map(|n| format!("user:{n}")).collect();
    let actors: Vec<&str> = actors.iter().map(String::as_str).collect();
    store.assign(&request("e", "user:1")).unwrap();
    store
        .assign_many(&AssignManyRequest {
            experiment: "e",
            actors: &actors,
            keep: Keep::AssignmentsAndExposures,
        })
        .unwrap();
    let mut elsewhere = client(&url);
    // By the simple protocol, as no statement can be prepared by name here.
    let left = elsewhere
        .simple_query(
            "SELECT (SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                     WHERE locktype = 'advisory' AND d.datname = current_database()),
                    (SELECT count(*) FROM pg_prepared_statements),
                    current_setting('statement_timeout'), current_setting('lock_timeout')",
        )
        .unwrap();
    let row = left.iter().find_map(|message| match message {
        postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.unwrap();
    let found: Vec<&str> = (0..4).map(|column| row.get(column).unwrap()).collect();
    assert_eq!(found, ["0", "0", "0", "0"]);
}

/// A pooler says in its own way that the server is gone, and that nothing else is known.
#[apply(needs_pgbouncer!)]
fn a_server_that_is_lost_behind_it_may_have_done_it_or_not() {
    for setup in [SESSION, TRANSACTION] {
        let server = Server::start();
        let pooler = Pooler::start(&server, setup);
        let direct = server.database();
        let store = PgExperimentStore::open_or_create(options(&pooler.url(&direct))).unwrap();
        store.insert(running("e")).unwrap();
        let mut other = client(&direct);
        let mut holding = other.transaction().unwrap();
        holding
            .batch_execute("LOCK TABLE autumn_experiment_overrides")
            .unwrap();
        let lost = thread::scope(|scope| {
            let setting = scope.spawn(|| store.set_override("e", "qa", "a"));
            let waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
            let mut admin = client(&direct);
            let mut found = None;
            eventually("it waits", || {
                found = admin.query_opt(waiting, &[]).unwrap();
                found.is_some()
            });
            let pid: i32 = found.unwrap().get(0);
            let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
            assert!(killed.unwrap().success());
            setting.join().unwrap().unwrap_err()
        });
        assert!(
            matches!(
                lost,
                ExperimentError::Store(ExperimentStoreError::Lost {
                    reason: Some(_),
                    ..
                })
            ),
            "{lost:?}"
        );
    }
}

/// Whoever is lent the session of a watched store would be told of its changes.
#[apply(needs_pgbouncer!)]
fn no_session_goes_on_listening() {
    let server = Server::start();
    let pooler = Pooler::start(&server, TRANSACTION);
    let direct = server.database();
    let store = PgExperimentStore::open_or_create(options(&pooler.url(&direct))).unwrap();
    store.insert(running("e")).unwrap();
    let store = store.watched().unwrap();
    let begun = Instant::now();
    eventually("it has looked", || {
        store.refreshed_ago().unwrap() < begun.elapsed()
    });
    drop(store);
    let mut elsewhere = client(&pooler.url(&direct));
    let listening = elsewhere
        .simple_query("SELECT pg_listening_channels()")
        .unwrap();
    let rows = listening
        .iter()
        .filter(|message| matches!(message, postgres::SimpleQueryMessage::Row(_)));
    assert_eq!(rows.count(), 0);
}

/// What nobody tells a watched store is found by looking.
#[apply(needs_pgbouncer!)]
fn a_watched_store_looks_for_changes() {
    for setup in [SESSION, TRANSACTION] {
        let direct = server::shared().database();
        let url = shared(setup).url(&direct);
        let options = options(&url).refresh_interval(Duration::from_millis(20));
        let store = PgExperimentStore::open_or_create(options).unwrap();
        store.insert(running("e")).unwrap();
        let store = store.watched().unwrap();
        let elsewhere = PgExperimentStore::open(server::options(&direct)).unwrap();
        elsewhere
            .set_state("e", ExperimentState::Archived, None)
            .unwrap();
        eventually("it is archived", || {
            store.list().unwrap()[0].state == ExperimentState::Archived
        });
    }
}

const LOGIN: usize = 1;

/// A process that assigns one actor: a login, then one round trip for what is stored, two for what is
/// not.
#[apply(needs_postgres!)]
fn a_short_process_takes_two_round_trips_after_its_login() {
    let url = server::shared().database();
    let proxy = Proxy::new(server::shared());
    let sandbox = Sandbox::on_store(&proxy.url(&url));
    let create = "exp create e --variant a=1 --variant b=1 --start -q";
    assert!(sandbox.bash(create).status.success());
    let assign = |word: &str| {
        let (round_trips, output) = proxy.count(|| sandbox.bash(&format!("exp assign e {word}")));
        assert!(output.status.success(), "{output:?}");
        round_trips
    };
    assert_eq!(assign("user:1"), LOGIN + 2);
    assert_eq!(assign("user:1"), LOGIN + 1);
    assert_eq!(assign("user:1 --no-exposure"), LOGIN + 1);
}
