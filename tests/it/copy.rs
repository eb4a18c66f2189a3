//! `exp store copy`: everything moves, exactly; what was interrupted goes on; nothing is written over.

use experiments::lifecycle::Mutation;
use experiments::metric::{MetricKind, Window};
use experiments::store::transfer::{Copied, Record, Source, Tally, Target, copy};
use experiments::{
    AssignManyRequest, AssignRequest, AssignmentRecord, ChangeScan, Clock, ExperimentConfig,
    ExperimentError, ExperimentState, ExperimentStore, ExperimentStoreError, ExposureRecord,
    Finite, Keep, MetricConfig, Outcome, OutcomeScan, PgCopy, PgExperimentStore, SqliteCopy,
    SqliteExperimentStore, StoreLocation, VariantConfig,
};
use macro_rules_attribute::apply;

use crate::sandbox::Sandbox;
use crate::server::{self, client, options};

fn nothing_is_told(_: u64, _: u64) {}

/// Something of everything, with what is hard to keep: texts that need escaping, a removed variant
/// that an exposure and an override still name, an archived winner, members of a group.
#[expect(clippy::too_many_lines, reason = "it is a list of what there can be")]
fn fill(store: &(impl ExperimentStore + Clone)) {
    let variants = |names: &[&str]| {
        let variants = names.iter().map(|name| VariantConfig::new(*name, 1));
        variants.collect::<Vec<_>>()
    };
    for name in ["ünï \"code\"", "b", "B", "a\\b"] {
        let config = ExperimentConfig {
            state: ExperimentState::Running,
            ..ExperimentConfig::new(name, variants(&["x", "y\\n", "gone"])).exclusion_group("g")
        };
        store
            .insert(config.description("line one\nline \\two"))
            .unwrap();
    }
    let value = (
        "only".to_owned(),
        serde_json::json!({"say": "a\0b", "at": [1, 0.5, 1e16]}),
    );
    let draft = ExperimentConfig::new("drft", variants(&["only"]))
        .values([value].into_iter().collect())
        .enrolling(false);
    store.insert(draft).unwrap();
    for name in ["deleted", "ünï \"gone\""] {
        store
            .insert(ExperimentConfig::new(name, variants(&["a"])))
            .unwrap();
    }
    let mutations = [
        Mutation::Rename {
            experiment: "drft",
            to: "draft",
        },
        Mutation::Delete {
            experiment: "ünï \"gone\"",
        },
        Mutation::Delete {
            experiment: "deleted",
        },
    ];
    store.mutate_all(&[], &mutations, None).unwrap();
    store.set_override("b", "qa", "gone").unwrap();
    store
        .record_exposure(&ExposureRecord {
            experiment: "b".to_owned(),
            variant: "gone".to_owned(),
            actor: "once".to_owned(),
            request_id: Some("r\t1".to_owned()),
            is_override: false,
            timestamp_secs: 12,
        })
        .unwrap();
    store
        .set_variants("b", variants(&["y\\n", "x", "new"]), None)
        .unwrap();
    let pinned = Mutation::SetOverride {
        experiment: "b",
        actor: "pinned",
        variant: "new",
        expires_at_secs: Some(4_102_444_800),
        reason: Some("a\tb"),
    };
    store.mutate(&pinned, None).unwrap();
    let actors: Vec<String> = (0..2_000).map(|n| format!("user\\{n}\t")).collect();
    let names: Vec<&str> = actors.iter().map(String::as_str).collect();
    for (experiment, share) in ["b", "B", "a\\b"].into_iter().zip(names.chunks(700)) {
        let request = AssignManyRequest {
            experiment,
            actors: share,
            keep: Keep::AssignmentsAndExposures,
        };
        store.assign_many(&request).unwrap();
    }
    // In a period of its own.
    let mut later = variants(&["y\\n", "x", "new"]);
    later[0].weight = 7;
    store.set_variants("b", later, None).unwrap();
    store
        .assign(&AssignRequest::new("b", "pinned").keep_exposure(Some("r2")))
        .unwrap();
    // Some belong to a later period of weights, and one is counted there only.
    let mut heavier = variants(&["x", "y\\n", "gone"]);
    heavier[0].weight = 9;
    store.set_variants("a\\b", heavier, None).unwrap();
    for actor in ["later", "pinned"] {
        store.assign(&AssignRequest::new("a\\b", actor)).ok();
    }
    store.set_override("a\\b", "user\\1999\t", "x").unwrap();
    let again = AssignRequest::new("a\\b", "user\\1999\t");
    store.assign(&again).unwrap();
    let metrics = [MetricConfig {
        window: Window::of_secs(3600),
        ..MetricConfig::new("rev\\enue", MetricKind::Mean)
    }];
    let mutation = Mutation::SetMetrics {
        experiment: "b",
        metrics: &metrics,
    };
    store.mutate(&mutation, None).unwrap();
    let outcomes = [("rev\\enue", 0.1, Some("a\tb")), ("seen", -3.0, None)];
    let outcomes = outcomes.map(|(metric, value, id)| Outcome {
        actor: "user\\1\t".to_owned(),
        metric: metric.to_owned(),
        value: Finite::new(value).unwrap(),
        timestamp_secs: 1_690_000_000,
        id: id.map(str::to_owned),
    });
    store.track(&outcomes).unwrap();
    for (name, state) in [
        ("B", ExperimentState::Concluded),
        ("B", ExperimentState::Archived),
        ("a\\b", ExperimentState::Concluded),
        ("b", ExperimentState::Paused),
    ] {
        store.set_state(name, state, Some("x")).unwrap();
    }
}

fn file(directory: &tempfile::TempDir) -> SqliteExperimentStore {
    let store = SqliteExperimentStore::open_or_create(directory.path().join("source.db"));
    let store = store.unwrap().with_operator("ann \"\\");
    store.with_clock(Clock::Fixed(1_700_000_000))
}

fn tally(store: &dyn Source) -> Tally {
    let mut tally = None;
    let counted = store.view(&mut |view| {
        tally = Some(Tally::of(view)?);
        Ok(())
    });
    counted.unwrap();
    tally.unwrap()
}

fn copied(source: &dyn Source, target: &mut dyn Target) -> Copied {
    copy(source, target, false, &mut nothing_is_told).unwrap()
}

/// All that a scan of each kind shows.
fn scanned(store: &dyn ExperimentStore) -> (Vec<AssignmentRecord>, Vec<Outcome>) {
    let (mut assignments, mut outcomes) = (Vec::new(), Vec::new());
    for config in store.list().unwrap() {
        let scan = store.scan_assignments(&config.name, &mut |assignment| {
            assignments.push(assignment.clone());
            Ok(())
        });
        scan.unwrap();
    }
    let scan = store.scan_outcomes(&OutcomeScan::default(), &mut |outcome| {
        outcomes.push(outcome.clone());
        Ok(())
    });
    scan.unwrap();
    (assignments, outcomes)
}

fn assert_same(copy: &dyn ExperimentStore, source: &dyn ExperimentStore) {
    assert_eq!(copy.list().unwrap(), source.list().unwrap());
    assert_eq!(scanned(copy), scanned(source));
    let all = ChangeScan::default();
    assert_eq!(copy.changes(&all).unwrap(), source.changes(&all).unwrap());
    for config in source.list().unwrap() {
        let name = &config.name;
        let history = source.history(name, 0).unwrap();
        assert_eq!(copy.history(name, 0).unwrap(), history);
        let exposures = source.exposures(name).unwrap();
        assert_eq!(copy.exposures(name).unwrap(), exposures);
        let overrides = source.overrides(name).unwrap();
        assert_eq!(copy.overrides(name).unwrap(), overrides);
        let periods = source.weight_periods(name).unwrap();
        assert_eq!(copy.weight_periods(name).unwrap(), periods);
        let counts = source.variant_counts(name).unwrap();
        assert_eq!(copy.variant_counts(name).unwrap(), counts);
    }
    let situation = source.situation("b", "user\\7\t").unwrap();
    let mut in_copy = copy.situation("b", "user\\7\t").unwrap();
    in_copy.at_secs = situation.at_secs;
    assert_eq!(in_copy, situation);
}

#[test]
fn everything_goes_to_another_file() {
    let directory = tempfile::tempdir().unwrap();
    let source = file(&directory);
    fill(&source);
    let path = directory.path().join("copy.db");
    copied(&source, &mut SqliteCopy::new(&path));
    let copy = SqliteExperimentStore::open(&path).unwrap();
    assert_eq!(copy.check().unwrap(), []);
    assert_same(&copy, &source);
    let periods = copy.weight_periods("a\\b").unwrap();
    let counted = periods.iter().map(|period| {
        let counts = period.counts.iter();
        counts.map(|c| c.assigned + c.overridden).sum::<u64>() > 0
    });
    assert_eq!(counted.collect::<Vec<_>>(), [true, true]);
}

#[apply(needs_postgres!)]
fn everything_goes_to_a_database_and_back() {
    let directory = tempfile::tempdir().unwrap();
    let source = file(&directory);
    fill(&source);
    let url = server::shared().database();
    let there = copied(&source, &mut PgCopy::new(options(&url)));
    assert_eq!((there.resumed_at, there.is_outdated), (0, false));
    let database = PgExperimentStore::open(options(&url)).unwrap();
    let path = directory.path().join("back.db");
    let back = copied(&database, &mut SqliteCopy::new(&path));
    assert_eq!(back.tally, there.tally);

    let returned = SqliteExperimentStore::open(&path).unwrap();
    assert_eq!(back.tally.experiments, 5);
    assert_eq!(back.tally.overrides, 3);
    assert_eq!(back.tally.assignments, 2_002);
    assert_eq!(back.tally.outcomes, 2);
    assert_eq!(back.tally.exposures, 2_002);
    for (copy, found) in [
        (&database as &dyn ExperimentStore, database.check().unwrap()),
        (&returned, returned.check().unwrap()),
    ] {
        assert_eq!(found, []);
        assert_same(copy, &source);
    }
    // Both are stores to go on with: a variant that was removed can come back.
    for copy in [&database as &dyn ExperimentStore, &returned] {
        let variants = ["x", "y\\n", "new", "gone"].map(|name| VariantConfig::new(name, 1));
        copy.set_variants("b", variants.to_vec(), None).unwrap();
        assert_eq!(copy.get_override("b", "qa").unwrap().unwrap(), "gone");
    }
}

/// Stops after so many batches.
struct Interrupted<'a> {
    target: &'a mut dyn Target,
    batches: usize,
}

impl Target for Interrupted<'_> {
    fn begin(&mut self, tally: &Tally, restart: bool) -> Result<u64, ExperimentError> {
        self.target.begin(tally, restart)
    }

    fn append(&mut self, written: u64, records: &[Record]) -> Result<(), ExperimentError> {
        if self.batches == 0 {
            return Err(ExperimentError::NotFound("the way".to_owned()));
        }
        self.batches -= 1;
        self.target.append(written, records)
    }

    fn seal(&mut self) -> Result<(), ExperimentError> {
        self.target.seal()
    }

    fn tally(&mut self) -> Result<Tally, ExperimentError> {
        self.target.tally()
    }

    fn complete(&mut self) -> Result<Option<Tally>, ExperimentError> {
        self.target.complete()
    }

    fn finish(&mut self) -> Result<(), ExperimentError> {
        self.target.finish()
    }

    fn store(&self) -> StoreLocation {
        self.target.store()
    }
}

fn enrol(store: &dyn ExperimentStore, range: std::ops::Range<u32>) {
    let actors: Vec<String> = range.map(|n| format!("user:{n}")).collect();
    let names: Vec<&str> = actors.iter().map(String::as_str).collect();
    let request = AssignManyRequest {
        experiment: "e",
        actors: &names,
        keep: Keep::Assignments,
    };
    store.assign_many(&request).unwrap();
}

/// What is interrupted is no store to anybody, goes on where it was, and only with what it was of.
fn an_interrupted_copy(
    source: &SqliteExperimentStore,
    target: &dyn Fn() -> Box<dyn Target>,
    is_unusable: &dyn Fn() -> bool,
) {
    let config = ExperimentConfig {
        state: ExperimentState::Running,
        ..ExperimentConfig::new("e", vec![VariantConfig::new("a", 1)])
    };
    source.insert(config).unwrap();
    enrol(source, 0..25_000);
    let interrupt = |restart| {
        let mut interrupted = Interrupted {
            target: &mut *target(),
            batches: 1,
        };
        copy(source, &mut interrupted, restart, &mut nothing_is_told).unwrap_err()
    };
    assert!(matches!(interrupt(false), ExperimentError::NotFound(_)));
    assert!(is_unusable());

    // The source moves on: what is there is of another one now.
    enrol(source, 25_000..25_001);
    let other = copy(source, &mut *target(), false, &mut nothing_is_told).unwrap_err();
    assert!(
        matches!(
            other,
            ExperimentError::Store(ExperimentStoreError::OtherCopy { .. })
        ),
        "{other}"
    );
    assert!(matches!(interrupt(true), ExperimentError::NotFound(_)));
    let done = copied(source, &mut *target());
    assert_eq!(done.resumed_at, 10_000);
    assert_eq!(done.tally, tally(source));

    // All of it is there; asked for again, it is found to be.
    let again = copy(source, &mut *target(), true, &mut nothing_is_told).unwrap();
    assert!(again.was_complete && !done.was_complete);
    assert_eq!(again.tally, done.tally);
    enrol(source, 25_001..25_002);
    let refused = copy(source, &mut *target(), true, &mut nothing_is_told).unwrap_err();
    assert!(
        matches!(
            refused,
            ExperimentError::Store(ExperimentStoreError::NotEmpty { .. })
        ),
        "{refused}"
    );
}

#[apply(needs_postgres!)]
fn an_interrupted_copy_into_a_database_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let url = server::shared().database();
    an_interrupted_copy(
        &file(&directory),
        &|| Box::new(PgCopy::new(options(&url))),
        &|| {
            let opened = PgExperimentStore::open(options(&url));
            matches!(opened, Err(ExperimentStoreError::Unfinished { .. }))
        },
    );
    assert!(PgExperimentStore::open(options(&url)).is_ok());
}

#[test]
fn an_interrupted_copy_into_a_file_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("copy.db");
    an_interrupted_copy(
        &file(&directory),
        &|| Box::new(SqliteCopy::new(&path)),
        &|| !path.exists(),
    );
    let copied = SqliteExperimentStore::open(&path).unwrap();
    assert_eq!(copied.check().unwrap(), []);
    let mut left: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("unfinished"))
        .collect();
    left.sort();
    assert_eq!(left, Vec::<String>::new());
}

/// Nobody reads or takes a file that is being written, and nothing that is no copy is thrown away.
#[test]
fn an_unfinished_file_is_its_writers_alone() {
    let directory = tempfile::tempdir().unwrap();
    let source = file(&directory);
    fill(&source);
    let path = directory.path().join("copy.db");
    let unfinished = directory.path().join("copy.db.unfinished");
    std::fs::write(
        &unfinished,
        "something else, long enough to be read as a database. ".repeat(20),
    )
    .unwrap();
    let refused = copy(
        &source,
        &mut SqliteCopy::new(&path),
        true,
        &mut nothing_is_told,
    );
    assert!(refused.is_err());
    assert!(
        std::fs::read_to_string(&unfinished)
            .unwrap()
            .starts_with("something")
    );
    std::fs::remove_file(&unfinished).unwrap();
    let other = SqliteExperimentStore::open_or_create(&unfinished).unwrap();
    other
        .insert(ExperimentConfig::new(
            "kept",
            vec![VariantConfig::new("a", 1)],
        ))
        .unwrap();
    drop(other);
    let refused = copy(
        &source,
        &mut SqliteCopy::new(&path),
        true,
        &mut nothing_is_told,
    );
    assert!(matches!(
        refused,
        Err(ExperimentError::Store(
            ExperimentStoreError::NotEmpty { .. }
        ))
    ));
    assert_eq!(
        SqliteExperimentStore::open(&unfinished)
            .unwrap()
            .list()
            .unwrap()
            .len(),
        1
    );
    std::fs::remove_file(&unfinished).unwrap();

    let read_while_written = |_: u64, _: u64| {
        let reader = rusqlite::Connection::open(&unfinished).unwrap();
        reader.busy_timeout(std::time::Duration::ZERO).unwrap();
        let read = reader.query_row("SELECT count(*) FROM experiments", [], |_| Ok(()));
        assert!(read.is_err());
    };
    let mut read_while_written = read_while_written;
    copy(
        &source,
        &mut SqliteCopy::new(&path),
        false,
        &mut read_while_written,
    )
    .unwrap();
    let copied = SqliteExperimentStore::open(&path).unwrap();
    assert_eq!(tally(&copied), tally(&source));
    assert_eq!(copied.check().unwrap(), []);
}

/// Who waits for another's copy finds it complete.
#[test]
fn of_two_who_copy_to_one_file_both_find_it_complete() {
    let directory = tempfile::tempdir().unwrap();
    let source = file(&directory);
    fill(&source);
    let expected = tally(&source);
    for round in 0..8 {
        let path = directory.path().join(format!("copy{round}.db"));
        let both = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                let mut target = SqliteCopy::new(&path);
                let mut is_told = false;
                copy(&source, &mut target, false, &mut |_, _| {
                    if !is_told {
                        is_told = true;
                        both.wait();
                    }
                })
            });
            let second = scope.spawn(|| {
                both.wait();
                copy(
                    &source,
                    &mut SqliteCopy::new(&path),
                    false,
                    &mut nothing_is_told,
                )
            });
            let (first, second) = (first.join().unwrap(), second.join().unwrap());
            let (first, second) = (first.unwrap(), second.unwrap());
            assert!(!first.was_complete && second.was_complete);
            assert_eq!(
                (first.tally, second.tally),
                (expected.clone(), expected.clone())
            );
        });
        let copied = SqliteExperimentStore::open(&path).unwrap();
        assert_eq!(tally(&copied), expected);
        let db = rusqlite::Connection::open(&path).unwrap();
        let one = |sql: &str| {
            db.query_row(sql, [], |row| row.get::<_, String>(0))
                .unwrap()
        };
        assert_eq!(one("PRAGMA journal_mode"), "wal");
        let progress = "SELECT count(*) || '' FROM sqlite_schema WHERE name = 'copy_progress'";
        assert_eq!(one(progress), "0");
        assert_eq!(copied.check().unwrap(), []);
    }
}

/// A pool that was open before knows nothing of the copy, nor does an application.
#[apply(needs_postgres!)]
fn what_others_have_written_is_not_thrown_away() {
    let directory = tempfile::tempdir().unwrap();
    let source = file(&directory);
    fill(&source);
    let url = server::shared().database();
    let open_before = PgExperimentStore::open_or_create(options(&url)).unwrap();
    let mut target = PgCopy::new(options(&url));
    target.begin(&tally(&source), false).unwrap();
    let created = open_before.insert(ExperimentConfig::new("e", vec![VariantConfig::new("a", 1)]));
    assert!(matches!(
        created,
        Err(ExperimentError::Store(
            ExperimentStoreError::Unfinished { .. }
        ))
    ));
    client(&url)
        .batch_execute("INSERT INTO autumn_experiments (name) VALUES ('theirs')")
        .unwrap();
    let refused = target.begin(&tally(&source), true).unwrap_err();
    assert!(matches!(
        refused,
        ExperimentError::Store(ExperimentStoreError::NotEmpty { .. })
    ));
    let kept = client(&url).query("SELECT name FROM autumn_experiments", &[]);
    assert_eq!(kept.unwrap().len(), 1);
}

/// An application that deletes an experiment leaves what belonged to it. Its log is copied, as that of one which
/// was deleted.
#[apply(needs_postgres!)]
fn what_belongs_to_nothing_is_left_out_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let url = server::shared().database();
    let source = PgExperimentStore::open_or_create(options(&url)).unwrap();
    fill(&source);
    let before = tally(&source);
    client(&url)
        .batch_execute(
            "INSERT INTO autumn_experiment_overrides (experiment, actor, variant)
                VALUES ('draft', 'qa', 'only');
            DELETE FROM autumn_experiments WHERE name = 'draft'",
        )
        .unwrap();
    let path = directory.path().join("copy.db");
    let copied = copied(&source, &mut SqliteCopy::new(&path));
    assert_eq!((copied.left_out, copied.is_outdated), (1, false));
    assert_eq!(copied.tally.records(), before.records() - 1);
    let copy = SqliteExperimentStore::open(&path).unwrap();
    assert_eq!(copy.history("draft", 0).unwrap().len(), 2);
    assert_eq!(copy.check().unwrap(), []);
}

#[test]
fn what_happens_meanwhile_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let source = file(&directory);
    fill(&source);
    let other = SqliteExperimentStore::open(directory.path().join("source.db")).unwrap();
    let mut target = SqliteCopy::new(directory.path().join("copy.db"));
    let mut was_changed = false;
    let copied = copy(&source, &mut target, false, &mut |_, _| {
        if !was_changed {
            was_changed = true;
            other.set_override("b", "late", "x").unwrap();
        }
    });
    let copied = copied.unwrap();
    assert!(copied.is_outdated);
    assert_eq!(copied.tally.overrides, 3);
}

#[apply(needs_postgres!)]
fn the_command_moves_a_store() {
    let sandbox = Sandbox::new();
    let url = server::shared().database();
    let script = format!(
        "set -e
         exp create e --variant a=1 --variant b=1 --start -q
         seq -f user:%.0f 500 | exp assign e --actors - --expose -q > before
         exp store copy --to '{url}' --format tsv > counts
         cut -f 1 before > actors
         exp --store '{url}' assign e --actors actors -q > after
         cmp before after
         exp --store '{url}' store copy --to back.db --format tsv | grep -v checksum
         exp store copy --to '{url}' -q > /dev/null
         exp create late --variant a=1
         exp store copy --to '{url}' || echo \"exit $?\""
    );
    let ran = sandbox.bash(&script);
    let told = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(
        String::from_utf8(ran.stdout).unwrap(),
        "experiments\t1\nassignments\t500\noverrides\t0\nexposures\t500\nchanges\t1\noutcomes\t0\nexit 8\n",
        "{told}"
    );
    assert!(
        told.contains("is not empty\n hint: the target must be"),
        "{told}"
    );
    let rows = client(&url).query_one("SELECT count(*) FROM autumn_experiment_assignments", &[]);
    assert_eq!(rows.unwrap().get::<_, i64>(0), 500);
}

/// Whoever copies a store to itself has no second one.
#[test]
fn a_store_is_not_copied_to_itself() {
    let directory = tempfile::tempdir().unwrap();
    let source = file(&directory);
    fill(&source);
    let path = directory.path().join("source.db");
    let alias = directory.path().join("alias.db");
    std::os::unix::fs::symlink(&path, &alias).unwrap();
    for name in [&path, &alias] {
        for restart in [false, true] {
            let copied = copy(
                &source,
                &mut SqliteCopy::new(name),
                restart,
                &mut nothing_is_told,
            );
            assert!(
                matches!(
                    copied,
                    Err(ExperimentError::Store(
                        ExperimentStoreError::NotEmpty { .. }
                    ))
                ),
                "{copied:?}"
            );
        }
    }
}

#[apply(needs_postgres!)]
fn a_database_is_not_copied_to_itself() {
    let url = server::shared().database();
    let source = PgExperimentStore::open_or_create(options(&url)).unwrap();
    fill(&source);
    // The same by another address.
    for other in [url.clone(), url.replace("admin@", "admin:x@")] {
        let mut target = PgCopy::new(options(&other));
        let copied = copy(&source, &mut target, false, &mut nothing_is_told);
        assert!(
            matches!(
                copied,
                Err(ExperimentError::Store(
                    ExperimentStoreError::NotEmpty { .. }
                ))
            ),
            "{copied:?}"
        );
    }
}

/// What a killed copy leaves is no store to anybody, and is completed or begun anew.
#[test]
fn an_unfinished_copy_is_no_store() {
    let directory = tempfile::tempdir().unwrap();
    let source = file(&directory);
    fill(&source);
    let path = directory.path().join("copy.db");
    let expected = tally(&source);
    let mut killed = SqliteCopy::new(&path);
    assert_eq!(killed.begin(&expected, false).unwrap(), 0);
    drop(killed);
    let unfinished = directory.path().join("copy.db.unfinished");
    let opened = SqliteExperimentStore::open(&unfinished).map(drop);
    assert!(
        matches!(opened, Err(ExperimentStoreError::Unfinished { .. })),
        "{opened:?}"
    );
    let copied = copy(
        &source,
        &mut SqliteCopy::new(&path),
        false,
        &mut nothing_is_told,
    );
    assert_eq!(copied.unwrap().tally, expected);
    assert_eq!(
        SqliteExperimentStore::open(&path).unwrap().check().unwrap(),
        []
    );
}
