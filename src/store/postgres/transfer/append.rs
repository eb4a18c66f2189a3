//! Writing the records of a copy: those of a batch, each kind at once.

use super::super::connection::Connection;
use super::super::experiments::{self, Brought};
use super::super::failure::Failure;
use super::super::values::arrays;
use super::super::{outcomes, periods, records};
use crate::experiment::{AssignmentRecord, ChangeRecord, Override};
use crate::exposure::ExposureRecord;
use crate::outcome::Outcome;
use crate::store::transfer::{PeriodRecord, Record, seconds};

const PUT_OVERRIDES: &str = "INSERT INTO autumn_experiment_overrides
        (experiment, actor, variant, created_at, expires_at, reason, operator)
     SELECT experiment, actor, variant, to_timestamp(at), to_timestamp(until), reason, operator
     FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[],
        $7::text[]) AS r (experiment, actor, variant, at, until, reason, operator)";
const PUT_CHANGES: &str =
    "INSERT INTO autumn_experiment_changes (experiment, mutation, actor, changed_at, detail)
     SELECT experiment, mutation, actor, to_timestamp(at), detail::jsonb
     FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[])
     WITH ORDINALITY AS r (experiment, mutation, actor, at, detail, place) ORDER BY place";
const PUT_EXPOSURES: &str = "INSERT INTO exp_exposures
        (experiment, variant, actor, request_id, is_override, exposed_at)
     SELECT experiment, variant, actor, request_id, is_override, to_timestamp(at)
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[],
        $6::bigint[])
     WITH ORDINALITY AS r (experiment, variant, actor, request_id, is_override, at, place)
     ORDER BY place";
const PUT_ASSIGNMENTS: &str = "INSERT INTO autumn_experiment_assignments
        (experiment, actor, variant, is_override, assigned_at, weight_period)
     SELECT experiment, actor, variant, is_override, to_timestamp(at), weight_period
     FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::bigint[], $6::integer[])
        AS r (experiment, actor, variant, is_override, at, weight_period)";
const COUNT_ASSIGNMENTS: &str = "INSERT INTO exp_assignment_counts
        (experiment, weight_period, variant, is_override, assignments)
     SELECT experiment, weight_period, variant, is_override, count(*)
     FROM unnest($1::text[], $2::text[], $3::boolean[], $4::integer[])
        AS r (experiment, variant, is_override, weight_period)
     GROUP BY experiment, weight_period, variant, is_override";

/// The records of a batch, by their kind.
#[derive(Default)]
struct Batch<'a> {
    experiments: Vec<Brought<'a>>,
    periods: Vec<(&'a str, &'a [PeriodRecord])>,
    overrides: Vec<&'a Override>,
    changes: Vec<(&'a ChangeRecord, Option<String>)>,
    exposures: Vec<&'a ExposureRecord>,
    assignments: Vec<&'a AssignmentRecord>,
    outcomes: Vec<&'a Outcome>,
}

impl<'a> Batch<'a> {
    fn of(records: &'a [Record]) -> Self {
        let mut batch = Self::default();
        for record in records {
            match record {
                Record::Experiment {
                    config,
                    created_at_secs,
                    periods,
                } => {
                    let last = periods.len().saturating_sub(1);
                    batch.experiments.push(Brought {
                        config,
                        created_at_secs: *created_at_secs,
                        weight_period: i32::try_from(last).unwrap_or(i32::MAX),
                    });
                    batch.periods.push((&config.name, periods));
                }
                Record::Override(record) => batch.overrides.push(record),
                Record::Change(record) => {
                    batch.changes.push((record, records::detail(record)));
                }
                Record::Exposure(record) => batch.exposures.push(record),
                Record::Assignment(record) => batch.assignments.push(record),
                Record::Outcome(record) => batch.outcomes.push(record),
            }
        }
        batch
    }
}

pub(super) fn append(db: &mut Connection, records: &[Record]) -> Result<(), Failure> {
    let Batch {
        experiments,
        periods,
        overrides,
        changes,
        exposures,
        assignments,
        outcomes,
    } = Batch::of(records);
    if !experiments.is_empty() {
        experiments::append(db, &experiments)?;
    }
    for (experiment, periods) in periods {
        periods::append(db, experiment, periods)?;
    }
    if !overrides.is_empty() {
        db.execute(
            PUT_OVERRIDES,
            arrays!(
                overrides,
                |record| &*record.experiment,
                |record| &*record.actor,
                |record| &*record.variant,
                |record| seconds(record.created_at_secs),
                |record| record.expires_at_secs.map(seconds),
                |record| record.reason.as_deref(),
                |record| record.operator.as_deref(),
            ),
        )?;
    }
    if !changes.is_empty() {
        db.execute(
            PUT_CHANGES,
            arrays!(
                changes,
                |(record, _)| &*record.experiment,
                |(record, _)| &*record.mutation,
                |(record, _)| record.actor.as_deref(),
                |(record, _)| seconds(record.timestamp_secs),
                |(_, detail)| detail.as_deref(),
            ),
        )?;
    }
    if !exposures.is_empty() {
        db.execute(
            PUT_EXPOSURES,
            arrays!(
                exposures,
                |record| &*record.experiment,
                |record| &*record.variant,
                |record| &*record.actor,
                |record| record.request_id.as_deref(),
                |record| record.is_override,
                |record| seconds(record.timestamp_secs),
            ),
        )?;
    }
    if !assignments.is_empty() {
        db.execute(
            PUT_ASSIGNMENTS,
            arrays!(
                assignments,
                |record| &*record.experiment,
                |record| &*record.actor,
                |record| &*record.variant,
                |record| record.is_override,
                |record| seconds(record.assigned_at_secs),
                |record| period(record),
            ),
        )?;
        db.execute(
            COUNT_ASSIGNMENTS,
            arrays!(
                assignments,
                |record| &*record.experiment,
                |record| &*record.variant,
                |record| record.is_override,
                |record| period(record),
            ),
        )?;
    }
    if !outcomes.is_empty() {
        outcomes::append(db, &outcomes)?;
    }
    Ok(())
}

fn period(record: &AssignmentRecord) -> i32 {
    i32::try_from(record.weight_period).unwrap_or(i32::MAX)
}
