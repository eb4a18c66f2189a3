//! The tables: made by either program first, and taken back by the application while ours is there.

use std::thread;

use experiments::{
    ExperimentConfig, ExperimentService, ExperimentStoreError, PgExperimentStore, VariantConfig,
};

use crate::server::{self, client, options};
use crate::{application, rounds};

/// Creates, starts and assigns.
fn use_it(url: &str) {
    let service = ExperimentService::new(PgExperimentStore::open(options(url)).unwrap());
    let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
    service
        .create(ExperimentConfig::new("e", variants))
        .unwrap();
    service.start("e").unwrap();
    service.assign("e", "user:1").unwrap();
}

/// Everything in the database that is the application's, as its catalogs describe it.
fn layout(url: &str) -> Vec<String> {
    let rows = client(url)
        .query(
            "WITH tables AS (
                 SELECT oid, relname FROM pg_class WHERE relname IN (
                     'autumn_experiments', 'autumn_experiment_assignments',
                     'autumn_experiment_overrides', 'autumn_experiment_changes')
             )
             SELECT concat_ws(' ', 'column', relname, attname, format_type(atttypid, atttypmod),
                     attnotnull, pg_get_expr(adbin, adrelid))
                 FROM tables t JOIN pg_attribute a ON attrelid = t.oid
                 LEFT JOIN pg_attrdef ON adrelid = t.oid AND adnum = attnum
                 WHERE attnum > 0 AND NOT attisdropped
             UNION ALL SELECT concat_ws(' ', 'constraint', relname, conname, pg_get_constraintdef(c.oid))
                 FROM tables t JOIN pg_constraint c ON conrelid = t.oid
             UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid))
                 FROM tables t JOIN pg_index ON indrelid = t.oid
             UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(g.oid))
                 FROM tables t JOIN pg_trigger g ON tgrelid = t.oid
                 WHERE NOT tgisinternal
             UNION ALL SELECT concat_ws(' ', 'value', enumtypid::regtype, enumlabel, enumsortorder)
                 FROM pg_enum
             UNION ALL SELECT concat_ws(' ', 'function', oid::regprocedure) FROM pg_proc
                 WHERE proname LIKE 'autumn%'
             ORDER BY 1",
            &[],
        )
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn our_tables_are_as_its_migration_makes_them() {
    let (ours, its) = (server::shared().database(), server::shared().database());
    PgExperimentStore::migrate(&options(&ours)).unwrap();
    application::migrate_experiments(&its);
    PgExperimentStore::migrate(&options(&its)).unwrap();
    let (ours, its) = (layout(&ours), layout(&its));
    let missing: Vec<_> = its.iter().filter(|line| !ours.contains(line)).collect();
    let more: Vec<_> = ours.iter().filter(|line| !its.contains(line)).collect();
    assert!(
        missing.is_empty() && more.is_empty(),
        "{missing:#?} {more:#?}"
    );
}

/// The application's migration is taken back and made again, in a database where both have worked.
fn take_back_and_make_again(url: &str) {
    application::revert_experiments(url).unwrap();
    let gone = PgExperimentStore::open(options(url)).unwrap_err();
    assert!(
        matches!(gone, ExperimentStoreError::Missing { .. }),
        "{gone}"
    );

    application::migrate(url).unwrap();
    let bare = PgExperimentStore::open(options(url)).unwrap_err();
    assert!(
        matches!(bare, ExperimentStoreError::NotMigrated { .. }),
        "{bare}"
    );
    assert!(PgExperimentStore::migrate(&options(url)).unwrap());
    assert!(!PgExperimentStore::migrate(&options(url)).unwrap());
    let store = PgExperimentStore::open(options(url)).unwrap();
    assert!(store.is_adopted().unwrap());
    use_it(url);
}

#[test]
fn the_application_first_and_its_migration_taken_back() {
    let url = server::shared().database();
    application::migrate(&url).unwrap();
    PgExperimentStore::migrate(&options(&url)).unwrap();
    use_it(&url);
    application::migrate(&url).unwrap();
    take_back_and_make_again(&url);
}

#[test]
fn taken_back_and_made_again_by_us() {
    let url = server::shared().database();
    PgExperimentStore::migrate(&options(&url)).unwrap();
    PgExperimentStore::migrate_for_application(&options(&url)).unwrap();
    use_it(&url);
    application::revert_experiments(&url).unwrap();
    assert!(PgExperimentStore::migrate(&options(&url)).unwrap());
    let store = PgExperimentStore::open(options(&url)).unwrap();
    assert!(!store.is_adopted().unwrap());
    use_it(&url);
}

#[test]
fn ours_first_and_the_application_told_of_it() {
    let url = server::shared().database();
    PgExperimentStore::migrate(&options(&url)).unwrap();
    use_it(&url);
    assert!(PgExperimentStore::migrate_for_application(&options(&url)).unwrap());
    assert!(!PgExperimentStore::migrate_for_application(&options(&url)).unwrap());
    application::migrate(&url).unwrap();
    let store = PgExperimentStore::open(options(&url)).unwrap();
    assert!(store.is_adopted().unwrap(), "told of it");
    take_back_and_make_again(&url);
}

/// The application was started in a store of ours: it stops, nothing is harmed, and there is a way on.
#[test]
fn ours_first_and_the_application_not_told() {
    let url = server::shared().database();
    PgExperimentStore::migrate(&options(&url)).unwrap();
    use_it(&url);
    let stopped = application::migrate(&url).unwrap_err().to_string();
    assert!(stopped.contains("autumn_experiment_state"), "{stopped}");
    use_it_again(&url);
    assert!(PgExperimentStore::migrate_for_application(&options(&url)).unwrap());
    application::migrate(&url).unwrap();
    use_it_again(&url);
}

fn use_it_again(url: &str) {
    let service = ExperimentService::new(PgExperimentStore::open(options(url)).unwrap());
    service.assign("e", "user:2").unwrap();
}

/// In an empty database it makes the tables, too; where the application has been it has nothing to do.
#[test]
fn for_the_application_from_nothing_and_after_it() {
    let url = server::shared().database();
    assert!(PgExperimentStore::migrate_for_application(&options(&url)).unwrap());
    use_it(&url);
    application::migrate(&url).unwrap();

    let url = server::shared().database();
    application::migrate(&url).unwrap();
    assert!(PgExperimentStore::migrate_for_application(&options(&url)).unwrap());
    assert!(!PgExperimentStore::migrate_for_application(&options(&url)).unwrap());
    use_it(&url);
}

#[test]
fn both_migrate_at_the_same_moment() {
    for _ in 0..rounds(3) {
        let url = server::shared().database();
        thread::scope(|scope| {
            let theirs = scope.spawn(|| application::migrate(&url));
            PgExperimentStore::migrate_for_application(&options(&url)).unwrap();
            theirs.join().unwrap().unwrap();
        });
        application::migrate(&url).unwrap();
        use_it(&url);
    }
}
