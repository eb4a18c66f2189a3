//! Lines that are counted and cut, servers that go away and come back, a replica.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

use experiments::{
    AssignRequest, ExperimentConfig, ExperimentError, ExperimentState, ExperimentStore,
    ExperimentStoreError, PgExperimentStore, VariantConfig,
};
use macro_rules_attribute::apply;

use crate::givens::{eventually, request, running, store};
use crate::proxy::{Cut, Proxy};
use crate::server::{self, Server, client, options};

#[apply(needs_postgres!)]
fn a_repeat_takes_one_round_trip_and_a_first_assignment_at_most_two() {
    let url = server::shared().database();
    let proxy = Proxy::new(server::shared());
    let store = store(&proxy.url(&url));
    // A statement is prepared beside its second use, whose end nobody waits for: that would be counted by
    // whatever comes next.
    let taken = [1, 2, 3].map(|round| round_trips(&store, &proxy, round));
    let expected = [
        ("first", 1),
        ("repeat", 1),
        ("unseen", 2),
        ("changed", 2),
        ("changed again", 2),
        ("repeat of that", 1),
        ("pinned", 2),
        ("pinned again", 1),
        ("excluded", 1),
        ("without exposure", 1),
    ];
    assert_eq!(taken[2], expected);
}

/// How many each kind of assignment takes, in experiments of this round.
fn round_trips(
    store: &PgExperimentStore,
    proxy: &Proxy,
    round: usize,
) -> [(&'static str, usize); 10] {
    let [e, new, sibling, group] =
        ["e", "new", "sibling", "g"].map(|name| format!("{name}{round}"));
    let assign = |experiment: &str, actor: &str| {
        proxy.count(|| store.assign(&request(experiment, actor)).unwrap())
    };
    store.insert(running(&e).exclusion_group(&group)).unwrap();
    store.assign(&request(&e, "warm:1")).unwrap();
    let (first, got) = assign(&e, "user:1");
    let (repeat, again) = assign(&e, "user:1");
    assert_eq!(got.variant, again.variant);
    // What this machine has not seen before, or was changed since, takes a second one.
    store.insert(running(&new)).unwrap();
    let (unseen, _) = assign(&new, "user:1");
    let weights = [VariantConfig::new("a", 3), VariantConfig::new("b", 1)];
    store.set_variants(&new, weights.to_vec(), None).unwrap();
    let (changed, _) = assign(&new, "user:2");
    let weights = [VariantConfig::new("a", 1), VariantConfig::new("b", 3)];
    store.set_variants(&new, weights.to_vec(), None).unwrap();
    let repeats = [0, 1].map(|_| assign(&new, "user:2").0);
    // An override is stored by the first, and then there as any other.
    store.set_override(&new, "qa", "b").unwrap();
    store.assign(&request(&new, "warm:2")).unwrap();
    let pinned = [0, 1].map(|_| {
        let (pinned, assigned) = assign(&new, "qa");
        assert_eq!((&*assigned.variant, assigned.is_override), ("b", true));
        pinned
    });
    let shown = store.exposures(&new).unwrap();
    assert_eq!(shown.iter().filter(|shown| shown.is_override).count(), 2);
    store
        .insert(running(&sibling).exclusion_group(&group))
        .unwrap();
    store.assign(&request(&sibling, "warm:3")).unwrap();
    let (excluded, refused) =
        proxy.count(|| store.assign(&request(&sibling, "user:1")).unwrap_err());
    assert!(matches!(refused, ExperimentError::ExcludedByGroup(..)));
    let unexposed = AssignRequest {
        keep_exposure: false,
        ..request(&e, "user:1")
    };
    let (read, _) = proxy.count(|| store.assign(&unexposed).unwrap());
    let shown = store.exposures(&e).unwrap();
    assert_eq!(
        shown.iter().filter(|shown| shown.actor == "user:1").count(),
        2
    );
    [
        ("first", first),
        ("repeat", repeat),
        ("unseen", unseen),
        ("changed", changed),
        ("changed again", repeats[0]),
        ("repeat of that", repeats[1]),
        ("pinned", pinned[0]),
        ("pinned again", pinned[1]),
        ("excluded", excluded),
        ("without exposure", read),
    ]
}

/// The rules ask while a mutation is decided, and what is lost then is lost for the next call as well.
#[apply(needs_postgres!)]
fn a_connection_lost_during_a_question_of_the_rules_is_not_used_again() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
    let variants = [VariantConfig::new("a", 1), VariantConfig::new("c", 1)];
    let mut other = client(&url);
    let mut holding = other.transaction().unwrap();
    holding
        .batch_execute("LOCK TABLE autumn_experiment_assignments")
        .unwrap();
    let lost = thread::scope(|scope| {
        let setting = scope.spawn(|| {
            store
                .set_variants("e", variants.to_vec(), None)
                .unwrap_err()
        });
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND datname = current_database()";
        let mut admin = client(&url);
        eventually("it waits", || !admin.query(end, &[]).unwrap().is_empty());
        setting.join().unwrap()
    });
    holding.rollback().unwrap();
    store.set_variants("e", variants.to_vec(), None).unwrap();
    assert_lost(&lost, "write a change");
}

#[apply(needs_postgres!)]
fn a_line_cut_between_the_two_round_trips_leaves_nothing() {
    let url = server::shared().database();
    let proxy = Proxy::new(server::shared());
    let store = store(&proxy.url(&url));
    store.insert(running("e")).unwrap();
    store.assign(&request("e", "warm:1")).unwrap();

    store.insert(running("new")).unwrap();
    proxy.cut(Cut::Request(1));
    let cut = store.assign(&request("new", "user:1")).unwrap_err();
    assert_lost(&cut, "store an assignment");
    assert_eq!(store.get_assignment("new", "user:1").unwrap(), None);
    assert_eq!(store.exposures("new").unwrap().len(), 0);
    store.assign(&request("new", "user:1")).unwrap();
    assert_eq!(store.exposures("new").unwrap().len(), 1);
}

/// Whoever lost the answer may ask again: it was stored, and the same comes back.
#[apply(needs_postgres!)]
fn a_line_cut_before_the_answer_leaves_all_of_it() {
    let url = server::shared().database();
    let proxy = Proxy::new(server::shared());
    let store = store(&proxy.url(&url));
    store.insert(running("e")).unwrap();
    for actor in ["warm:1", "warm:2", "warm:3"] {
        store.assign(&request("e", actor)).unwrap();
    }

    proxy.cut(Cut::Answer(0));
    let cut = store.assign(&request("e", "user:1")).unwrap_err();
    assert_lost(&cut, "assign");
    // The server may still be at its commit.
    eventually("it is stored", || {
        store.get_assignment("e", "user:1").unwrap().is_some()
    });
    let stored = store.get_assignment("e", "user:1").unwrap().unwrap();
    assert_eq!(store.exposures("e").unwrap().len(), 4);
    let again = store.assign(&request("e", "user:1")).unwrap();
    assert_eq!(again.variant, stored.variant);

    // What only reads is asked once more by itself.
    proxy.cut(Cut::Answer(0));
    assert_eq!(store.get("e").unwrap().unwrap().name, "e");
}

fn assert_lost(error: &ExperimentError, expected: &str) {
    match error {
        ExperimentError::Store(ExperimentStoreError::Lost { doing, .. }) => {
            assert_eq!(*doing, expected);
        }
        other => panic!("{other}"),
    }
}

#[apply(needs_postgres!)]
fn a_killed_server_loses_nothing_that_was_told() {
    let mut server = Server::start();
    let store = store(&server.database());
    store.insert(running("e")).unwrap();
    let is_over = AtomicBool::new(false);
    let told_after = AtomicUsize::new(0);
    let restarted = AtomicBool::new(false);
    let told = thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let (store, is_over, told_after, restarted) =
                    (&store, &is_over, &told_after, &restarted);
                scope.spawn(move || {
                    let mut told = Vec::new();
                    for n in 0.. {
                        if is_over.load(Ordering::SeqCst) {
                            break;
                        }
                        let actor = format!("user:{caller}:{n}");
                        if let Ok(assigned) = store.assign(&request("e", &actor)) {
                            told.push((actor, assigned.variant));
                            if restarted.load(Ordering::SeqCst) {
                                told_after.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    }
                    told
                })
            })
            .collect();
        eventually("some are stored", || {
            store.exposures("e").unwrap().len() >= 20
        });
        server.restart();
        restarted.store(true, Ordering::SeqCst);
        eventually("some are told after that", || {
            told_after.load(Ordering::SeqCst) >= 20
        });
        is_over.store(true, Ordering::SeqCst);
        let told = callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap());
        told.collect::<Vec<_>>()
    });
    for (actor, variant) in &told {
        let stored = store.get_assignment("e", actor).unwrap().unwrap();
        assert_eq!(&stored.variant, variant);
    }
    // What was in hand when the server went may have been stored, with its exposure, or not.
    let info = store.info().unwrap();
    assert_eq!(info.assignments, info.exposures);
    assert!(info.assignments >= told.len() as u64);
}

/// Connections that nobody used while the server went are not mistaken for good ones.
#[apply(needs_postgres!)]
fn after_a_restart_the_next_call_works() {
    let mut server = Server::start();
    let store = store(&server.database());
    store.insert(running("e")).unwrap();
    let first = store.assign(&request("e", "user:1")).unwrap();
    server.restart();
    let again = store.assign(&request("e", "user:1")).unwrap();
    assert_eq!(first.variant, again.variant);
    store.set_override("e", "user:2", "a").unwrap();
}

#[apply(needs_postgres!)]
fn a_line_cut_in_the_middle_of_a_change_leaves_nothing_of_it() {
    let url = server::shared().database();
    let proxy = Proxy::new(server::shared());
    let store = store(&proxy.url(&url));
    store.insert(running("e")).unwrap();
    store.set_override("e", "warm:1", "a").unwrap();
    let (round_trips, _) = proxy.count(|| store.set_override("e", "warm:1", "b").unwrap());
    // Every one of them but the last, which commits.
    for cut_at in 0..round_trips - 1 {
        proxy.cut(Cut::Request(cut_at));
        let cut = store.set_override("e", "user:1", "a").unwrap_err();
        assert_lost(&cut, "write a change");
        assert_eq!(store.get_override("e", "user:1").unwrap(), None);
        // The new connection has its statements prepared.
        store.set_override("e", "warm:1", "a").unwrap();
        store.set_override("e", "warm:1", "b").unwrap();
    }
    assert_eq!(
        store.history("e", 0).unwrap().len(),
        3 + 2 * (round_trips - 1)
    );
}

/// What needs nothing to be written is answered by a replica as well.
#[apply(needs_postgres!)]
fn a_replica_is_read_and_not_written() {
    let mut server = Server::start();
    let url = server.database();
    let primary = store(&url);
    primary.insert(running("e")).unwrap();
    let stored = primary.assign(&request("e", "user:1")).unwrap();
    let replica = PgExperimentStore::open(options(&server.replica(&url))).unwrap();
    let unexposed = AssignRequest {
        keep_exposure: false,
        ..request("e", "user:1")
    };
    assert_eq!(replica.assign(&unexposed).unwrap().variant, stored.variant);
    // The second time it has seen the experiment.
    assert_eq!(replica.assign(&unexposed).unwrap().variant, stored.variant);
    for refused in [
        replica.assign(&request("e", "user:1")).unwrap_err(),
        replica.assign(&request("e", "user:2")).unwrap_err(),
        replica.set_override("e", "user:2", "a").unwrap_err(),
    ] {
        assert!(
            matches!(
                refused,
                ExperimentError::Store(ExperimentStoreError::ReadOnly { .. })
            ),
            "{refused}"
        );
    }
    // Nor does the winner have to be written, whatever was seen of the experiment before.
    primary
        .set_state("e", ExperimentState::Concluded, Some("b"))
        .unwrap();
    eventually("the replica has it", || {
        replica.get("e").unwrap().unwrap().winner.is_some()
    });
    let unexposed = AssignRequest {
        actor: "user:3",
        ..unexposed
    };
    assert_eq!(replica.assign(&unexposed).unwrap().variant, "b");
}

/// One loss tells of the others: who comes next does not run into them.
#[apply(needs_postgres!)]
fn after_one_lost_connection_the_others_are_looked_at() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
    let opened = std::sync::Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..20 {
                    opened.wait();
                    store.set_override("e", &format!("user:{n}"), "a").unwrap();
                }
            });
        }
    });
    let mut admin = client(&url);
    let ended = admin.query(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
        &[],
    );
    assert!(ended.unwrap().len() > 1);
    let mut lost = 0;
    for n in 0..8 {
        match store.set_override("e", "user:1", if n % 2 == 0 { "a" } else { "b" }) {
            Ok(_) => {}
            Err(ExperimentError::Store(ExperimentStoreError::Lost { .. })) => lost += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(lost <= 1, "{lost}");
}

/// After a failover the version of a row may have come again with another content.
#[apply(needs_postgres!)]
fn what_is_known_of_one_server_is_not_believed_of_another() {
    const TRANSACTION: &str = "SELECT txid_current()";
    let mut servers = [0, 1].map(|_| Server::start_with("-c fsync=off -c autovacuum=off", |_| {}));
    let urls = servers.each_ref().map(Server::database);
    // As the tests number their databases, these have different names.
    for (server, url) in servers.iter().zip(&urls) {
        let name = url.split(['/', '?']).nth(3).unwrap();
        client(&server.url("postgres"))
            .batch_execute(&format!("ALTER DATABASE {name} RENAME TO app"))
            .unwrap();
    }
    let urls = servers.each_ref().map(|server| server.url("app"));
    let stores = urls.each_ref().map(|url| store(url));
    let mut clients = urls.each_ref().map(|url| client(url));
    loop {
        let [one, other] = clients.each_mut().map(|client| {
            let row = client.query_one(TRANSACTION, &[]).unwrap();
            row.get::<_, i64>(0)
        });
        if one == other {
            break;
        }
        let behind = &mut clients[usize::from(other < one)];
        for _ in 1..one.abs_diff(other) {
            behind.query_one(TRANSACTION, &[]).unwrap();
        }
        let ahead = &mut clients[usize::from(one < other)];
        ahead.query_one(TRANSACTION, &[]).unwrap();
    }
    for (store, variants) in stores.iter().zip([["a", "b"], ["c", "d"]]) {
        let variants = variants.map(|name| VariantConfig::new(name, 1)).to_vec();
        let config = ExperimentConfig::new("e", variants);
        let state = ExperimentState::Running;
        store.insert(ExperimentConfig { state, ..config }).unwrap();
    }
    let versions = clients.each_mut().map(|client| {
        let row = client.query_one("SELECT xmin::text FROM autumn_experiments", &[]);
        row.unwrap().get::<_, String>(0)
    });
    assert_eq!(versions[0], versions[1], "it would show nothing");

    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("socket");
    let moved = |url: &str| format!("postgres://admin@/app?host={url}");
    std::os::unix::fs::symlink(servers[0].directory(), &link).unwrap();
    let store = PgExperimentStore::open(options(&moved(&link.display().to_string()))).unwrap();
    for actor in ["user:1", "user:2"] {
        let assigned = store.assign(&request("e", actor)).unwrap();
        assert!(["a", "b"].contains(&&*assigned.variant), "{assigned:?}");
    }
    drop(clients);
    servers[1].stop();
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(servers[1].directory(), &link).unwrap();
    servers[0].stop();
    // It takes longer than a connection is taken to be alive without looking.
    servers[1].start_again();
    for n in 0..8 {
        let assigned = store.assign(&request("e", &format!("later:{n}"))).unwrap();
        assert!(["c", "d"].contains(&&*assigned.variant), "{assigned:?}");
    }
}
