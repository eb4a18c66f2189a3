//! What the application does to what it does not know: a pause, an override that expires, a closed experiment; and
//! what it does while assignments are taken back.

use std::thread;

use experiments::lifecycle::Mutation;
use experiments::{
    AssignRequest, AssignmentReason, Clock, ExperimentConfig, ExperimentError, ExperimentService,
    ExperimentState, ExperimentStore, PgExperimentStore, Unassigned,
};
use macro_rules_attribute::apply;
use postgres::Client;

use super::{running, store};
use crate::givens::{await_waiters, record, request};
use crate::postgres::beside::APPLICATION;
use crate::server::{self, client, options};

fn state(store: &PgExperimentStore) -> ExperimentState {
    store.get("e").unwrap().unwrap().state
}

fn state_it_sees(application: &mut Client) -> String {
    let sql = "SELECT state::text FROM autumn_experiments WHERE name = 'e'";
    application.query_one(sql, &[]).unwrap().get(0)
}

/// It sees a draft. Whatever it makes of that ends the pause, and nobody was forgotten.
#[apply(needs_postgres!)]
fn a_paused_experiment_is_a_draft_to_the_application() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
    record(&store, "e", "user:1", "b", false).unwrap();
    let service = ExperimentService::new(store.clone());
    let mut application = client(&url);
    for (next, expected) in [
        ("running", ExperimentState::Running),
        ("concluded", ExperimentState::Concluded),
        ("archived", ExperimentState::Archived),
    ] {
        service.start("e").unwrap();
        service.pause("e").unwrap();
        assert_eq!(state_it_sees(&mut application), "draft");
        // What it changes of a draft leaves the pause as it is.
        application
            .execute("UPDATE autumn_experiments SET description = 'd'", &[])
            .unwrap();
        assert_eq!(state(&store), ExperimentState::Paused);
        let paused = store.assign(&request("e", "user:1")).unwrap_err();
        assert!(
            matches!(
                paused,
                ExperimentError::NotRunning(_, ExperimentState::Paused)
            ),
            "{paused}"
        );
        let sql = "UPDATE autumn_experiments SET winner = 'a',
            state = $1::text::autumn_experiment_state";
        application.execute(sql, &[&next]).unwrap();
        assert_eq!(state(&store), expected);
        assert_eq!(store.check().unwrap(), []);
        // A draft that it makes of it is a draft.
        let sql = "UPDATE autumn_experiments SET state = 'draft'";
        application.execute(sql, &[]).unwrap();
        assert_eq!(state(&store), ExperimentState::Draft);
    }
    service.start("e").unwrap();
    let assigned = store.assign(&request("e", "user:1")).unwrap();
    assert_eq!(
        (&*assigned.variant, assigned.reason),
        ("b", AssignmentReason::Sticky)
    );
}

/// As the application sets an override: it knows of no end.
#[apply(needs_postgres!)]
fn an_override_that_the_application_sets_again_has_no_end() {
    let url = server::shared().database();
    let store = store(&url).with_operator("ann");
    store.insert(running("e")).unwrap();
    let pin = Mutation::SetOverride {
        experiment: "e",
        actor: "qa",
        variant: "a",
        expires_at_secs: Some(2_000_000_000),
        reason: Some("a look"),
    };
    store.mutate(&pin, None).unwrap();
    let told = || {
        let pinned = store.overrides("e").unwrap().remove(0);
        (pinned.variant, pinned.expires_at_secs, pinned.reason)
    };
    let mut application = client(&url);
    // Whoever changes the end by hand means it.
    let sql = "UPDATE autumn_experiment_overrides SET expires_at = to_timestamp(2100000000)";
    application.execute(sql, &[]).unwrap();
    let later = Some(2_100_000_000);
    assert_eq!(told(), ("a".to_owned(), later, Some("a look".to_owned())));
    let late = store.clone().with_clock(Clock::Fixed(2_100_000_000));
    assert_eq!(late.get_override("e", "qa").unwrap(), None);

    application
        .execute(
            "INSERT INTO autumn_experiment_overrides (experiment, actor, variant)
             VALUES ('e', 'qa', 'b') ON CONFLICT (experiment, actor) DO UPDATE
             SET variant = excluded.variant",
            &[],
        )
        .unwrap();
    assert_eq!(told(), ("b".to_owned(), None, None));
    assert_eq!(store.overrides("e").unwrap()[0].operator, None);
    let assigned = late.assign(&request("e", "qa")).unwrap();
    assert_eq!(
        (&*assigned.variant, assigned.reason),
        ("b", AssignmentReason::Override)
    );
}

/// It goes on enrolling; whom it has enrolled is in.
#[apply(needs_postgres!)]
fn whom_the_application_enrols_in_a_closed_experiment_is_in() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e").enrolling(false)).unwrap();
    for keep_exposure in [false, true] {
        let actor = format!("user:{keep_exposure}");
        let asked = AssignRequest {
            keep_exposure,
            ..request("e", &actor)
        };
        let closed = store.assign(&asked).unwrap_err();
        assert!(
            matches!(
                closed,
                ExperimentError::NotEnrolled {
                    reason: AssignmentReason::Closed,
                    ..
                }
            ),
            "{closed}"
        );
        let sql = "INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
            VALUES ('e', $1, 'b')";
        client(&url).execute(sql, &[&actor]).unwrap();
        assert_eq!(store.assign(&asked).unwrap().variant, "b");
    }
    assert_eq!(store.check().unwrap(), []);
}

#[apply(needs_postgres!)]
fn an_experiment_that_the_application_knows_keeps_its_name() {
    let url = server::shared().database();
    client(&url).batch_execute(APPLICATION).unwrap();
    PgExperimentStore::migrate(&options(&url)).unwrap();
    let service = ExperimentService::new(PgExperimentStore::open(options(&url)).unwrap());
    let draft = ExperimentConfig {
        state: ExperimentState::Draft,
        ..running("e")
    };
    service.create(draft).unwrap();
    let refused = service.rename("e", "f").unwrap_err();
    assert!(
        matches!(&refused, ExperimentError::NameIsShared(name) if name == "e"),
        "{refused}"
    );
    assert_eq!(service.rename("e", "e").unwrap(), None);
    service.delete("e").unwrap().unwrap();
    let log = service.history("e", 0).unwrap();
    assert_eq!(log[0].mutation, "deleted");
    assert_eq!(service.list().unwrap().len(), 1);
}

/// It has an assignment in hand and comes to the gate behind whoever takes it back: neither waits for the other.
#[apply(needs_postgres!)]
fn the_application_changes_what_is_being_taken_back() {
    let url = server::shared().database();
    let store = store(&url);
    store.insert(running("e")).unwrap();
    record(&store, "e", "user:1", "a", false).unwrap();
    let (mut gate, mut application) = (client(&url), client(&url));
    let mut gate = gate.transaction().unwrap();
    let hold = "SELECT pg_advisory_xact_lock_shared(1163415621, hashtext('e'))";
    gate.execute(hold, &[]).unwrap();
    let taken = thread::scope(|scope| {
        let taking = scope.spawn(|| store.unassign("e", &["user:1", "user:2"], Some("ann")));
        await_waiters(&mut client(&url), 1);
        let overriding = scope.spawn(|| {
            application.execute(
                "INSERT INTO autumn_experiment_assignments (experiment, actor, variant, is_override)
                 VALUES ('e', 'user:1', 'b', true) ON CONFLICT (experiment, actor) DO UPDATE
                 SET variant = excluded.variant, is_override = true",
                &[],
            )
        });
        await_waiters(&mut client(&url), 2);
        gate.commit().unwrap();
        assert_eq!(overriding.join().unwrap().unwrap(), 1);
        taking.join().unwrap().unwrap()
    });
    let expected = Unassigned {
        assignments: 1,
        exposures: 0,
    };
    assert_eq!(taken, expected);
    // What it did came afterwards.
    let kept = store.get_assignment("e", "user:1").unwrap().unwrap();
    assert_eq!((&*kept.variant, kept.is_override), ("b", true));
    let log = store.history("e", 1).unwrap();
    assert_eq!(log[0].mutation, "unassigned=1");
    assert_eq!(log[0].actor.as_deref(), Some("ann"));
    assert_eq!(store.check().unwrap(), []);
}
