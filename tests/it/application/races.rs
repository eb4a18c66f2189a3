//! What an application does while `exp` assigns or removes what it is about.

use std::thread;

use experiments::{
    AssignManyRequest, AssignRequest, ExperimentConfig, ExperimentStore, Keep, PgExperimentStore,
    VariantConfig,
};
use macro_rules_attribute::apply;
use postgres::Client;

use super::{running, store};
use crate::givens::{await_waiters, record};
use crate::sandbox::rounds;
use crate::server::{self, client};

/// As the application removes `b`: one statement, whose check is of the time when it began. Says
/// whether it did.
fn remove_b(application: &mut Client) -> bool {
    let removed = application.execute(
        r#"WITH updated AS (
               UPDATE autumn_experiments
               SET variants = '[{"name": "a", "weight": 1}]', updated_at = NOW()
               WHERE name = 'e' AND NOT EXISTS (
                   SELECT FROM autumn_experiment_assignments
                   WHERE experiment = 'e' AND variant <> 'a')
               RETURNING name)
           INSERT INTO autumn_experiment_changes (experiment, mutation)
           SELECT name, 'set_weights' FROM updated"#,
        &[],
    );
    removed.unwrap() > 0
}

/// The same by creating the experiment again.
fn create_without_b(application: &mut Client) -> bool {
    let created = application.execute(
        r#"WITH upserted AS (
               INSERT INTO autumn_experiments (name, state, variants)
               VALUES ('e', 'draft', '[{"name": "a", "weight": 1}]')
               ON CONFLICT (name) DO UPDATE SET state = excluded.state,
                   variants = excluded.variants, updated_at = NOW()
               WHERE NOT EXISTS (
                   SELECT FROM autumn_experiment_assignments
                   WHERE experiment = excluded.name AND variant <> 'a')
               RETURNING name)
           INSERT INTO autumn_experiment_changes (experiment, mutation)
           SELECT name, 'updated' FROM upserted"#,
        &[],
    );
    created.unwrap() > 0
}

/// As the application stores an assignment, after it has looked at the experiment.
fn insert_b(application: &mut Client, actor: &str, is_override: bool) -> Result<String, String> {
    let mut transaction = application.transaction().unwrap();
    let lock = "SELECT pg_advisory_xact_lock(hashtext($1))";
    transaction.execute(lock, &[&actor]).unwrap();
    let stored = transaction.query_one(
        "INSERT INTO autumn_experiment_assignments AS a (experiment, actor, variant, is_override)
         VALUES ('e', $1, 'b', $2) ON CONFLICT (experiment, actor) DO UPDATE
         SET variant = CASE WHEN excluded.is_override THEN excluded.variant ELSE a.variant END,
             is_override = a.is_override OR excluded.is_override
         RETURNING variant",
        &[&actor, &is_override],
    );
    match stored {
        Ok(row) => {
            let variant = row.get(0);
            transaction.commit().unwrap();
            Ok(variant)
        }
        Err(error) => Err(error.as_db_error().unwrap().message().to_owned()),
    }
}

fn has_b(store: &PgExperimentStore) -> bool {
    store.get("e").unwrap().unwrap().variant("b").is_some()
}

/// Its check is older than its wait at the gate; what was assigned meanwhile counts all the same.
#[apply(needs_postgres!)]
fn the_application_removes_no_variant_that_is_being_assigned() {
    for remove in [remove_b, create_without_b] {
        let url = server::shared().database();
        let store = store(&url);
        store.insert(running("e")).unwrap();
        let (mut assigning, mut application) = (client(&url), client(&url));
        let mut assigning = assigning.transaction().unwrap();
        let assign = "SELECT exp_store_assignment_5('e', 'user:1', (SELECT exp_version FROM
            autumn_experiments), NULL, NULL, NULL, NULL, 'b', false, now(), true, false, NULL)";
        let stored: bool = assigning.query_one(assign, &[]).unwrap().get(0);
        assert!(stored);
        let removed = thread::scope(|scope| {
            let removing = scope.spawn(|| remove(&mut application));
            await_waiters(&mut client(&url), 1);
            assigning.commit().unwrap();
            removing.join().unwrap()
        });
        assert!(!removed);
        assert!(has_b(&store));
        assert_eq!(store.history("e", 0).unwrap().len(), 1);
        // Without assignments it is removed as ever, and what is not removed may change.
        store
            .insert(ExperimentConfig::new("other", running("other").variants))
            .unwrap();
        let sql = "UPDATE autumn_experiments SET variants = '[]' WHERE name = 'other'";
        assert_eq!(application.execute(sql, &[]).unwrap(), 1);
        let sql = r#"UPDATE autumn_experiments SET variants = '[{"name": "b", "weight": 7}]'
            WHERE name = 'e'"#;
        assert_eq!(application.execute(sql, &[]).unwrap(), 1);
    }
}

/// It has looked at the experiment before it waits, and is told that the variant is gone.
#[apply(needs_postgres!)]
fn the_application_assigns_no_variant_that_is_being_removed() {
    for is_override in [false, true] {
        let url = server::shared().database();
        let store = store(&url);
        store.insert(running("e")).unwrap();
        let (mut gate, mut application) = (client(&url), client(&url));
        if is_override {
            // Its statement finds a row then, and updates it.
            record(&store, "e", "user:1", "a", false).unwrap();
        }
        let mut gate = gate.transaction().unwrap();
        let hold = "SELECT pg_advisory_xact_lock_shared(1163415621, hashtext('e'))";
        gate.execute(hold, &[]).unwrap();
        let inserted = thread::scope(|scope| {
            let removing =
                scope.spawn(|| store.set_variants("e", vec![VariantConfig::new("a", 1)], None));
            await_waiters(&mut client(&url), 1);
            let inserting = scope.spawn(|| insert_b(&mut application, "user:1", is_override));
            await_waiters(&mut client(&url), 2);
            gate.commit().unwrap();
            removing.join().unwrap().unwrap();
            inserting.join().unwrap()
        });
        assert_eq!(inserted.unwrap_err(), "experiment 'e' has no variant 'b'");
        let kept = store.get_assignment("e", "user:1").unwrap();
        assert_eq!(
            kept.map(|kept| kept.variant),
            is_override.then(|| "a".to_owned())
        );
        // What it does otherwise it does as ever.
        assert_eq!(insert_b(&mut application, "user:2", false).ok(), None);
        let sql = "INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
            VALUES ('unknown', 'user:1', 'b'), ('e', 'user:3', 'a')";
        assert_eq!(application.execute(sql, &[]).unwrap(), 2);
    }
}

/// Whoever is first: a variant is either there or without assignments.
#[apply(needs_postgres!)]
fn no_race_leaves_an_assignment_of_a_removed_variant() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
    let dangling = "SELECT count(*) FROM autumn_experiment_assignments WHERE variant = 'b'";
    for round in 0..rounds(8) {
        let mut observer = client(&url);
        let reset = r#"UPDATE autumn_experiments SET state = 'running',
            variants = '[{"name": "a", "weight": 0}, {"name": "b", "weight": 1}]'"#;
        observer
            .batch_execute("DELETE FROM autumn_experiment_assignments")
            .unwrap();
        observer.batch_execute(reset).unwrap();
        let (mut one, mut other) = (client(&url), client(&url));
        thread::scope(|scope| {
            scope.spawn(|| match round % 2 {
                0 => remove_b(&mut one),
                _ => store
                    .set_variants("e", vec![VariantConfig::new("a", 1)], None)
                    .is_ok(),
            });
            scope.spawn(|| insert_b(&mut other, "theirs", false));
            scope.spawn(|| {
                let request = AssignRequest::new("e", "ours").keep_exposure(None);
                store.assign(&request).unwrap()
            });
            scope.spawn(|| {
                let many = AssignManyRequest {
                    experiment: "e",
                    actors: &["x", "y", "z"],
                    keep: Keep::Assignments,
                };
                store.assign_many(&many).unwrap()
            });
        });
        let dangling: i64 = observer.query_one(dangling, &[]).unwrap().get(0);
        assert!(has_b(&store) || dangling == 0, "{round}: {dangling}");
    }
}
