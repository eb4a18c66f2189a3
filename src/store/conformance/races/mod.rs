//! What holds when many callers are at it at once. Every function uses each handle from a thread of
//! its own; all threads start together.

mod entry;

pub use entry::*;

use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;

use super::periods::assert_counted;
use super::{
    archive, assign, conclude, create, even, log, record, running, running_in_group, scanned,
    start, weights,
};
use crate::assignment::{AssignManyRequest, AssignRequest, Keep};
use crate::error::ExperimentError;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::lifecycle::Mutation;
use crate::rule::AssignmentReason;
use crate::store::{Expected, ExperimentStore};

/// Runs `work(index)` in so many threads at once and returns what each gave.
pub(super) fn at_once<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let together = Barrier::new(threads);
    thread::scope(|scope| {
        let start = |index| {
            let (together, work) = (&together, &work);
            scope.spawn(move || {
                together.wait();
                work(index)
            })
        };
        let threads: Vec<_> = (0..threads).map(start).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// Runs `work(index, handle)` for all handles at once and returns what each gave.
fn race<T: Send>(
    handles: &[&dyn ExperimentStore],
    work: impl Fn(usize, &dyn ExperimentStore) -> T + Sync,
) -> Vec<T> {
    at_once(handles.len(), |index| work(index, handles[index]))
}

fn actors(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("user:{n}")).collect()
}

/// First calls for the same actors agree, are stored and counted once, and each call leaves one
/// exposure.
pub fn racing_assignments_agree(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    running(store, "e");
    let actors = actors(20);
    let seen = race(handles, |_, handle| {
        let assigned = actors.iter().map(|actor| {
            let request = AssignRequest::new("e", actor).keep_exposure(None);
            handle.assign(&request).unwrap()
        });
        assigned.collect::<Vec<_>>()
    });
    for (index, actor) in actors.iter().enumerate() {
        let variants: HashSet<_> = seen.iter().map(|by| &by[index].variant).collect();
        let stored = store.get_assignment("e", actor).unwrap().unwrap();
        assert_eq!(variants, HashSet::from([&stored.variant]));
        let first = seen
            .iter()
            .filter(|by| by[index].reason == AssignmentReason::Assigned);
        assert_eq!(
            first.count(),
            1,
            "{actor} was assigned for the first time more than once"
        );
    }
    let counts = store.variant_counts("e").unwrap();
    let counted: u64 = counts.iter().map(|count| count.assigned).sum();
    assert_eq!(counted, actors.len() as u64);
    let exposures = store.exposures("e").unwrap();
    assert_eq!(exposures.len(), actors.len() * handles.len());
}

/// Callers who propose different variants for one actor are all told the one that is stored.
pub fn racing_records_agree(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    let names: Vec<String> = (0..handles.len()).map(|n| format!("v{n}")).collect();
    let variants: Vec<_> = names.iter().map(|name| (&**name, 1)).collect();
    let config = ExperimentConfig::new("e", weights(&variants));
    create(store, &config);
    start(store, "e").unwrap();
    let actors = actors(20);
    let told = race(handles, |index, handle| {
        let record = |actor| record(handle, "e", actor, &names[index], false);
        let told = actors.iter().map(|actor| record(actor).unwrap());
        told.collect::<Vec<_>>()
    });
    for (index, actor) in actors.iter().enumerate() {
        let stored = store.get_assignment("e", actor).unwrap().unwrap();
        assert!(told.iter().all(|told| told[index] == stored.variant));
    }
}

/// Of many siblings that an actor first meets at the same moment, one admits the actor.
pub fn racing_siblings_admit_an_actor_once(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    let names: Vec<String> = (0..handles.len()).map(|n| format!("e{n}")).collect();
    for name in &names {
        running_in_group(store, name, "g");
    }
    let actors = actors(20);
    let admitted = race(handles, |index, handle| {
        let admitted = actors
            .iter()
            .map(|actor| match assign(handle, &names[index], actor) {
                Ok(_) => true,
                Err(ExperimentError::ExcludedByGroup(..)) => false,
                Err(other) => panic!("{other}"),
            });
        admitted.collect::<Vec<_>>()
    });
    for (index, actor) in actors.iter().enumerate() {
        let told = admitted.iter().filter(|by| by[index]).count();
        let stored = names
            .iter()
            .filter(|name| store.get_assignment(name, actor).unwrap().is_some())
            .count();
        assert_eq!((told, stored), (1, 1), "{actor}");
    }
}

/// Of many who create one experiment, one succeeds.
pub fn racing_creations_have_one_winner(handles: &[&dyn ExperimentStore]) {
    let results = race(handles, |_, handle| {
        handle.insert(even("e", ExperimentState::Running))
    });
    let created = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(created, 1);
    for result in results {
        assert!(matches!(
            result,
            Ok(Some(_)) | Err(ExperimentError::AlreadyExists(..))
        ));
    }
    assert_eq!(log(handles[0], "e"), ["created"]);
}

/// Of batches that expect the same, one is taken, and it is taken whole.
pub fn racing_batches_have_one_winner(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    create(store, &even("e", ExperimentState::Running));
    let seen = store.get("e").unwrap();
    let results = race(handles, |index, handle| {
        let description = index.to_string();
        let variants = weights(&[("control", 1), ("treatment", u32::try_from(index).unwrap())]);
        handle.mutate_all(
            &[Expected {
                experiment: "e",
                config: seen.as_ref(),
            }],
            &[
                Mutation::SetDescription {
                    experiment: "e",
                    description: Some(&description),
                },
                Mutation::SetVariants {
                    experiment: "e",
                    variants: &variants,
                    values: None,
                },
            ],
            None,
        )
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for result in results {
        assert!(matches!(
            result,
            Ok(_) | Err(ExperimentError::ChangedMeanwhile(_))
        ));
    }
    assert_eq!(log(store, "e"), ["set_weights", "updated", "created"]);
    let found = store.get("e").unwrap().unwrap();
    let weight = found.variants[1].weight.to_string();
    assert_eq!(found.description, Some(weight));
}

/// No change is lost and none is logged twice.
pub fn racing_overrides_are_all_logged(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    running(store, "e");
    race(handles, |index, handle| {
        for n in 0..5 {
            let actor = format!("{index}/{n}");
            handle.set_override("e", &actor, "control").unwrap();
        }
    });
    let entries = log(store, "e");
    assert_eq!(entries.len(), handles.len() * 5 + 1);
    let distinct: HashSet<_> = entries.iter().collect();
    assert_eq!(distinct.len(), entries.len());
    assert_eq!(store.overrides("e").unwrap().len(), handles.len() * 5);
}

/// Whatever races with archiving, nothing is logged after it.
pub fn nothing_follows_archiving(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    running(store, "e");
    race(handles, |index, handle| {
        for _ in 0..5 {
            let done = match index {
                0 => archive(handle, "e"),
                1 => start(handle, "e"),
                2 => conclude(handle, "e", "control"),
                3 => handle.set_variants("e", weights(&[("control", 1), ("treatment", 2)]), None),
                _ => handle.set_override("e", &index.to_string(), "control"),
            };
            match done {
                Ok(_) | Err(ExperimentError::Archived(_) | ExperimentError::Concluded(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    });
    let entries = log(store, "e");
    assert_eq!(entries[0], "state=archived");
    let archived = entries.iter().filter(|entry| *entry == "state=archived");
    assert_eq!(archived.count(), 1);
}

/// What a caller is told is stored, and nothing more is stored once archiving has returned.
pub fn nothing_is_assigned_after_archiving(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    running(store, "e");
    let told = race(handles, |index, handle| {
        if index == 0 {
            archive(handle, "e").unwrap();
            let counts = handle.variant_counts("e").unwrap();
            return counts.iter().map(|count| count.assigned).sum::<u64>();
        }
        let assigned = (0..10).map(|n| match assign(handle, "e", &format!("{index}/{n}")) {
            Ok(_) => 1,
            Err(ExperimentError::Archived(_)) => 0,
            Err(other) => panic!("{other}"),
        });
        assigned.sum()
    });
    let counts = store.variant_counts("e").unwrap();
    let stored: u64 = counts.iter().map(|count| count.assigned).sum();
    assert_eq!(stored, told[0], "assigned after archiving");
    assert_eq!(stored, told[1..].iter().sum::<u64>(), "told, not stored");
}

/// Nobody is shown a variant of an archived experiment, however often it was shown before.
pub fn nothing_is_shown_after_archiving(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    running(store, "e");
    assign(store, "e", "again").unwrap();
    let request = AssignRequest::new("e", "again").keep_exposure(None);
    let told = race(handles, |index, handle| {
        if index == 0 {
            archive(handle, "e").unwrap();
            return handle.exposures("e").unwrap().len();
        }
        let shown = (0..10).map(|_| match handle.assign(&request) {
            Ok(_) => 1,
            Err(ExperimentError::Archived(_)) => 0,
            Err(other) => panic!("{other}"),
        });
        shown.sum()
    });
    let kept = store.exposures("e").unwrap().len();
    assert_eq!(kept, told[0], "shown after archiving");
    assert_eq!(kept, told[1..].iter().sum::<usize>(), "told, not kept");
}

/// A variant is either removed or has assignments, never both.
pub fn no_variant_is_removed_under_an_assignment(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    running(store, "e");
    race(handles, |index, handle| {
        if index == 0 {
            match handle.set_variants("e", weights(&[("control", 1)]), None) {
                Ok(_) | Err(ExperimentError::VariantInUse { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            return;
        }
        for n in 0..5 {
            let actor = format!("{index}/{n}");
            match record(handle, "e", &actor, "treatment", false) {
                Ok(_) | Err(ExperimentError::UnknownVariant { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    });
    let config = store.get("e").unwrap().unwrap();
    for index in 1..handles.len() {
        for n in 0..5 {
            let stored = store.get_assignment("e", &format!("{index}/{n}")).unwrap();
            if let Some(stored) = stored {
                assert!(config.variant(&stored.variant).is_some());
            }
        }
    }
}

/// Whoever is assigned while the weights change is in a period under whose weights that was decided: here one
/// variant has all the weight, by turns, so that the variant tells. Whoever comes later is in no earlier
/// period, and the counts of the periods are those of the assignments.
pub fn racing_weights_decide_the_period(handles: &[&dyn ExperimentStore]) {
    let store = handles[0];
    let turns = [[("a", 1), ("b", 0)], [("a", 0), ("b", 1)]].map(|turn| weights(&turn));
    let config = ExperimentConfig::new("e", turns[0].clone());
    create(store, &config);
    start(store, "e").unwrap();
    let changes = 20;
    race(handles, |index, handle| {
        if index == 0 {
            for change in 1..=changes {
                let next = turns[change % 2].clone();
                handle.set_variants("e", next, None).unwrap().unwrap();
                let told = assign(handle, "e", &format!("0/{change}")).unwrap();
                assert_eq!(told.variant, ["a", "b"][change % 2]);
            }
            return;
        }
        for n in 0..changes {
            let actors = [format!("{index}/{n}"), format!("{index}/{n}/other")];
            if index % 2 == 0 {
                for actor in &actors {
                    assign(handle, "e", actor).unwrap();
                }
                continue;
            }
            let request = AssignManyRequest {
                experiment: "e",
                actors: &[&actors[0], &actors[1]],
                keep: Keep::Assignments,
            };
            handle.assign_many(&request).unwrap();
        }
    });
    let periods = store.weight_periods("e").unwrap();
    let lists: Vec<_> = periods.iter().map(|period| &period.variants).collect();
    let expected: Vec<_> = turns.iter().cycle().take(changes + 1).collect();
    assert_eq!(lists, expected);
    let mut found = scanned(store, "e");
    assert_eq!(found.len(), (handles.len() - 1) * changes * 2 + changes);
    for record in &found {
        let period = usize::try_from(record.weight_period).unwrap();
        assert_eq!(record.variant, ["a", "b"][period % 2], "{record:?}");
    }
    assert_counted(store, "e");
    // In the order in which each caller brought its actors.
    let place = |actor: &str| {
        let mut parts = actor.split('/').map(|part| part.parse::<usize>().ok());
        (parts.next(), parts.next())
    };
    found.sort_by_key(|record| place(&record.actor));
    for pair in found.windows(2) {
        let [before, after] = [&pair[0], &pair[1]];
        if place(&before.actor).0 == place(&after.actor).0
            && place(&before.actor) != place(&after.actor)
        {
            assert!(before.weight_period <= after.weight_period, "{pair:?}");
        }
    }
    for change in 1..=changes {
        let actor = format!("0/{change}");
        let own = found.iter().find(|record| record.actor == actor).unwrap();
        assert_eq!(usize::try_from(own.weight_period).unwrap(), change);
    }
}
