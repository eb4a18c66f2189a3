//! The promises of a store, one public function each, to run against any implementation.
//!
//! A function takes a handle to an empty store whose operator is [`OPERATOR`] and panics if the
//! promise is broken. Those in [`races`] take several handles to one empty store and use them all at
//! once, each from a thread of its own: the same handle many times, or handles of many connections.
//!
//! [`for_each_promise!`](crate::for_each_promise), [`for_each_race!`](crate::for_each_race),
//! [`for_each_application_promise!`](crate::for_each_application_promise), whose functions take an
//! [`Application`] as well, and [`for_each_time_promise!`](crate::for_each_time_promise), whose functions take
//! [`At`] in place of a handle, pass all their names to a macro of yours, which makes a test of each.

#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken promise panics, as in any test"
)]

mod analysis;
mod application;
mod assignment;
mod audit;
mod batch;
mod enrolment;
mod entry;
mod expiry;
mod lifecycle;
mod looking;
mod many;
mod naming;
mod outcomes;
mod overrides;
mod paused;
mod periods;
mod promises;
pub mod races;
mod reading;
mod scans;
mod terms;
mod unassign;
mod values;

pub use analysis::*;
pub use application::*;
pub use assignment::*;
pub use audit::*;
pub use batch::*;
pub use enrolment::*;
pub use entry::*;
pub use expiry::*;
pub use lifecycle::*;
pub use looking::*;
pub use many::*;
pub use naming::*;
pub use outcomes::*;
pub use overrides::*;
pub use paused::*;
pub use periods::*;
pub use reading::*;
pub use scans::*;
pub use terms::*;
pub use unassign::*;
pub use values::*;

use crate::assignment::{AssignManyRequest, AssignRequest, Assigned, Explanation, Keep};
use crate::coverage::Coverage;
use crate::error::ExperimentError;
use crate::experiment::{
    Assignment, AssignmentRecord, ChangeRecord, ExperimentConfig, ExperimentState, VariantConfig,
};
use crate::lifecycle::Mutation;
use crate::rule::AssignmentReason;
use crate::store::ExperimentStore;

/// The operator that the handles must carry.
pub const OPERATOR: &str = "conformance";

/// Gives a handle, always to the same store, whose [clock](crate::Clock) stands at that second since the Unix epoch.
pub type At<'a> = &'a (dyn Fn(u64) -> Box<dyn ExperimentStore> + Sync);

/// An experiment with `control` and `treatment`, half and half.
fn even(name: &str, state: ExperimentState) -> ExperimentConfig {
    ExperimentConfig {
        state,
        ..ExperimentConfig::new(name, weights(&[("control", 50), ("treatment", 50)]))
    }
}

fn weights(weights: &[(&str, u32)]) -> Vec<VariantConfig> {
    weights
        .iter()
        .map(|&(name, weight)| VariantConfig::new(name, weight))
        .collect()
}

fn create(store: &dyn ExperimentStore, config: &ExperimentConfig) {
    store.insert(config.clone()).unwrap().unwrap();
}

fn running(store: &dyn ExperimentStore, name: &str) {
    create(store, &even(name, ExperimentState::Running));
}

fn running_in_group(store: &dyn ExperimentStore, name: &str, group: &str) {
    let config = even(name, ExperimentState::Running);
    create(store, &config.exclusion_group(group));
}

fn assign(
    store: &dyn ExperimentStore,
    experiment: &str,
    actor: &str,
) -> Result<Assigned, ExperimentError> {
    store.assign(&AssignRequest::new(experiment, actor))
}

/// Has an assignment stored that was decided elsewhere.
fn record(
    store: &(impl ExperimentStore + ?Sized),
    experiment: &str,
    actor: &str,
    variant: &str,
    is_override: bool,
) -> Result<String, ExperimentError> {
    store.record_assignment(Assignment {
        experiment: experiment.to_owned(),
        actor: actor.to_owned(),
        variant: variant.to_owned(),
        is_override,
        assigned_at_secs: 0,
    })
}

fn variant_of(store: &dyn ExperimentStore, experiment: &str, actor: &str) -> String {
    assign(store, experiment, actor).unwrap().variant
}

fn stored_variant(store: &dyn ExperimentStore, experiment: &str, actor: &str) -> Option<String> {
    let stored = store.get_assignment(experiment, actor).unwrap();
    stored.map(|assignment| assignment.variant)
}

/// All assignments of an experiment, as a scan shows them.
fn scanned(store: &dyn ExperimentStore, experiment: &str) -> Vec<AssignmentRecord> {
    let mut all = Vec::new();
    let scan = store.scan_assignments(experiment, &mut |assignment| {
        all.push(assignment.clone());
        Ok(())
    });
    scan.unwrap();
    all
}

fn state_of(store: &dyn ExperimentStore, experiment: &str) -> ExperimentState {
    store.get(experiment).unwrap().unwrap().state
}

/// The log's texts, newest first.
fn log(store: &dyn ExperimentStore, experiment: &str) -> Vec<String> {
    let changes = store.history(experiment, 0).unwrap();
    changes.into_iter().map(|change| change.mutation).collect()
}

/// The state of everything a store tells about one experiment.
fn snapshot(store: &dyn ExperimentStore, experiment: &str) -> impl PartialEq + std::fmt::Debug {
    (
        store.get(experiment).unwrap(),
        store.history(experiment, 0).unwrap(),
        store.overrides(experiment).unwrap(),
        store.weight_periods(experiment).unwrap(),
        scanned(store, experiment),
        store.exposures(experiment).unwrap(),
    )
}

/// Asserts that the actor is refused for that reason in whatever way they are asked for, and that nothing is stored
/// of it.
fn assert_kept_out(
    store: &dyn ExperimentStore,
    experiment: &str,
    actor: &str,
    reason: AssignmentReason,
) {
    let before = snapshot(store, experiment);
    let request = AssignRequest::new(experiment, actor);
    for request in [request, request.keep_exposure(Some("r"))] {
        let refusal = store.assign(&request).unwrap_err();
        assert_eq!(refusal.reason(), Some(reason), "{request:?}");
    }
    let explanation = Explanation::of(store.situation(experiment, actor).unwrap()).unwrap();
    assert_eq!((explanation.reason, explanation.variant), (reason, None));
    for keep in [
        Keep::Nothing,
        Keep::Assignments,
        Keep::AssignmentsAndExposures,
    ] {
        let request = AssignManyRequest {
            experiment,
            actors: &[actor, actor],
            keep,
        };
        match store.assign_many(&request) {
            Ok(answers) => {
                assert_eq!(answers.len(), 2);
                for verdict in answers.iter() {
                    let seen = (verdict.reason, verdict.variant, verdict.store);
                    assert_eq!(seen, (reason, None, false), "{request:?}");
                }
            }
            Err(refusal) => {
                assert!(reason.concerns_everyone(), "{request:?}");
                assert_eq!(refusal.reason(), Some(reason), "{request:?}");
            }
        }
    }
    assert_eq!(snapshot(store, experiment), before);
}

/// Asserts that a call was refused as expected.
macro_rules! assert_refused {
    ($result:expr, $pattern:pat) => {
        match $result {
            Err($pattern) => {}
            other => panic!("{} gave {other:?}", stringify!($result)),
        }
    };
}
use assert_refused;

fn archive(
    store: &dyn ExperimentStore,
    experiment: &str,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    store.set_state(experiment, ExperimentState::Archived, None)
}

fn start(
    store: &dyn ExperimentStore,
    experiment: &str,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    store.set_state(experiment, ExperimentState::Running, None)
}

fn pause(
    store: &dyn ExperimentStore,
    experiment: &str,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    store.set_state(experiment, ExperimentState::Paused, None)
}

fn set_coverage(
    store: &dyn ExperimentStore,
    experiment: &str,
    per_10000: u64,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    let mutation = Mutation::SetCoverage {
        experiment,
        coverage: Coverage::of_10000(per_10000).unwrap(),
    };
    store.mutate(&mutation, None)
}

fn set_enrolling(
    store: &dyn ExperimentStore,
    experiment: &str,
    enrolling: bool,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    let mutation = Mutation::SetEnrolling {
        experiment,
        enrolling,
    };
    store.mutate(&mutation, None)
}

fn conclude(
    store: &dyn ExperimentStore,
    experiment: &str,
    winner: &str,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    store.set_state(experiment, ExperimentState::Concluded, Some(winner))
}
