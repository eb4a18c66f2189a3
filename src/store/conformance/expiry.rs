//! Overrides that end. A function takes what gives handles to one
//! store whose clocks stand at one second or another.

use std::sync::atomic::{AtomicU64, Ordering};

use super::periods::assert_counted;
use super::races::at_once;
use super::{
    At, assert_kept_out, assert_refused, assign, pause, record, running, running_in_group,
    set_coverage, set_enrolling, start, stored_variant, weights,
};
use crate::assignment::{AssignManyRequest, AssignRequest, Assigned, Explanation, Keep};
use crate::error::ExperimentError;
use crate::experiment::ChangeRecord;
use crate::lifecycle::Mutation;
use crate::rule::AssignmentReason;
use crate::store::ExperimentStore;

/// When the overrides of these tests are set, and from when on they count as none.
pub(super) const SET: u64 = 1_000_000_000;
pub(super) const END: u64 = SET + 100;

pub(super) fn pin(
    store: &dyn ExperimentStore,
    experiment: &str,
    actor: &str,
    variant: &str,
    expires_at_secs: Option<u64>,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    pin_because(store, experiment, actor, variant, expires_at_secs, None)
}

pub(super) fn pin_because(
    store: &dyn ExperimentStore,
    experiment: &str,
    actor: &str,
    variant: &str,
    expires_at_secs: Option<u64>,
    reason: Option<&str>,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    let mutation = Mutation::SetOverride {
        experiment,
        actor,
        variant,
        expires_at_secs,
        reason,
    };
    store.mutate(&mutation, None)
}

/// `checkout_v2` with `user:1`, whose bucket is `control`'s and who was given `treatment` by an override until `END`.
fn pinned_until_end(at: At<'_>) {
    let store = at(SET);
    running(&*store, "checkout_v2");
    pin(&*store, "checkout_v2", "user:1", "treatment", Some(END)).unwrap();
    let assigned = assign(&*store, "checkout_v2", "user:1").unwrap();
    assert_eq!(seen(&assigned), ("treatment", AssignmentReason::Override));
}

fn seen(assigned: &Assigned) -> (&str, AssignmentReason) {
    (&assigned.variant, assigned.reason)
}

/// An override counts until the second before its end. From that second on its actor is a newcomer, whose bucket
/// decides, and what is stored then takes the place of what the override had made.
pub fn an_override_expires_at_its_second(at: At<'_>) {
    pinned_until_end(at);
    let last = assign(&*at(END - 1), "checkout_v2", "user:1").unwrap();
    assert_eq!(seen(&last), ("treatment", AssignmentReason::Override));
    assert!(!last.stored);

    let store = at(END);
    let request = AssignRequest::new("checkout_v2", "user:1").keep_exposure(None);
    let first = store.assign(&request).unwrap();
    assert_eq!(seen(&first), ("control", AssignmentReason::Assigned));
    assert_eq!((first.is_override, first.stored), (false, true));
    let stored = store.get_assignment("checkout_v2", "user:1").unwrap();
    let stored = stored.unwrap();
    assert_eq!((&*stored.variant, stored.is_override), ("control", false));
    assert_eq!(stored.assigned_at_secs, END);
    assert!(!store.exposures("checkout_v2").unwrap()[0].is_override);
    assert_counted(&*store, "checkout_v2");

    for later in [END, END + 1, END + 1_000_000_000] {
        let again = assign(&*at(later), "checkout_v2", "user:1").unwrap();
        assert_eq!(seen(&again), ("control", AssignmentReason::Sticky));
    }
}

/// Whichever way it is asked, an override counts at the same seconds: in a dry run, for many, in an explanation, in a
/// batch with its exposure.
pub fn an_override_expires_for_everybody_who_asks(at: At<'_>) {
    let store = at(SET);
    running(&*store, "e");
    let actors = ["dry", "one", "many", "exposed"];
    for actor in actors {
        pin(&*store, "e", actor, "treatment", Some(END)).unwrap();
        assign(&*store, "e", actor).unwrap();
    }
    let reasons = |store: &dyn ExperimentStore, actors: &[&str], keep| -> Vec<_> {
        let request = AssignManyRequest {
            experiment: "e",
            actors,
            keep,
        };
        let answers = store.assign_many(&request).unwrap();
        answers.iter().map(|verdict| verdict.reason).collect()
    };
    for (now, expected) in [
        (END - 1, AssignmentReason::Override),
        (END, AssignmentReason::Assigned),
    ] {
        let store = at(now);
        assert_eq!(reasons(&*store, &actors, Keep::Nothing), [expected; 4]);
        for actor in actors {
            let situation = store.situation("e", actor).unwrap();
            assert_eq!(situation.at_secs, now);
            let explanation = Explanation::of(situation).unwrap();
            assert_eq!(explanation.reason, expected);
            let pinned = explanation.pinned.unwrap();
            assert_eq!(pinned.expires_at_secs, Some(END));
            assert_eq!(pinned.has_expired, now >= END);
            assert!(explanation.assigned_by_override);
            let counts = store.get_override("e", actor).unwrap();
            assert_eq!(counts.is_some(), now < END);
        }
        assert_eq!(assign(&*store, "e", "one").unwrap().reason, expected);
        assert_eq!(reasons(&*store, &["many"], Keep::Assignments), [expected]);
        assert_eq!(
            reasons(&*store, &["exposed"], Keep::AssignmentsAndExposures),
            [expected]
        );
    }
    let exposures = at(END).exposures("e").unwrap();
    let marks: Vec<_> = exposures.iter().map(|e| e.is_override).collect();
    assert_eq!(marks, [true, false]);
    assert_counted(&*at(END), "e");
}

/// An override that has expired brings nobody in, and neither does what it made: the entry rules are asked.
pub fn an_expired_override_leaves_a_newcomer(at: At<'_>) {
    pinned_until_end(at);
    let store = at(END);
    let kept_out = |reason| assert_kept_out(&*store, "checkout_v2", "user:1", reason);
    set_enrolling(&*store, "checkout_v2", false).unwrap();
    kept_out(AssignmentReason::Closed);
    set_enrolling(&*store, "checkout_v2", true).unwrap();
    set_coverage(&*store, "checkout_v2", 1).unwrap();
    kept_out(AssignmentReason::NotCovered);
    set_coverage(&*store, "checkout_v2", 10_000).unwrap();
    let zero = weights(&[("control", 0), ("treatment", 0)]);
    store.set_variants("checkout_v2", zero, None).unwrap();
    kept_out(AssignmentReason::NoVariant);
    pause(&*store, "checkout_v2").unwrap();
    kept_out(AssignmentReason::NotRunning);
    start(&*store, "checkout_v2").unwrap();

    // What is brought along is taken, as from any newcomer.
    let recorded = record(&*store, "checkout_v2", "user:1", "control", false);
    assert_eq!(recorded.unwrap(), "control");
    let stored = store.get_assignment("checkout_v2", "user:1").unwrap();
    assert!(!stored.unwrap().is_override);
    let again = assign(&*store, "checkout_v2", "user:1").unwrap();
    assert_eq!(seen(&again), ("control", AssignmentReason::Sticky));
}

/// What the bucket had made before, and what was made since, is none of the override's: it stays.
pub fn an_expired_override_leaves_what_the_bucket_made(at: At<'_>) {
    let store = at(SET);
    running(&*store, "checkout_v2");
    assign(&*store, "checkout_v2", "user:1").unwrap();
    // Nobody asks while this counts.
    pin(&*store, "checkout_v2", "user:1", "treatment", Some(END)).unwrap();
    let before = store.get_assignment("checkout_v2", "user:1").unwrap();
    let again = assign(&*at(END), "checkout_v2", "user:1").unwrap();
    assert_eq!(seen(&again), ("control", AssignmentReason::Sticky));
    assert_eq!(
        at(END).get_assignment("checkout_v2", "user:1").unwrap(),
        before
    );
}

/// An actor whom an override brought into one experiment of a group may enter another once that has expired.
pub fn an_expired_override_does_not_block_the_group(at: At<'_>) {
    let store = at(SET);
    for name in ["one", "two", "three"] {
        running_in_group(&*store, name, "g");
    }
    pin(&*store, "one", "a", "treatment", Some(END)).unwrap();
    assign(&*store, "one", "a").unwrap();
    let last = at(END - 1);
    assert!(last.has_assignment_in_group("a", "g", "two").unwrap());
    assert_kept_out(&*last, "two", "a", AssignmentReason::Excluded);

    let store = at(END);
    assert!(!store.has_assignment_in_group("a", "g", "two").unwrap());
    assert_eq!(store.situation("two", "a").unwrap().sibling, None);
    let request = AssignManyRequest {
        experiment: "two",
        actors: &["a", "b"],
        keep: Keep::Nothing,
    };
    let answers = store.assign_many(&request).unwrap();
    assert!(
        answers
            .iter()
            .all(|v| v.reason == AssignmentReason::Assigned)
    );
    let entered = assign(&*store, "two", "a").unwrap();
    assert_eq!(entered.reason, AssignmentReason::Assigned);

    // Now that one counts, wherever the actor was before.
    for name in ["one", "three"] {
        let situation = store.situation(name, "a").unwrap();
        assert_eq!(situation.sibling.as_deref(), Some("two"));
        assert_kept_out(&*store, name, "a", AssignmentReason::Excluded);
    }
}

/// Many who come to a group are let in as soon as what kept each of them out has expired.
pub fn many_enter_the_group_once_it_has_expired(at: At<'_>) {
    let store = at(SET);
    running_in_group(&*store, "one", "g");
    running_in_group(&*store, "two", "g");
    for (actor, end) in [("early", END), ("late", END + 1)] {
        pin(&*store, "one", actor, "treatment", Some(end)).unwrap();
        assign(&*store, "one", actor).unwrap();
    }
    assign(&*store, "one", "in").unwrap();
    for keep in [Keep::Nothing, Keep::Assignments] {
        let request = AssignManyRequest {
            experiment: "two",
            actors: &["early", "late", "in", "new"],
            keep,
        };
        let answers = at(END).assign_many(&request).unwrap();
        let reasons: Vec<_> = answers.iter().map(|verdict| verdict.reason).collect();
        assert_eq!(
            reasons,
            [
                AssignmentReason::Assigned,
                AssignmentReason::Excluded,
                AssignmentReason::Excluded,
                AssignmentReason::Assigned,
            ],
            "{keep:?}"
        );
    }
    assert_counted(&*at(END), "two");
}

/// An override is set anew with a later end, before or after it has expired; then it counts until that.
pub fn an_override_is_renewed(at: At<'_>) {
    pinned_until_end(at);
    let next = END + 100;
    for (now, end) in [(END - 1, next), (next + 1, next + 100)] {
        let change = pin(&*at(now), "checkout_v2", "user:1", "treatment", Some(end));
        let detail = change.unwrap().unwrap().detail.unwrap();
        assert!(detail.before.expires_at_secs < Some(end));
        assert_eq!(detail.after.expires_at_secs, Some(end));
        for counting in [now, end - 1] {
            let assigned = assign(&*at(counting), "checkout_v2", "user:1").unwrap();
            assert_eq!(seen(&assigned), ("treatment", AssignmentReason::Override));
        }
    }
    let change = pin(&*at(next), "checkout_v2", "user:1", "treatment", None);
    assert_eq!(
        change
            .unwrap()
            .unwrap()
            .detail
            .unwrap()
            .after
            .expires_at_secs,
        None
    );
    let forever = assign(&*at(END * 3), "checkout_v2", "user:1").unwrap();
    assert_eq!(seen(&forever), ("treatment", AssignmentReason::Override));
}

/// Another override does not bring back what an expired one has left, as a sibling of the group may have the actor
/// by now.
pub fn another_override_revives_nothing(at: At<'_>) {
    let store = at(SET);
    for name in ["one", "two"] {
        running_in_group(&*store, name, "g");
    }
    pin(&*store, "one", "a", "treatment", Some(END)).unwrap();
    assign(&*store, "one", "a").unwrap();

    let store = at(END);
    assign(&*store, "two", "a").unwrap();
    pin(&*store, "one", "a", "control", None).unwrap();
    assert_eq!(store.get_assignment("one", "a").unwrap(), None);
    assert_counted(&*store, "one");
    store.clear_override("one", "a").unwrap();
    assert_refused!(
        assign(&*store, "one", "a"),
        ExperimentError::ExcludedByGroup(..)
    );
}

/// An expired override is there to be seen until it is cleared, and what it made goes with it.
pub fn an_expired_override_is_cleared(at: At<'_>) {
    pinned_until_end(at);
    let store = at(END);
    assert_eq!(store.overrides("checkout_v2").unwrap().len(), 1);
    let situation = store.situation("checkout_v2", "user:1").unwrap();
    assert!(situation.pinned.is_some());
    assert!(situation.assignment.is_some());
    let change = store.clear_override("checkout_v2", "user:1").unwrap();
    let detail = change.unwrap().detail.unwrap();
    assert_eq!(detail.before.pinned.as_deref(), Some("treatment"));
    assert_eq!(detail.before.expires_at_secs, Some(END));
    assert_eq!(store.overrides("checkout_v2").unwrap(), []);
    assert_eq!(stored_variant(&*store, "checkout_v2", "user:1"), None);
    assert_counted(&*store, "checkout_v2");
    assert_eq!(store.clear_override("checkout_v2", "user:1").unwrap(), None);

    // What came after it is not its own, and stays.
    pin(&*store, "checkout_v2", "user:2", "control", Some(END + 1)).unwrap();
    assign(&*store, "checkout_v2", "user:2").unwrap();
    let later = at(END + 1);
    assert_eq!(
        seen(&assign(&*later, "checkout_v2", "user:2").unwrap()),
        ("treatment", AssignmentReason::Assigned)
    );
    later
        .clear_override("checkout_v2", "user:2")
        .unwrap()
        .unwrap();
    assert_eq!(
        seen(&assign(&*later, "checkout_v2", "user:2").unwrap()),
        ("treatment", AssignmentReason::Sticky)
    );
}

/// While overrides expire, nobody is told of one at a second at which it has expired, what is told is what is stored,
/// and no actor is ever in two experiments of the group.
pub fn overrides_expire_under_a_crowd(at: At<'_>) {
    let store = at(SET);
    for name in ["one", "two"] {
        running_in_group(&*store, name, "g");
    }
    let actors: Vec<String> = (0..10).map(|n| format!("user:{n}")).collect();
    for actor in &actors {
        pin(&*store, "one", actor, "treatment", Some(END)).unwrap();
    }
    let now = AtomicU64::new(END - 1);
    let calls = AtomicU64::new(0);
    let threads = 16;
    at_once(threads, |index| {
        for (turn, actor) in actors.iter().enumerate() {
            let then = now.load(Ordering::SeqCst);
            let experiment = ["one", "two"][(index + turn) % 2];
            let request = AssignRequest::new(experiment, actor).keep_exposure(None);
            match at(then).assign(&request) {
                Ok(assigned) => {
                    let is_pinned = assigned.reason == AssignmentReason::Override;
                    assert_eq!(is_pinned, then < END && experiment == "one");
                }
                Err(ExperimentError::ExcludedByGroup(..)) => {}
                Err(other) => panic!("{other}"),
            }
            // Half of the calls come before the end, or at the same time.
            if calls.fetch_add(1, Ordering::SeqCst) == threads as u64 * 5 {
                now.store(END, Ordering::SeqCst);
            }
        }
    });
    let store = at(END);
    for name in ["one", "two"] {
        assert_counted(&*store, name);
    }
    for actor in &actors {
        let counting = ["one", "two"].map(|name| {
            let situation = store.situation(name, actor).unwrap();
            situation.facts().stored.is_some()
        });
        assert_ne!(counting, [true, true], "{actor}");
    }
}
