//! Tables that belong to an application: what it does to them is its right, and no object of ours stands
//! in its way. The application itself is beside us in `tests/peer`.

use std::time::Duration;

use experiments::{
    ExperimentConfig, ExperimentError, ExperimentService, ExperimentStore, ExperimentStoreError,
    PgExperimentStore, VariantConfig,
};
use macro_rules_attribute::apply;
use postgres::fallible_iterator::FallibleIterator as _;

use crate::postgres::beside::APPLICATION;
use crate::sandbox::Sandbox;
use crate::server::{self, client, options};

/// How the application takes its tables back.
const TAKE_BACK: &str = "
    DROP TRIGGER IF EXISTS autumn_experiment_change_notify ON autumn_experiment_changes;
    DROP FUNCTION IF EXISTS autumn_notify_experiment_change();
    DROP TABLE autumn_experiment_changes;
    DROP TABLE autumn_experiment_overrides;
    DROP TABLE autumn_experiment_assignments;
    DROP TABLE autumn_experiments;
    DROP TYPE autumn_experiment_state;
";

fn use_it(url: &str) {
    let service = ExperimentService::new(PgExperimentStore::open(options(url)).unwrap());
    let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
    service
        .create(ExperimentConfig::new("e", variants))
        .unwrap();
    service.start("e").unwrap();
    service.assign("e", "user:1").unwrap();
    service.set_override("e", "user:2", "b").unwrap();
    assert_eq!(service.assign("e", "user:2").unwrap(), "b");
    service.assign("e", "user:2").unwrap();
}

#[apply(needs_postgres!)]
fn tables_that_were_taken_back_are_missing_and_can_be_made_again() {
    let url = server::shared().database();
    assert!(PgExperimentStore::migrate(&options(&url)).unwrap());
    use_it(&url);
    let before = PgExperimentStore::open(options(&url)).unwrap();
    before.list().unwrap();

    client(&url).batch_execute(TAKE_BACK).unwrap();
    let gone = before.list().unwrap_err();
    assert!(
        matches!(
            gone,
            ExperimentError::Store(
                ExperimentStoreError::Missing { .. } | ExperimentStoreError::NotMigrated { .. }
            )
        ),
        "{gone}"
    );
    let gone = PgExperimentStore::open(options(&url)).unwrap_err();
    assert!(
        matches!(gone, ExperimentStoreError::Missing { .. }),
        "{gone}"
    );
    assert!(PgExperimentStore::migrate(&options(&url)).unwrap());
    use_it(&url);

    client(&url).batch_execute(TAKE_BACK).unwrap();
    client(&url)
        .batch_execute(&format!("DROP FUNCTION IF EXISTS told; {APPLICATION}"))
        .unwrap();
    let bare = PgExperimentStore::open(options(&url)).unwrap_err();
    assert!(
        matches!(bare, ExperimentStoreError::NotMigrated { .. }),
        "{bare}"
    );
    assert!(PgExperimentStore::migrate(&options(&url)).unwrap());
    let store = PgExperimentStore::open(options(&url)).unwrap();
    assert!(store.is_adopted().unwrap());
    use_it(&url);
}

/// What the application would do otherwise is said where an experiment gets into its tables.
#[apply(needs_postgres!)]
fn what_the_application_does_not_know_is_warned_of() {
    let url = server::shared().database();
    client(&url).batch_execute(APPLICATION).unwrap();
    PgExperimentStore::migrate(&options(&url)).unwrap();
    let sandbox = Sandbox::on_store(&url);
    let said = |arguments: &[&str]| {
        let create = ["create", "--variant", "a=1"];
        let output = sandbox.exp(&[&create, arguments].concat()).output();
        String::from_utf8(output.unwrap().stderr).unwrap()
    };
    let hash =
        "has bucketing fnv1a_mixed, but the application that shares these tables knows only fnv1a";
    let salt = "has a salt, which the application that shares these tables ignores";
    let coverage = "has a coverage, which the application that shares these tables ignores";
    let plain = said(&["plain"]);
    assert!(!plain.contains("warning"), "{plain}");
    let salted = said(&["salted", "--salt", "s"]);
    assert!(salted.contains(salt) && !salted.contains(hash), "{salted}");
    let both = said(&["both", "--salt", "t", "--bucketing", "fnv1a-mixed"]);
    assert!(both.contains(salt) && both.contains(hash), "{both}");

    // A file changes one that is there, and adds two.
    let applied = sandbox.bash(
        r#"for name in plain new newer; do
               printf '[[experiment]]\nname = "%s"\ncoverage = 0.5\n' "$name"
               echo 'variants = [{ name = "a", weight = 1 }]'
           done > e.toml
           exp apply e.toml --yes"#,
    );
    let applied = String::from_utf8(applied.stderr).unwrap();
    for name in ["plain", "new", "newer"] {
        let warning = format!("'{name}' {coverage}");
        assert!(applied.contains(&warning), "{name}: {applied}");
    }
    let again = sandbox.bash("sed -i 's/weight = 1/weight = 2/' e.toml; exp apply e.toml --yes");
    let again = String::from_utf8(again.stderr).unwrap();
    assert!(!again.contains("warning: 'plain'"), "{again}");
}

/// So it is in tables that were made for an application, from nothing or later.
#[apply(needs_postgres!)]
fn what_an_application_that_will_follow_does_not_know_is_warned_of() {
    for is_ours_first in [false, true] {
        let url = server::shared().database();
        if is_ours_first {
            PgExperimentStore::migrate(&options(&url)).unwrap();
            use_it(&url);
            let store = PgExperimentStore::open(options(&url)).unwrap();
            assert!(!store.is_adopted().unwrap());
        }
        assert!(PgExperimentStore::migrate_for_application(&options(&url)).unwrap());
        assert!(!PgExperimentStore::migrate_for_application(&options(&url)).unwrap());
        assert!(!PgExperimentStore::migrate(&options(&url)).unwrap());
        let sandbox = Sandbox::on_store(&url);
        let output = sandbox.bash(
            "exp create new --variant a=1 --coverage 20% --salt x; exp close new; exp rename new old",
        );
        let told = String::from_utf8(output.stderr).unwrap();
        for warning in [
            "'new' has a salt, which the application that shares these tables ignores",
            "'new' has a coverage, which the application that shares these tables ignores",
            "'new' is closed to newcomers, which the application that shares these tables ignores",
            "experiment 'new' can't be renamed: an application uses these tables",
        ] {
            assert!(told.contains(warning), "{warning}: {told}");
        }
    }
}

/// An earlier version recorded the application's migration, and forgot for whom the tables are.
#[apply(needs_postgres!)]
fn tables_that_were_made_for_an_application_can_be_told_so_later() {
    let url = server::shared().database();
    PgExperimentStore::migrate_for_application(&options(&url)).unwrap();
    client(&url)
        .batch_execute("UPDATE exp_migrations SET adopted = false")
        .unwrap();
    assert!(PgExperimentStore::migrate_for_application(&options(&url)).unwrap());
    let store = PgExperimentStore::open(options(&url)).unwrap();
    assert!(store.is_adopted().unwrap());
}

/// So it is where a command does what the application does not; what makes it do more than before is not.
#[apply(needs_postgres!)]
fn a_command_that_the_application_does_not_follow_says_so() {
    let url = server::shared().database();
    client(&url).batch_execute(APPLICATION).unwrap();
    PgExperimentStore::migrate(&options(&url)).unwrap();
    let sandbox = Sandbox::on_store(&url);
    let said = |command: &str| {
        let words: Vec<&str> = command.split(' ').collect();
        String::from_utf8(sandbox.exp(&words).output().unwrap().stderr).unwrap()
    };
    for (command, warning) in [
        ("set-coverage theirs 25%", "it goes on enrolling everybody"),
        ("close theirs", "it goes on enrolling them"),
        ("override theirs qa a --expires 7d", "it goes on giving a"),
    ] {
        let warned = said(command);
        assert!(warned.contains("warning: "), "{command}: {warned}");
        assert!(warned.contains(warning), "{command}: {warned}");
    }
    for command in [
        "set-coverage theirs 100%",
        "open theirs",
        "override theirs qa b",
        "pause theirs",
        "resume theirs",
    ] {
        let warned = said(command);
        assert!(!warned.contains("warning: "), "{command}: {warned}");
        assert!(!warned.contains("error: "), "{command}: {warned}");
    }
    said("create draft --variant a=1");
    let refused = said("rename draft other");
    assert!(refused.contains("can't be renamed"), "{refused}");
}

/// A later migration of the application may change a column that ours is computed from.
#[apply(needs_postgres!)]
fn what_was_dropped_of_ours_is_added_again() {
    let url = server::shared().database();
    PgExperimentStore::migrate(&options(&url)).unwrap();
    use_it(&url);
    client(&url)
        .batch_execute(
            "ALTER TABLE autumn_experiments DROP COLUMN exp_version;
             ALTER TABLE autumn_experiments ALTER COLUMN winner TYPE varchar(255)",
        )
        .unwrap();
    let store = PgExperimentStore::open(options(&url));
    assert!(matches!(
        store,
        Err(ExperimentStoreError::NotMigrated { .. })
    ));
    assert!(PgExperimentStore::migrate(&options(&url)).unwrap());
    let service = ExperimentService::new(PgExperimentStore::open(options(&url)).unwrap());
    service.conclude("e", "b").unwrap();
    assert_eq!(service.assign("e", "user:1").unwrap(), "b");
}

/// Who disabled the application's trigger had a reason: it stays so, and ours notifies.
#[apply(needs_postgres!)]
fn a_disabled_trigger_stays_disabled() {
    let url = server::shared().database();
    PgExperimentStore::migrate(&options(&url)).unwrap();
    client(&url).batch_execute(TAKE_BACK).unwrap();
    let disabled = APPLICATION
        .replace("TRIGGER told", "TRIGGER autumn_experiment_change_notify")
        .replace("told()", "autumn_notify_experiment_change()")
        + "ALTER TABLE autumn_experiment_changes
           DISABLE TRIGGER autumn_experiment_change_notify";
    client(&url).batch_execute(&disabled).unwrap();
    PgExperimentStore::migrate(&options(&url)).unwrap();

    let mut listener = client(&url);
    listener.batch_execute("LISTEN autumn_experiments").unwrap();
    use_it(&url);
    let mut notifications = listener.notifications();
    let heard = notifications.timeout_iter(Duration::from_secs(10)).next();
    assert_eq!(heard.unwrap().unwrap().payload(), "e");
    let triggers = client(&url)
        .query(
            "SELECT tgname::text, tgenabled::text FROM pg_trigger
             WHERE tgrelid = 'autumn_experiment_changes'::regclass AND tgname LIKE '%notify%'
             ORDER BY tgname",
            &[],
        )
        .unwrap();
    let triggers: Vec<(String, String)> = triggers
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    assert_eq!(
        triggers,
        [
            ("autumn_experiment_change_notify".into(), "D".into()),
            ("exp_notify_change".into(), "O".into())
        ]
    );
}
