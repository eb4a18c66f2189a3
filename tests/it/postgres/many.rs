//! Many callers and many actors at once.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use experiments::{
    AssignManyRequest, AssignmentReason, ExperimentStore, Keep, PgExperimentStore, VariantConfig,
};
use macro_rules_attribute::apply;

use crate::givens::{eventually, request, running, store};
use crate::server::{self, client, options};

/// Singles take actors all over the batch that is being stored; nobody gives up, and all agree.
#[apply(needs_postgres!)]
fn many_are_stored_while_others_take_the_same_one_by_one() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
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
    for (actor, verdict) in names.iter().zip(many.iter()).step_by(500) {
        let kept = store.get_assignment("e", actor).unwrap().unwrap();
        assert_eq!(Some(&*kept.variant), verdict.variant);
    }
    assert_eq!(store.info().unwrap().assignments, 20_000);
}

/// In a group they go two batches at a time, and are answered as if one had come after another.
#[apply(needs_postgres!)]
fn many_of_a_group_are_answered_in_order() {
    let url = server::shared().database();
    for pool_size in [1, 4] {
        let group = format!("g{pool_size}");
        let store = PgExperimentStore::open_or_create(options(&url).pool_size(pool_size)).unwrap();
        let (name, sibling) = (format!("e{pool_size}"), format!("s{pool_size}"));
        store
            .insert(running(&name).exclusion_group(&*group))
            .unwrap();
        store
            .insert(running(&sibling).exclusion_group(&*group))
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
        let reasons: Vec<AssignmentReason> = answers.iter().map(|verdict| verdict.reason).collect();
        for (n, reason) in reasons.into_iter().enumerate() {
            let expected = match n {
                _ if n % 15_000 == 7 => AssignmentReason::Excluded,
                0..15_000 => AssignmentReason::Assigned,
                _ => AssignmentReason::Sticky,
            };
            assert_eq!(reason, expected, "{n}");
        }
    }
}

/// They share the experiment, and there is always one of them.
#[apply(needs_postgres!)]
fn a_mutation_gets_through_while_others_assign_without_a_pause() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
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
        eventually("all are busy", || is_busy.load(Ordering::SeqCst) >= 100);
        let mut changes = 0;
        for weight in 1..=20 {
            let variants = [VariantConfig::new("a", weight), VariantConfig::new("b", 1)];
            changes += usize::from(store.set_variants("e", variants.to_vec(), None).is_ok());
        }
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(changes, 20);
    });
}

#[apply(needs_postgres!)]
fn two_who_assign_the_same_many_agree() {
    let url = server::shared().database();
    let stores = [store(&url), store(&url)];
    stores[0].insert(running("e")).unwrap();
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
            .map(|verdict| verdict.variant.unwrap().to_owned());
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

/// One connection is enough, however long it is used.
#[apply(needs_postgres!)]
fn many_of_a_group_are_assigned_on_one_connection() {
    let url = server::shared().database();
    store(&url)
        .insert(running("e").exclusion_group("g"))
        .unwrap();
    client(&url)
        .batch_execute(
            "CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_sleep(2.5); RETURN NULL; END';
             CREATE TRIGGER take_long BEFORE INSERT ON autumn_experiment_assignments
                 FOR EACH STATEMENT EXECUTE FUNCTION take_long()",
        )
        .unwrap();
    let options = options(&url)
        .pool_size(1)
        .connect_timeout(Duration::from_secs(2));
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

/// The server supposes that an experiment is empty which had no actors when it last counted. Its rows are not read
/// over and over for that.
#[apply(needs_postgres!)]
fn an_experiment_that_seems_empty_is_not_read_for_each_actor() {
    let url = server::shared().database();
    let store = store(&url);
    let actors: Vec<String> = (0..4_000).map(|n| format!("user:{n:04}")).collect();
    let names: Vec<&str> = actors.iter().map(String::as_str).collect();
    let assign = |experiment, actors| {
        let request = AssignManyRequest {
            experiment,
            actors,
            keep: Keep::Assignments,
        };
        store.assign_many(&request).unwrap();
    };
    store.insert(running("known")).unwrap();
    store.insert(running("new")).unwrap();
    assign("known", &names);
    let mut observer = client(&url);
    observer.batch_execute("ANALYZE").unwrap();
    assign("new", &names[..2_000]);
    assign("new", &names[2_000..]);
    // A session counts what it has read when it ends.
    drop(store);
    eventually("the sessions have ended", || {
        let others = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        observer.query_one(others, &[]).unwrap().get::<_, i64>(0) == 0
    });
    let read = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes
        WHERE relname = 'autumn_experiment_assignments'";
    let read: i64 = observer.query_one(read, &[]).unwrap().get(0);
    assert!(read < 100_000, "{read}");
}
