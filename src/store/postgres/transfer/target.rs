//! A database as the target of a copy.

use super::super::connection::{Connection, Mode};
use super::super::experiments::Brought;
use super::super::failure::{self, CallError, Failure};
use super::super::options::PgOptions;
use super::super::pace::Pace;
use super::super::steps::in_transaction;
use super::super::values::arrays;
use super::super::{PgExperimentStore, experiments, migrations, outcomes, periods};
use super::source::{READING, location, view};
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{AssignmentRecord, ChangeRecord, Override};
use crate::exposure::ExposureRecord;
use crate::location::StoreLocation;
use crate::outcome::Outcome;
use crate::store::transfer::{PeriodRecord, Record, Tally, Target};
use crate::store::transfer::{not_alone, seconds};

const WRITING: &str = "be copied into";

/// A copy into a database, whose tables must be empty. Until it is finished a table `exp_copy` is
/// there, and no command uses the store.
pub struct PgCopy {
    options: PgOptions,
    db: Option<Connection>,
    /// Of the source, as it is kept with the progress.
    tally: String,
}

impl std::fmt::Debug for PgCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgCopy")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl PgCopy {
    /// A copy into the database of these options. Where there are no tables they are made.
    #[must_use]
    pub fn new(options: PgOptions) -> Self {
        Self {
            options,
            db: None,
            tally: String::new(),
        }
    }

    fn failed(&self, fault: CallError) -> ExperimentError {
        failure::sort(&self.options, WRITING, fault).into()
    }

    fn connection(&mut self) -> Result<&mut Connection, ExperimentError> {
        let opened = match self.db.take() {
            Some(db) => db,
            None => Connection::open_unchecked(&self.options)?,
        };
        Ok(self.db.insert(opened))
    }

    fn run<T>(
        &mut self,
        mut step: impl FnMut(&mut Connection, &PgOptions) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        let options = self.options.clone();
        let db = self.connection()?;
        let done = in_transaction(db, Mode::Write, Pace::Long, &mut |db| step(db, &options));
        done.map_err(|failure| match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Call(fault) => self.failed(fault),
        })
    }
}

impl Target for PgCopy {
    fn begin(&mut self, tally: &Tally, restart: bool) -> Result<u64, ExperimentError> {
        let schema = migrations::inspect(self.connection()?);
        let schema = schema.map_err(|fault| self.failed(fault))?;
        match migrations::require_version(&self.options, schema) {
            Err(ExperimentStoreError::Missing { .. }) => {
                PgExperimentStore::migrate(&self.options)?;
            }
            usable => usable?,
        }
        let tally = serde_json::to_string(tally).unwrap_or_default();
        self.tally.clone_from(&tally);
        self.run(|db, options| begin(db, options, &tally, restart))
    }

    fn append(&mut self, written: u64, records: &[Record]) -> Result<(), ExperimentError> {
        let tally = self.tally.clone();
        self.run(|db, options| {
            let (before, count) = (seconds(written), i64::try_from(records.len()));
            let moved = db.execute(
                "UPDATE exp_copy SET written = written + $2 WHERE written = $1 AND tally = $3
                 RETURNING set_config('exp.writer', 'copy', true)",
                &[&before, &count.unwrap_or(i64::MAX), &tally],
            )?;
            if moved == 0 {
                let refused = not_alone(options.location());
                return Err(ExperimentError::from(refused).into());
            }
            append(db, records)
        })
    }

    fn tally(&mut self) -> Result<Tally, ExperimentError> {
        let options = self.options.clone();
        let db = self.connection()?;
        let mut tally = None;
        view(&options, db, &mut |view| {
            tally = Some(Tally::of(view)?);
            Ok(())
        })?;
        tally.ok_or_else(|| {
            let store = options.location();
            ExperimentStoreError::Lost {
                store,
                doing: READING,
                reason: None,
            }
            .into()
        })
    }

    fn finish(&mut self) -> Result<(), ExperimentError> {
        self.run(|db, _| Ok(db.batch("DROP TABLE exp_copy")?))
    }

    fn complete(&mut self) -> Result<Option<Tally>, ExperimentError> {
        self.tally().map(Some)
    }

    fn store(&self) -> StoreLocation {
        self.options.location()
    }

    fn location(&mut self) -> Option<String> {
        location(self.connection().ok()?)
    }
}

fn begin(
    db: &mut Connection,
    options: &PgOptions,
    tally: &str,
    restart: bool,
) -> Result<u64, Failure> {
    // Two who begin at once wait for each other.
    db.execute("SELECT pg_advisory_xact_lock($1)", &[&migrations::LOCK])?;
    db.batch("CREATE TABLE IF NOT EXISTS exp_copy (tally text NOT NULL, written bigint NOT NULL)")?;
    if restart {
        throw_away(db, options)?;
    }
    let found = db.row("SELECT tally = $1, written FROM exp_copy", &[&tally])?;
    let store = options.location();
    if let Some(found) = found {
        if !found.try_get::<_, bool>(0)? {
            let other = ExperimentStoreError::OtherCopy { store };
            return Err(ExperimentError::from(other).into());
        }
        return Ok(experiments::unsigned(found.try_get(1)?));
    }
    let holds_something = db.one(
        "SELECT EXISTS (SELECT FROM autumn_experiments)
             OR EXISTS (SELECT FROM autumn_experiment_assignments)
             OR EXISTS (SELECT FROM autumn_experiment_overrides)
             OR EXISTS (SELECT FROM autumn_experiment_changes)
             OR EXISTS (SELECT FROM exp_exposures)
             OR EXISTS (SELECT FROM exp_outcomes)",
        &[],
    )?;
    if holds_something.try_get(0)? {
        let refused = ExperimentStoreError::NotEmpty { store };
        return Err(ExperimentError::from(refused).into());
    }
    let sql = "INSERT INTO exp_copy (tally, written) VALUES ($1, 0)";
    db.execute(sql, &[&tally])?;
    Ok(0)
}

const PUT_OVERRIDES: &str =
    "INSERT INTO autumn_experiment_overrides (experiment, actor, variant, created_at)
     SELECT experiment, actor, variant, to_timestamp(at)
     FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
        AS r (experiment, actor, variant, at)";
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

/// Empties the tables, if nothing is in them but what an unfinished copy has written.
fn throw_away(db: &mut Connection, options: &PgOptions) -> Result<(), Failure> {
    const TABLES: &str = "autumn_experiments, autumn_experiment_assignments,
        autumn_experiment_overrides, autumn_experiment_changes, exp_exposures, exp_outcomes,
        exp_weight_periods, exp_assignment_counts";
    let begun = db.row("SELECT written FROM exp_copy FOR UPDATE", &[])?;
    let Some(begun) = begun else { return Ok(()) };
    // A large table takes as long as it takes.
    db.batch("SET LOCAL statement_timeout = 0")?;
    db.batch(&format!("LOCK TABLE {TABLES} IN ACCESS EXCLUSIVE MODE"))?;
    let found = db.one(
        "SELECT (SELECT count(*) FROM autumn_experiments)
            + (SELECT count(*) FROM autumn_experiment_assignments)
            + (SELECT count(*) FROM autumn_experiment_overrides)
            + (SELECT count(*) FROM autumn_experiment_changes)
            + (SELECT count(*) FROM exp_exposures)
            + (SELECT count(*) FROM exp_outcomes)",
        &[],
    )?;
    if found.try_get::<_, i64>(0)? != begun.try_get::<_, i64>(0)? {
        let store = options.location();
        return Err(ExperimentError::from(ExperimentStoreError::NotEmpty { store }).into());
    }
    db.batch(&format!("TRUNCATE {TABLES}; DELETE FROM exp_copy"))?;
    Ok(())
}

fn period(record: &AssignmentRecord) -> i32 {
    i32::try_from(record.weight_period).unwrap_or(i32::MAX)
}

fn append(db: &mut Connection, records: &[Record]) -> Result<(), Failure> {
    let mut experiments: Vec<Brought<'_>> = Vec::new();
    let mut periods: Vec<(&str, &[PeriodRecord])> = Vec::new();
    let mut overrides: Vec<&Override> = Vec::new();
    let mut changes: Vec<(&ChangeRecord, Option<String>)> = Vec::new();
    let mut exposures: Vec<&ExposureRecord> = Vec::new();
    let mut assignments: Vec<&AssignmentRecord> = Vec::new();
    let mut outcomes: Vec<&Outcome> = Vec::new();
    for record in records {
        match record {
            Record::Experiment {
                config,
                created_at_secs,
                periods: records,
            } => {
                let last = records.len().saturating_sub(1);
                experiments.push(Brought {
                    config,
                    created_at_secs: *created_at_secs,
                    weight_period: i32::try_from(last).unwrap_or(i32::MAX),
                });
                periods.push((&config.name, records));
            }
            Record::Override(record) => overrides.push(record),
            Record::Change(record) => {
                let detail = record.detail.as_ref();
                let detail = detail.and_then(|detail| serde_json::to_string(detail).ok());
                changes.push((record, detail));
            }
            Record::Exposure(record) => exposures.push(record),
            Record::Assignment(record) => assignments.push(record),
            Record::Outcome(record) => outcomes.push(record),
        }
    }
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
