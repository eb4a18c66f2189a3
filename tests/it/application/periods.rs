//! Weight periods and counts beside an application, which knows nothing of either.

use std::thread;

use experiments::{
    AssignmentRecord, ExperimentStore, PgExperimentStore, StoreFinding, VariantConfig, VariantCount,
};
use macro_rules_attribute::apply;
use postgres::Client;

use super::{running, store};
use crate::givens::{await_waiters, request};
use crate::server::{self, client, options};

fn weights(a: u32, b: u32) -> Vec<VariantConfig> {
    vec![VariantConfig::new("a", a), VariantConfig::new("b", b)]
}

/// As the application changes weights.
fn set_weights(application: &mut Client, a: u32, b: u32) {
    let changed = application.execute(
        "WITH updated AS (
             UPDATE autumn_experiments SET variants = $1::text::jsonb, updated_at = NOW()
             WHERE name = 'e' RETURNING name)
         INSERT INTO autumn_experiment_changes (experiment, mutation)
         SELECT name, 'set_weights' FROM updated",
        &[&serde_json::to_string(&weights(a, b)).unwrap()],
    );
    assert_eq!(changed.unwrap(), 1);
}

/// As the application stores an assignment.
const ASSIGN: &str = "INSERT INTO autumn_experiment_assignments AS a
        (experiment, actor, variant, is_override) VALUES ('e', $1, $2, $3)
    ON CONFLICT (experiment, actor) DO UPDATE
    SET variant = CASE WHEN excluded.is_override THEN excluded.variant ELSE a.variant END,
        is_override = a.is_override OR excluded.is_override";

fn assign(application: &mut Client, actor: &str, variant: &str, is_override: bool) {
    let stored = application.execute(ASSIGN, &[&actor, &variant, &is_override]);
    assert_eq!(stored.unwrap(), 1);
}

fn scanned(store: &PgExperimentStore) -> Vec<AssignmentRecord> {
    let mut all = Vec::new();
    let scan = store.scan_assignments("e", &mut |record| {
        all.push(record.clone());
        Ok(())
    });
    scan.unwrap();
    all
}

/// The weights of `a` in each period, and how many buckets and overrides gave `a` and `b` in it.
fn periods(store: &PgExperimentStore) -> Vec<(u32, [(u64, u64); 2])> {
    let periods = store.weight_periods("e").unwrap().into_iter();
    let of = |count: &VariantCount| (count.assigned, count.overridden);
    periods
        .map(|period| {
            let counts = [of(&period.counts[0]), of(&period.counts[1])];
            (period.variants[0].weight, counts)
        })
        .collect()
}

/// Whichever program changes the weights and whichever assigns: it is counted in the period that holds.
#[apply(needs_postgres!)]
fn whatever_the_application_does_is_in_a_period_and_counted() {
    let url = server::shared().database();
    let (store, mut application) = (store(&url), client(&url));
    store.insert(running("e")).unwrap();
    assign(&mut application, "1", "a", false);
    set_weights(&mut application, 7, 1);
    assign(&mut application, "2", "a", false);
    assign(&mut application, "2", "b", false);
    store.set_variants("e", weights(9, 1), None).unwrap();
    let several = "INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
        SELECT 'e', 'many ' || n, 'b' FROM generate_series(1, 2500) n";
    application.batch_execute(several).unwrap();
    let (none, one) = ((0, 0), (1, 0));
    assert_eq!(
        periods(&store),
        [(1, [one, none]), (7, [one, none]), (9, [none, (2500, 0)])]
    );
    // The same list again, and anything else, begins none.
    set_weights(&mut application, 9, 1);
    let other =
        "UPDATE autumn_experiments SET description = 'x', state = 'concluded', winner = 'a'";
    application.batch_execute(other).unwrap();
    assert_eq!(periods(&store).len(), 3);

    // An override of its own moves an actor; what it deletes is counted no more.
    assign(&mut application, "1", "b", true);
    let delete = "DELETE FROM autumn_experiment_assignments WHERE actor ~ '^many .*0$'";
    assert_eq!(application.execute(delete, &[]).unwrap(), 250);
    assert_eq!(
        periods(&store),
        [(1, [none, none]), (7, [one, none]), (9, [none, (2250, 1)])]
    );
    assert_eq!(store.check().unwrap(), []);
    // The rows that count are folded.
    let rows = "SELECT count(*) FROM exp_assignment_counts";
    let rows: i64 = application.query_one(rows, &[]).unwrap().get(0);
    assert!(rows < 2500, "{rows}");
    application
        .batch_execute("TRUNCATE autumn_experiment_assignments")
        .unwrap();
    assert_eq!(periods(&store)[2], (9, [none, none]));
    assert_eq!(store.check().unwrap(), []);
}

/// One that it creates anew begins at 0, unless assignments of the earlier one are left: those keep theirs.
#[apply(needs_postgres!)]
fn an_experiment_that_the_application_creates_anew_has_periods_of_its_own() {
    let url = server::shared().database();
    let (store, mut application) = (store(&url), client(&url));
    store.insert(running("e")).unwrap();
    store.set_variants("e", weights(2, 1), None).unwrap();
    let mut anew = |a: u32| {
        let insert = "INSERT INTO autumn_experiments (name, state, variants)
            VALUES ('e', 'running', $1::text::jsonb)";
        let list = serde_json::to_string(&weights(a, 1)).unwrap();
        let delete = "DELETE FROM autumn_experiments";
        application.batch_execute(delete).unwrap();
        assert_eq!(store.weight_periods("e").unwrap(), []);
        application.execute(insert, &[&list]).unwrap();
    };
    let none = [(0, 0), (0, 0)];
    anew(3);
    assert_eq!(periods(&store), [(3, none)]);
    store.assign(&request("e", "user:1")).unwrap();
    anew(4);
    store.assign(&request("e", "user:2")).unwrap();
    let of = scanned(&store).into_iter();
    assert_eq!(
        of.map(|record| record.weight_period).collect::<Vec<_>>(),
        [0, 1]
    );
    let weights: Vec<u32> = periods(&store).iter().map(|(weight, _)| *weight).collect();
    assert_eq!(weights, [3, 4]);
    assert_eq!(store.check().unwrap(), []);
}

/// A table of the assignments that it has made anew is completed before anything that needs it is put back.
#[apply(needs_postgres!)]
fn a_table_of_assignments_that_the_application_makes_anew_is_completed() {
    for repairs in [false, true] {
        let url = server::shared().database();
        let (store, mut application) = (store(&url), client(&url));
        store.insert(running("e")).unwrap();
        store.assign(&request("e", "user:1")).unwrap();
        set_weights(&mut application, 2, 1);
        set_weights(&mut application, 2, 1);
        let anew = "DROP TABLE autumn_experiment_assignments;
            CREATE TABLE autumn_experiment_assignments (
                id bigserial PRIMARY KEY,
                experiment text NOT NULL,
                actor text NOT NULL,
                variant text NOT NULL,
                is_override boolean NOT NULL DEFAULT false,
                assigned_at timestamptz NOT NULL DEFAULT now(),
                UNIQUE (experiment, actor)
            )";
        application.batch_execute(anew).unwrap();
        assign(&mut application, "between", "a", false);
        if repairs {
            let column = "autumn_experiment_assignments.weight_period";
            let is_it = |found: &StoreFinding| found.subject == column && found.repairable;
            assert!(store.check().unwrap().iter().any(is_it));
            assert!(store.repair().unwrap().iter().any(is_it));
        } else {
            assert!(PgExperimentStore::migrate(&options(&url)).unwrap());
            assert!(!PgExperimentStore::migrate(&options(&url)).unwrap());
        }
        assert_eq!(store.check().unwrap(), [], "{repairs}");
        assign(&mut application, "after", "b", false);
        store.assign(&request("e", "user:2")).unwrap();
        let none = [(0, 0), (0, 0)];
        assert_eq!(periods(&store)[0], (1, none), "{repairs}");
        assert_eq!(periods(&store).len(), 2, "{repairs}");
        let of = scanned(&store).into_iter();
        let of: Vec<u32> = of.map(|record| record.weight_period).collect();
        assert_eq!(of, [1, 1, 1], "{repairs}");
        assert_eq!(store.check().unwrap(), [], "{repairs}");
    }
}

/// What can't be read of the periods and the outcomes is reported.
#[apply(needs_postgres!)]
fn a_check_reads_the_periods_and_the_outcomes() {
    for (damage, subject) in [
        ("DELETE FROM exp_weight_periods WHERE period = 0", "e"),
        ("DELETE FROM exp_weight_periods WHERE period = 1", "e"),
        (
            "UPDATE exp_weight_periods SET variants = '{}' WHERE period = 0",
            "e",
        ),
        (
            "INSERT INTO exp_outcomes (actor, metric, value, at) VALUES ('1', 'm', 'NaN', now())",
            "m",
        ),
        (
            "INSERT INTO exp_outcomes (actor, metric, value, at)
             VALUES ('1', 'm', '-infinity', now())",
            "m",
        ),
    ] {
        let url = server::shared().database();
        let (store, mut application) = (store(&url), client(&url));
        store.insert(running("e")).unwrap();
        set_weights(&mut application, 2, 1);
        assert_eq!(store.check().unwrap(), [], "{damage}");
        application.batch_execute(damage).unwrap();
        let found = store.check().unwrap();
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|found| (found.code.id(), &*found.subject))
            .collect();
        assert_eq!(found, [("unreadable", subject)], "{damage}");
    }
}

/// It has looked at the experiment before it waits; the period is the one in which it is stored.
#[apply(needs_postgres!)]
fn the_order_of_transactions_decides_the_period() {
    let url = server::shared().database();
    let (store, mut application) = (store(&url), client(&url));
    store.insert(running("e")).unwrap();
    let (mut gate, mut before) = (client(&url), client(&url));
    // Stored, and not committed when the weights are changed: the change waits.
    let mut before = before.transaction().unwrap();
    before.execute(ASSIGN, &[&"before", &"a", &false]).unwrap();
    let mut gate = gate.transaction().unwrap();
    let hold = "SELECT pg_advisory_xact_lock_shared(1163415621, hashtext('e'))";
    gate.execute(hold, &[]).unwrap();
    thread::scope(|scope| {
        let change = scope.spawn(|| store.set_variants("e", weights(5, 1), None));
        await_waiters(&mut client(&url), 1);
        // And who comes behind the change waits for it.
        let after = scope.spawn(|| assign(&mut application, "later", "a", false));
        await_waiters(&mut client(&url), 2);
        before.commit().unwrap();
        gate.commit().unwrap();
        change.join().unwrap().unwrap().unwrap();
        after.join().unwrap();
    });
    let found = scanned(&store).into_iter();
    let found: Vec<_> = found.map(|r| (r.actor, r.weight_period)).collect();
    assert_eq!(found, [("before".to_owned(), 0), ("later".to_owned(), 1)]);
}

/// Both programs assign while both change the weights. Whoever comes later is in no earlier period, and all are
/// counted.
#[apply(needs_postgres!)]
fn racing_with_the_application_everything_is_counted() {
    const EACH: u32 = 200;
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
    thread::scope(|scope| {
        for caller in 0..4 {
            let store = &store;
            let mut application = client(&url);
            scope.spawn(move || {
                for n in 0..EACH {
                    let actor = format!("{caller}/{n:03}");
                    if caller % 2 == 0 {
                        store.assign(&request("e", &actor)).unwrap();
                    } else {
                        assign(&mut application, &actor, "b", false);
                    }
                }
            });
        }
        let mut application = client(&url);
        for n in 1..20 {
            if n % 2 == 0 {
                store.set_variants("e", weights(n, 2), None).unwrap();
            } else {
                set_weights(&mut application, n, 3);
            }
        }
    });
    let found = scanned(&store);
    assert_eq!(found.len(), 4 * EACH as usize);
    for pair in found.windows(2) {
        let is_same_caller = pair[0].actor[..1] == pair[1].actor[..1];
        assert!(
            !is_same_caller || pair[0].weight_period <= pair[1].weight_period,
            "{pair:?}"
        );
    }
    assert_eq!(store.weight_periods("e").unwrap().len(), 20);
    assert_eq!(store.check().unwrap(), []);
}

/// A transaction with a view of its own that is older than a folding of the counts is not disturbed by it.
#[apply(needs_postgres!)]
fn a_transaction_with_an_older_view_is_not_disturbed() {
    let url = server::shared().database();
    let (store, mut application) = (store(&url), client(&url));
    store.insert(running("e")).unwrap();
    let several = |from: u32| {
        format!(
            "INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
             SELECT 'e', n::text, 'b' FROM generate_series({from}, {from} + 1999) n"
        )
    };
    let mut older = application.transaction().unwrap();
    older
        .batch_execute(
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 1 FROM autumn_experiments",
        )
        .unwrap();
    client(&url).batch_execute(&several(0)).unwrap();
    older.batch_execute(&several(2000)).unwrap();
    older.commit().unwrap();
    assert_eq!(periods(&store), [(1, [(0, 0), (4000, 0)])]);
    assert_eq!(store.check().unwrap(), []);
}

/// Its user may have rights on its own tables only; and what it makes for itself is not taken for ours.
#[apply(needs_postgres!)]
fn the_application_needs_no_rights_on_what_it_does_not_know() {
    let url = server::shared().database();
    let (store, mut application) = (store(&url), client(&url));
    store.insert(running("e")).unwrap();
    application
        .batch_execute(
            "CREATE ROLE app_without_rights;
             GRANT ALL ON autumn_experiments, autumn_experiment_assignments,
                 autumn_experiment_overrides, autumn_experiment_changes TO app_without_rights;
             GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app_without_rights;
             SET ROLE app_without_rights;
             CREATE TEMPORARY TABLE exp_assignment_counts (experiment text, weight_period integer,
                 variant text, is_override boolean, assignments bigint)",
        )
        .unwrap();
    assign(&mut application, "1", "a", false);
    set_weights(&mut application, 7, 1);
    assign(&mut application, "2", "a", false);
    assign(&mut application, "1", "b", true);
    assert_eq!(
        periods(&store),
        [(1, [(0, 0), (0, 0)]), (7, [(1, 0), (0, 1)])]
    );
    let refused = application.batch_execute("DELETE FROM public.exp_assignment_counts");
    assert!(refused.is_err());
    application
        .batch_execute("DELETE FROM autumn_experiment_assignments")
        .unwrap();
    assert_eq!(store.check().unwrap(), []);
}
