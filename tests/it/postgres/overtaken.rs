//! What changes between an assignment's first look and its turn: the answer, what is stored and what is
//! shown are as if the assignment had come after the change. A transaction of another program holds what
//! whoever makes the change holds, until the assignment waits for it, so that nothing here depends on luck.

use std::fmt::Debug;
use std::thread;

use experiments::lifecycle::Mutation;
use experiments::store::conformance::Application as _;
use experiments::{
    AssignManyRequest, AssignRequest, Clock, Coverage, ExperimentConfig, ExperimentState,
    ExperimentStore, InMemoryExperimentStore, Keep, PgExperimentStore, VariantConfig,
};
use macro_rules_attribute::apply;

use crate::givens::{self, await_waiters, record, running};
use crate::server::{self, client, options};

const ACTOR: &str = "actor";

/// What is stored of the actor at first. It was made long ago.
struct Beginning {
    name: &'static str,
    make: fn(&dyn ExperimentStore),
    /// Whether there is an assignment that counts, and whether it is what the rules say.
    is_assigned: bool,
    is_settled: bool,
}

const BEGINNINGS: [Beginning; 9] = [
    Beginning {
        name: "nothing",
        make: |_| {},
        is_assigned: false,
        is_settled: false,
    },
    Beginning {
        name: "an override",
        make: |store| {
            store.set_override("e", ACTOR, "a").unwrap();
        },
        is_assigned: false,
        is_settled: false,
    },
    Beginning {
        name: "an assignment",
        make: |store| {
            record(store, "e", ACTOR, "a", false).unwrap();
        },
        is_assigned: true,
        is_settled: true,
    },
    Beginning {
        name: "an assignment and then an override",
        make: |store| {
            record(store, "e", ACTOR, "a", false).unwrap();
            store.set_override("e", ACTOR, "b").unwrap();
        },
        is_assigned: true,
        is_settled: false,
    },
    Beginning {
        name: "an override and its assignment",
        make: |store| {
            store.set_override("e", ACTOR, "a").unwrap();
            record(store, "e", ACTOR, "a", true).unwrap();
        },
        is_assigned: true,
        is_settled: true,
    },
    Beginning {
        name: "the assignment of an override that is gone",
        make: |store| {
            record(store, "e", ACTOR, "a", true).unwrap();
        },
        is_assigned: true,
        is_settled: true,
    },
    Beginning {
        name: "an override that has expired",
        make: |store| pin_for_a_second(store, "a"),
        is_assigned: false,
        is_settled: false,
    },
    Beginning {
        name: "an override that has expired and its assignment",
        make: |store| {
            pin_for_a_second(store, "a");
            record(store, "e", ACTOR, "a", true).unwrap();
        },
        is_assigned: false,
        is_settled: false,
    },
    Beginning {
        name: "an assignment and then an override that has expired",
        make: |store| {
            record(store, "e", ACTOR, "a", false).unwrap();
            pin_for_a_second(store, "b");
        },
        is_assigned: true,
        is_settled: true,
    },
];

/// An override that has expired by now, on a handle of before.
fn pin_for_a_second(store: &dyn ExperimentStore, variant: &str) {
    let pin = Mutation::SetOverride {
        experiment: "e",
        actor: ACTOR,
        variant,
        expires_at_secs: Some(1),
        reason: None,
    };
    store.mutate(&pin, None).unwrap();
}

/// Whom the change keeps out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Whoever assigns the actor for the first time, as an assignment does.
    Actor,
    /// Whoever assigns in the experiment, as a change of it does.
    Gate,
    /// Both, as an override does.
    Both,
}

struct Change {
    name: &'static str,
    holds: Holds,
    /// In the database, and in a store.
    sql: &'static str,
    same: fn(&InMemoryExperimentStore),
    /// Whether it means nothing to experiments that are not of one group.
    needs_group: bool,
}

const CHANGES: [Change; 17] = [
    Change {
        name: "an override is set",
        holds: Holds::Both,
        needs_group: false,
        sql: "DELETE FROM autumn_experiment_assignments a USING autumn_experiment_overrides o
            WHERE a.experiment = o.experiment AND a.actor = o.actor AND a.is_override
                AND o.experiment = 'e' AND o.expires_at <= now();
            INSERT INTO autumn_experiment_overrides (experiment, actor, variant)
            VALUES ('e', 'actor', 'b')
            ON CONFLICT (experiment, actor) DO UPDATE SET variant = excluded.variant",
        same: |store| {
            store.set_override("e", ACTOR, "b").unwrap();
        },
    },
    Change {
        name: "an override is cleared",
        holds: Holds::Both,
        needs_group: false,
        sql: "DELETE FROM autumn_experiment_assignments a USING autumn_experiment_overrides o
            WHERE a.experiment = o.experiment AND a.actor = o.actor AND a.is_override;
            DELETE FROM autumn_experiment_overrides",
        same: |store| {
            store.clear_override("e", ACTOR).unwrap();
        },
    },
    Change {
        name: "an override is removed",
        holds: Holds::Both,
        needs_group: false,
        sql: "DELETE FROM autumn_experiment_overrides",
        same: |store| store.remove_override("e", ACTOR),
    },
    Change {
        name: "an override expires",
        holds: Holds::Both,
        needs_group: false,
        sql: "UPDATE autumn_experiment_overrides SET expires_at = to_timestamp(1)",
        same: |store| {
            for pinned in store.overrides("e").unwrap() {
                let before = store.clone().with_clock(Clock::Fixed(0));
                pin_for_a_second(&before, &pinned.variant);
            }
        },
    },
    Change {
        name: "it is unassigned",
        holds: Holds::Gate,
        needs_group: false,
        sql: "DELETE FROM autumn_experiment_assignments; DELETE FROM exp_exposures",
        same: |store| {
            store.unassign("e", &[ACTOR], None).unwrap();
        },
    },
    Change {
        name: "it is assigned by an override",
        holds: Holds::Both,
        needs_group: false,
        sql: "INSERT INTO autumn_experiment_assignments (experiment, actor, variant, is_override)
            VALUES ('e', 'actor', 'a', true) ON CONFLICT (experiment, actor) DO UPDATE
            SET variant = excluded.variant, is_override = true",
        same: |store| {
            record(store, "e", ACTOR, "a", true).unwrap();
        },
    },
    Change {
        name: "it is assigned",
        holds: Holds::Actor,
        needs_group: false,
        sql: "INSERT INTO autumn_experiment_assignments AS a (experiment, actor, variant)
            VALUES ('e', 'actor', 'b') ON CONFLICT (experiment, actor) DO UPDATE
            SET variant = excluded.variant, is_override = false
            WHERE a.is_override AND EXISTS (
                SELECT FROM autumn_experiment_overrides WHERE expires_at < now())",
        same: |store| {
            record(store, "e", ACTOR, "b", false).unwrap();
        },
    },
    Change {
        name: "it is assigned in a sibling",
        holds: Holds::Actor,
        needs_group: true,
        sql: "INSERT INTO autumn_experiment_assignments (experiment, actor, variant)
            VALUES ('sibling', 'actor', 'b')",
        same: |store| {
            // Not what a store would do to an actor who is in the group.
            let _ = record(store, "sibling", ACTOR, "b", false);
        },
    },
    Change {
        name: "it is concluded",
        holds: Holds::Gate,
        needs_group: false,
        sql: "UPDATE autumn_experiments SET state = 'concluded', winner = 'b' WHERE name = 'e'",
        same: |store| {
            let state = ExperimentState::Concluded;
            store.set_state("e", state, Some("b")).unwrap();
        },
    },
    Change {
        name: "it is archived",
        holds: Holds::Gate,
        needs_group: false,
        sql: "UPDATE autumn_experiments SET state = 'archived' WHERE name = 'e'",
        same: |store| {
            let state = ExperimentState::Archived;
            store.set_state("e", state, None).unwrap();
        },
    },
    Change {
        name: "it is paused",
        holds: Holds::Gate,
        needs_group: false,
        sql: "UPDATE autumn_experiments SET state = 'draft', paused = true WHERE name = 'e'",
        same: |store| {
            let state = ExperimentState::Paused;
            store.set_state("e", state, None).unwrap();
        },
    },
    Change {
        name: "it is closed to newcomers",
        holds: Holds::Gate,
        needs_group: false,
        sql: "UPDATE autumn_experiments SET enrolling = false WHERE name = 'e'",
        same: |store| {
            let mutation = Mutation::SetEnrolling {
                experiment: "e",
                enrolling: false,
            };
            store.mutate(&mutation, None).unwrap();
        },
    },
    Change {
        name: "its variants get values",
        holds: Holds::Gate,
        needs_group: false,
        sql: r#"UPDATE autumn_experiments SET variant_values = '{"a": 1, "b": 2}' WHERE name = 'e'"#,
        same: |store| {
            let values = [("a", 1), ("b", 2)].map(|(name, value)| (name.to_owned(), value.into()));
            let mutation = Mutation::SetValues {
                experiment: "e",
                values: &values.into_iter().collect(),
            };
            store.mutate(&mutation, None).unwrap();
        },
    },
    Change {
        name: "it becomes a draft",
        holds: Holds::Gate,
        needs_group: false,
        sql: "UPDATE autumn_experiments SET state = 'draft' WHERE name = 'e'",
        same: |store| store.reset_to_draft("e"),
    },
    Change {
        name: "its weights change",
        holds: Holds::Gate,
        needs_group: false,
        sql: r#"UPDATE autumn_experiments SET variants =
            '[{"name": "a", "weight": 0}, {"name": "b", "weight": 1}]' WHERE name = 'e'"#,
        same: |store| set_variants(store, &[("a", 0), ("b", 1)]),
    },
    Change {
        name: "its coverage shrinks",
        holds: Holds::Gate,
        needs_group: false,
        sql: "UPDATE autumn_experiments SET coverage = 1 WHERE name = 'e'",
        same: |store| {
            let mutation = Mutation::SetCoverage {
                experiment: "e",
                coverage: Coverage::of_10000(1).unwrap(),
            };
            store.mutate(&mutation, None).unwrap();
        },
    },
    Change {
        name: "it gets other variants",
        holds: Holds::Gate,
        needs_group: false,
        sql: r#"UPDATE autumn_experiments SET variants =
            '[{"name": "a", "weight": 0}, {"name": "c", "weight": 1}]' WHERE name = 'e'"#,
        same: |store| set_variants(store, &[("a", 0), ("c", 1)]),
    },
];

fn set_variants(store: &dyn ExperimentStore, list: &[(&str, u32)]) {
    let variants = list
        .iter()
        .map(|(name, weight)| VariantConfig::new(*name, *weight));
    store.set_variants("e", variants.collect(), None).unwrap();
}

/// How the actor is assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Shown,
    Unseen,
    Many,
    Recorded,
}

impl Way {
    /// What is said to the caller.
    fn answer(self, store: &dyn ExperimentStore) -> String {
        let request = AssignRequest::new("e", ACTOR);
        match self {
            Self::Shown => said(&store.assign(&request.keep_exposure(None))),
            Self::Unseen => said(&store.assign(&request)),
            Self::Many => said(&store.assign_many(&AssignManyRequest {
                experiment: "e",
                actors: &[ACTOR],
                keep: Keep::AssignmentsAndExposures,
            })),
            Self::Recorded => said(&record(store, "e", ACTOR, "a", false)),
        }
    }

    /// Whether it waits for the change at all. Who is settled is shown again without the actor's lock, or
    /// only read.
    fn waits(self, beginning: &Beginning, change: &Change) -> bool {
        match self {
            Self::Shown => !beginning.is_settled || change.holds != Holds::Actor,
            Self::Unseen => !beginning.is_settled,
            Self::Many => !beginning.is_assigned || change.holds != Holds::Actor,
            Self::Recorded => !beginning.is_assigned,
        }
    }

    /// Of one actor a group makes no difference to what is locked.
    fn groups(self, change: &Change) -> &'static [Option<&'static str>] {
        match self {
            Self::Many if !change.needs_group => &[Some("g"), None],
            _ => &[Some("g")],
        }
    }
}

fn said(answer: &Result<impl Debug, impl Debug>) -> String {
    format!("{answer:?}")
}

/// What there is in the end, but for times.
fn kept(store: &dyn ExperimentStore) -> impl PartialEq + Debug {
    let assignment = store.get_assignment("e", ACTOR).unwrap();
    let exposures = store.exposures("e").unwrap().into_iter();
    (
        assignment.map(|kept| (kept.variant, kept.is_override)),
        exposures
            .map(|shown| (shown.actor, shown.variant, shown.is_override))
            .collect::<Vec<_>>(),
    )
}

fn begin(store: &dyn ExperimentStore, group: Option<&str>) {
    for name in ["e", "sibling"] {
        let config = ExperimentConfig {
            exclusion_group: group.map(str::to_owned),
            ..running(name)
        };
        store.insert(config).unwrap();
    }
}

fn hold(transaction: &mut postgres::Transaction<'_>, change: &Change) {
    if change.holds != Holds::Gate {
        let actor = "SELECT pg_advisory_xact_lock(hashtext($1))";
        transaction.execute(actor, &[&ACTOR]).unwrap();
    }
    if change.holds != Holds::Actor {
        let gate = "SELECT pg_advisory_xact_lock(1163415621, hashtext('e'))";
        transaction.execute(gate, &[]).unwrap();
    }
    transaction.batch_execute(change.sql).unwrap();
}

/// `handle` gives the one for each case, and has it know the experiment if that is what is tried.
fn comes_after_what_it_waits_for(handle: fn(&str) -> Box<dyn Fn() -> PgExperimentStore>) {
    let url = server::shared().database();
    let ours = givens::store(&url);
    let handle = handle(&url);
    let (mut observer, mut other) = (client(&url), client(&url));
    let mut tried = |change: &Change, beginning: &Beginning, way: Way, group: Option<&str>| {
        let case = format!(
            "{}: {way:?} with {} in {group:?}",
            change.name, beginning.name
        );
        let expected = InMemoryExperimentStore::new();
        begin(&expected, group);
        (beginning.make)(&expected.clone().with_clock(Clock::Fixed(0)));
        (change.same)(&expected);
        let answer = way.answer(&expected);

        let empty = "TRUNCATE autumn_experiments, autumn_experiment_assignments,
            autumn_experiment_overrides, autumn_experiment_changes, exp_exposures";
        observer.batch_execute(empty).unwrap();
        begin(&ours, group);
        (beginning.make)(&ours.clone().with_clock(Clock::Fixed(0)));
        let store = handle();
        let mut transaction = other.transaction().unwrap();
        hold(&mut transaction, change);
        let seen = thread::scope(|scope| {
            let asked = scope.spawn(|| way.answer(&store));
            await_waiters(&mut observer, 1);
            transaction.commit().unwrap();
            asked.join().unwrap()
        });
        assert_eq!(seen, answer, "{case}");
        assert_eq!(kept(&ours), kept(&expected), "{case}");
    };
    for change in &CHANGES {
        for beginning in &BEGINNINGS {
            for way in [Way::Shown, Way::Unseen, Way::Many, Way::Recorded] {
                let groups = way.groups(change).iter();
                for &group in groups.filter(|_| way.waits(beginning, change)) {
                    tried(change, beginning, way, group);
                }
            }
        }
    }
}

#[apply(needs_postgres!)]
fn what_is_not_known_yet_is_looked_at_again() {
    comes_after_what_it_waits_for(|url| {
        let url = url.to_owned();
        Box::new(move || PgExperimentStore::open(options(&url)).unwrap())
    });
}

#[apply(needs_postgres!)]
fn what_is_known_is_looked_at_again() {
    comes_after_what_it_waits_for(|url| {
        let store = PgExperimentStore::open(options(url)).unwrap();
        Box::new(move || {
            store.assign(&AssignRequest::new("e", "another")).unwrap();
            store.clone()
        })
    });
}
