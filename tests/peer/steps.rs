//! Random steps, taken by either program: each answers as the rules say, and both then see the same.

use crate::application::{self, Application};
use crate::library::Library;
use crate::model::{Action, Assignments, Model, Step, Who};
use crate::program::{Given, Program, Refusal};
use crate::server::{self, client, options};
use crate::{Numbers, rounds};

const EXPERIMENTS: [&str; 4] = ["checkout_v2", "banner", "a b", "prüfung"];
const ACTORS: [&str; 6] = ["user:1", "user:2", "user:3", "ü", "a:b", " x"];
const VARIANTS: [&str; 3] = ["control", "treatment", "x=y"];
const STEPS: u64 = 150;

#[test]
fn both_answer_by_the_rules_and_see_the_same() {
    for seed in 0..rounds(3) {
        // Either is the one that came first.
        let url = server::shared().database();
        if seed % 2 == 0 {
            application::migrate_experiments(&url);
            experiments::PgExperimentStore::migrate(&options(&url)).unwrap();
        } else {
            experiments::PgExperimentStore::migrate_for_application(&options(&url)).unwrap();
        }
        run(seed, &url);
    }
}

fn run(seed: u64, url: &str) {
    let (library, application) = (Library::open(url), Application::open(url));
    let mut numbers = Numbers(seed);
    let mut model = Model::default();
    let mut taken = Vec::new();
    for _ in 0..STEPS {
        let step = guided(&mut numbers, &model);
        let expected = model.take(&step);
        taken.push(format!("{step:?}"));
        let told = || format!("seed {seed}:\n{}", taken.join("\n"));
        let answer = take(&library, &application, &step);
        assert_eq!(answer, expected, "{}", told());
        if let (Action::Assign(actor), Ok(_)) = (&step.action, &answer) {
            // The other one gives the same.
            let again = match step.who {
                Who::Library => application.assign(&step.experiment, actor),
                Who::Application => library.assign(&step.experiment, actor),
            };
            assert_eq!(again.map(Some), answer, "{}", told());
        }
        assert_eq!(library.list(), model.experiments, "{}", told());
        assert_eq!(application.list(), model.experiments, "{}", told());
        assert_eq!(stored(url), model.assignments, "{}", told());
    }
}

fn take(
    library: &Library,
    application: &Application,
    step: &Step,
) -> Result<Option<Given>, Refusal> {
    let program: &dyn Program = match step.who {
        Who::Library => library,
        Who::Application => application,
    };
    let name = step.experiment.as_str();
    let done = match &step.action {
        Action::Create(variants, group) => program.create(name, variants, group.as_deref()),
        Action::Start => program.start(name),
        Action::Conclude(winner) => program.conclude(name, winner),
        Action::Archive => program.archive(name),
        Action::SetWeights(variants) => program.set_weights(name, variants),
        Action::SetOverride(actor, variant) => program.set_override(name, actor, variant),
        Action::ClearOverride(actor) => library.clear_override(name, actor),
        Action::Assign(actor) => return program.assign(name, actor).map(Some),
    };
    done.map(|()| None)
}

/// Three times in four one that is not refused, if there is one among a few: refusals lead nowhere.
fn guided(numbers: &mut Numbers, model: &Model) -> Step {
    let mut step = random(numbers, model);
    if numbers.below(4) > 0 {
        for _ in 0..8 {
            if model.clone().take(&step).is_ok() {
                break;
            }
            step = random(numbers, model);
        }
    }
    step
}

fn random(numbers: &mut Numbers, model: &Model) -> Step {
    let experiment = (*numbers.of(&EXPERIMENTS)).to_owned();
    let who = *numbers.of(&[Who::Library, Who::Application]);
    let actor = (*numbers.of(&ACTORS)).to_owned();
    let variant = (*numbers.of(&VARIANTS)).to_owned();
    let action = match numbers.below(40) {
        0..=4 => {
            // The library leaves an experiment in its group once it has assigned, and only then.
            let group = match model.experiments.get(&experiment) {
                Some(current) if who == Who::Library => current.group.clone(),
                _ => group(numbers),
            };
            Action::Create(variants(numbers), group)
        }
        5..=9 => Action::Start,
        10..=11 => Action::Conclude(variant),
        12 => Action::Archive,
        13..=16 => Action::SetWeights(variants(numbers)),
        17..=20 => Action::SetOverride(actor, variant),
        21..=22 if who == Who::Library => Action::ClearOverride(actor),
        _ => Action::Assign(actor),
    };
    Step {
        who,
        experiment,
        action,
    }
}

fn variants(numbers: &mut Numbers) -> Vec<(String, u32)> {
    let mut variants: Vec<_> = VARIANTS.iter().map(|name| (*name).to_owned()).collect();
    let first = usize::try_from(numbers.below(3)).unwrap();
    variants.rotate_left(first);
    // All three more often, because one that has assignments stays.
    let count = *numbers.of(&[1, 2, 3, 3, 3]);
    let variants = variants.into_iter().take(count);
    variants
        .map(|name| (name, *numbers.of(&[0, 1, 1, 2, 3])))
        .collect()
}

fn group(numbers: &mut Numbers) -> Option<String> {
    let group = numbers.of(&[None, Some("g"), Some("g"), Some("h")]);
    group.map(str::to_owned)
}

fn stored(url: &str) -> Assignments {
    let all = client(url).query(
        "SELECT experiment, actor, variant, is_override FROM autumn_experiment_assignments",
        &[],
    );
    let all = all.unwrap();
    let all = all
        .iter()
        .map(|row| ((row.get(0), row.get(1)), (row.get(2), row.get(3))));
    all.collect()
}
