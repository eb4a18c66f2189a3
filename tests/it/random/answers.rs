//! What a store answers to a command, in the model's terms.

use experiments::lifecycle::Mutation;
use experiments::store::conformance::Application;
use experiments::{
    AssignManyRequest, AssignRequest, AssignmentReason, Coverage, ExperimentConfig,
    ExperimentError, ExperimentState, ExperimentStore, Finite, Keep, Outcome, Situation,
    VariantConfig, VariantValues, Verdict,
};
use serde_json::Value;

use crate::givens::record;
use crate::model::{Answer, CLOSED, Command, Draft, NOT_COVERED, Values};

fn variants(list: &[(String, u32)]) -> Vec<VariantConfig> {
    let variants = list
        .iter()
        .map(|(name, weight)| VariantConfig::new(name, *weight));
    variants.collect()
}

fn valued(values: &Values) -> VariantValues {
    let parsed = values.iter().map(|(variant, value)| {
        let value: Value = serde_json::from_str(value).unwrap();
        (variant.clone(), value)
    });
    parsed.collect()
}

fn configured(name: &str, draft: &Draft) -> ExperimentConfig {
    ExperimentConfig {
        exclusion_group: draft.group.clone(),
        salt: draft.entry.salt.clone(),
        coverage: Coverage::of_10000(draft.entry.coverage).unwrap(),
        enrolling: draft.entry.enrolling,
        values: valued(&draft.values),
        ..ExperimentConfig::new(name, variants(&draft.variants))
    }
}

/// An application finds what is paused to be a draft already.
pub(super) fn answer_beside(
    application: &dyn Application,
    store: &dyn ExperimentStore,
    command: &Command,
) -> Answer {
    match command {
        Command::Reset(name) => {
            let found = store.get(name).unwrap();
            if found.is_none_or(|found| found.state != ExperimentState::Paused) {
                application.reset_to_draft(name);
            }
        }
        Command::Restart(name) => application.restart(name),
        Command::RemoveOverride(name, actor) => application.remove_override(name, actor),
        _ => return answer_of(store, command),
    }
    Ok(None)
}

pub(super) fn answer_of(store: &dyn ExperimentStore, command: &Command) -> Answer {
    match command {
        Command::Assign(experiment, actor) => {
            let request = AssignRequest::new(experiment, actor).keep_exposure(None);
            assigned(store, &request)
        }
        Command::AssignUnseen(experiment, actor) => {
            assigned(store, &AssignRequest::new(experiment, actor))
        }
        Command::Foresee(experiment, actor) => foreseen(store, experiment, actor),
        Command::Preview(experiment, actor) => {
            let situation = store.situation(experiment, actor).unwrap().as_if_running();
            answer_in(&situation)
        }
        Command::AssignMany(experiment, actors) => {
            let actors: Vec<&str> = actors.iter().map(|actor| &**actor).collect();
            let answers = many(store, experiment, &actors, Keep::AssignmentsAndExposures)?;
            let answers = answers.into_iter().map(|answer| match answer {
                Ok(told) => told.unwrap_or_default(),
                Err(code) => code.to_string(),
            });
            Ok(Some(answers.collect::<Vec<_>>().join(", ")))
        }
        Command::Track(outcomes) => {
            let outcomes: Vec<Outcome> = outcomes.iter().map(tracked).collect();
            let done = store.track(&outcomes).map_err(|error| code(&error))?;
            let told = format!("{} recorded, {} repeated", done.recorded, done.repeated);
            Ok(Some(told))
        }
        Command::Prune(name) => {
            let pruned = store.prune_exposures(name, u64::MAX, None);
            let pruned = pruned.map_err(|error| code(&error))?;
            Ok((pruned > 0).then(|| format!("exposures_pruned={pruned}")))
        }
        Command::Record(experiment, actor, variant, is_override) => {
            let stored = record(store, experiment, actor, variant, *is_override);
            stored.map(Some).map_err(|error| code(&error))
        }
        Command::Unassign(experiment, actors) => {
            let actors: Vec<&str> = actors.iter().map(|actor| &**actor).collect();
            let gone = store.unassign(experiment, &actors, None);
            let gone = gone.map_err(|error| code(&error))?;
            Ok(Some(format!(
                "{} assignments, {} exposures",
                gone.assignments, gone.exposures
            )))
        }
        _ => changed(store, command),
    }
}

fn changed(store: &dyn ExperimentStore, command: &Command) -> Answer {
    let done = match command {
        Command::Create { name, draft, start } => {
            let mut config = configured(name, draft);
            if *start {
                config.state = ExperimentState::Running;
            }
            store.insert(config)
        }
        Command::Replace(name, draft) => store.upsert(configured(name, draft)),
        Command::Start(name) => store.set_state(name, ExperimentState::Running, None),
        Command::Pause(name) => store.set_state(name, ExperimentState::Paused, None),
        Command::Conclude(name, winner) => {
            store.set_state(name, ExperimentState::Concluded, Some(winner))
        }
        Command::Archive(name) => store.set_state(name, ExperimentState::Archived, None),
        Command::SetWeights(name, list) => store.set_variants(name, variants(list), None),
        Command::ClearOverride(name, actor) => store.clear_override(name, actor),
        Command::Delete(experiment) => store.mutate(&Mutation::Delete { experiment }, None),
        Command::Rename(experiment, to) => store.mutate(&Mutation::Rename { experiment, to }, None),
        Command::SetCoverage(experiment, coverage) => {
            let mutation = Mutation::SetCoverage {
                experiment,
                coverage: Coverage::of_10000(*coverage).unwrap(),
            };
            store.mutate(&mutation, None)
        }
        Command::SetEnrolling(experiment, enrolling) => {
            let mutation = Mutation::SetEnrolling {
                experiment,
                enrolling: *enrolling,
            };
            store.mutate(&mutation, None)
        }
        Command::SetValues(experiment, values) => {
            let values = &valued(values);
            store.mutate(&Mutation::SetValues { experiment, values }, None)
        }
        Command::SetOverride {
            name,
            actor,
            variant,
            lasts: None,
            reason: None,
        } => store.set_override(name, actor, variant),
        Command::SetOverride {
            name,
            actor,
            variant,
            lasts,
            reason,
        } => {
            let mutation = Mutation::SetOverride {
                experiment: name,
                actor,
                variant,
                expires_at_secs: lasts.map(|lasts| store.clock().now_secs() + lasts),
                reason: reason.as_deref(),
            };
            store.mutate(&mutation, None)
        }
        other => panic!("no store does that: {other:?}"),
    };
    done.map(|change| change.map(|change| change.mutation))
        .map_err(|error| code(&error))
}

pub(super) fn tracked(outcome: &(String, String, u32, Option<String>)) -> Outcome {
    let (actor, metric, value, id) = outcome.clone();
    Outcome {
        actor,
        metric,
        value: Finite::from(value),
        timestamp_secs: 1_790_000_000,
        id,
    }
}

fn assigned(store: &dyn ExperimentStore, request: &AssignRequest<'_>) -> Answer {
    let assigned = store.assign(request).map_err(|error| code(&error))?;
    told(&assigned.verdict())
}

/// What is foreseen for one is foreseen for many.
fn foreseen(store: &dyn ExperimentStore, experiment: &str, actor: &str) -> Answer {
    let many = many(store, experiment, &[actor, actor], Keep::Nothing);
    let one = answer_in(&store.situation(experiment, actor).unwrap());
    match many {
        Ok(answers) => assert_eq!(answers, [one.clone(), one.clone()]),
        Err(code) => assert_eq!(one, Err(code)),
    }
    one
}

fn answer_in(situation: &Situation) -> Answer {
    let config = situation.known().map_err(|error| code(&error))?;
    let verdict = situation.verdict().unwrap();
    match verdict.refusal(config) {
        Some(refusal) => Err(code(&refusal)),
        None => told(&verdict),
    }
}

fn many(
    store: &dyn ExperimentStore,
    experiment: &str,
    actors: &[&str],
    keep: Keep,
) -> Result<Vec<Answer>, u8> {
    let request = AssignManyRequest {
        experiment,
        actors,
        keep,
    };
    let answers = store.assign_many(&request).map_err(|error| code(&error))?;
    Ok(answers.iter().map(|verdict| told(&verdict)).collect())
}

fn told(verdict: &Verdict<'_>) -> Answer {
    match verdict.variant {
        Some(variant) => {
            let value = verdict.value.map(|value| format!(" {value}"));
            let reason = verdict.reason.as_str();
            Ok(Some(format!(
                "{variant} {reason}{}",
                value.unwrap_or_default()
            )))
        }
        None => Err(match verdict.reason {
            AssignmentReason::NoVariant => 7,
            AssignmentReason::Closed => CLOSED,
            AssignmentReason::NotCovered => NOT_COVERED,
            _ => 6,
        }),
    }
}

pub(super) fn code(error: &ExperimentError) -> u8 {
    match error {
        ExperimentError::NotFound(_) => 3,
        ExperimentError::NotRunning(..)
        | ExperimentError::Concluded(_)
        | ExperimentError::NotDraft(..) => 4,
        ExperimentError::Archived(_) => 5,
        ExperimentError::ExcludedByGroup(..) => 6,
        ExperimentError::NotEnrolled { reason, .. } => match reason {
            AssignmentReason::Closed => CLOSED,
            AssignmentReason::NotCovered => NOT_COVERED,
            other => panic!("{other:?}"),
        },
        ExperimentError::NoVariant(_) => 7,
        ExperimentError::Store(error) => panic!("{error}"),
        _ => 8,
    }
}
