//! What only a database brings along: another program in its tables, servers that go away, the
//! number of round trips.

use std::collections::HashSet;
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use experiments::{
    AssignManyRequest, AssignRequest, AssignmentReason, ExperimentConfig, ExperimentError,
    ExperimentService, ExperimentState, ExperimentStore, ExperimentStoreError, Keep, ManyReason,
    PgExperimentStore, PgOptions, VariantConfig,
};

use crate::proxy::{Cut, Proxy};
use crate::server::{self, Server, client, options};

/// The tables as the reference's application makes them.
pub(crate) const APPLICATION: &str = "
    CREATE TYPE autumn_experiment_state AS ENUM ('draft', 'running', 'concluded', 'archived');
    CREATE TABLE autumn_experiments (
        id bigserial PRIMARY KEY, name text NOT NULL UNIQUE, description text,
        state autumn_experiment_state NOT NULL DEFAULT 'draft',
        variants jsonb NOT NULL DEFAULT '[]', winner text, exclusion_group text,
        created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE autumn_experiment_assignments (
        id bigserial PRIMARY KEY, experiment text NOT NULL, actor text NOT NULL,
        variant text NOT NULL, is_override boolean NOT NULL DEFAULT false,
        assigned_at timestamptz NOT NULL DEFAULT now(), UNIQUE (experiment, actor));
    CREATE TABLE autumn_experiment_overrides (
        id bigserial PRIMARY KEY, experiment text NOT NULL, actor text NOT NULL,
        variant text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (experiment, actor));
    CREATE TABLE autumn_experiment_changes (
        id bigserial PRIMARY KEY, experiment text NOT NULL, mutation text NOT NULL, actor text,
        changed_at timestamptz NOT NULL DEFAULT now());
    CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_notify(''autumn_experiments'', NEW.experiment); RETURN NEW; END';
    CREATE TRIGGER told AFTER INSERT ON autumn_experiment_changes
        FOR EACH ROW EXECUTE FUNCTION told();
    INSERT INTO autumn_experiments (name, state, variants, exclusion_group) VALUES
        ('theirs', 'running', '[{\"name\": \"a\", \"weight\": 1}, {\"name\": \"b\", \"weight\": 1}]', 'g');
    INSERT INTO autumn_experiment_changes (experiment, mutation) VALUES ('theirs', 'created');
";

fn running(name: &str) -> ExperimentConfig {
    let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
    ExperimentConfig {
        state: ExperimentState::Running,
        ..ExperimentConfig::new(name, variants)
    }
}

fn store(url: &str) -> PgExperimentStore {
    PgExperimentStore::open_or_create(options(url)).unwrap()
}

fn request<'a>(experiment: &'a str, actor: &'a str) -> AssignRequest<'a> {
    AssignRequest {
        experiment,
        actor,
        request_id: None,
        keep_exposure: true,
    }
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn an_application_goes_on_in_its_own_tables() {
    let url = server::shared().database();
    let mut application = client(&url);
    application.batch_execute(APPLICATION).unwrap();

    let unmigrated = PgExperimentStore::open(options(&url)).unwrap_err();
    assert!(
        matches!(unmigrated, ExperimentStoreError::NotMigrated { .. }),
        "{unmigrated}"
    );
    assert!(PgExperimentStore::migrate(&options(&url)).unwrap());
    assert!(!PgExperimentStore::migrate(&options(&url)).unwrap());

    let store = PgExperimentStore::open(options(&url))
        .unwrap()
        .with_operator("ann");
    assert!(store.is_adopted().unwrap());
    assert_eq!(store.list().unwrap()[0].name, "theirs");
    let service = ExperimentService::new(store.clone());
    let variant = service.assign("theirs", "user:1").unwrap();

    // It sees what was assigned here, and its own statements, which know nothing of what was added,
    // still work.
    application
        .batch_execute("LISTEN autumn_experiments")
        .unwrap();
    let stored = "SELECT variant FROM autumn_experiment_assignments
        WHERE experiment = 'theirs' AND actor = 'user:1'";
    assert_eq!(
        application
            .query_one(stored, &[])
            .unwrap()
            .get::<_, String>(0),
        variant
    );
    application
        .batch_execute(
            "INSERT INTO autumn_experiments (name, state, variants) VALUES
                 ('new', 'running', '[{\"name\": \"a\", \"weight\": 1}]');
             INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
                 VALUES ('new', 'user:1', 'a');
             INSERT INTO autumn_experiment_overrides (experiment, actor, variant)
                 VALUES ('new', 'user:2', 'a');
             INSERT INTO autumn_experiment_changes (experiment, mutation) VALUES ('new', 'created')",
        )
        .unwrap();
    assert_eq!(service.assign("new", "user:1").unwrap(), "a");
    assert_eq!(store.get_override("new", "user:2").unwrap().unwrap(), "a");
    service.conclude("new", "a").unwrap();
    let history = service.history("new", 0).unwrap();
    assert_eq!(history[0].actor.as_deref(), Some("ann"));
    assert!(history[0].detail.is_some());
    assert_eq!(
        (history[1].mutation.as_str(), &history[1].detail),
        ("created", &None)
    );

    // One notification for each change, its own trigger's.
    let mut notifications = application.notifications();
    let mut heard = Vec::new();
    let mut iter = notifications.timeout_iter(Duration::from_secs(10));
    while heard.len() < 2 {
        let notification = postgres::fallible_iterator::FallibleIterator::next(&mut iter);
        heard.push(notification.unwrap().unwrap().payload().to_owned());
    }
    drop(iter);
    assert_eq!(heard, ["new", "new"]);
    assert!(notifications.is_empty());
    assert_eq!(store.check().unwrap(), []);
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn migrations_at_once_are_made_once() {
    let url = server::shared().database();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| PgExperimentStore::migrate(&options(&url)).unwrap());
        }
    });
    let made = client(&url).query("SELECT version FROM exp_migrations", &[]);
    assert_eq!(made.unwrap().len(), 2);
    assert!(!store(&url).is_adopted().unwrap());
}

/// The locking of SPEC 12, as another program follows it.
fn assign_as_the_application(
    database: &mut postgres::Client,
    experiment: &str,
    actor: &str,
) -> bool {
    let mut transaction = database.transaction().unwrap();
    transaction
        .execute("SELECT pg_advisory_xact_lock(hashtext($1))", &[&actor])
        .unwrap();
    let sibling = transaction
        .query(
            "SELECT 1 FROM autumn_experiment_assignments a
             JOIN autumn_experiments e ON e.name = a.experiment
             WHERE a.actor = $1 AND e.exclusion_group = 'g' AND e.name <> $2",
            &[&actor, &experiment],
        )
        .unwrap();
    let is_free = sibling.is_empty();
    if is_free {
        transaction
            .execute(
                "INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
                 VALUES ($1, $2, 'a') ON CONFLICT DO NOTHING",
                &[&experiment, &actor],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
    is_free
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_group_holds_against_the_application_and_in_bulk() {
    let url = server::shared().database();
    let store = store(&url);
    for name in ["mine", "many", "theirs"] {
        store.insert(&running(name).exclusion_group("g")).unwrap();
    }
    let actors: Vec<String> = (0..400).map(|n| format!("user:{n}")).collect();
    let names: Vec<&str> = actors.iter().map(String::as_str).collect();
    let (singles, bulk, theirs) = thread::scope(|scope| {
        let singles = scope.spawn(|| {
            let mut taken = HashSet::new();
            for actor in &names {
                match store.assign(&request("mine", actor)) {
                    Ok(_) => drop(taken.insert(*actor)),
                    Err(ExperimentError::ExcludedByGroup(..)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            taken
        });
        let bulk = scope.spawn(|| {
            let mut taken = HashSet::new();
            for actors in names.rchunks(20) {
                let request = AssignManyRequest {
                    experiment: "many",
                    actors,
                    keep: Keep::Assignments,
                };
                let answers = store.assign_many(&request).unwrap();
                let pairs = actors.iter().zip(answers.iter());
                taken.extend(
                    pairs
                        .filter(|(_, answer)| answer.0.is_some())
                        .map(|(a, _)| *a),
                );
            }
            taken
        });
        let theirs = scope.spawn(|| {
            let mut database = client(&url);
            let mut taken = HashSet::new();
            for actor in names.iter().skip(200).chain(names.iter().take(200)) {
                if assign_as_the_application(&mut database, "theirs", actor) {
                    taken.insert(*actor);
                }
            }
            taken
        });
        (
            singles.join().unwrap(),
            bulk.join().unwrap(),
            theirs.join().unwrap(),
        )
    });
    assert_eq!(singles.len() + bulk.len() + theirs.len(), names.len());
    assert!(singles.is_disjoint(&bulk) && singles.is_disjoint(&theirs));
    assert_eq!(store.check().unwrap(), []);
}

/// Singles take actors all over the batch that is being stored; nobody gives up, and all agree.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn many_are_stored_while_others_take_the_same_one_by_one() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(&running("e")).unwrap();
    let actors: Vec<String> = (0..20_000).map(|n| format!("user:{n:05}")).collect();
    let names: Vec<&str> = actors.iter().map(String::as_str).collect();
    let is_over = AtomicBool::new(false);
    let many = thread::scope(|scope| {
        for share in names.chunks(5_000) {
            let (store, is_over) = (&store, &is_over);
            scope.spawn(move || {
                for actor in share.iter().rev() {
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    store.assign(&request("e", actor)).unwrap();
                }
            });
        }
        let request = AssignManyRequest {
            experiment: "e",
            actors: &names,
            keep: Keep::Assignments,
        };
        let many = store.assign_many(&request);
        is_over.store(true, Ordering::SeqCst);
        many.unwrap()
    });
    for (actor, (variant, _)) in names.iter().zip(many.iter()).step_by(500) {
        let kept = store.get_assignment("e", actor).unwrap().unwrap();
        assert_eq!(Some(&*kept.variant), variant);
    }
    assert_eq!(store.info().unwrap().assignments, 20_000);
}

/// In a group they go two batches at a time, and are answered as if one had come after another.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn many_of_a_group_are_answered_in_order() {
    let url = server::shared().database();
    for pool_size in [1, 4] {
        let group = format!("g{pool_size}");
        let store = PgExperimentStore::open_or_create(options(&url).pool_size(pool_size)).unwrap();
        let (name, sibling) = (format!("e{pool_size}"), format!("s{pool_size}"));
        store
            .insert(&running(&name).exclusion_group(&*group))
            .unwrap();
        store
            .insert(&running(&sibling).exclusion_group(&*group))
            .unwrap();
        store.assign(&request(&sibling, "user:7")).unwrap();
        // Every actor comes again in another batch.
        let actors: Vec<String> = (0..30_000)
            .map(|n| format!("user:{}", n % 15_000))
            .collect();
        let names: Vec<&str> = actors.iter().map(String::as_str).collect();
        let request = AssignManyRequest {
            experiment: &name,
            actors: &names,
            keep: Keep::Assignments,
        };
        let answers = store.assign_many(&request).unwrap();
        let reasons: Vec<ManyReason> = answers.iter().map(|(_, reason)| reason).collect();
        for (n, reason) in reasons.into_iter().enumerate() {
            let expected = match n {
                _ if n % 15_000 == 7 => ManyReason::Excluded,
                0..15_000 => ManyReason::Assigned,
                _ => ManyReason::Sticky,
            };
            assert_eq!(reason, expected, "{n}");
        }
    }
}

/// It knows nothing of the gate, and closes it all the same.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn nothing_is_assigned_after_the_application_has_archived() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(&running("e")).unwrap();
    let count = "SELECT count(*) FROM autumn_experiment_assignments";
    let mut application = client(&url);
    let assigned = AtomicUsize::new(0);
    let counted: i64 = thread::scope(|scope| {
        for caller in 0..8 {
            let (store, assigned) = (&store, &assigned);
            scope.spawn(move || {
                for n in 0.. {
                    match store.assign(&request("e", &format!("{caller}:{n}"))) {
                        Ok(_) => assigned.fetch_add(1, Ordering::SeqCst),
                        Err(ExperimentError::Archived(_)) => break,
                        Err(other) => panic!("{other}"),
                    };
                }
            });
        }
        while assigned.load(Ordering::SeqCst) < 200 {
            thread::yield_now();
        }
        let archived = "UPDATE autumn_experiments SET state = 'archived' WHERE name = 'e'";
        application.batch_execute(archived).unwrap();
        application.query_one(count, &[]).unwrap().get(0)
    });
    let in_the_end: i64 = application.query_one(count, &[]).unwrap().get(0);
    assert_eq!(in_the_end, counted);
}

/// They share the experiment, and there is always one of them.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_mutation_gets_through_while_others_assign_without_a_pause() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(&running("e")).unwrap();
    store.assign(&request("e", "again")).unwrap();
    let is_over = AtomicBool::new(false);
    let is_busy = AtomicUsize::new(0);
    thread::scope(|scope| {
        for caller in 0..12 {
            let (store, is_over, is_busy) = (&store, &is_over, &is_busy);
            scope.spawn(move || {
                for n in 0.. {
                    let actor = match caller % 2 {
                        0 => format!("user:{caller}:{n}"),
                        _ => "again".to_owned(),
                    };
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    store.assign(&request("e", &actor)).unwrap();
                    is_busy.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while is_busy.load(Ordering::SeqCst) < 100 {
            thread::yield_now();
        }
        let mut changes = 0;
        for weight in 1..=20 {
            let variants = [VariantConfig::new("a", weight), VariantConfig::new("b", 1)];
            changes += usize::from(store.set_variants("e", &variants).is_ok());
        }
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(changes, 20);
    });
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn two_who_assign_the_same_many_agree() {
    let url = server::shared().database();
    let stores = [store(&url), store(&url)];
    stores[0].insert(&running("e")).unwrap();
    let actors: Vec<String> = (0..3000).map(|n| format!("user\\{n}\t\n")).collect();
    let forwards: Vec<&str> = actors.iter().map(String::as_str).collect();
    let backwards: Vec<&str> = forwards.iter().rev().copied().collect();
    let assign = |store: &PgExperimentStore, actors: &[&str]| {
        let request = AssignManyRequest {
            experiment: "e",
            actors,
            keep: Keep::AssignmentsAndExposures,
        };
        let answers = store.assign_many(&request).unwrap();
        let variants = answers
            .iter()
            .map(|(variant, _)| variant.unwrap().to_owned());
        variants.collect::<Vec<_>>()
    };
    let (one, mut other) = thread::scope(|scope| {
        let one = scope.spawn(|| assign(&stores[0], &forwards));
        let other = scope.spawn(|| assign(&stores[1], &backwards));
        (one.join().unwrap(), other.join().unwrap())
    });
    other.reverse();
    assert_eq!(one, other);
    assert_eq!(stores[0].exposures("e").unwrap().len(), 6000);
    for (actor, variant) in forwards.iter().zip(&one).step_by(500) {
        let kept = stores[0].get_assignment("e", actor).unwrap().unwrap();
        assert_eq!(&kept.variant, variant);
    }
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_repeat_takes_one_round_trip_and_a_first_assignment_at_most_two() {
    let url = server::shared().database();
    let proxy = Proxy::new(server::shared());
    let store = store(&proxy.url(&url));
    store.insert(&running("e").exclusion_group("g")).unwrap();
    // Has the statements prepared.
    for actor in ["warm:1", "warm:1"] {
        store.assign(&request("e", actor)).unwrap();
        store
            .assign(&AssignRequest {
                keep_exposure: false,
                ..request("e", actor)
            })
            .unwrap();
    }
    let first = proxy.count(|| store.assign(&request("e", "user:1")).unwrap());
    let repeat = proxy.count(|| store.assign(&request("e", "user:1")).unwrap());
    // What this machine has not seen before, or was changed since, takes a second one.
    store.insert(&running("new")).unwrap();
    let unseen = proxy.count(|| store.assign(&request("new", "user:1")).unwrap());
    assert_eq!(unseen.0, 2);
    let weights = [VariantConfig::new("a", 3), VariantConfig::new("b", 1)];
    store.set_variants("new", &weights).unwrap();
    let changed = proxy.count(|| store.assign(&request("new", "user:2")).unwrap());
    assert_eq!(changed.0, 2);
    let weights = [VariantConfig::new("a", 1), VariantConfig::new("b", 3)];
    store.set_variants("new", &weights).unwrap();
    let repeats = [0, 1].map(|_| {
        proxy
            .count(|| store.assign(&request("new", "user:2")).unwrap())
            .0
    });
    assert_eq!(repeats, [2, 1]);
    // An override is stored by the first, and then there as any other.
    store.set_override("new", "qa", "b").unwrap();
    store.assign(&request("new", "warm:2")).unwrap();
    let pinned = [0, 1].map(|_| proxy.count(|| store.assign(&request("new", "qa")).unwrap()));
    assert_eq!([pinned[0].0, pinned[1].0], [2, 1]);
    for (_, assigned) in pinned {
        assert_eq!(assigned.variant, "b");
        assert!(assigned.is_override());
    }
    let shown = store.exposures("new").unwrap();
    assert_eq!(shown.iter().filter(|shown| shown.is_override).count(), 2);
    store
        .insert(&running("sibling").exclusion_group("g"))
        .unwrap();
    store.assign(&request("sibling", "warm:3")).unwrap();
    let excluded = proxy.count(|| store.assign(&request("sibling", "user:1")).unwrap_err());
    assert_eq!(excluded.0, 1);
    assert!(matches!(excluded.1, ExperimentError::ExcludedByGroup(..)));
    let unexposed = AssignRequest {
        keep_exposure: false,
        ..request("e", "user:1")
    };
    let read = proxy.count(|| store.assign(&unexposed).unwrap());
    assert_eq!((first.0, repeat.0, read.0), (1, 1, 1));
    assert_eq!(first.1.variant, repeat.1.variant);
    let shown = store.exposures("e").unwrap();
    assert_eq!(
        shown.iter().filter(|shown| shown.actor == "user:1").count(),
        2
    );
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_line_cut_between_the_two_round_trips_leaves_nothing() {
    let url = server::shared().database();
    let proxy = Proxy::new(server::shared());
    let store = store(&proxy.url(&url));
    store.insert(&running("e")).unwrap();
    store.assign(&request("e", "warm:1")).unwrap();

    store.insert(&running("new")).unwrap();
    proxy.cut(Cut::Request(1));
    let cut = store.assign(&request("new", "user:1")).unwrap_err();
    assert_lost(&cut, "store an assignment");
    assert_eq!(store.get_assignment("new", "user:1").unwrap(), None);
    assert_eq!(store.exposures("new").unwrap().len(), 0);
    store.assign(&request("new", "user:1")).unwrap();
    assert_eq!(store.exposures("new").unwrap().len(), 1);
}

/// Whoever lost the answer may ask again: it was stored, and the same comes back.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_line_cut_before_the_answer_leaves_all_of_it() {
    let url = server::shared().database();
    let proxy = Proxy::new(server::shared());
    let store = store(&proxy.url(&url));
    store.insert(&running("e")).unwrap();
    for actor in ["warm:1", "warm:2", "warm:3"] {
        store.assign(&request("e", actor)).unwrap();
    }

    proxy.cut(Cut::Answer(0));
    let cut = store.assign(&request("e", "user:1")).unwrap_err();
    assert_lost(&cut, "assign");
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

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_killed_server_loses_nothing_that_was_told() {
    let mut server = Server::start();
    let store = store(&server.database());
    store.insert(&running("e")).unwrap();
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
        while store.exposures("e").unwrap().len() < 20 {}
        server.restart();
        restarted.store(true, Ordering::SeqCst);
        while told_after.load(Ordering::SeqCst) < 20 {
            thread::yield_now();
        }
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
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn after_a_restart_the_next_call_works() {
    let mut server = Server::start();
    let store = store(&server.database());
    store.insert(&running("e")).unwrap();
    let first = store.assign(&request("e", "user:1")).unwrap();
    server.restart();
    let again = store.assign(&request("e", "user:1")).unwrap();
    assert_eq!(first.variant, again.variant);
    store.set_override("e", "user:2", "a").unwrap();
}

/// Whoever waits for a lock, or for an answer, is told after a while.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn waiting_has_an_end() {
    let url = server::shared().database();
    store(&url).insert(&running("e")).unwrap();
    let mut other = client(&url);
    let mut holding = other.transaction().unwrap();
    holding
        .batch_execute("SELECT pg_advisory_xact_lock(hashtext('user:1'))")
        .unwrap();
    for impatient in [
        options(&url).lock_timeout(Duration::from_millis(50)),
        options(&url).statement_timeout(Duration::from_millis(50)),
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

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_line_cut_in_the_middle_of_a_change_leaves_nothing_of_it() {
    let url = server::shared().database();
    let proxy = Proxy::new(server::shared());
    let store = store(&proxy.url(&url));
    store.insert(&running("e")).unwrap();
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

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn tables_that_are_gone_are_told_of() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(&running("e")).unwrap();
    store.assign(&request("e", "user:1")).unwrap();
    client(&url)
        .batch_execute("DROP TABLE exp_exposures")
        .unwrap();
    let gone = store.assign(&request("e", "user:1")).unwrap_err();
    assert!(
        matches!(
            gone,
            ExperimentError::Store(ExperimentStoreError::NotMigrated { .. })
        ),
        "{gone}"
    );
}

/// What needs nothing to be written is answered by a replica as well.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_replica_is_read_and_not_written() {
    let mut server = Server::start();
    let url = server.database();
    let primary = store(&url);
    primary.insert(&running("e")).unwrap();
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
    let begun = std::time::Instant::now();
    while replica.get("e").unwrap().unwrap().winner.is_none() {
        assert!(begun.elapsed() < Duration::from_mins(1));
    }
    let unexposed = AssignRequest {
        actor: "user:3",
        ..unexposed
    };
    assert_eq!(replica.assign(&unexposed).unwrap().variant, "b");
}

#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
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
        .insert(&running("e"))
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

/// One loss tells of the others: who comes next does not run into them.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn after_one_lost_connection_the_others_are_looked_at() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(&running("e")).unwrap();
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
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
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
        store.insert(&ExperimentConfig { state, ..config }).unwrap();
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

/// Who is pinned to a variant that an application has removed keeps what is stored.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_pinned_variant_that_is_gone_counts_as_any_other() {
    let url = server::shared().database();
    let stores = [store(&url), store(&url)];
    stores[0].insert(&running("e")).unwrap();
    client(&url)
        .batch_execute(
            // Past the trigger that refuses it.
            "SET exp.writer = 'exp';
             INSERT INTO autumn_experiment_overrides (experiment, actor, variant)
                 VALUES ('e', 'qa', 'gone');
             INSERT INTO autumn_experiment_assignments (experiment, actor, variant, is_override)
                 VALUES ('e', 'qa', 'gone', true)",
        )
        .unwrap();
    // One has seen the experiment before, and one has not.
    stores[0].assign(&request("e", "user:1")).unwrap();
    for store in &stores {
        for keep_exposure in [true, false] {
            let request = AssignRequest {
                keep_exposure,
                ..request("e", "qa")
            };
            let assigned = store.assign(&request).unwrap();
            assert_eq!(assigned.variant, "gone");
            assert_eq!(assigned.reason, AssignmentReason::Sticky);
        }
    }
    let exposures = stores[0].exposures("e").unwrap();
    let shown = exposures.iter().filter(|shown| shown.actor == "qa");
    assert_eq!(
        shown.map(|shown| shown.is_override).collect::<Vec<_>>(),
        [true, true]
    );
}

/// One connection is enough, however long it is used.
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn many_of_a_group_are_assigned_on_one_connection() {
    let url = server::shared().database();
    store(&url)
        .insert(&running("e").exclusion_group("g"))
        .unwrap();
    client(&url)
        .batch_execute(
            "CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END';
             CREATE TRIGGER take_long BEFORE INSERT ON autumn_experiment_assignments
                 FOR EACH STATEMENT EXECUTE FUNCTION take_long()",
        )
        .unwrap();
    let options = options(&url)
        .pool_size(1)
        .connect_timeout(Duration::from_secs(1));
    let store = PgExperimentStore::open(options).unwrap();
    // More than can be locked at once.
    let actors: Vec<String> = (0..6000).map(|n| format!("user:{n}")).collect();
    let request = AssignManyRequest {
        experiment: "e",
        actors: &actors.iter().map(String::as_str).collect::<Vec<_>>(),
        keep: Keep::Assignments,
    };
    let answers = store.assign_many(&request).unwrap();
    assert_eq!(answers.iter().count(), 6000);
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
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn a_server_that_falls_silent_costs_nothing_more_with_each_attempt() {
    let server = Server::start();
    let url = server.database();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join(".s.PGSQL.5432");
    let target = server.directory().join(".s.PGSQL.5432");
    std::os::unix::fs::symlink(&target, &socket).unwrap();
    let (base, _) = url.split_once("?host=").unwrap();
    let silent_url = format!("{base}?host={}", directory.path().display());
    let store = PgExperimentStore::open_or_create(
        options(&silent_url).connect_timeout(Duration::from_millis(400)),
    )
    .unwrap();
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
#[test]
#[cfg_attr(no_postgres, ignore = "there is no Postgres")]
fn handlers_of_an_async_server_assign_and_let_go() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(&running("e")).unwrap();
    let service = ExperimentService::new(store);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async move {
        let first = service.assign_async("e", "user:1").await.unwrap();
        assert_eq!(service.assign_async("e", "user:1").await.unwrap(), first);
        drop(service);
    });
}
