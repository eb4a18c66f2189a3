//! A database as the source of a copy.

use tokio_postgres::Row;

use super::super::connection::{Connection, Mode};
use super::super::failure::{self, Failure};
use super::super::options::PgOptions;
use super::super::pace::Pace;
use super::super::{PgExperimentStore, experiments, outcomes, periods, records, scans};
use crate::error::ExperimentError;
use crate::experiment::ChangeRecord;
use crate::store::transfer::{Each, Record, Source, Step, View};

pub(super) const READING: &str = "be read as a whole";

/// The cluster and the database in it.
const LOCATION: &str = "SELECT s.system_identifier || '/' || d.oid
    FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()";

/// Where a database is; `None` if its user may not know.
pub(super) fn location(db: &mut Connection) -> Option<String> {
    db.row(LOCATION, &[]).ok()??.try_get(0).ok()
}

impl Source for PgExperimentStore {
    fn location(&self) -> Option<String> {
        location(&mut Connection::open_unchecked(self.pool.options()).ok()?)
    }

    fn view(&self, step: Step<'_>) -> Result<(), ExperimentError> {
        let mut db = Connection::open(self.pool.options())?;
        view(self.pool.options(), &mut db, step)
    }
}

/// One view of the database, on a connection that nobody else uses.
pub(super) fn view(
    options: &PgOptions,
    db: &mut Connection,
    step: Step<'_>,
) -> Result<(), ExperimentError> {
    db.begin(Mode::Snapshot, Pace::Unbounded);
    let done = step(&mut Scan { db, options });
    // Nothing was written; a connection that is lost has ended it.
    let _ = db.roll_back();
    done
}

struct Scan<'a> {
    db: &'a mut Connection,
    options: &'a PgOptions,
}

impl View for Scan<'_> {
    fn scan(&mut self, each: Each<'_>) -> Result<(), ExperimentError> {
        self.all(each).map_err(|failure| match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Call(fault) => failure::sort(self.options, READING, fault).into(),
        })
    }
}

impl Scan<'_> {
    fn all(&mut self, each: Each<'_>) -> Result<(), Failure> {
        let address = self.options.address();
        self.rows(experiments::ALL_WITH_PERIODS, each, |row| {
            Ok(Record::Experiment {
                config: experiments::stored(address, row)?.readable()?,
                created_at_secs: secs(row, experiments::CREATED_AT)?,
                periods: periods::records(row)?,
            })
        })?;
        self.rows(records::OVERRIDES, each, |row| {
            Ok(Record::Override(records::whose(row)?))
        })?;
        let changes = "SELECT mutation, actor, floor(extract(epoch FROM changed_at))::bigint,
                detail::text, experiment
            FROM autumn_experiment_changes ORDER BY id";
        self.rows(changes, each, |row| {
            let name: String = row.try_get(4)?;
            let change: ChangeRecord = records::change(address, &name, row)?;
            Ok(Record::Change(change))
        })?;
        let exposures = "SELECT experiment, variant, actor, request_id, is_override,
                floor(extract(epoch FROM exposed_at))::bigint
            FROM exp_exposures ORDER BY id";
        self.rows(exposures, each, |row| {
            Ok(Record::Exposure(scans::exposure(row)?))
        })?;
        let assignments = "SELECT experiment, actor, variant, is_override,
                floor(extract(epoch FROM assigned_at))::bigint, weight_period
            FROM autumn_experiment_assignments
            ORDER BY experiment COLLATE \"C\", actor COLLATE \"C\"";
        self.rows(assignments, each, |row| {
            Ok(Record::Assignment(scans::assignment(row)?))
        })?;
        self.rows(outcomes::ALL, each, |row| {
            Ok(Record::Outcome(outcomes::outcome(address, row)?))
        })
    }

    fn rows(
        &mut self,
        sql: &str,
        each: Each<'_>,
        read: impl Fn(&Row) -> Result<Record, Failure>,
    ) -> Result<(), Failure> {
        self.db.scan(sql, &[], &mut |row| Ok(each(read(row)?)?))
    }
}

fn secs(row: &Row, column: usize) -> Result<u64, Failure> {
    Ok(experiments::unsigned(row.try_get(column)?))
}
