//! Beside an application in the same tables: its statements, its locking, its changes.

use std::collections::HashSet;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use experiments::{
    AssignManyRequest, AssignRequest, AssignmentReason, Clock, ExperimentError, ExperimentService,
    ExperimentStore, ExperimentStoreError, Keep, Outcome, PgExperimentStore,
};
use macro_rules_attribute::apply;

use crate::givens::{eventually, request, running, store};
use crate::server::{self, client, options};

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

#[apply(needs_postgres!)]
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
    let mut iter = notifications.timeout_iter(Duration::from_mins(1));
    while heard.len() < 2 {
        let notification = postgres::fallible_iterator::FallibleIterator::next(&mut iter);
        heard.push(notification.unwrap().unwrap().payload().to_owned());
    }
    drop(iter);
    assert_eq!(heard, ["new", "new"]);
    assert!(notifications.is_empty());
    assert_eq!(store.check().unwrap(), []);
}

#[apply(needs_postgres!)]
fn migrations_at_once_are_made_once() {
    let url = server::shared().database();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| PgExperimentStore::migrate(&options(&url)).unwrap());
        }
    });
    let made = client(&url).query("SELECT version FROM exp_migrations", &[]);
    assert_eq!(made.unwrap().len(), 5);
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

#[apply(needs_postgres!)]
fn a_group_holds_against_the_application_and_in_bulk() {
    let url = server::shared().database();
    let store = store(&url);
    for name in ["mine", "many", "theirs"] {
        store.insert(running(name).exclusion_group("g")).unwrap();
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
                        .filter(|(_, answer)| answer.variant.is_some())
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

/// It knows nothing of the gate, and closes it all the same.
#[apply(needs_postgres!)]
fn nothing_is_assigned_after_the_application_has_archived() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
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
        eventually("many are assigned", || {
            assigned.load(Ordering::SeqCst) >= 200
        });
        let archived = "UPDATE autumn_experiments SET state = 'archived' WHERE name = 'e'";
        application.batch_execute(archived).unwrap();
        application.query_one(count, &[]).unwrap().get(0)
    });
    let in_the_end: i64 = application.query_one(count, &[]).unwrap().get(0);
    assert_eq!(in_the_end, counted);
}

#[apply(needs_postgres!)]
fn tables_that_are_gone_are_told_of() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
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

/// Who is pinned to a variant that an application has removed keeps what is stored.
#[apply(needs_postgres!)]
fn a_pinned_variant_that_is_gone_counts_as_any_other() {
    let url = server::shared().database();
    let stores = [store(&url), store(&url)];
    stores[0].insert(running("e")).unwrap();
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

/// What people read by SQL: the views of a store.
fn views(db: &mut postgres::Client) -> Vec<String> {
    let rows = db.query(
        "SELECT concat_ws(' ', experiment, actor, variant, is_override, extract(epoch FROM assigned_at)::bigint,
                 weight_period) FROM exp_view_assignments
         UNION ALL SELECT concat_ws(' ', experiment, actor, variant, is_override, request_id,
                 extract(epoch FROM exposed_at)::bigint) FROM exp_view_exposures
         UNION ALL SELECT concat_ws(' ', actor, metric, value, extract(epoch FROM at)::bigint, id)
             FROM exp_view_outcomes
         UNION ALL SELECT concat_ws(' ', experiment, mutation, operator,
                 extract(epoch FROM changed_at)::bigint, detail #>> '{after,state}') FROM exp_view_changes",
        &[],
    );
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// The views have plain names and times, and keep no application from changing or dropping its tables.
#[apply(needs_postgres!)]
fn views_are_there_and_bind_no_table() {
    let url = server::shared().database();
    let fill = || {
        let store = store(&url).with_operator("ann");
        let store = store.with_clock(Clock::Fixed(1_790_000_000));
        store.insert(running("e")).unwrap();
        store
            .set_variants("e", running("e").variants.split_off(1), None)
            .unwrap();
        let request = AssignRequest::new("e", "user:1").keep_exposure(Some("r1"));
        store.assign(&request).unwrap();
        store
    };
    let store = fill();
    let outcome = Outcome {
        actor: "user:1".to_owned(),
        metric: "revenue".to_owned(),
        value: "19.5".parse().unwrap(),
        timestamp_secs: 1_790_000_001,
        id: Some("order 1".to_owned()),
    };
    store.track(&[outcome]).unwrap();
    let shown = [
        "e user:1 b f 1790000000 1",
        "e user:1 b f r1 1790000000",
        "user:1 revenue 19.5 1790000001 order 1",
        "e created ann 1790000000 running",
        "e set_weights ann 1790000000",
    ];
    let mut application = client(&url);
    assert_eq!(views(&mut application), shown);

    application
        .batch_execute(
            "ALTER TABLE autumn_experiment_assignments ALTER COLUMN actor TYPE varchar(255);
             ALTER TABLE autumn_experiment_changes ALTER COLUMN mutation TYPE varchar(255)",
        )
        .unwrap();
    assert_eq!(views(&mut client(&url)), shown);
    application
        .batch_execute(
            "DROP TABLE autumn_experiment_changes, autumn_experiment_overrides,
                 autumn_experiment_assignments, autumn_experiments;
             DROP FUNCTION autumn_notify_experiment_change; DROP TYPE autumn_experiment_state",
        )
        .unwrap();
    let gone = application.query("SELECT FROM exp_view_assignments", &[]);
    assert_eq!(
        gone.unwrap_err().code(),
        Some(&postgres::error::SqlState::UNDEFINED_TABLE)
    );
    // With new tables the periods and the counts begin anew; what is in tables of ours is kept.
    let store = fill();
    let mut again = shown.to_vec();
    again.insert(1, shown[1]);
    assert_eq!(views(&mut application), again);
    let counts = store.weight_periods("e").unwrap().into_iter();
    let counts = counts.map(|period| period.counts.iter().map(|count| count.assigned).sum());
    assert_eq!(counts.collect::<Vec<u64>>(), [0, 1]);
    assert_eq!(store.check().unwrap(), []);
}
