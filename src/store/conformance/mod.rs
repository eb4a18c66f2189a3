//! The promises of a store, one public function each, to run against any implementation.
//!
//! A function takes a handle to an empty store whose operator is [`OPERATOR`] and panics if the
//! promise is broken. Those in [`races`] take several handles to one empty store and use them all at
//! once, each from a thread of its own: the same handle many times, or handles of many connections.
//!
//! [`for_each_promise!`](crate::for_each_promise), [`for_each_race!`](crate::for_each_race) and
//! [`for_each_application_promise!`](crate::for_each_application_promise), whose functions take an
//! [`Application`] as well, pass all their names to a macro of yours, which makes a test of each.

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
mod entry;
mod lifecycle;
mod many;
mod outcomes;
mod overrides;
mod periods;
pub mod races;
mod reading;
mod scans;

pub use analysis::*;
pub use application::*;
pub use assignment::*;
pub use audit::*;
pub use batch::*;
pub use entry::*;
pub use lifecycle::*;
pub use many::*;
pub use outcomes::*;
pub use overrides::*;
pub use periods::*;
pub use reading::*;
pub use scans::*;

use crate::assignment::{AssignRequest, Assigned};
use crate::error::ExperimentError;
use crate::experiment::{
    Assignment, AssignmentRecord, ChangeRecord, ExperimentConfig, ExperimentState, VariantConfig,
};
use crate::store::ExperimentStore;

/// The operator that the handles must carry.
pub const OPERATOR: &str = "conformance";

/// Calls `$callback! { name… }` with the name of every function that takes one handle.
#[macro_export]
macro_rules! for_each_promise {
    ($callback:ident) => {
        $callback! {
            unknown_experiments_are_absent
            a_configuration_is_kept_as_it_is
            texts_are_kept_as_they_are
            the_list_is_sorted_by_name
            a_situation_tells_all_that_decides
            a_situation_names_the_first_sibling

            creating_replaces_a_draft
            creating_never_replaces_what_left_draft
            inserting_never_replaces_anything
            a_replaced_draft_changes_its_group
            invalid_configurations_are_refused
            starting_clears_the_winner
            concluding_needs_a_variant_as_winner
            archived_is_terminal
            nothing_goes_back_to_draft
            unknown_experiments_cannot_be_changed
            weights_change_and_nobody_moves
            weights_of_a_concluded_experiment_are_fixed
            a_variant_with_assignments_stays
            a_removed_variant_comes_back

            every_change_is_logged_once
            the_log_reads_as_a_diff
            the_log_is_newest_first
            what_changes_nothing_is_not_logged
            an_operator_that_is_named_is_logged
            a_refusal_leaves_no_trace

            a_batch_builds_on_itself
            a_batch_is_taken_whole_or_not_at_all
            a_batch_needs_what_it_expects
            a_description_changes_until_the_archive

            an_override_is_kept_and_replaced
            an_override_becomes_the_assignment
            clearing_drops_what_the_override_made
            clearing_keeps_what_the_bucket_made
            an_override_of_a_removed_variant_is_ignored
            an_override_bypasses_weights_and_group
            a_replaced_draft_keeps_its_overrides
            an_override_of_a_removed_variant_is_told
            an_override_of_the_same_variant_marks_the_assignment
            an_exposure_says_what_the_assignment_says

            buckets_choose_the_variant
            an_assignment_is_sticky
            the_first_recorded_assignment_stands
            what_is_too_long_is_kept_nowhere
            a_candidate_may_keep_its_exposure
            an_override_replaces_a_recorded_assignment
            only_running_experiments_assign
            a_concluded_experiment_gives_its_winner
            a_recorded_variant_must_exist
            zero_weights_assign_nobody
            a_group_shares_no_actor
            groups_are_apart
            unusable_actors_are_refused
            assignments_are_counted
            exposures_are_kept_when_asked_for
            an_exposure_needs_a_known_variant

            many_are_answered_in_order
            many_keep_what_they_have_when_weights_are_zero
            many_get_the_winner
            of_many_only_what_is_asked_for_is_kept
            many_are_refused_as_one_would_be

            a_coverage_takes_in_a_share_of_the_newcomers
            a_coverage_moves_nobody_who_is_in
            many_are_covered_as_one_would_be
            a_coverage_changes_until_the_conclusion
            a_salt_is_hashed_in_place_of_the_name

            assignments_are_scanned_by_actor
            exposures_are_scanned_as_they_were_kept
            exposures_of_a_removed_variant_are_scanned
            a_scan_is_one_view
            a_scan_ends_with_the_first_error
            pruning_keeps_what_exposures_say_of_an_actor
            pruning_is_logged

            a_period_begins_with_each_change_of_weights
            a_replaced_draft_begins_a_period
            an_assignment_belongs_to_its_period
            large_numbers_belong_to_their_period
            a_replaced_assignment_changes_its_period
            a_batch_begins_its_periods

            outcomes_are_kept_as_they_are
            an_outcome_with_an_id_is_kept_once
            outcomes_are_kept_all_or_none

            an_analysis_is_kept_as_it_is
            a_replaced_draft_changes_its_analysis
            metrics_change_and_are_logged
        }
    };
}

/// Calls `$callback! { name… }` with the name of every function that takes one handle and an
/// [`Application`](crate::store::conformance::Application).
#[macro_export]
macro_rules! for_each_application_promise {
    ($callback:ident) => {
        $callback! {
            a_draft_keeps_the_variants_in_use
            a_draft_with_assignments_keeps_its_group
            an_override_in_a_draft_counts_until_it_is_cleared
            starting_clears_a_winner_that_was_left
            an_assignment_outlives_its_override
        }
    };
}

/// Calls `$callback! { name… }` with the name of every function in `conformance::races`.
#[macro_export]
macro_rules! for_each_race {
    ($callback:ident) => {
        $callback! {
            racing_assignments_agree
            racing_records_agree
            racing_siblings_admit_an_actor_once
            racing_creations_have_one_winner
            racing_batches_have_one_winner
            racing_overrides_are_all_logged
            nothing_follows_archiving
            nothing_is_assigned_after_archiving
            nothing_is_shown_after_archiving
            no_variant_is_removed_under_an_assignment
            racing_weights_decide_the_period
        }
    };
}

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

fn conclude(
    store: &dyn ExperimentStore,
    experiment: &str,
    winner: &str,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    store.set_state(experiment, ExperimentState::Concluded, Some(winner))
}

#[cfg(test)]
mod tests {
    /// A promise that nobody runs is not kept.
    #[test]
    fn every_function_is_in_the_list() {
        macro_rules! names {
            ($($name:ident)*) => { [$(stringify!($name)),*] };
        }
        let sources = [
            include_str!("reading.rs"),
            include_str!("lifecycle.rs"),
            include_str!("audit.rs"),
            include_str!("batch.rs"),
            include_str!("overrides.rs"),
            include_str!("assignment.rs"),
            include_str!("many.rs"),
            include_str!("entry.rs"),
            include_str!("scans.rs"),
            include_str!("periods.rs"),
            include_str!("outcomes.rs"),
            include_str!("analysis.rs"),
            include_str!("application.rs"),
            include_str!("races.rs"),
        ];
        let functions: Vec<&str> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.strip_prefix("pub fn ")?.split_once('('))
            .map(|(name, _)| name)
            .collect();
        let listed = [
            &for_each_promise!(names)[..],
            &for_each_application_promise!(names)[..],
            &for_each_race!(names)[..],
        ];
        assert_eq!(functions, listed.concat());
    }
}
