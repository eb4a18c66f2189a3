//! Random sequences of commands, against the model: every store, beside an application, and the real
//! binary must answer as it does and hold what it holds.
//!
//! `EXP_TEST_CASES=10000 cargo test random` tries that many sequences in place of a few.

mod answers;
mod binary;
mod commands;
mod held;

use std::cell::RefCell;

use experiments::store::conformance::Application;
use experiments::{
    AssignManyRequest, AssignRequest, AssignmentReason, Clock, ExperimentStore,
    InMemoryExperimentStore, Keep, PgExperimentStore, SqliteExperimentStore,
};
use macro_rules_attribute::apply;
use proptest::collection::vec;
use proptest::prelude::{Strategy, TestCaseError, prop_assert_eq, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::answers::{answer_beside, answer_of, code};
use self::commands::{
    ACTORS, NAMES, busy, command_beside_an_application, command_of_the_library, one_of,
};
use self::held::{agree, held};
use crate::conformance::{ByHand, Neighbour};
use crate::model::{Command, Model};
use crate::server;

/// When a sequence begins.
const BEGIN: u64 = 1_790_000_000;

/// Gives a handle to one store whose clock stands at that second.
type At<'a> = &'a dyn Fn(u64) -> Box<dyn ExperimentStore>;

fn try_sequences_beside_an_application(
    cases: u32,
    test: impl Fn(Vec<Command>) -> Result<(), TestCaseError>,
) {
    let input = vec(command_beside_an_application(), 1..80);
    try_cases(cases, &input, |random| {
        test(random.clone())?;
        test([busy(), random].concat())
    });
}

pub(crate) fn try_cases<S: Strategy>(
    cases: u32,
    input: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the long run is asked for this way"
    )]
    let asked = std::env::var("EXP_TEST_CASES").ok();
    let config = Config {
        cases: asked.map_or(cases, |asked| asked.parse().unwrap()),
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    if let Err(error) = TestRunner::new_with_rng(config, rng).run(input, test) {
        panic!("{error}");
    }
}

fn agrees(
    at: At<'_>,
    application: &dyn Application,
    commands: &[Command],
) -> Result<(), TestCaseError> {
    let mut model = Model::at(BEGIN);
    for command in commands {
        let answer = match command {
            Command::Wait(_) => Ok(None),
            command => answer_beside(application, &*at(model.now), command),
        };
        prop_assert_eq!(answer, model.run(command), "{:?}", command);
    }
    agree(&*at(model.now), &ACTORS, &model)
}

#[test]
fn memory_agrees_with_the_model() {
    try_sequences_beside_an_application(400, |commands| {
        let store = InMemoryExperimentStore::new();
        let at = |secs| Box::new(store.clone().with_clock(Clock::Fixed(secs))) as Box<_>;
        agrees(&at, &store, &commands)
    });
}

#[test]
fn sqlite_agrees_with_the_model() {
    try_sequences_beside_an_application(40, |commands| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("experiments.db");
        let store = SqliteExperimentStore::open_or_create(&path).unwrap();
        let by_hand = ByHand(rusqlite::Connection::open(path).unwrap());
        let at = |secs| Box::new(store.clone().with_clock(Clock::Fixed(secs))) as Box<_>;
        agrees(&at, &by_hand, &commands)
    });
}

/// What the database repeats of the rules, for the sake of round trips, says what the rules say: to handles
/// that know the experiments and to such as don't. `handle` gives the one for the command with that number.
fn postgres_agrees(
    cases: u32,
    input: &impl Strategy<Value = Command>,
    handle: impl Fn(&str) -> Box<dyn Fn(usize) -> PgExperimentStore>,
) {
    let url = server::shared().database();
    PgExperimentStore::migrate(&server::options(&url)).unwrap();
    let mut admin = server::client(&url);
    let admin = RefCell::new(&mut admin);
    let neighbour = Neighbour(RefCell::new(server::client(&url)));
    let met: Vec<String> = NAMES.iter().map(|name| format!("met in {name}")).collect();
    let actors: Vec<&str> = ACTORS
        .into_iter()
        .chain(met.iter().map(String::as_str))
        .collect();
    try_cases(cases, &vec(input, 1..80), |random| {
        for commands in [random.clone(), [busy(), random].concat()] {
            let empty = "TRUNCATE autumn_experiments, autumn_experiment_assignments,
                autumn_experiment_overrides, autumn_experiment_changes, exp_exposures,
                exp_outcomes, exp_weight_periods";
            admin.borrow_mut().batch_execute(empty).unwrap();
            let handle = handle(&url);
            let mut model = Model::at(BEGIN);
            for (number, command) in commands.iter().enumerate() {
                let answer = match command {
                    Command::Wait(_) => Ok(None),
                    command => {
                        let store = handle(number).with_clock(Clock::Fixed(model.now));
                        answer_beside(&neighbour, &store, command)
                    }
                };
                prop_assert_eq!(answer, model.run(command), "{:?}", command);
            }
            let unwatched = pool(&url).with_clock(Clock::Fixed(model.now));
            agree(&unwatched, &actors, &model)?;
        }
        Ok(())
    });
}

fn pool(url: &str) -> PgExperimentStore {
    PgExperimentStore::open(server::options(url)).unwrap()
}

#[apply(needs_postgres!)]
fn a_cold_handle_for_every_command_agrees_with_the_model() {
    postgres_agrees(10, &command_beside_an_application(), |url| {
        let url = url.to_owned();
        Box::new(move |_| pool(&url))
    });
}

#[apply(needs_postgres!)]
fn a_warm_handle_agrees_with_the_model() {
    postgres_agrees(20, &command_beside_an_application(), |url| {
        let store = pool(url);
        Box::new(move |_| store.clone())
    });
}

#[apply(needs_postgres!)]
fn two_pools_in_turn_agree_with_the_model() {
    postgres_agrees(20, &command_beside_an_application(), |url| {
        let stores = [pool(url), pool(url)];
        Box::new(move |number| stores[number % 2].clone())
    });
}

#[apply(needs_postgres!)]
fn a_watched_handle_agrees_with_the_model() {
    postgres_agrees(20, &command_of_the_library(), |url| {
        let store = pool(url).watched().unwrap();
        Box::new(move |_| store.clone())
    });
}

/// Many at once are answered and stored as one after another would be, whatever is there already.
fn bulk_agrees(
    bulk: At<'_>,
    single: At<'_>,
    commands: &[Command],
    actors: &[String],
) -> Result<(), TestCaseError> {
    let mut now = BEGIN;
    for command in commands {
        if let Command::Wait(secs) = command {
            now += secs;
            continue;
        }
        answer_of(&*bulk(now), command).ok();
        answer_of(&*single(now), command).ok();
    }
    let (bulk, single) = (bulk(now), single(now));
    let actors: Vec<&str> = actors.iter().map(|actor| &**actor).collect();
    for name in NAMES {
        for keep in [
            Keep::Nothing,
            Keep::Assignments,
            Keep::AssignmentsAndExposures,
        ] {
            let request = AssignManyRequest {
                experiment: name,
                actors: &actors,
                keep,
            };
            let answers = bulk.assign_many(&request);
            let expected = one_after_another(&*single, &request);
            match (answers, expected) {
                (Ok(answers), Ok(expected)) => {
                    let answers: Vec<_> = answers
                        .iter()
                        .map(|verdict| (verdict.variant.map(str::to_owned), verdict.reason))
                        .collect();
                    prop_assert_eq!(answers, expected);
                }
                (Err(error), Err(expected)) => prop_assert_eq!(code(&error), expected),
                (answers, expected) => panic!("{answers:?}, and {expected:?}"),
            }
        }
    }
    let all = [&actors[..], &ACTORS].concat();
    prop_assert_eq!(held(&*bulk, &all), held(&*single, &all));
    Ok(())
}

type Expected = Result<Vec<(Option<String>, AssignmentReason)>, u8>;

fn one_after_another(store: &dyn ExperimentStore, request: &AssignManyRequest<'_>) -> Expected {
    let one = |actor: &&str| {
        let situation = store.situation(request.experiment, actor).unwrap();
        let single = AssignRequest::new(request.experiment, actor);
        let assigned = match request.keep {
            Keep::Nothing => {
                let config = situation.known().map_err(|error| code(&error))?;
                let verdict = situation.verdict().unwrap();
                let granted = verdict.into_result(config);
                granted.map(|variant| (variant.to_owned(), verdict.reason))
            }
            Keep::Assignments => store
                .assign(&single)
                .map(|assigned| (assigned.variant, assigned.reason)),
            Keep::AssignmentsAndExposures => store
                .assign(&single.keep_exposure(None))
                .map(|assigned| (assigned.variant, assigned.reason)),
        };
        match assigned {
            Ok((variant, reason)) => Ok((Some(variant), reason)),
            Err(error) => match error.reason() {
                Some(reason) if !reason.concerns_everyone() => Ok((None, reason)),
                _ => Err(code(&error)),
            },
        }
    };
    request.actors.iter().map(one).collect()
}

#[test]
fn many_at_once_agree_with_one_after_another() {
    // More than one statement's rows, with repetitions, and among them those who may be there.
    let crowd = || vec(prop_oneof![3 => "[a-z]{1,2}", 1 => one_of(&ACTORS)], 0..300);
    let input = (vec(command_of_the_library(), 1..40), crowd());
    try_cases(40, &input, |(commands, actors)| {
        let directory = tempfile::tempdir().unwrap();
        let file = SqliteExperimentStore::open_or_create(directory.path().join("bulk.db")).unwrap();
        let in_file = |secs| Box::new(file.clone().with_clock(Clock::Fixed(secs))) as Box<_>;
        let memories = [(); 3].map(|()| InMemoryExperimentStore::new());
        let in_memory = |which: usize, secs| {
            let store = memories[which].clone();
            Box::new(store.with_clock(Clock::Fixed(secs))) as Box<_>
        };
        bulk_agrees(&in_file, &|secs| in_memory(0, secs), &commands, &actors)?;
        bulk_agrees(
            &|secs| in_memory(1, secs),
            &|secs| in_memory(2, secs),
            &commands,
            &actors,
        )
    });
}
