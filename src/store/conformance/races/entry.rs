//! Who enters while an experiment is closed, covers fewer, is paused, or loses its actors again; and what is kept of a
//! draft that is deleted meanwhile.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use serde_json::json;

use super::super::naming::{delete, rename};
use super::super::periods::assert_counted;
use super::super::values::{set_values, values};
use super::super::{
    assert_refused, assign, create, even, log, pause, running, running_in_group, scanned,
    set_coverage, set_enrolling, start,
};
use super::{actors, race};
use crate::assignment::{AssignManyRequest, AssignRequest, Keep};
use crate::bucketing::coverage_bucket;
use crate::error::ExperimentError;
use crate::experiment::{ExperimentState, Unassigned};
use crate::exposure::ExposureRecord;
use crate::rule::AssignmentReason;
use crate::store::ExperimentStore;

/// How often it is stopped, and how many calls each caller makes in between.
const ROUNDS: usize = 10;
const CALLS: usize = 2;

/// A number that others wait for, without taking the processor from who is at work.
#[derive(Default)]
struct Counter {
    number: Mutex<usize>,
    changed: Condvar,
}

impl Counter {
    fn change(&self, change: impl FnOnce(&mut usize)) {
        change(&mut self.number.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn wait_for(&self, at_least: usize) {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        while *number < at_least {
            let waited = self.changed.wait(number);
            number = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Sets a counter in the end, so that nobody waits for a caller whose assertion has failed.
struct AtLast<'a>(&'a Counter, usize);

impl Drop for AtLast<'_> {
    fn drop(&mut self) {
        self.0.change(|number| *number = self.1.max(*number));
    }
}

/// While the others call `ask`, each with a number of its own, the first caller stops the experiment again and again.
/// Once that has returned, nothing more is stored, until the experiment goes on; at last it stays stopped. Returns what
/// the others were told.
fn stop_meanwhile<T: Send>(
    handles: &[&dyn ExperimentStore],
    stop: impl Fn(&dyn ExperimentStore) + Sync,
    go_on: impl Fn(&dyn ExperimentStore) + Sync,
    ask: impl Fn(&dyn ExperimentStore, usize) -> Vec<T> + Sync,
) -> Vec<T> {
    let state =
        |handle: &dyn ExperimentStore| (scanned(handle, "e"), handle.exposures("e").unwrap());
    let (round, begun) = (Counter::default(), Counter::default());
    let others = handles.len() - 1;
    let told = race(handles, |index, handle| {
        if index == 0 {
            let _released = AtLast(&round, ROUNDS);
            for now in 0..ROUNDS {
                // The others are at it.
                begun.wait_for(others * (now * CALLS + CALLS / 2));
                stop(handle);
                let stopped = state(handle);
                for _ in 0..3 {
                    thread::yield_now();
                    assert_eq!(state(handle), stopped, "stored after that");
                }
                if now + 1 < ROUNDS {
                    go_on(handle);
                }
                round.change(|round| *round = now + 1);
            }
            return Vec::new();
        }
        let _released = AtLast(&begun, others * CALLS * ROUNDS);
        let mut told = Vec::new();
        for n in 0..CALLS * ROUNDS {
            round.wait_for(n / CALLS);
            begun.change(|begun| *begun += 1);
            told.extend(ask(handle, n * handles.len() + index));
        }
        told
    });
    told.into_iter().flatten().collect()
}

/// While everybody brings newcomers, whom no coverage of 1 in 10000 takes in, the first caller keeps them out. Whoever
/// was given a variant is stored, and nobody else.
fn nobody_enters_after(
    handles: &[&dyn ExperimentStore],
    stop: impl Fn(&dyn ExperimentStore) + Sync,
    go_on: impl Fn(&dyn ExperimentStore) + Sync,
    reason: AssignmentReason,
) {
    let store = handles[0];
    running(store, "e");
    let newcomer = |number: usize| {
        let mut names = (0..).map(|turn| format!("{number}/{turn}"));
        names.find(|name| coverage_bucket("e", name) > 0).unwrap()
    };
    let told = stop_meanwhile(handles, stop, go_on, |handle, number| {
        let mut told = Vec::new();
        if number % 2 == 0 {
            let actor = newcomer(number);
            match assign(handle, "e", &actor) {
                Ok(assigned) => told.push((actor, assigned.variant)),
                Err(refusal) => assert_eq!(refusal.reason(), Some(reason)),
            }
        } else {
            // No two numbers are as far apart.
            let actors = [newcomer(number), newcomer(number + 1_000_000)];
            let request = AssignManyRequest {
                experiment: "e",
                actors: &[&actors[0], &actors[1]],
                keep: Keep::Assignments,
            };
            let answers = handle.assign_many(&request).unwrap();
            for (actor, verdict) in actors.iter().zip(answers.iter()) {
                match verdict.variant {
                    Some(variant) => told.push((actor.clone(), variant.to_owned())),
                    None => assert_eq!(verdict.reason, reason),
                }
            }
        }
        told
    });
    let stored = scanned(store, "e").into_iter();
    let stored: BTreeSet<_> = stored
        .map(|stored| (stored.actor, stored.variant))
        .collect();
    let told: BTreeSet<_> = told.into_iter().collect();
    assert_eq!(stored, told, "told, not stored");
    assert_counted(store, "e");
}

/// Nobody enters once closing has returned.
pub fn nobody_enters_after_closing(handles: &[&dyn ExperimentStore]) {
    let set = |handle: &dyn ExperimentStore, enrolling| {
        set_enrolling(handle, "e", enrolling).unwrap().unwrap();
    };
    nobody_enters_after(
        handles,
        |handle| set(handle, false),
        |handle| set(handle, true),
        AssignmentReason::Closed,
    );
}

/// Nobody whom the next coverage leaves out enters once it has been lowered.
pub fn nobody_enters_after_lowering_the_coverage(handles: &[&dyn ExperimentStore]) {
    let set = |handle: &dyn ExperimentStore, share| {
        set_coverage(handle, "e", share).unwrap().unwrap();
    };
    nobody_enters_after(
        handles,
        |handle| set(handle, 1),
        |handle| set(handle, 10_000),
        AssignmentReason::NotCovered,
    );
}

/// Nobody is shown anything once pausing has returned, whether they were in or not; and what was told before is there
/// after the pause.
pub fn nobody_is_served_while_it_is_paused(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    running(store, "e");
    let shown = stop_meanwhile(
        handles,
        |handle| drop(pause(handle, "e").unwrap().unwrap()),
        |handle| drop(start(handle, "e").unwrap().unwrap()),
        |handle, number| {
            // By turns somebody who is new, and somebody whom everybody asks for.
            let actor = [number.to_string(), "all".to_owned()][number % 2].clone();
            let request = AssignRequest::new("e", &actor).keep_exposure(None);
            match handle.assign(&request) {
                Ok(assigned) => vec![(actor, assigned.variant)],
                Err(ExperimentError::NotRunning(_, ExperimentState::Paused)) => Vec::new(),
                Err(other) => panic!("{other}"),
            }
        },
    );
    assert_eq!(store.exposures("e").unwrap().len(), shown.len());
    let distinct: BTreeSet<_> = shown.into_iter().collect();
    assert_eq!(scanned(store, "e").len(), distinct.len());
    assert_counted(store, "e");
    start(store, "e").unwrap().unwrap();
    for (actor, variant) in distinct {
        let again = assign(store, "e", &actor).unwrap();
        assert_eq!(
            (again.variant, again.reason),
            (variant, AssignmentReason::Sticky)
        );
    }
}

/// Of assignments that are taken back while they are made, each is either there or has been counted as taken back,
/// and so is each exposure. The log has the same numbers, and no actor is in two experiments of the group.
pub fn racing_unassignments_balance(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    let names = ["one", "two"];
    for name in names {
        running_in_group(store, name, "g");
    }
    let actors = actors(10);
    let all: Vec<&str> = actors.iter().map(|actor| &**actor).collect();
    let done = race(handles, |index, handle| {
        let mut done = [Unassigned::default(); 2];
        // Two of them take back, the others assign.
        for (turn, actor) in actors.iter().cycle().take(20).enumerate() {
            let which = (index / 2 + turn) % 2;
            if index < 2 {
                let gone = handle.unassign(names[which], &all[turn % 5..], None);
                let gone = gone.unwrap();
                done[which].assignments += gone.assignments;
                done[which].exposures += gone.exposures;
                continue;
            }
            let request = AssignRequest::new(names[which], actor).keep_exposure(None);
            match handle.assign(&request) {
                Ok(assigned) => {
                    done[which].assignments += u64::from(assigned.stored);
                    done[which].exposures += 1;
                }
                Err(ExperimentError::ExcludedByGroup(..)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        done
    });
    let mut members = Vec::new();
    for (which, name) in names.into_iter().enumerate() {
        let sum = |part: &[[Unassigned; 2]]| {
            let part = part.iter().map(|done| done[which]);
            part.fold((0, 0), |sum, done| {
                (sum.0 + done.assignments, sum.1 + done.exposures)
            })
        };
        let (gone, made) = (sum(&done[..2]), sum(&done[2..]));
        let stored = scanned(store, name);
        assert_eq!(stored.len() as u64, made.0 - gone.0, "{name}");
        let kept = store.exposures(name).unwrap().len() as u64;
        assert_eq!(kept, made.1 - gone.1, "{name}");
        assert_counted(store, name);
        let entries = log(store, name);
        let logged = entries.iter().filter_map(|entry| {
            let count = entry.strip_prefix("unassigned=")?;
            Some(count.parse::<u64>().unwrap())
        });
        assert_eq!(logged.sum::<u64>(), gone.0, "{name}");
        members.extend(stored.into_iter().map(|stored| stored.actor));
    }
    let distinct: BTreeSet<_> = members.iter().collect();
    assert_eq!(distinct.len(), members.len(), "in both");
}

/// What one handle changes is what every handle answers next, also for an experiment that all of them know.
pub fn a_change_is_answered_by_every_handle(handles: &[&dyn ExperimentStore]) {
    running(handles[0], "e");
    for (index, &handle) in handles.iter().enumerate() {
        assign(handle, "e", "in").unwrap();
        if ![0, 1, handles.len() - 1].contains(&index) {
            continue;
        }
        let each = |asked: &str, check: &dyn Fn(Result<_, ExperimentError>)| {
            for (other, handle) in handles.iter().enumerate() {
                check(assign(*handle, "e", &format!("{index}/{other}/{asked}")));
            }
        };
        set_enrolling(handle, "e", false).unwrap().unwrap();
        each("closed", &|answer| {
            assert_eq!(answer.unwrap_err().reason(), Some(AssignmentReason::Closed));
        });
        set_enrolling(handle, "e", true).unwrap().unwrap();
        each("open", &|answer| {
            assert_eq!(answer.unwrap().reason, AssignmentReason::Assigned);
        });
        let value = json!({ "turn": index });
        let next = values(&[("control", value.clone()), ("treatment", value.clone())]);
        set_values(handle, "e", &next).unwrap().unwrap();
        each("open", &|answer| {
            let answer = answer.unwrap();
            assert_eq!(
                (answer.value.as_ref(), answer.reason),
                (Some(&value), AssignmentReason::Sticky)
            );
        });
        pause(handle, "e").unwrap().unwrap();
        each("open", &|answer| {
            assert_refused!(
                answer,
                ExperimentError::NotRunning(_, ExperimentState::Paused)
            );
        });
        start(handle, "e").unwrap().unwrap();
        each("open", &|answer| {
            assert_eq!(answer.unwrap().reason, AssignmentReason::Sticky);
        });
    }
}

/// A draft is either deleted or renamed, or an override or an exposure of it is kept: never both. What is created
/// under the name afterwards has nothing of it.
pub fn nothing_is_kept_of_what_is_deleted(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    for round in 0..10 {
        let name = format!("e{round}");
        let other = format!("other{round}");
        create(store, &even(&name, ExperimentState::Draft));
        let done = race(handles, |index, handle| {
            let done = match index {
                0 if round % 2 == 0 => delete(handle, &name).map(drop),
                0 => rename(handle, &name, &other).map(drop),
                n if n % 2 == 0 => {
                    let actor = index.to_string();
                    handle.set_override(&name, &actor, "control").map(drop)
                }
                _ => handle.record_exposure(&ExposureRecord {
                    experiment: name.clone(),
                    variant: "control".to_owned(),
                    actor: index.to_string(),
                    request_id: None,
                    is_override: false,
                    timestamp_secs: 7,
                }),
            };
            match done {
                Ok(()) => true,
                Err(ExperimentError::NotFound(_) | ExperimentError::InUse { .. }) => false,
                Err(refusal) => panic!("{refusal}"),
            }
        });
        let is_gone = done[0];
        assert_eq!(store.get(&name).unwrap().is_none(), is_gone);
        let used = done[1..].iter().filter(|used| **used).count();
        let expected = if is_gone { 0 } else { handles.len() - 1 };
        assert_eq!(used, expected, "{name}");
        if is_gone {
            create(store, &even(&name, ExperimentState::Draft));
        }
        let kept = store.overrides(&name).unwrap().len() + store.exposures(&name).unwrap().len();
        assert_eq!(kept, expected, "{name}");
        assert_eq!(store.overrides(&other).unwrap(), []);
        assert_eq!(store.exposures(&other).unwrap(), []);
    }
}
