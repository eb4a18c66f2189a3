//! Ways through both programs that random steps rarely find.

use std::thread;
use std::time::{Duration, Instant};

use experiments::{ExperimentConfig, ExperimentState, ExperimentStore, PgExperimentStore};

use crate::application::Application;
use crate::database;
use crate::library::Library;
use crate::program::{Program, Refusal, State, split};
use crate::server::{self, options};

/// What both say of the experiment `e`.
fn state(library: &Library, application: &Application) -> State {
    let (ours, theirs) = (library.list(), application.list());
    assert_eq!(ours, theirs);
    ours["e"].state
}

#[test]
fn the_application_reads_the_history_in_order() {
    let url = database();
    let (library, application) = (Library::open(&url), Application::open(&url));
    library
        .create("e", &split(&[("a", 1), ("b", 1)]), None)
        .unwrap();
    library.start("e").unwrap();
    // Within one second, and with both taking turns.
    for step in 1..=20 {
        let program: &dyn Program = match step % 3 {
            0 => &application,
            _ => &library,
        };
        let weights = split(&[("a", 1), ("b", step)]);
        match step % 4 {
            0 => program.set_override("e", &format!("user:{step}"), "b"),
            1 => program.conclude("e", "a").and_then(|()| program.start("e")),
            _ => program.set_weights("e", &weights),
        }
        .unwrap();
    }
    let (ours, theirs) = (library.history("e"), application.history("e"));
    assert_eq!(ours, theirs);
    assert!(ours.len() > 20);
    assert_eq!(ours.last().map(String::as_str), Some("created"));
}

/// The application makes a draft of an experiment that has assigned. Who was assigned still is.
#[test]
fn a_draft_that_the_application_made_of_it_keeps_its_variants() {
    let url = database();
    let (library, application) = (Library::open(&url), Application::open(&url));
    let both = split(&[("a", 0), ("b", 1)]);
    application.create("e", &both, None).unwrap();
    application.start("e").unwrap();
    assert_eq!(application.assign("e", "user:1").unwrap().variant, "b");
    application.create("e", &both, None).unwrap();
    assert_eq!(state(&library, &application), State::Draft);

    let without = split(&[("a", 1)]);
    for program in [&library as &dyn Program, &application] {
        let set = program.set_weights("e", &without);
        assert_eq!(set, Err(Refusal::VariantInUse));
        let replaced = program.create("e", &without, None);
        assert_eq!(replaced, Err(Refusal::VariantInUse));
    }
    library
        .create("e", &split(&[("b", 1), ("c", 1)]), None)
        .unwrap();
    library.start("e").unwrap();
    for program in [&library as &dyn Program, &application] {
        assert_eq!(program.assign("e", "user:1").unwrap().variant, "b");
    }
}

/// The application starts a concluded experiment again and keeps its winner.
#[test]
fn a_restart_by_the_application_runs_for_both() {
    let url = database();
    let (library, application) = (Library::open(&url), Application::open(&url));
    let variants = split(&[("a", 1), ("b", 1)]);
    application.create("e", &variants, None).unwrap();
    application.start("e").unwrap();
    application.conclude("e", "a").unwrap();
    application.start("e").unwrap();
    assert_eq!(state(&library, &application), State::Running);

    for actor in ["user:1", "user:2"] {
        let ours = library.assign("e", actor).unwrap();
        assert_eq!(application.assign("e", actor).unwrap(), ours);
    }
    assert_ne!(library.assign("e", "user:1"), library.assign("e", "user:2"));
    library.service.explain("e", "user:1").unwrap();
    library.start("e").unwrap();
    library
        .set_weights("e", &split(&[("a", 2), ("b", 1)]))
        .unwrap();
    assert_eq!(state(&library, &application), State::Running);
    library.conclude("e", "b").unwrap();
    assert_eq!(state(&library, &application), State::Concluded);
    library.start("e").unwrap();
    assert_eq!(state(&library, &application), State::Running);
    library.service.explain("e", "user:3").unwrap();
}

/// The stored row is an earlier override's.
#[test]
fn an_override_of_a_variant_that_went_is_exposed_alike() {
    let url = database();
    let (library, application) = (Library::open(&url), Application::open(&url));
    library
        .create("e", &split(&[("a", 1), ("b", 1), ("c", 1)]), None)
        .unwrap();
    library.start("e").unwrap();
    library.set_override("e", "user:1", "b").unwrap();
    assert_eq!(library.assign("e", "user:1").unwrap().exposed, Some(true));
    library.set_override("e", "user:1", "c").unwrap();
    library
        .set_weights("e", &split(&[("a", 1), ("b", 1)]))
        .unwrap();
    let ours = library.assign("e", "user:1").unwrap();
    assert_eq!(application.assign("e", "user:1").unwrap(), ours);
    assert_eq!((ours.variant.as_str(), ours.exposed), ("b", Some(true)));
}

/// It is notified, by the trigger that either program has made, and does not have to look again.
#[test]
fn a_watched_store_hears_of_the_application() {
    let ours_first = server::shared().database();
    PgExperimentStore::migrate_for_application(&options(&ours_first)).unwrap();
    for url in [database(), ours_first] {
        let seldom = options(&url).refresh_interval(Duration::from_hours(1));
        let watched = PgExperimentStore::open(seldom).unwrap().watched().unwrap();
        let application = Application::open(&url);
        application.create("e", &split(&[("a", 1)]), None).unwrap();
        application.start("e").unwrap();
        let begun = Instant::now();
        let is_running = |config: &ExperimentConfig| config.state == ExperimentState::Running;
        // Out of its memory.
        while !watched.list().unwrap().iter().any(is_running) {
            assert!(begun.elapsed() < Duration::from_secs(60), "it was not told");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What only the application stores can be looked at, and mended.
#[test]
fn what_only_the_application_stores_can_be_looked_at() {
    let url = database();
    let (library, application) = (Library::open(&url), Application::open(&url));
    application.create("none", &[], None).unwrap();
    application
        .create(" ", &split(&[("a", 1)]), Some(""))
        .unwrap();
    let long = "n".repeat(300);
    application
        .create(&long, &split(&[("a", 1)]), None)
        .unwrap();
    application.start(&long).unwrap();
    let actor = "x".repeat(2000);
    application.assign(&long, &actor).unwrap();
    assert_eq!(library.list(), application.list());
    for name in ["none", " ", &long] {
        library.service.status(name).unwrap();
        assert_eq!(library.history(name), application.history(name));
        library.archive(name).unwrap();
    }
}
