//! Both at the same moment, and one under the other's feet.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use crate::application::Application;
use crate::library::Library;
use crate::model::bucketed;
use crate::program::{Program, Refusal, split};
use crate::server::client;
use crate::{database, rounds};

/// How many assignments there are that the condition holds for.
fn count(url: &str, condition: &str) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM autumn_experiment_assignments a
         JOIN autumn_experiments e ON e.name = a.experiment WHERE {condition}"
    );
    client(url).query_one(&sql, &[]).unwrap().get(0)
}

const OF_NO_VARIANT: &str =
    "NOT e.variants @> jsonb_build_array(jsonb_build_object('name', a.variant))";

/// Actors who would get this variant, a new one each time.
fn actors(experiment: &str, variant: &str) -> impl Iterator<Item = String> {
    let split = split(&[("a", 1), ("b", 1)]);
    (0..)
        .map(|number| format!("user:{number}"))
        .filter(move |actor| {
            bucketed(experiment, actor, &split).is_some_and(|given| given == variant)
        })
}

/// A variant is removed by one program while the other gives it to its first actor.
fn remove_while_assigning(url: &str, remover: &dyn Program, assigner: &dyn Program) {
    for round in 0..rounds(40) {
        let name = format!("e{round}");
        remover
            .create(&name, &split(&[("a", 1), ("b", 1)]), None)
            .unwrap();
        remover.start(&name).unwrap();
        let together = Barrier::new(2);
        let actor = actors(&name, "b").next().unwrap();
        let (removed, assigned) = thread::scope(|scope| {
            let assigning = scope.spawn(|| {
                together.wait();
                assigner.assign(&name, &actor)
            });
            together.wait();
            let removed = remover.set_weights(&name, &split(&[("a", 1)]));
            (removed, assigning.join().unwrap())
        });
        match removed {
            Ok(()) | Err(Refusal::VariantInUse) => {}
            Err(other) => panic!("round {round}: {other:?}"),
        }
        // Whatever came first, who was told a variant has it.
        if let Ok(given) = assigned {
            let again = assigner.assign(&name, &actor);
            assert_eq!(again.unwrap().variant, given.variant, "round {round}");
        }
    }
    assert_eq!(count(url, OF_NO_VARIANT), 0);
}

#[test]
fn the_application_removes_what_the_library_gives() {
    let url = database();
    remove_while_assigning(&url, &Application::open(&url), &Library::open(&url));
}

#[test]
fn the_library_removes_what_the_application_gives() {
    let url = database();
    remove_while_assigning(&url, &Library::open(&url), &Application::open(&url));
}

#[test]
fn the_application_removes_what_it_gives() {
    let url = database();
    let (one, other) = (Application::open(&url), Application::open(&url));
    remove_while_assigning(&url, &one, &other);
}

/// Once archiving is done, the library assigns nobody any more. The application may, out of what it has in
/// memory, and its own rules then keep the assignment from being seen.
#[test]
fn the_library_assigns_nobody_once_it_is_archived() {
    let url = database();
    let (library, application) = (Library::open(&url), Application::open(&url));
    for round in 0..rounds(40) {
        let name = format!("e{round}");
        let archiver: &dyn Program = if round % 2 == 0 {
            &application
        } else {
            &library
        };
        archiver
            .create(&name, &split(&[("a", 1), ("b", 1)]), None)
            .unwrap();
        archiver.start(&name).unwrap();
        let together = Barrier::new(2);
        let of_it = format!("a.experiment = '{name}'");
        let when_archived = thread::scope(|scope| {
            scope.spawn(|| {
                together.wait();
                let assign = |number| library.assign(&name, &format!("user:{number}"));
                let refused = (0..).find_map(|number| assign(number).err());
                assert_eq!(refused, Some(Refusal::Archived));
            });
            together.wait();
            archiver.archive(&name).unwrap();
            count(&url, &of_it)
        });
        assert_eq!(count(&url, &of_it), when_archived, "round {round}");
    }
}

/// The weights change all the time, so that the two would choose differently.
#[test]
fn both_give_a_new_actor_the_same() {
    let url = database();
    let (library, application) = (Library::open(&url), Application::open(&url));
    library
        .create("e", &split(&[("a", 1), ("b", 1)]), None)
        .unwrap();
    library.start("e").unwrap();
    for round in 0..rounds(40) {
        let actor = format!("user:{round}");
        let together = Barrier::new(3);
        let given: BTreeSet<String> = thread::scope(|scope| {
            let assign = |program: &'static str| {
                let (library, application) = (&library, &application);
                let (actor, together) = (&actor, &together);
                scope.spawn(move || {
                    together.wait();
                    let given = match program {
                        "library" => library.assign("e", actor),
                        _ => application.assign("e", actor),
                    };
                    given.unwrap().variant
                })
            };
            let assigning = [assign("library"), assign("application")];
            together.wait();
            let weights = [split(&[("a", 0), ("b", 1)]), split(&[("a", 1), ("b", 0)])];
            let chosen = usize::from(round % 2 == 0);
            library.set_weights("e", &weights[chosen]).unwrap();
            assigning.map(|thread| thread.join().unwrap()).into()
        });
        assert_eq!(given.len(), 1, "round {round}: {given:?}");
    }
}

#[test]
fn an_actor_is_in_one_experiment_of_a_group() {
    let url = database();
    let (library, application) = (Library::open(&url), Application::open(&url));
    for name in ["e", "f"] {
        library
            .create(name, &split(&[("a", 1)]), Some("g"))
            .unwrap();
        library.start(name).unwrap();
    }
    for round in 0..rounds(40) {
        let actor = format!("user:{round}");
        let together = Barrier::new(2);
        let (ours, theirs) = thread::scope(|scope| {
            let theirs = scope.spawn(|| {
                together.wait();
                application.assign("f", &actor)
            });
            together.wait();
            (library.assign("e", &actor), theirs.join().unwrap())
        });
        let refused = Err(Refusal::Excluded);
        let is_in_one = ours.is_ok() != theirs.is_ok();
        assert!(
            is_in_one && (ours == refused || theirs == refused),
            "{ours:?} {theirs:?}"
        );
    }
}
