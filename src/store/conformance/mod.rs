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
pub mod races;
mod reading;
mod scans;
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

            a_closed_experiment_refuses_newcomers
            a_closed_experiment_serves_whoever_is_in
            a_closed_experiment_takes_whom_staff_bring_in
            entry_rules_are_asked_in_order
            many_find_it_closed_as_one_would
            closing_and_opening_are_logged

            a_paused_experiment_refuses_everybody
            a_pause_forgets_nothing
            a_pause_is_logged
            each_state_allows_what_the_table_says
            a_paused_experiment_may_be_created

            an_answer_carries_the_value
            values_are_kept_as_they_are
            values_that_are_wrong_are_refused
            a_changed_value_is_answered_at_once
            a_value_goes_with_its_variant
            a_replaced_draft_changes_its_values

            unassigning_takes_assignments_and_exposures_back
            whoever_was_unassigned_is_a_newcomer
            unassigning_is_counted_in_each_period
            unassigning_frees_the_group_and_the_variant
            unassigning_nobody_is_not_logged
            a_long_list_is_unassigned_in_one_step
            unassigning_ends_with_the_conclusion

            a_deleted_draft_leaves_its_log
            a_deleted_name_is_used_again
            a_used_draft_keeps_its_name
            a_renamed_draft_keeps_what_it_is
            buckets_follow_the_next_name
            a_name_that_is_taken_is_refused
            a_renamed_draft_goes_on_with_the_log_of_its_name
            a_batch_renames_and_deletes
            a_deleted_experiment_is_not_expected

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
            a_draft_with_assignments_keeps_its_name
            an_application_resumes_what_is_paused
            buckets_follow_the_name_that_an_application_starts
        }
    };
}

/// Calls `$callback! { name… }` with the name of every function that takes an
/// [`At`](crate::store::conformance::At).
#[macro_export]
macro_rules! for_each_time_promise {
    ($callback:ident) => {
        $callback! {
            an_override_expires_at_its_second
            an_override_expires_for_everybody_who_asks
            an_expired_override_leaves_a_newcomer
            an_expired_override_leaves_what_the_bucket_made
            an_expired_override_does_not_block_the_group
            many_enter_the_group_once_it_has_expired
            an_override_is_renewed
            another_override_revives_nothing
            an_expired_override_is_cleared
            an_end_in_the_past_is_refused
            an_override_says_what_it_is_for
            the_same_override_again_is_no_change
            an_unusable_reason_is_refused
            overrides_expire_under_a_crowd

            the_log_of_all_is_newest_first
            the_log_of_one_is_a_part_of_that_of_all
            an_actors_exposures_are_added_up
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

            nobody_enters_after_closing
            nobody_enters_after_lowering_the_coverage
            nobody_is_served_while_it_is_paused
            racing_unassignments_balance
            a_change_is_answered_by_every_handle
            nothing_is_kept_of_what_is_deleted
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
            include_str!("enrolment.rs"),
            include_str!("paused.rs"),
            include_str!("values.rs"),
            include_str!("unassign.rs"),
            include_str!("naming.rs"),
            include_str!("scans.rs"),
            include_str!("periods.rs"),
            include_str!("outcomes.rs"),
            include_str!("analysis.rs"),
            include_str!("application.rs"),
            include_str!("expiry.rs"),
            include_str!("looking.rs"),
            include_str!("races/mod.rs"),
            include_str!("races/entry.rs"),
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
            &for_each_time_promise!(names)[..],
            &for_each_race!(names)[..],
        ];
        assert_eq!(functions, listed.concat());
    }
}
