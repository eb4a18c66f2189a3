//! Which steps lead from what an experiment is to what it is to be.

use super::plan::PlanStep;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::field::ConfigField;

/// The steps from `before` to `target`, allowed or not.
pub(super) fn steps(before: Option<&ExperimentConfig>, target: &ExperimentConfig) -> Vec<PlanStep> {
    let Some(before) = before else {
        return vec![PlanStep::Insert(target.clone())];
    };
    let mut steps = Vec::new();
    if before.state == ExperimentState::Draft {
        let mut others = ConfigField::differing(before, target);
        let differs = others.any(|field| field != ConfigField::Values);
        if differs || sets_values(before, target) {
            steps.push(PlanStep::Replace(ExperimentConfig {
                state: ExperimentState::Draft,
                winner: None,
                ..target.clone()
            }));
        }
        steps.extend(moves_to(before, target));
        return steps;
    }
    if before.description != target.description {
        steps.push(PlanStep::SetDescription(target.description.clone()));
    }
    if before.analysis.metrics != target.analysis.metrics {
        steps.push(PlanStep::SetMetrics(target.analysis.metrics.clone()));
    }
    let mut moves = moves_to(before, target).into_iter();
    // Who gets what is fixed in a concluded experiment: it has to run when that changes.
    if before.state == ExperimentState::Concluded && target.state.is_under_way() {
        steps.extend(moves.next());
    }
    if before.enrolling != target.enrolling {
        steps.push(PlanStep::SetEnrolling(target.enrolling));
    }
    if before.coverage != target.coverage {
        steps.push(PlanStep::SetCoverage(target.coverage));
    }
    let (variants, values) = (target.variants.clone(), target.values.clone());
    match (before.variants != variants, sets_values(before, target)) {
        (true, true) => steps.push(PlanStep::SetVariantsAndValues { variants, values }),
        (true, false) => steps.push(PlanStep::SetVariants(variants)),
        (false, true) => steps.push(PlanStep::SetValues(values)),
        (false, false) => {}
    }
    steps.extend(moves);
    steps
}

/// Whether values change beside those of variants that go, or that an application has removed.
fn sets_values(before: &ExperimentConfig, target: &ExperimentConfig) -> bool {
    target.values != before.values.of(&target.variants)
}

fn moves_to(before: &ExperimentConfig, target: &ExperimentConfig) -> Vec<PlanStep> {
    let step = |state, winner: Option<&String>| PlanStep::SetState {
        state,
        winner: winner.cloned(),
    };
    let mut steps = Vec::new();
    let new_winner = target
        .winner
        .as_ref()
        .filter(|_| target.winner != before.winner);
    match target.state {
        ExperimentState::Concluded if before.state == target.state && new_winner.is_none() => {}
        ExperimentState::Concluded => steps.push(step(target.state, target.winner.as_ref())),
        ExperimentState::Archived => {
            if new_winner.is_some() {
                steps.push(step(ExperimentState::Concluded, new_winner));
            }
            if before.state != target.state {
                steps.push(step(target.state, None));
            }
        }
        // Only what runs can be paused.
        ExperimentState::Paused if before.state == ExperimentState::Paused => {}
        ExperimentState::Paused => {
            if before.state != ExperimentState::Running {
                steps.push(step(ExperimentState::Running, None));
            }
            steps.push(step(target.state, None));
        }
        state if state != before.state => steps.push(step(state, None)),
        _ => {}
    }
    steps
}
