//! Stores of earlier versions, and what the migration makes of them that weight periods came with.

use std::fs;
use std::path::Path;

use experiments::{ExperimentStore as _, PgExperimentStore, VariantConfig};
use macro_rules_attribute::apply;

use crate::server::{self, client, options};

/// A store of that version, as it was dumped.
pub(super) fn restored(version: i32) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores");
    let dump = fs::read_to_string(fixtures.join(format!("postgres-{version}.sql"))).unwrap();
    let url = server::shared().database();
    client(&url).batch_execute(&dump).unwrap();
    url
}

/// When each period of an experiment began, and its weights.
pub(super) fn weights_of_periods(
    store: &PgExperimentStore,
    experiment: &str,
) -> Vec<(u64, Vec<u32>)> {
    let periods = store.weight_periods(experiment).unwrap().into_iter();
    let weights = |variants: &[VariantConfig]| variants.iter().map(|v| v.weight).collect();
    periods
        .map(|period| (period.from_secs, weights(&period.variants)))
        .collect()
}

/// What an experiment was called, its weights at last, its log (when, what, and what of it is known), and the
/// periods that there were: when each began, and its weights.
type Case = (
    &'static str,
    (u32, u32),
    Vec<(i32, &'static str, Option<String>)>,
    Vec<(u64, [u32; 2])>,
);

fn list((a, b): (u32, u32)) -> String {
    format!(r#"[{{"name": "a", "weight": {a}}}, {{"name": "b", "weight": {b}}}]"#)
}

/// The detail of a change, before which there may have been nothing.
#[expect(clippy::unnecessary_wraps, reason = "as the log has it")]
fn detail(before: Option<(u32, u32)>, after: (u32, u32)) -> Option<String> {
    let side = |weights: (u32, u32)| format!(r#"{{"variants": {}}}"#, list(weights));
    let before = before.map_or("{}".to_owned(), side);
    Some(format!(
        r#"{{"before": {before}, "after": {}}}"#,
        side(after)
    ))
}

fn cases() -> Vec<Case> {
    let set = "set_weights";
    vec![
        ("unlogged", (3, 1), vec![], vec![(0, [3, 1])]),
        (
            "known",
            (3, 1),
            vec![
                (0, "created", detail(None, (1, 1))),
                (5, "state=running", None),
                (10, set, detail(Some((1, 1)), (2, 1))),
                (20, "updated", detail(Some((2, 1)), (3, 1))),
            ],
            vec![(0, [1, 1]), (10, [2, 1]), (20, [3, 1])],
        ),
        (
            "in between",
            (3, 1),
            vec![
                (0, "created", detail(None, (1, 1))),
                (10, set, None),
                (20, set, detail(Some((2, 1)), (3, 1))),
            ],
            vec![(0, [1, 1]), (10, [2, 1]), (20, [3, 1])],
        ),
        // What is not known is taken to be what is known next.
        (
            "unknown",
            (3, 1),
            vec![(0, "created", None), (10, set, None), (20, set, None)],
            vec![(0, [3, 1]), (10, [3, 1]), (20, [3, 1])],
        ),
        // It may have created it anew with other weights, or with the same.
        (
            "anew",
            (3, 1),
            vec![(0, "created", detail(None, (1, 1))), (10, "updated", None)],
            vec![(0, [1, 1]), (10, [3, 1])],
        ),
        (
            "the same",
            (3, 1),
            vec![(0, "created", detail(None, (3, 1))), (10, "updated", None)],
            vec![(0, [3, 1])],
        ),
        (
            "switched off",
            (0, 1),
            vec![
                (0, "created", detail(None, (1, 1))),
                (10, set, detail(Some((1, 1)), (0, 1))),
            ],
            vec![(0, [1, 1]), (10, [0, 1])],
        ),
        // A clock went backwards.
        (
            "backwards",
            (3, 1),
            vec![
                (0, "created", detail(None, (1, 1))),
                (20, set, detail(Some((1, 1)), (2, 1))),
                (10, set, detail(Some((2, 1)), (3, 1))),
            ],
            vec![(0, [1, 1]), (20, [2, 1]), (20, [3, 1])],
        ),
    ]
}

/// Periods of before there were any, as the log tells of them.
#[apply(needs_postgres!)]
fn periods_of_before_are_read_from_the_log() {
    let url = restored(3);
    let mut db = client(&url);
    let cases = cases();
    db.batch_execute("SET session_replication_role = replica")
        .unwrap();
    for (name, weights, log, _) in &cases {
        db.execute(
            "INSERT INTO autumn_experiments (name, variants, created_at)
             VALUES ($1, $2::text::jsonb, to_timestamp(0))",
            &[name, &list(*weights)],
        )
        .unwrap();
        for (at, mutation, detail) in log {
            db.execute(
                "INSERT INTO autumn_experiment_changes (experiment, mutation, changed_at, detail)
                 VALUES ($1, $2, to_timestamp($3), $4::text::jsonb)",
                &[name, mutation, &f64::from(*at), detail],
            )
            .unwrap();
        }
        db.execute(
            "INSERT INTO autumn_experiment_assignments (experiment, actor, variant, assigned_at)
             SELECT $1, lpad(at::text, 2, '0'), 'a', to_timestamp(at) FROM unnest(ARRAY[0, 9, 10, 19, 20, 30]) at",
            &[name],
        )
        .unwrap();
    }
    assert!(PgExperimentStore::migrate(&options(&url)).unwrap());
    let store = PgExperimentStore::open(options(&url)).unwrap();
    for (name, _, _, expected) in &cases {
        let periods = weights_of_periods(&store, name);
        let expected: Vec<_> = expected
            .iter()
            .map(|(at, weights)| (*at, weights.to_vec()))
            .collect();
        assert_eq!(periods, expected, "{name}");
        let scanned = store.scan_assignments(name, &mut |record| {
            // In the second of a change the variant tells, if it has no weight after it.
            let at = record.assigned_at_secs;
            let begun = periods
                .iter()
                .filter(|(from, weights)| *from < at || *from == at && weights[0] > 0);
            let period = begun.count() - 1;
            assert_eq!(
                record.weight_period as usize, period,
                "{name} {}",
                record.actor
            );
            Ok(())
        });
        scanned.unwrap();
    }
    assert_eq!(store.check().unwrap(), []);
}

/// Where no weights ever changed, the migration writes to no assignment.
#[apply(needs_postgres!)]
fn assignments_of_unchanged_weights_stay_where_they_are() {
    let url = restored(3);
    let mut db = client(&url);
    let places = "SELECT string_agg(a.ctid::text || relfilenode, ' ' ORDER BY a.id)
        FROM autumn_experiment_assignments a, pg_class
        WHERE relname = 'autumn_experiment_assignments' AND experiment <> 'checkout_v2'";
    let mut places = || db.query_one(places, &[]).unwrap().get::<_, String>(0);
    let before = places();
    assert!(PgExperimentStore::migrate(&options(&url)).unwrap());
    assert_eq!(places(), before);
}
