//! A database as the target of a copy.

use super::super::connection::{Connection, Mode};
use super::super::failure::{self, CallError, Failure};
use super::super::options::PgOptions;
use super::super::pace::Pace;
use super::super::steps::in_transaction;
use super::super::{PgExperimentStore, experiments, migrations};
use super::append::append;
use super::source::{READING, location, view};
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::location::StoreLocation;
use crate::store::transfer::{Record, Tally, Target, not_alone, seconds};

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
