//! The promises by name, for whoever makes a test of each.

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
            some_weights_leave_the_others
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
            many_are_shown_once_they_are_stored

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
            a_new_name_has_no_blank_edges
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
            overrides_expire_under_a_crowd
            an_end_in_the_past_is_refused
            an_override_says_what_it_is_for
            the_same_override_again_is_no_change
            an_unusable_reason_is_refused

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
            include_str!("terms.rs"),
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
