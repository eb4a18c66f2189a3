//! Random sequences of commands, against the model: every store, beside an application, and the real
//! binary must answer as it does and hold what it holds.
//!
//! `EXP_TEST_CASES=10000 cargo test random` tries that many sequences in place of a few.

use std::cell::RefCell;
use std::collections::BTreeMap;

use experiments::lifecycle::Mutation;
use experiments::store::conformance::Application;
use experiments::{
    AssignManyRequest, AssignRequest, AssignmentReason, Coverage, ExperimentConfig,
    ExperimentError, ExperimentState, ExperimentStore, Finite, InMemoryExperimentStore, Keep,
    Outcome, OutcomeScan, PgExperimentStore, SqliteExperimentStore, VariantConfig,
};
use macro_rules_attribute::apply;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, TestCaseError, any, prop_assert_eq, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::conformance::{ByHand, Neighbour};
use crate::givens::record;
use crate::model::{Answer, Command, Entry, Experiment, Model};
use crate::sandbox::Sandbox;
use crate::server;

const NAMES: [&str; 3] = ["checkout_v2", "banner", "a b"];
const ACTORS: [&str; 4] = ["user:1", "user:2", "user:3", "ü"];
const VARIANTS: [&str; 3] = ["control", "treatment", "x=y"];
const GROUPS: [&str; 2] = ["g", "h"];
const METRICS: [&str; 2] = ["purchased", "revenue"];
const SALTS: [&str; 2] = ["2026", "banner"];
/// Of 10000; most of the few actors are on another side of each.
const COVERAGES: [u64; 4] = [1, 2_500, 5_000, 7_500];

fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    select(names).prop_map(str::to_owned)
}

fn weights() -> impl Strategy<Value = Vec<(String, u32)>> + Clone {
    vec((one_of(&VARIANTS), prop_oneof![Just(0), 1..4_u32]), 1..4)
}

fn entry() -> impl Strategy<Value = Entry> + Clone {
    let salt = proptest::option::weighted(0.2, one_of(&SALTS));
    let coverage = prop_oneof![2 => Just(10_000), 1 => select(&COVERAGES[..])];
    (salt, coverage).prop_map(|(salt, coverage)| Entry { salt, coverage })
}

fn command() -> impl Strategy<Value = Command> {
    let name = || one_of(&NAMES);
    let actor = || one_of(&ACTORS);
    let variant = || one_of(&VARIANTS);
    let group = proptest::option::weighted(0.8, one_of(&GROUPS));
    prop_oneof![
        4 => (name(), weights(), group, entry(), any::<bool>()).prop_map(
            |(name, variants, group, entry, start)| {
                Command::Create { name, variants, group, entry, start }
            }
        ),
        3 => name().prop_map(Command::Start),
        1 => (name(), variant()).prop_map(|(name, winner)| Command::Conclude(name, winner)),
        1 => name().prop_map(Command::Archive),
        3 => (name(), weights()).prop_map(|(name, list)| Command::SetWeights(name, list)),
        3 => (name(), actor(), variant()).prop_map(|(n, a, v)| Command::SetOverride(n, a, v)),
        2 => (name(), actor()).prop_map(|(name, actor)| Command::ClearOverride(name, actor)),
        12 => (name(), actor()).prop_map(|(name, actor)| Command::Assign(name, actor)),
    ]
}

fn outcome() -> impl Strategy<Value = (String, String, u32, Option<String>)> {
    let id = proptest::option::of(one_of(&["1", "2"]));
    (one_of(&ACTORS), one_of(&METRICS), 0..3_u32, id)
}

/// The same, and what the library can do as well.
fn command_of_the_library() -> impl Strategy<Value = Command> {
    let name = || one_of(&NAMES);
    let actor = || one_of(&ACTORS);
    let group = proptest::option::weighted(0.8, one_of(&GROUPS));
    prop_oneof![
        12 => command(),
        2 => (name(), actor()).prop_map(|(name, actor)| Command::AssignUnseen(name, actor)),
        2 => (name(), vec(actor(), 1..4)).prop_map(|(name, actors)| {
            Command::AssignMany(name, actors)
        }),
        2 => (name(), actor(), one_of(&VARIANTS), any::<bool>()).prop_map(|(n, a, v, is)| {
            Command::Record(n, a, v, is)
        }),
        2 => (name(), weights(), group, entry()).prop_map(|(name, variants, group, entry)| {
            Command::Replace { name, variants, group, entry }
        }),
        3 => (name(), entry()).prop_map(|(name, entry)| {
            Command::SetCoverage(name, entry.coverage)
        }),
        1 => vec(outcome(), 0..4).prop_map(Command::Track),
        1 => name().prop_map(Command::Prune),
    ]
}

/// The same, and what an application beside it can do.
fn command_beside_an_application() -> impl Strategy<Value = Command> {
    let name = || one_of(&NAMES);
    prop_oneof![
        21 => command_of_the_library(),
        1 => name().prop_map(Command::Reset),
        1 => name().prop_map(Command::Restart),
        1 => (name(), one_of(&ACTORS)).prop_map(|(n, a)| Command::RemoveOverride(n, a)),
    ]
}

/// Runs sequences; the same ones every time.
fn try_sequences(cases: u32, test: impl Fn(Vec<Command>) -> Result<(), TestCaseError>) {
    try_cases(cases, &vec(command(), 1..60), test);
}

fn try_sequences_beside_an_application(
    cases: u32,
    test: impl Fn(Vec<Command>) -> Result<(), TestCaseError>,
) {
    try_cases(cases, &vec(command_beside_an_application(), 1..60), test);
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

fn variants(list: &[(String, u32)]) -> Vec<VariantConfig> {
    let variants = list
        .iter()
        .map(|(name, weight)| VariantConfig::new(name, *weight));
    variants.collect()
}

fn configured(
    name: &str,
    list: &[(String, u32)],
    group: Option<&String>,
    entry: &Entry,
) -> ExperimentConfig {
    ExperimentConfig {
        exclusion_group: group.cloned(),
        salt: entry.salt.clone(),
        coverage: Coverage::of_10000(entry.coverage).unwrap(),
        ..ExperimentConfig::new(name, variants(list))
    }
}

fn answer_beside(
    application: &dyn Application,
    store: &dyn ExperimentStore,
    command: &Command,
) -> Answer {
    match command {
        Command::Reset(name) => application.reset_to_draft(name),
        Command::Restart(name) => application.restart(name),
        Command::RemoveOverride(name, actor) => application.remove_override(name, actor),
        _ => return answer_of(store, command),
    }
    Ok(None)
}

fn answer_of(store: &dyn ExperimentStore, command: &Command) -> Answer {
    let done = match command {
        Command::Create {
            name,
            variants: list,
            group,
            entry,
            start,
        } => {
            let mut config = configured(name, list, group.as_ref(), entry);
            if *start {
                config.state = ExperimentState::Running;
            }
            store.insert(config.clone())
        }
        Command::Replace {
            name,
            variants: list,
            group,
            entry,
        } => store.upsert(configured(name, list, group.as_ref(), entry)),
        Command::SetCoverage(experiment, coverage) => {
            let mutation = Mutation::SetCoverage {
                experiment,
                coverage: Coverage::of_10000(*coverage).unwrap(),
            };
            store.mutate(&mutation, None)
        }
        Command::Reset(_) | Command::Restart(_) | Command::RemoveOverride(..) => {
            panic!("no store does that")
        }
        Command::Start(name) => store.set_state(name, ExperimentState::Running, None),
        Command::Conclude(name, winner) => {
            store.set_state(name, ExperimentState::Concluded, Some(winner))
        }
        Command::Archive(name) => store.set_state(name, ExperimentState::Archived, None),
        Command::SetWeights(name, list) => store.set_variants(name, variants(list), None),
        Command::SetOverride(name, actor, variant) => store.set_override(name, actor, variant),
        Command::ClearOverride(name, actor) => store.clear_override(name, actor),
        Command::Assign(experiment, actor) => {
            return assigned(
                store,
                &AssignRequest::new(experiment, actor).keep_exposure(None),
            );
        }
        Command::AssignUnseen(experiment, actor) => {
            return assigned(store, &AssignRequest::new(experiment, actor));
        }
        Command::AssignMany(experiment, actors) => return assigned_many(store, experiment, actors),
        Command::Track(outcomes) => {
            let outcomes: Vec<Outcome> = outcomes.iter().map(tracked).collect();
            let done = store.track(&outcomes).map_err(|error| code(&error))?;
            let told = format!("{} recorded, {} repeated", done.recorded, done.repeated);
            return Ok(Some(told));
        }
        Command::Prune(name) => {
            let pruned = store.prune_exposures(name, u64::MAX, None);
            let pruned = pruned.map_err(|error| code(&error))?;
            return Ok((pruned > 0).then(|| format!("exposures_pruned={pruned}")));
        }
        Command::Record(experiment, actor, variant, is_override) => {
            let stored = record(store, experiment, actor, variant, *is_override);
            return stored.map(Some).map_err(|error| code(&error));
        }
    };
    done.map(|change| change.map(|change| change.mutation))
        .map_err(|error| code(&error))
}

fn tracked(outcome: &(String, String, u32, Option<String>)) -> Outcome {
    let (actor, metric, value, id) = outcome.clone();
    Outcome {
        actor,
        metric,
        value: Finite::from(value),
        timestamp_secs: 1_790_000_000,
        id,
    }
}

/// What is tracked in the store, compared with what the model says is.
fn outcomes_agree(store: &dyn ExperimentStore, model: &Model) -> Result<(), TestCaseError> {
    let mut found = Vec::new();
    let scan = store.scan_outcomes(&OutcomeScan::default(), &mut |outcome| {
        found.push(outcome.clone());
        Ok(())
    });
    scan.unwrap();
    let expected: Vec<Outcome> = model.outcomes.iter().map(tracked).collect();
    prop_assert_eq!(found, expected);
    Ok(())
}

fn assigned(store: &dyn ExperimentStore, request: &AssignRequest<'_>) -> Answer {
    let assigned = store.assign(request).map_err(|error| code(&error))?;
    let reason = assigned.reason.as_str();
    Ok(Some(format!("{} {reason}", assigned.variant)))
}

fn assigned_many(store: &dyn ExperimentStore, experiment: &str, actors: &[String]) -> Answer {
    let actors: Vec<&str> = actors.iter().map(|actor| &**actor).collect();
    let request = AssignManyRequest {
        experiment,
        actors: &actors,
        keep: Keep::AssignmentsAndExposures,
    };
    let answers = store.assign_many(&request).map_err(|error| code(&error))?;
    let answers = answers.iter().map(|verdict| match verdict.variant {
        Some(variant) => format!("{variant} {}", verdict.reason.as_str()),
        None if verdict.reason == AssignmentReason::NoVariant => "7".to_owned(),
        None => "6".to_owned(),
    });
    Ok(Some(answers.collect::<Vec<_>>().join(", ")))
}

fn code(error: &ExperimentError) -> u8 {
    match error {
        ExperimentError::NotFound(_) => 3,
        ExperimentError::NotRunning(..) | ExperimentError::Concluded(_) => 4,
        ExperimentError::Archived(_) => 5,
        ExperimentError::ExcludedByGroup(..) | ExperimentError::NotEnrolled { .. } => 6,
        ExperimentError::NoVariant(_) => 7,
        ExperimentError::Store(error) => panic!("{error}"),
        _ => 8,
    }
}

fn pairs(variants: &[VariantConfig]) -> Vec<(String, u32)> {
    let pairs = variants.iter().map(|v| (v.name.clone(), v.weight));
    pairs.collect()
}

/// What the store holds, in the model's terms.
fn held(store: &dyn ExperimentStore, actors: &[&str]) -> BTreeMap<String, Experiment> {
    let experiment = |config: ExperimentConfig| {
        let name = &*config.name;
        let mut assignments = BTreeMap::new();
        let mut assigned_in = BTreeMap::new();
        let scan = store.scan_assignments(name, &mut |found| {
            let period = usize::try_from(found.weight_period).unwrap();
            assigned_in.insert(found.actor.clone(), period);
            let stored = (found.variant.clone(), found.is_override);
            assignments.insert(found.actor.clone(), stored);
            Ok(())
        });
        scan.unwrap();
        for actor in actors {
            let asked = store.get_assignment(name, actor).unwrap();
            let asked = asked.map(|a| (a.variant, a.is_override));
            assert_eq!(asked.as_ref(), assignments.get(*actor));
        }
        let periods = store.weight_periods(name).unwrap();
        for (number, period) in periods.iter().enumerate() {
            for count in &period.counts {
                let of = |kind| {
                    let stored = (count.variant.clone(), kind);
                    let mut all = assignments.iter();
                    let of =
                        |(actor, a): &(&String, _)| *a == &stored && assigned_in[*actor] == number;
                    all.by_ref().filter(of).count() as u64
                };
                assert_eq!((count.assigned, count.overridden), (of(false), of(true)));
            }
        }
        for count in store.variant_counts(name).unwrap() {
            let of = |kind| {
                let stored = (count.variant.clone(), kind);
                assignments.values().filter(|a| **a == stored).count() as u64
            };
            assert_eq!((count.assigned, count.overridden), (of(false), of(true)));
        }
        let overrides = store.overrides(name).unwrap();
        let log = store.history(name, 0).unwrap();
        let held = Experiment {
            state: config.state.to_string(),
            winner: config.winner.clone(),
            group: config.exclusion_group.clone(),
            variants: pairs(&config.variants),
            entry: Entry {
                salt: config.salt.clone(),
                coverage: config.coverage.per_10000(),
            },
            overrides: overrides
                .into_iter()
                .map(|o| (o.actor, o.variant))
                .collect(),
            log: log
                .into_iter()
                .rev()
                .map(|change| change.mutation)
                .collect(),
            exposures: store
                .exposures(name)
                .unwrap()
                .into_iter()
                .map(|e| (e.actor, e.variant, e.is_override))
                .collect(),
            periods: periods.iter().map(|p| pairs(&p.variants)).collect(),
            assignments,
            assigned_in,
        };
        (config.name, held)
    };
    store.list().unwrap().into_iter().map(experiment).collect()
}

fn agrees(
    store: &dyn ExperimentStore,
    application: &dyn Application,
    commands: &[Command],
) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    for command in commands {
        prop_assert_eq!(
            answer_beside(application, store, command),
            model.run(command),
            "{:?}",
            command
        );
    }
    outcomes_agree(store, &model)?;
    prop_assert_eq!(held(store, &ACTORS), model.experiments);
    Ok(())
}

#[test]
fn memory_agrees_with_the_model() {
    try_sequences_beside_an_application(200, |commands| {
        let store = InMemoryExperimentStore::new();
        agrees(&store, &store, &commands)
    });
}

#[test]
fn sqlite_agrees_with_the_model() {
    try_sequences_beside_an_application(30, |commands| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("experiments.db");
        let store = SqliteExperimentStore::open_or_create(&path).unwrap();
        let by_hand = ByHand(rusqlite::Connection::open(path).unwrap());
        agrees(&store, &by_hand, &commands)
    });
}

/// Three running experiments, two of them of one group and one of another, so that what is stored of an
/// actor matters from the start.
fn busy() -> Vec<Command> {
    let create = |(name, group): (&&str, &str)| Command::Create {
        name: (*name).to_owned(),
        variants: VARIANTS[..2].iter().map(|v| ((*v).to_owned(), 1)).collect(),
        group: Some(group.to_owned()),
        entry: Entry::default(),
        start: true,
    };
    let met = |name: &str| Command::Assign(name.to_owned(), format!("met in {name}"));
    NAMES
        .iter()
        .zip([GROUPS[0], GROUPS[0], GROUPS[1]])
        .flat_map(|named| [create(named), met(named.0)])
        .collect()
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
    try_cases(cases, &vec(input, 1..60), |random| {
        for commands in [random.clone(), [busy(), random].concat()] {
            let empty = "TRUNCATE autumn_experiments, autumn_experiment_assignments,
                autumn_experiment_overrides, autumn_experiment_changes, exp_exposures,
                exp_outcomes, exp_weight_periods";
            admin.borrow_mut().batch_execute(empty).unwrap();
            let handle = handle(&url);
            let mut model = Model::default();
            for (number, command) in commands.iter().enumerate() {
                let answer = answer_beside(&neighbour, &handle(number), command);
                prop_assert_eq!(answer, model.run(command), "{:?}", command);
            }
            let unwatched = PgExperimentStore::open(server::options(&url)).unwrap();
            outcomes_agree(&unwatched, &model)?;
            prop_assert_eq!(held(&unwatched, &actors), model.experiments);
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
    bulk: &dyn ExperimentStore,
    single: &dyn ExperimentStore,
    commands: &[Command],
    actors: &[String],
) -> Result<(), TestCaseError> {
    for command in commands {
        answer_of(bulk, command).ok();
        answer_of(single, command).ok();
    }
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
            let expected = one_after_another(single, &request);
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
    prop_assert_eq!(held(bulk, &all), held(single, &all));
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
    let input = (vec(command(), 1..40), crowd());
    try_cases(40, &input, |(commands, actors)| {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let bulk = SqliteExperimentStore::open_or_create(path("bulk.db")).unwrap();
        let single = InMemoryExperimentStore::new();
        bulk_agrees(&bulk, &single, &commands, &actors)?;
        bulk_agrees(
            &InMemoryExperimentStore::new(),
            &InMemoryExperimentStore::new(),
            &commands,
            &actors,
        )
    });
}

#[test]
fn the_binary_agrees_with_the_model() {
    try_sequences(5, |commands| {
        let sandbox = Sandbox::new();
        let mut model = Model::default();
        SqliteExperimentStore::open_or_create(sandbox.default_store()).unwrap();
        for command in &commands {
            let seen = seen(&sandbox, command);
            prop_assert_eq!(seen, model.run(command), "{:?}", command);
        }
        let store = SqliteExperimentStore::open(sandbox.default_store()).unwrap();
        prop_assert_eq!(held(&store, &ACTORS), model.experiments);
        Ok(())
    });
}

fn seen(sandbox: &Sandbox, command: &Command) -> Answer {
    let weight = |(name, weight): &(String, u32)| format!("--variant={name}={weight}");
    let mut words: Vec<String> = Vec::new();
    let mut say = |parts: &[&str]| words.extend(parts.iter().map(|&part| part.to_owned()));
    match command {
        Command::Create {
            name,
            variants,
            group,
            entry,
            start,
        } => {
            say(&["create", name]);
            if let Some(salt) = &entry.salt {
                say(&["--salt", salt]);
            }
            if entry.coverage < 10_000 {
                let share = format!("0.{:04}", entry.coverage);
                say(&["--coverage", &share]);
            }
            for variant in variants {
                say(&[&weight(variant)]);
            }
            if let Some(group) = group {
                say(&["--group", group]);
            }
            if *start {
                say(&["--start"]);
            }
        }
        Command::Start(name) => say(&["start", name]),
        Command::Conclude(name, winner) => say(&["conclude", name, winner]),
        Command::Archive(name) => say(&["archive", name]),
        Command::SetWeights(name, variants) => {
            say(&["set-weights", name]);
            for variant in variants {
                say(&[&weight(variant)]);
            }
        }
        Command::SetOverride(name, actor, variant) => say(&["override", name, actor, variant]),
        Command::ClearOverride(name, actor) => say(&["override", name, actor, "--clear"]),
        Command::Assign(name, actor) => say(&["assign", name, actor]),
        Command::Replace { .. }
        | Command::SetCoverage(..)
        | Command::AssignUnseen(..)
        | Command::AssignMany(..)
        | Command::Record(..)
        | Command::Track(_)
        | Command::Prune(_)
        | Command::Reset(_)
        | Command::Restart(_)
        | Command::RemoveOverride(..) => {
            panic!("no command does that")
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = sandbox
        .exp(&words)
        .args(["--format", "json"])
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(u8::try_from(output.status.code().unwrap()).unwrap());
    }
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |field| {
        json.get(field)
            .map(|text| text.as_str().unwrap().to_owned())
    };
    if matches!(command, Command::Assign(..)) {
        let both = text("variant").zip(text("reason"));
        return Ok(both.map(|(variant, reason)| format!("{variant} {reason}")));
    }
    Ok(text("mutation"))
}
