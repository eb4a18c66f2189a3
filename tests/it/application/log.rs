//! An application shows the log by time, `exp` as it was written: in one order.

use experiments::store::transfer::{Record, Source as _, copy};
use experiments::{
    Clock, ExperimentState, ExperimentStore, PgCopy, SqliteExperimentStore, VariantConfig,
};
use macro_rules_attribute::apply;
use postgres::Client;

use super::{running, store};
use crate::server::{self, client, options};

/// The log of an experiment as the application shows it, newest first.
fn shown_by_the_application(application: &mut Client, experiment: &str) -> Vec<String> {
    let sql = "SELECT mutation FROM autumn_experiment_changes
        WHERE experiment = $1 ORDER BY changed_at DESC";
    let rows = application.query(sql, &[&experiment]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn change_often(store: &dyn ExperimentStore, application: Option<&mut Client>) {
    store.insert(running("e")).unwrap();
    let mut application = application;
    for n in 0..20 {
        let actor = format!("user:{n}");
        store.set_override("e", &actor, "b").unwrap();
        if let Some(application) = application.as_mut() {
            let sql = "INSERT INTO autumn_experiment_changes (experiment, mutation)
                VALUES ('e', 'override=theirs:' || $1::text)";
            application.execute(sql, &[&actor]).unwrap();
        }
    }
}

fn log(store: &dyn ExperimentStore) -> Vec<String> {
    let changes = store.history("e", 0).unwrap().into_iter();
    changes.map(|change| change.mutation).collect()
}

/// It sorts by time, and times must be in the order of what happened.
#[apply(needs_postgres!)]
fn the_application_shows_the_log_in_its_order() {
    for clock in [Clock::System, Clock::Fixed(1_700_000_000)] {
        let url = server::shared().database();
        let store = store(&url).with_clock(clock);
        let mut application = client(&url);
        let neighbour = (clock == Clock::System).then(|| client(&url));
        change_often(&store, neighbour.as_ref().map(|_| &mut application));
        let mut application = client(&url);
        assert_eq!(shown_by_the_application(&mut application, "e"), log(&store));
        for change in store.history("e", 0).unwrap() {
            if let Clock::Fixed(secs) = clock {
                assert_eq!(change.timestamp_secs, secs);
            }
        }
        let ordered = "SELECT bool_and(updated_at >= created_at) FROM autumn_experiments";
        store
            .set_state("e", ExperimentState::Archived, None)
            .unwrap();
        assert!(
            application
                .query_one(ordered, &[])
                .unwrap()
                .get::<_, bool>(0)
        );
    }
}

/// Several requests of the application at once, none of which sees what the others have not committed.
#[apply(needs_postgres!)]
fn entries_of_several_requests_are_in_one_order() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
    std::thread::scope(|scope| {
        for request in 0..8 {
            let mut application = client(&url);
            scope.spawn(move || {
                for n in 0..50 {
                    let actor = format!("user:{request}-{n}");
                    let mut setting = application.transaction().unwrap();
                    let pin = "INSERT INTO autumn_experiment_overrides (experiment, actor, variant)
                        VALUES ('e', $1, 'a')";
                    setting.execute(pin, &[&actor]).unwrap();
                    let log = "INSERT INTO autumn_experiment_changes (experiment, mutation)
                        VALUES ('e', 'override=a:' || $1::text)";
                    setting.execute(log, &[&actor]).unwrap();
                    setting.commit().unwrap();
                }
            });
        }
    });
    let mut application = client(&url);
    assert_eq!(log(&store).len(), 401);
    assert_eq!(shown_by_the_application(&mut application, "e"), log(&store));
}

/// What happened after a wait is written after what it waited for, though it began before.
#[apply(needs_postgres!)]
fn an_entry_of_the_application_that_waited_comes_later() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
    let (mut early, mut application) = (client(&url), client(&url));
    let mut transaction = early.transaction().unwrap();
    transaction.execute("SELECT now()", &[]).unwrap();
    store.set_override("e", "user:1", "a").unwrap();
    let sql = "INSERT INTO autumn_experiment_changes (experiment, mutation) VALUES ('e', 'late')";
    transaction.execute(sql, &[]).unwrap();
    let sql = "UPDATE autumn_experiments SET updated_at = created_at - interval '1 hour'";
    transaction.execute(sql, &[]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(shown_by_the_application(&mut application, "e"), log(&store));
    let ordered = "SELECT bool_and(updated_at >= created_at) FROM autumn_experiments";
    assert!(
        application
            .query_one(ordered, &[])
            .unwrap()
            .get::<_, bool>(0)
    );
}

/// A file keeps whole seconds, and the order all the same.
#[apply(needs_postgres!)]
fn a_copied_log_is_shown_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("experiments.db");
    let source = SqliteExperimentStore::open_or_create(path).unwrap();
    change_often(
        &source.clone().with_clock(Clock::Fixed(1_700_000_000)),
        None,
    );
    // Of a clock that was put back.
    let earlier = source.clone().with_clock(Clock::Fixed(1_600_000_000));
    earlier.set_override("e", "late", "a").unwrap();
    earlier.set_override("e", "later", "a").unwrap();
    earlier
        .set_variants("e", vec![VariantConfig::new("b", 1)], None)
        .unwrap();
    source
        .view(&mut |view| {
            view.scan(&mut |record| {
                if let Record::Experiment {
                    config,
                    created_at_secs,
                    ..
                } = record
                {
                    assert!(config.updated_at_secs >= created_at_secs);
                }
                Ok(())
            })
        })
        .unwrap();
    let url = server::shared().database();
    copy(
        &source,
        &mut PgCopy::new(options(&url)),
        false,
        &mut |_, _| {},
    )
    .unwrap();
    let database = store(&url);
    assert_eq!(
        database.history("e", 0).unwrap(),
        source.history("e", 0).unwrap()
    );
    let mut shown = shown_by_the_application(&mut client(&url), "e");
    shown.rotate_right(3);
    assert_eq!(shown, log(&source));
}
