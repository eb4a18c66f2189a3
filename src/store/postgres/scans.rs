//! Scans: records shown one after another, in one view and in constant memory; and how many of them are removed at
//! once.

use tokio_postgres::Row;

use super::PgExperimentStore;
use super::connection::{Connection, Mode, Values};
use super::experiments::{self, LOCKED, is_storable, unsigned};
use super::failure::{self, Failure};
use super::locks::{CLOSE_GATE, LOCK_EXPERIMENT, TAKE_TURNS};
use super::pace::Pace;
use super::records::{self, Timing};
use crate::error::ExperimentError;
use crate::experiment::{AssignmentRecord, ChangeRecord, Unassigned};
use crate::exposure::{ExposureRecord, ExposureScan, ExposureTotal};
use crate::lifecycle::{self, require_unassignable};
use crate::store::Each;
use crate::store::transfer::seconds;

const ASSIGNMENTS: &str = "SELECT experiment, actor, variant, is_override,
        floor(extract(epoch FROM assigned_at))::bigint, weight_period
    FROM autumn_experiment_assignments WHERE experiment = $1 ORDER BY actor COLLATE \"C\"";

/// An assignment, from the columns of [`ASSIGNMENTS`].
pub(super) fn assignment(row: &Row) -> Result<AssignmentRecord, Failure> {
    Ok(AssignmentRecord {
        experiment: row.try_get(0)?,
        actor: row.try_get(1)?,
        variant: row.try_get(2)?,
        is_override: row.try_get(3)?,
        assigned_at_secs: unsigned(row.try_get(4)?),
        weight_period: u32::try_from(row.try_get::<_, i32>(5)?).unwrap_or(0),
    })
}

const EXPOSURES: &str = "SELECT experiment, variant, actor, request_id, is_override,
        floor(extract(epoch FROM exposed_at))::bigint
    FROM exp_exposures
    WHERE experiment = $1 AND floor(extract(epoch FROM exposed_at)) >= $2 ORDER BY id";
const FIRST_EXPOSURES: &str = "SELECT experiment, variant, actor, request_id, is_override,
        floor(extract(epoch FROM exposed_at))::bigint
    FROM (
        SELECT DISTINCT ON (actor) * FROM exp_exposures
        WHERE experiment = $1 AND floor(extract(epoch FROM exposed_at)) >= $2
        ORDER BY actor, exposed_at, id
    ) first ORDER BY id";

/// An exposure, from the columns of [`EXPOSURES`].
pub(super) fn exposure(row: &Row) -> Result<ExposureRecord, Failure> {
    Ok(ExposureRecord {
        experiment: row.try_get(0)?,
        variant: row.try_get(1)?,
        actor: row.try_get(2)?,
        request_id: row.try_get(3)?,
        is_override: row.try_get(4)?,
        timestamp_secs: unsigned(row.try_get(5)?),
    })
}

/// All but the earliest of each actor, variant and kind. The application writes its own times, and a copy
/// keeps those that it brings, so that the order of the ids is another.
const PRUNE: &str = "DELETE FROM exp_exposures USING (
        SELECT id, row_number() OVER (
            PARTITION BY actor, variant, is_override ORDER BY exposed_at, id) AS place
        FROM exp_exposures WHERE experiment = $1
    ) ranked
    WHERE exp_exposures.id = ranked.id AND place > 1
        AND floor(extract(epoch FROM exposed_at)) < $2";

const EXPOSURE_TOTALS: &str = "SELECT x.experiment, x.variant, x.is_override, count(*),
        floor(extract(epoch FROM min(x.exposed_at)))::bigint,
        floor(extract(epoch FROM max(x.exposed_at)))::bigint
    FROM exp_exposures x JOIN autumn_experiments e ON e.name = x.experiment
    WHERE x.actor = $1 GROUP BY x.experiment, x.variant, x.is_override
    ORDER BY x.experiment COLLATE \"C\", x.variant COLLATE \"C\", x.is_override";

/// In the order of the key, as those lock them who assign many.
const LOCK_ASSIGNMENTS: &str = "SELECT FROM autumn_experiment_assignments
    WHERE experiment = $1 AND actor = ANY ($2) ORDER BY actor COLLATE \"C\" FOR UPDATE";
const UNASSIGN: &str = "DELETE FROM autumn_experiment_assignments
    WHERE experiment = $1 AND actor = ANY ($2)";
const UNEXPOSE: &str = "DELETE FROM exp_exposures WHERE experiment = $1 AND actor = ANY ($2)";

impl PgExperimentStore {
    /// Shows the rows of a query one after another. A connection whose rows were not read to the end is closed:
    /// the server would go on sending them.
    pub(super) fn scan(
        &self,
        doing: &'static str,
        sql: &'static str,
        values: Values<'_>,
        each: &mut dyn FnMut(&Row) -> Result<(), Failure>,
    ) -> Result<(), ExperimentError> {
        let mut loan = self.pool.get()?;
        let mut is_cut_short = false;
        let shown = loan.run(|db| {
            db.begin(Mode::Snapshot, Pace::Unbounded);
            match db.scan(sql, values, each) {
                Ok(()) => Ok(db.commit()?),
                Err(Failure::Refused(refusal)) => {
                    is_cut_short = true;
                    Err(refusal.into())
                }
                Err(Failure::Call(fault)) => {
                    if !failure::is_lost(&fault) {
                        let _ = db.roll_back();
                    }
                    Err(fault.into())
                }
            }
        });
        if is_cut_short {
            loan.discard();
        }
        shown.map_err(|failure| self.failed(doing, failure))
    }

    pub(super) fn scan_assignments_of(
        &self,
        experiment: &str,
        each: Each<'_, AssignmentRecord>,
    ) -> Result<(), ExperimentError> {
        if !is_storable(experiment) {
            return Ok(());
        }
        let values: Values<'_> = &[&experiment];
        self.scan("read the assignments", ASSIGNMENTS, values, &mut |row| {
            Ok(each(&assignment(row)?)?)
        })
    }

    pub(super) fn scan_exposures_of(
        &self,
        experiment: &str,
        scan: &ExposureScan,
        each: Each<'_, ExposureRecord>,
    ) -> Result<(), ExperimentError> {
        if !is_storable(experiment) {
            return Ok(());
        }
        let sql = if scan.first_only {
            FIRST_EXPOSURES
        } else {
            EXPOSURES
        };
        let values: Values<'_> = &[&experiment, &seconds(scan.since_secs)];
        self.scan("read the exposures", sql, values, &mut |row| {
            Ok(each(&exposure(row)?)?)
        })
    }

    /// How often the actor was shown what, in all experiments.
    pub(super) fn exposure_totals_of(
        &self,
        actor: &str,
    ) -> Result<Vec<ExposureTotal>, ExperimentError> {
        if !is_storable(actor) {
            return Ok(Vec::new());
        }
        self.read("count the exposures", Pace::Long, |db| {
            let rows = db.rows(EXPOSURE_TOTALS, &[&actor])?;
            let total = |row: &Row| {
                Ok(ExposureTotal {
                    experiment: row.try_get(0)?,
                    variant: row.try_get(1)?,
                    is_override: row.try_get(2)?,
                    exposures: unsigned(row.try_get(3)?),
                    first_secs: unsigned(row.try_get(4)?),
                    last_secs: unsigned(row.try_get(5)?),
                })
            };
            rows.iter().map(total).collect()
        })
    }

    /// Removes the assignments of these actors and their exposures, behind the gate.
    ///
    /// The rows are locked first: an application that is changing one of them waits at the gate with it.
    pub(super) fn take_back(
        &self,
        db: &mut Connection,
        experiment: &str,
        actors: &[&str],
        operator: Option<&str>,
    ) -> Result<Unassigned, Failure> {
        db.row(TAKE_TURNS, &[])?;
        let not_found = || ExperimentError::NotFound(experiment.to_owned());
        if !is_storable(experiment) {
            return Err(not_found().into());
        }
        db.execute(LOCK_ASSIGNMENTS, &[&experiment, &actors])?;
        db.row(LOCK_EXPERIMENT, &[&experiment])?;
        db.row(CLOSE_GATE, &[&experiment])?;
        let stored = experiments::load(self.address(), db, LOCKED, experiment)?;
        require_unassignable(&stored.ok_or_else(not_found)?.config)?;
        let values: Values<'_> = &[&experiment, &actors];
        let unassigned = Unassigned {
            assignments: db.execute(UNASSIGN, values)?,
            exposures: db.execute(UNEXPOSE, values)?,
        };
        if unassigned != Unassigned::default() {
            let mutation = lifecycle::unassigned(unassigned.assignments);
            self.log(db, experiment, mutation, operator)?;
        }
        Ok(unassigned)
    }

    fn log(
        &self,
        db: &mut Connection,
        experiment: &str,
        mutation: String,
        operator: Option<&str>,
    ) -> Result<(), Failure> {
        let change = ChangeRecord {
            experiment: experiment.to_owned(),
            mutation,
            actor: operator.map(str::to_owned),
            timestamp_secs: 0,
            detail: None,
        };
        records::append_change(db, &change, self.given_time(), Timing::Clock)?;
        Ok(())
    }

    /// What is kept while this works has come later than what stays.
    pub(super) fn prune(
        &self,
        db: &mut Connection,
        experiment: &str,
        before_secs: u64,
        operator: Option<&str>,
    ) -> Result<u64, Failure> {
        db.row(TAKE_TURNS, &[])?;
        let is_known =
            is_storable(experiment) && db.row(LOCK_EXPERIMENT, &[&experiment])?.is_some();
        if !is_known {
            return Err(ExperimentError::NotFound(experiment.to_owned()).into());
        }
        let count = db.execute(PRUNE, &[&experiment, &seconds(before_secs)])?;
        if count > 0 {
            self.log(db, experiment, lifecycle::pruned(count), operator)?;
        }
        Ok(count)
    }
}
