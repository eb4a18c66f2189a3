//! Schema versions of SQLite: `fixtures/stores/sqlite-<version>.sql` is the dump of a store of each.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use experiments::lifecycle::Mutation;
use experiments::store::transfer::copy;
use experiments::{
    AssignManyRequest, AssignRequest, Bucketing, ChangeScan, Clock, Expected, ExperimentConfig,
    ExperimentError, ExperimentState, ExperimentStore as _, ExperimentStoreError, ExposureRecord,
    Finite, Keep, Outcome, OutcomeScan, SqliteCopy, SqliteExperimentStore, VariantConfig,
};
use rusqlite::Connection;

use crate::givens::record;
use crate::sandbox::{NOW, Sandbox};

/// How many migrations there are, which is the schema's version.
fn latest() -> i64 {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sqlite/migrations");
    i64::try_from(fs::read_dir(source).unwrap().count()).unwrap()
}

/// A store of that version, as it was dumped.
fn restored(path: &Path, version: i64) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores");
    let dump = fs::read_to_string(fixtures.join(format!("sqlite-{version}.sql"))).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(&dump).unwrap();
    connection
        .pragma_update(None, "journal_mode", "wal")
        .unwrap();
    path.to_owned()
}

fn schema(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut query = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        .unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// All that is in a table.
fn rows(path: &Path, table: &str) -> String {
    let connection = Connection::open(path).unwrap();
    let mut query = connection
        .prepare(&format!("SELECT * FROM {table}"))
        .unwrap();
    let columns = query.column_count();
    let mut rows = query.query([]).unwrap();
    let mut all = String::new();
    while let Some(row) = rows.next().unwrap() {
        for column in 0..columns {
            let _ = write!(all, "{:?} ", row.get_ref(column).unwrap());
        }
    }
    all
}

fn pragma(path: &Path, name: &str) -> i64 {
    let connection = Connection::open(path).unwrap();
    let read = connection.pragma_query_value(None, name, |row| row.get(0));
    read.unwrap()
}

/// Does to the file what the next version of the program would, as far as this one can see.
fn migrate_to_next(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .pragma_update(None, "user_version", latest() + 1)
        .unwrap();
}

/// A store of any version opens, has the newest schema then, and has lost nothing.
#[test]
fn every_version_is_brought_up_to_date() {
    for version in 1..=latest() {
        let sandbox = Sandbox::new();
        let path = restored(&sandbox.default_store(), version);
        assert_eq!(pragma(&path, "user_version"), version);
        let store = SqliteExperimentStore::open(&path).unwrap();
        assert_eq!(pragma(&path, "user_version"), latest());

        // A store of an older version has no such experiment.
        let mut all = store.list().unwrap();
        all.retain(|config| config.name != "button");
        let states: Vec<_> = all.iter().map(|c| (&*c.name, c.state)).collect();
        let expected = [
            ("banner", ExperimentState::Running),
            ("checkout_v2", ExperimentState::Running),
            ("footer", ExperimentState::Running),
            ("idea", ExperimentState::Draft),
            ("old_one", ExperimentState::Archived),
            ("search", ExperimentState::Concluded),
        ];
        assert_eq!(states, expected);
        let banner = store.get("banner").unwrap().unwrap();
        assert_eq!(banner.bucketing, Bucketing::Fnv1aMixed);
        assert_eq!(banner.description.as_deref(), Some("Three banners"));
        assert_eq!(banner.exclusion_group.as_deref(), Some("home"));
        let variants = [VariantConfig::new("a", 1), VariantConfig::new("b", 2)];
        assert_eq!(banner.variants, variants);
        let winners = all.iter().filter_map(|config| config.winner.as_deref());
        assert_eq!(winners.collect::<Vec<_>>(), ["b", "fuzzy"]);
        let old = store.get("old_one").unwrap().unwrap();
        let entry = (old.salt.as_deref(), old.coverage.per_10000());
        assert_eq!(
            entry,
            [(None, 10_000), (Some("2026"), 2_500)][usize::from(version > 1)]
        );
        let assigned = store
            .get_assignment("checkout_v2", "user:1")
            .unwrap()
            .unwrap();
        assert_eq!(
            (&*assigned.variant, assigned.is_override),
            ("control", false)
        );
        assert_eq!(assigned.assigned_at_secs, NOW + 60);
        let pinned = store.get_assignment("checkout_v2", "qa").unwrap().unwrap();
        assert_eq!((&*pinned.variant, pinned.is_override), ("treatment", true));
        let pinned = store.overrides("checkout_v2").unwrap();
        let pinned: Vec<_> = pinned
            .iter()
            .map(|o| (&*o.actor, &*o.variant, o.operator.as_deref()))
            .collect();
        let expected = [
            ("qa", "treatment", Some("ann")),
            ("tester", "control", Some("ann")),
        ];
        assert_eq!(pinned, expected);
        let counts = store.variant_counts("checkout_v2").unwrap();
        let counts: Vec<_> = counts.iter().map(|c| (c.assigned, c.overridden)).collect();
        assert_eq!(counts, [(1, 0), (1, 1)]);
        assert_eq!(store.weight_periods("checkout_v2").unwrap().len(), 2);
        let exposures = store.exposures("checkout_v2").unwrap();
        let requests: Vec<_> = exposures.iter().map(|e| e.request_id.as_deref()).collect();
        assert_eq!(requests, [Some("r-1"), None]);
        let exposures = store.exposures("banner").unwrap();
        let shown: Vec<_> = exposures.iter().map(|e| (&*e.variant, &*e.actor)).collect();
        assert_eq!(shown, [("b", "user:9"), ("off", "qa")]);
        assert!(
            store
                .has_assignment_in_group("user:9", "home", "footer")
                .unwrap()
        );
        let log = store.history("banner", 0).unwrap();
        let log: Vec<_> = log
            .iter()
            .map(|change| (&*change.mutation, change.actor.as_deref()))
            .collect();
        let expected = [
            ("set_weights", Some("bob")),
            ("override_cleared=qa", Some("ann")),
            ("override=qa:off", Some("ann")),
            ("created", Some("ann")),
        ];
        assert_eq!(log, expected);

        let fresh = sandbox.home().join("fresh.db");
        SqliteExperimentStore::open_or_create(&fresh).unwrap();
        assert_eq!(schema(&path), schema(&fresh));
    }
}

/// What came with version 4 is read back as it was written.
#[test]
fn who_enters_and_second_thoughts_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = restored(&directory.path().join("store.db"), 4);
    let store = SqliteExperimentStore::open(&path).unwrap();
    let store = store.with_clock(Clock::Fixed(NOW + 120));
    let button = store.get("button").unwrap().unwrap();
    assert_eq!(button.state, ExperimentState::Paused);
    assert!(!button.enrolling);
    let values: Vec<_> = button.values.iter().collect();
    let expected = [
        ("green", &serde_json::json!({"hex": "#0a0"})),
        ("grey", &serde_json::json!({"hex": "#888"})),
    ];
    assert_eq!(values, expected);
    let [hasty, qa] = &store.overrides("button").unwrap()[..] else {
        panic!("two overrides");
    };
    assert_eq!(hasty.expires_at_secs, Some(NOW + 120));
    assert_eq!(qa.expires_at_secs, Some(NOW + 60 + 7 * 24 * 60 * 60));
    assert_eq!(qa.reason.as_deref(), Some("Looks at it for a week"));
    assert_eq!(qa.operator.as_deref(), Some("ann"));
    // The override has expired, and with it what it made.
    let situation = store.situation("button", "hasty").unwrap();
    assert!(situation.assignment.is_some_and(|found| found.is_override));
    assert_eq!(store.get_override("button", "hasty").unwrap(), None);
    assert_eq!(
        store.get_override("button", "qa").unwrap().as_deref(),
        Some("green")
    );
    let log = |name| {
        let log = store.history(name, 0).unwrap();
        log.into_iter()
            .map(|change| change.mutation)
            .collect::<Vec<_>>()
    };
    assert_eq!(log("mistake"), ["deleted", "created"]);
    assert_eq!(log("idea"), ["renamed=idea", "created"]);
    assert_eq!(log("ida"), [""; 0]);
}

/// Views that somebody has made in a store of their own neither keep it from being brought up to date nor break.
#[test]
fn views_of_others_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = restored(&directory.path().join("store.db"), 3);
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "CREATE VIEW mine AS SELECT name, state FROM experiments;
             CREATE VIEW log AS SELECT * FROM exp_view_changes",
        )
        .unwrap();
    let before = [rows(&path, "mine"), rows(&path, "log")];
    SqliteExperimentStore::open(&path).unwrap();
    assert_eq!([rows(&path, "mine"), rows(&path, "log")], before);
}

/// The log of an older store tells who set its overrides, also where it was set several times.
#[test]
fn the_operators_of_older_overrides_are_found_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = restored(&directory.path().join("store.db"), 3);
    let connection = Connection::open(&path).unwrap();
    let mut expected = Vec::new();
    for (actor, entries) in [
        ("a:treatment", &[Some("ann"), Some("bob"), None][..]),
        ("nobody_told", &[]),
        ("twice", &[None, Some("bob")]),
    ] {
        connection
            .execute(
                "INSERT INTO overrides VALUES (1, ?1, 1, 1763985660)",
                [actor],
            )
            .unwrap();
        for operator in entries {
            let insert = "INSERT INTO changes (experiment_id, mutation, operator, changed_at)
                VALUES (1, 'override=' || ?1 || ':treatment', ?2, 1763985660)";
            connection.execute(insert, (actor, operator)).unwrap();
        }
        expected.push((actor, entries.last().copied().flatten()));
    }
    drop(connection);
    let store = SqliteExperimentStore::open(&path).unwrap();
    let found = store.overrides("checkout_v2").unwrap();
    let found = found.iter().map(|o| (&*o.actor, o.operator.as_deref()));
    let found: Vec<_> = found
        .filter(|(actor, _)| !["qa", "tester"].contains(actor))
        .collect();
    assert_eq!(found, expected);
}

/// Whoever reads a store by SQL finds plain names and times, by these names and columns for good.
#[test]
fn views_show_what_is_stored_with_plain_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = restored(&directory.path().join("store.db"), latest());
    let connection = Connection::open(&path).unwrap();
    let shown = |query: &str| {
        let mut query = connection.prepare(query).unwrap();
        let mut shown = query.column_names().collect::<Vec<_>>().join(" ");
        let columns = query.column_count();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            shown.push('\n');
            for column in 0..columns {
                let value: rusqlite::types::Value = row.get(column).unwrap();
                let _ = match value {
                    rusqlite::types::Value::Null => write!(shown, "- "),
                    rusqlite::types::Value::Integer(number) => write!(shown, "{number} "),
                    rusqlite::types::Value::Real(number) => write!(shown, "{number:?} "),
                    rusqlite::types::Value::Text(text) => write!(shown, "{text} "),
                    rusqlite::types::Value::Blob(_) => panic!("a view shows bytes"),
                };
            }
        }
        shown
    };
    assert_eq!(
        shown(
            "SELECT * FROM exp_view_assignments WHERE experiment IN ('banner', 'checkout_v2')
            ORDER BY experiment, actor"
        ),
        "experiment actor variant is_override assigned_at weight_period
banner user:11 b 0 2025-11-24T12:02:00Z 1 
banner user:9 b 0 2025-11-24T12:01:00Z 0 
checkout_v2 qa treatment 1 2025-11-24T12:01:00Z 0 
checkout_v2 user:1 control 0 2025-11-24T12:01:00Z 0 
checkout_v2 user:2 treatment 0 2025-11-24T12:01:00Z 0 "
    );
    assert_eq!(
        shown(
            "SELECT * FROM exp_view_exposures
            WHERE actor IN ('qa', 'user:1') AND experiment <> 'button'"
        ),
        "experiment actor variant is_override request_id exposed_at
checkout_v2 user:1 control 0 r-1 2025-11-24T12:01:00Z 
search user:1 fuzzy 0 - 2025-11-24T12:01:00Z 
checkout_v2 qa treatment 1 - 2025-11-24T12:01:00Z 
banner qa off 1 - 2025-11-24T12:01:00Z "
    );
    assert_eq!(
        shown("SELECT * FROM exp_view_outcomes"),
        "actor metric value at id
user:1 purchased 1.0 2025-11-24T12:01:40Z - 
user:1 revenue 19.99 2025-11-24T12:01:41Z order 1 
user:9 revenue -5.0 2025-11-24T12:01:42Z order 2 "
    );
    assert_eq!(
        shown("SELECT * FROM exp_view_changes WHERE operator = 'bob' AND experiment = 'search'"),
        "experiment mutation operator changed_at detail
search concluded=fuzzy bob 2025-11-24T12:02:00Z \
{\"before\":{\"state\":\"running\"},\"after\":{\"state\":\"concluded\",\"winner\":\"fuzzy\"}} "
    );
    assert_eq!(
        shown(
            "SELECT experiment, mutation FROM exp_view_changes
            WHERE experiment IN ('ida', 'idea', 'mistake')"
        ),
        "experiment mutation
idea created 
idea renamed=idea 
mistake created 
mistake deleted "
    );
}

/// What was assigned before periods were kept belongs to one by its time. What the log does not tell of the
/// weights, as other programs' entries don't, the next entry may.
#[test]
fn older_assignments_belong_to_a_period_by_their_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = restored(&directory.path().join("store.db"), 2);
    // The weights were changed 120 seconds after the creation. An override is -1 - the variant.
    let added = [
        ("before", 0, 119, 0),
        ("in the second of the change", 0, 120, 1),
        ("after", 1, 121, 1),
        ("after a change that nobody described", 0, 250, 2),
        ("had no weight after the change", 0, 300, 2),
        ("had weight after the change", 1, 300, 3),
        ("had none, and was forced", -1, 300, 3),
        ("last", 1, 400, 3),
    ];
    let connection = Connection::open(&path).unwrap();
    for (actor, variant, after, _) in added {
        let insert = "INSERT INTO assignments VALUES (1, ?1, 0, ?2, ?3)";
        connection.execute(insert, (actor, variant, after)).unwrap();
    }
    let list = |control: u32, treatment: u32| {
        format!(
            r#"{{"variants":[{{"name":"control","weight":{control}}},{{"name":"treatment","weight":{treatment}}}]}}"#
        )
    };
    let sides = |before, after| Some(format!(r#"{{"before":{before},"after":{after}}}"#));
    let changes = [
        ("set_weights", 200, None),
        ("set_weights", 300, sides(list(20, 80), list(0, 100))),
        ("updated", 310, sides(list(0, 100), list(0, 100))),
        (
            "updated",
            320,
            sides("{}".to_owned(), r#"{"description":"d"}"#.to_owned()),
        ),
        ("state=running", 330, None),
    ];
    for (mutation, after, detail) in changes {
        let insert = "INSERT INTO changes (experiment_id, mutation, changed_at, detail)
            VALUES (1, ?1, ?2, ?3)";
        let at = i64::try_from(NOW).unwrap() + after;
        connection.execute(insert, (mutation, at, detail)).unwrap();
    }
    connection
        .execute_batch(
            "UPDATE variants SET weight = 100 * idx WHERE experiment_id = 1;
             UPDATE variants SET assigned = 5, overridden = 1 WHERE experiment_id = 1 AND idx = 0;
             UPDATE variants SET assigned = 4, overridden = 1 WHERE experiment_id = 1 AND idx = 1",
        )
        .unwrap();
    drop(connection);

    let store = SqliteExperimentStore::open(&path).unwrap();
    let mut found = Vec::new();
    let scan = store.scan_assignments("checkout_v2", &mut |assignment| {
        found.push((assignment.actor.clone(), assignment.weight_period));
        Ok(())
    });
    scan.unwrap();
    let first = ["user:1", "user:2", "qa"].map(|actor| (actor, 0));
    let added = added.map(|(actor, _, _, period)| (actor, period));
    let expected = first.into_iter().chain(added);
    let mut expected: Vec<_> = expected.map(|(actor, n)| (actor.to_owned(), n)).collect();
    expected.sort();
    assert_eq!(found, expected);

    let periods = store.weight_periods("checkout_v2").unwrap();
    let weights = |n: usize| (periods[n].variants[0].weight, periods[n].variants[1].weight);
    let told: Vec<_> = (0..periods.len())
        .map(|n| (periods[n].from_secs - NOW, weights(n)))
        .collect();
    let expected = [
        (0, (50, 50)),
        (120, (10, 90)),
        (200, (20, 80)),
        (300, (0, 100)),
    ];
    assert_eq!(told, expected);
    let counts = |n: usize| {
        let counts = periods[n].counts.iter();
        let counts = counts.map(|count| (count.assigned, count.overridden));
        counts.collect::<Vec<_>>()
    };
    assert_eq!(counts(0), [(2, 0), (1, 1)]);
    assert_eq!(counts(2), [(2, 0), (0, 0)]);
    assert_eq!(counts(3), [(0, 1), (2, 0)]);
    assert_eq!(store.check().unwrap(), []);

    let banner = store.weight_periods("banner").unwrap();
    let names = |n: usize| -> Vec<&str> {
        let variants = banner[n].variants.iter();
        variants.map(|variant| &*variant.name).collect()
    };
    assert_eq!(
        (names(0), names(1)),
        (vec!["a", "b", "off"], vec!["a", "b"])
    );
    assert_eq!(store.weight_periods("footer").unwrap().len(), 1);
}

/// The same by the program, to which the store is old: it is whole, and answers as it did.
#[test]
fn every_version_answers_as_before() {
    for version in 1..=latest() {
        let sandbox = Sandbox::new();
        restored(&sandbox.default_store(), version);
        let prints = |line: &str, printed: &str| {
            let output = sandbox.bash(line);
            assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{line}");
            assert!(output.status.success(), "{line}: {output:?}");
        };
        prints("exp store check --format tsv", "");
        prints(
            "exp list --format tsv | cut -f 1 | grep -v button",
            "banner\ncheckout_v2\nfooter\nidea\nold_one\nsearch\n",
        );
        prints("exp assign checkout_v2 user:1", "control\n");
        prints("exp assign checkout_v2 qa", "treatment\n");
        prints("exp assign checkout_v2 tester", "control\n");
        prints("exp assign search user:1", "fuzzy\n");
        prints("exp assign banner user:9", "b\n");
        prints("exp assign footer user:9 --default none", "none\n");
        prints("exp assign checkout_v2 user:new", "treatment\n");
        prints("exp store check --format tsv", "");
        let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
        let new = store.get_assignment("checkout_v2", "user:new").unwrap();
        assert_eq!(new.unwrap().assigned_at_secs, NOW);
    }
}

/// The first command that meets an old store may be one that only reads.
#[test]
fn a_store_of_any_version_can_be_read_first() {
    for version in 1..=latest() {
        for line in [
            "exp export > all.toml; exp plan all.toml",
            "exp check f.toml --store \"$HOME\"/.local/state/exp/experiments.db",
            "exp plan f.toml --format tsv",
            "echo user:1 | exp assign checkout_v2 --actors - --dry-run",
            "exp explain checkout_v2 user:1",
            "exp apply f.toml --yes",
        ] {
            let sandbox = Sandbox::new();
            restored(&sandbox.default_store(), version);
            let declare = "printf '[[experiment]]\\nname = \"new\"\\n' > f.toml
                echo 'variants = [{ name = \"a\", weight = 1 }]' >> f.toml; ";
            let output = sandbox.bash(&format!("set -e; {declare}{line}"));
            assert!(output.status.success(), "{version}: {line}: {output:?}");
        }
    }
}

fn is_of_next(error: &ExperimentStoreError) -> bool {
    let ExperimentStoreError::NewerSchema {
        found, supported, ..
    } = error
    else {
        return false;
    };
    (*found, *supported) == (latest() + 1, latest())
}

/// A store of a newer version is refused and left as it is.
#[test]
fn a_newer_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.db");
    SqliteExperimentStore::open_or_create(&path).unwrap();
    assert_eq!(pragma(&path, "user_version"), latest());
    migrate_to_next(&path);
    let refused = SqliteExperimentStore::open_or_create(&path).unwrap_err();
    assert!(is_of_next(&refused), "{refused:?}");
    assert_eq!(pragma(&path, "user_version"), latest() + 1);
}

/// Calls everything that asks the file, with a backup and a copy under these names.
#[expect(clippy::too_many_lines, reason = "a list of calls")]
fn call_all(
    store: &SqliteExperimentStore,
    backup: &Path,
    copied: &Path,
) -> Vec<(&'static str, Result<(), ExperimentError>)> {
    let config = ExperimentConfig::new("idea", vec![VariantConfig::new("a", 1)]);
    let exposure = ExposureRecord {
        experiment: "checkout_v2".to_owned(),
        variant: "control".to_owned(),
        actor: "user:1".to_owned(),
        request_id: None,
        is_override: false,
        timestamp_secs: NOW,
    };
    let outcome = Outcome {
        actor: "user:1".to_owned(),
        metric: "revenue".to_owned(),
        value: Finite::from(1),
        timestamp_secs: NOW,
        id: None,
    };
    // What needs no write, what does, and what the actor has already.
    let assign = |experiment, actor, keep_exposure| {
        let request = AssignRequest {
            keep_exposure,
            ..AssignRequest::new(experiment, actor)
        };
        store.assign(&request).map(drop)
    };
    let many = |keep| {
        let request = AssignManyRequest {
            experiment: "checkout_v2",
            actors: &["user:1", "user:2"],
            keep,
        };
        store.assign_many(&request).map(drop)
    };
    let clear = Mutation::ClearOverride {
        experiment: "checkout_v2",
        actor: "nobody",
    };
    let expected = [Expected {
        experiment: "nothing",
        config: None,
    }];
    vec![
        ("get", store.get("banner").map(drop)),
        ("get nothing", store.get("nothing").map(drop)),
        ("list", store.list().map(drop)),
        (
            "get_assignment",
            store.get_assignment("banner", "x").map(drop),
        ),
        ("get_override", store.get_override("banner", "x").map(drop)),
        ("overrides", store.overrides("banner").map(drop)),
        (
            "has_assignment_in_group",
            store
                .has_assignment_in_group("x", "home", "banner")
                .map(drop),
        ),
        ("situation", store.situation("banner", "x").map(drop)),
        ("variant_counts", store.variant_counts("banner").map(drop)),
        ("history", store.history("banner", 0).map(drop)),
        ("changes", store.changes(&ChangeScan::default()).map(drop)),
        ("exposures", store.exposures("banner").map(drop)),
        ("exposure_totals", store.exposure_totals("user:1").map(drop)),
        ("unassign", store.unassign("banner", &["x"], None).map(drop)),
        (
            "scan_assignments",
            store.scan_assignments("banner", &mut |_| Ok(())),
        ),
        (
            "scan_outcomes",
            store.scan_outcomes(&OutcomeScan::default(), &mut |_| Ok(())),
        ),
        ("weight_periods", store.weight_periods("banner").map(drop)),
        (
            "prune_exposures",
            store.prune_exposures("banner", 1, None).map(drop),
        ),
        ("track", store.track(&[outcome]).map(drop)),
        ("record_exposure", store.record_exposure(&exposure)),
        ("assign again", assign("checkout_v2", "user:1", false)),
        (
            "assign again, exposed",
            assign("checkout_v2", "user:1", true),
        ),
        ("assign a newcomer", assign("checkout_v2", "new", false)),
        ("assign the winner", assign("search", "new", true)),
        (
            "record_assignment",
            record(store, "checkout_v2", "user:1", "control", false).map(drop),
        ),
        ("many, nothing kept", many(Keep::Nothing)),
        ("many", many(Keep::Assignments)),
        ("many, exposed", many(Keep::AssignmentsAndExposures)),
        ("mutate, no change", store.mutate(&clear, None).map(drop)),
        (
            "mutate",
            store.mutate(&Mutation::Upsert(&config), None).map(drop),
        ),
        (
            "mutate_all",
            store.mutate_all(&expected, &[], None).map(drop),
        ),
        ("info", store.info().map(drop)),
        ("check", store.check().map(drop)),
        ("repair", store.repair().map(drop)),
        ("backup", store.backup(backup)),
        (
            "copy",
            copy(store, &mut SqliteCopy::new(copied), false, &mut |_, _| ()).map(drop),
        ),
    ]
}

/// A store that a newer version migrates is refused by those who have it open, whatever they ask, and nothing
/// is written to it any more.
#[test]
fn a_store_that_becomes_newer_is_refused_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = restored(&directory.path().join("store.db"), latest());
    let store = SqliteExperimentStore::open(&path).unwrap();
    let store = store.with_clock(Clock::Fixed(NOW));
    let mut before: Vec<String> = Vec::new();
    for is_newer in [false, true] {
        if is_newer {
            migrate_to_next(&path);
        }
        let backup = directory.path().join(format!("backup-{is_newer}.db"));
        let copied = directory.path().join(format!("copy-{is_newer}.db"));
        for (call, result) in call_all(&store, &backup, &copied) {
            let is_right = match result {
                Ok(()) => !is_newer,
                Err(ExperimentError::Store(error)) => is_newer && is_of_next(&error),
                Err(_) => false,
            };
            assert!(is_right, "{call}, newer: {is_newer}");
        }
        assert_eq!([backup.exists(), copied.exists()], [!is_newer; 2]);
        let held =
            ["assignments", "exposures", "changes", "outcomes"].map(|table| rows(&path, table));
        if is_newer {
            assert_eq!(held, before[..]);
        }
        before = held.to_vec();
    }
}

/// The same of the program while it answers line by line.
#[test]
fn a_process_stops_at_a_store_that_becomes_newer() {
    let sandbox = Sandbox::new();
    let path = restored(&sandbox.default_store(), latest());
    let mut command = sandbox.exp(&["assign", "checkout_v2", "--actors", "-", "--quiet"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = process.stdin.take().unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    input.write_all(b"user:1\n").unwrap();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "user:1\tcontrol\n");
    migrate_to_next(&path);
    input.write_all(b"user:3\n").unwrap();
    drop(input);
    line.clear();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "");
    let ended = process.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let told = String::from_utf8_lossy(&ended.stderr);
    let (found, known) = (latest() + 1, latest());
    let message = format!("has schema {found}, but this version of exp supports at most {known}\n");
    assert!(told.contains(&message), "{told}");
    assert!(
        told.contains("hint: use the version of exp that wrote it"),
        "{told}"
    );
}

/// Rows that contradict each other are reported as damage, not as nonsense or a panic.
#[test]
fn contradictions_are_reported_as_damage() {
    let damages = [
        "DELETE FROM variants WHERE idx = 0",
        "UPDATE experiments SET winner = 9",
        "UPDATE assignments SET variant = 9",
        "UPDATE overrides SET variant = -3",
        "UPDATE changes SET detail = '{'",
        "UPDATE variants SET weight = -1",
        "UPDATE experiments SET analysis = '{'",
        "UPDATE experiments SET variant_values = '{'",
        "UPDATE overrides SET expires_at = -1",
    ];
    for damage in damages {
        let directory = tempfile::tempdir().unwrap();
        let path = restored(&directory.path().join("damaged.db"), latest());
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(damage).unwrap();
        let store = SqliteExperimentStore::open(&path).unwrap();
        let read = [
            store.list().map(drop),
            store.situation("checkout_v2", "user:1").map(drop),
            store.situation("checkout_v2", "qa").map(drop),
            store.history("checkout_v2", 0).map(drop),
        ];
        let corrupt = read
            .iter()
            .filter_map(|result| result.as_ref().err())
            .all(|error| {
                matches!(
                    error,
                    experiments::ExperimentError::Store(ExperimentStoreError::Corrupt { .. })
                )
            });
        assert!(
            corrupt && read.iter().any(Result::is_err),
            "{damage}: {read:?}"
        );
    }
}
