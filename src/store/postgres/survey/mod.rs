//! The database as a whole: how much of ours is in it, and whether it can be true.

mod invariants;
mod schema;

use std::collections::HashSet;

use self::invariants::{EXPERIMENT_TIMES, INVARIANTS, LOG_TIMES};
use super::connection::Connection;
use super::failure::Failure;
use super::pace::Pace;
use super::records::{self, Timing};
use super::{PgExperimentStore, experiments, locks, migrations};
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{ChangeDetail, ChangeRecord, ChangeSide, ExperimentConfig, VariantConfig};
use crate::store::survey::{
    Invariant, StoreFault, StoreFinding, StoreInfo, Surveyed, contradictions, repaired,
};
use crate::text::Quoted;

impl PgExperimentStore {
    /// What the store is and how much it holds.
    ///
    /// # Errors
    /// When the store fails.
    pub fn info(&self) -> Result<StoreInfo, ExperimentError> {
        self.read("count what it holds", Pace::Unbounded, |db| {
            let schema = migrations::inspect(db)?;
            let row = db.one(
                "SELECT current_setting('server_version'),
                    (SELECT count(*) FROM autumn_experiments),
                    (SELECT count(*) FROM autumn_experiment_assignments),
                    (SELECT count(*) FROM autumn_experiment_overrides),
                    (SELECT count(*) FROM exp_exposures),
                    (SELECT count(*) FROM autumn_experiment_changes),
                    (SELECT sum(pg_total_relation_size(name))::bigint FROM unnest(ARRAY[
                        'autumn_experiments', 'autumn_experiment_assignments',
                        'autumn_experiment_overrides', 'autumn_experiment_changes',
                        'exp_exposures', 'exp_outcomes', 'exp_weight_periods',
                        'exp_assignment_counts']::regclass[]) AS name),
                    (SELECT count(*) FROM exp_outcomes)",
                &[],
            )?;
            let version: &str = row.try_get(0)?;
            let count =
                |column: usize| Ok::<_, Failure>(experiments::unsigned(row.try_get(column)?));
            Ok(StoreInfo {
                store: self.address().to_owned(),
                engine: format!("PostgreSQL {version}"),
                schema: u32::try_from(schema.version).unwrap_or(0),
                adopted: schema.was_adopted,
                bytes: count(6)?,
                experiments: count(1)?,
                assignments: count(2)?,
                overrides: count(3)?,
                exposures: count(4)?,
                changes: count(5)?,
                outcomes: count(7)?,
            })
        })
    }

    /// Reads all of the tables, as one view, and returns what is wrong: with the schema, with each row,
    /// and what the rows say of each other.
    ///
    /// # Errors
    /// When the store fails.
    pub fn check(&self) -> Result<Vec<StoreFinding>, ExperimentError> {
        self.snapshot("check it", |db| {
            // It finds by itself what is missing.
            db.without_check(|db| {
                self.require_usable(db)?;
                Ok(examine(self.address(), db)?.into_vec())
            })
        })
    }

    /// Mends what [`check`](Self::check) finds and calls repairable, all in one transaction, and returns
    /// what was mended. The audit log of each experiment gets an entry for each of it.
    ///
    /// # Errors
    /// When the store fails, or its user may not make functions and triggers. Then nothing has changed.
    pub fn repair(&self) -> Result<Vec<StoreFinding>, ExperimentError> {
        self.write("repair it", Pace::Unbounded, |db| {
            db.without_check(|db| self.mend(db))
        })
    }

    fn mend(&self, db: &mut Connection) -> Result<Vec<StoreFinding>, Failure> {
        self.require_usable(db)?;
        db.row(locks::TAKE_TURNS, &[])?;
        let mut mended = Vec::new();
        // Behind a part of the schema that is missing there may be rows to mend.
        for _ in 0..REPAIR_PASSES {
            let found = examine(self.address(), db)?;
            if found.repairs().is_empty() {
                break;
            }
            migrations::complete(db)?;
            schema::restore(db)?;
            for (code, subject) in found.repairs() {
                match code {
                    StoreFault::RemovedVariant => self.list_removed(db, subject)?,
                    StoreFault::Miscounted => self.count_again(db, subject)?,
                    _ => {}
                }
            }
            let found = found.into_vec().into_iter();
            mended.extend(found.filter(|finding| finding.repairable));
        }
        Ok(mended)
    }

    fn count_again(&self, db: &mut Connection, experiment: &str) -> Result<(), Failure> {
        // Nobody assigns meanwhile.
        db.batch("LOCK TABLE autumn_experiment_assignments IN SHARE ROW EXCLUSIVE MODE")?;
        db.execute(
            "DELETE FROM exp_assignment_counts WHERE experiment = $1",
            &[&experiment],
        )?;
        db.execute(
            "INSERT INTO exp_assignment_counts
                 (experiment, weight_period, variant, is_override, assignments)
             SELECT experiment, weight_period, variant, is_override, count(*)
             FROM autumn_experiment_assignments WHERE experiment = $1
             GROUP BY experiment, weight_period, variant, is_override",
            &[&experiment],
        )?;
        if db.row(locks::LOCK_EXPERIMENT, &[&experiment])?.is_none() {
            // An application has deleted it, and its log with it.
            return Ok(());
        }
        let change = ChangeRecord {
            experiment: experiment.to_owned(),
            mutation: repaired(StoreFault::Miscounted),
            actor: self.operator().map(str::to_owned),
            timestamp_secs: 0,
            detail: None,
        };
        records::append_change(db, &change, self.given_time(), Timing::Clock)?;
        Ok(())
    }

    fn require_usable(&self, db: &mut Connection) -> Result<(), Failure> {
        let schema = migrations::inspect(db)?;
        let usable = migrations::require_usable(self.pool.options(), schema);
        Ok(usable.map_err(ExperimentError::from)?)
    }

    /// Lists the variants that an application has removed and actors still hold again, with weight 0:
    /// nobody new gets them.
    fn list_removed(&self, db: &mut Connection, experiment: &str) -> Result<(), Failure> {
        let address = self.address();
        let Some(before) = experiments::load(address, db, experiments::LOCKED, experiment)? else {
            return Ok(());
        };
        let held = db.rows(
            "SELECT DISTINCT variant FROM autumn_experiment_assignments WHERE experiment = $1
             ORDER BY variant",
            &[&experiment],
        )?;
        let mut config = before.config.clone();
        for row in held {
            let variant: String = row.try_get(0)?;
            if config.variant(&variant).is_none() {
                config.variants.push(VariantConfig::new(variant, 0));
            }
        }
        let now = self.given_time();
        experiments::save(db, Some(&before.config), &config, now)?;
        let side = |config: ExperimentConfig| ChangeSide {
            variants: Some(config.variants),
            ..ChangeSide::default()
        };
        let change = ChangeRecord {
            experiment: experiment.to_owned(),
            mutation: repaired(StoreFault::RemovedVariant),
            actor: self.operator().map(str::to_owned),
            timestamp_secs: 0,
            detail: Some(ChangeDetail {
                before: side(before.config),
                after: side(config),
            }),
        };
        records::append_change(db, &change, now, Timing::Experiment)?;
        Ok(())
    }
}

/// How often a repair looks at the store anew.
const REPAIR_PASSES: usize = 2;

/// Rows without their table, or without one of its columns, can't be looked at.
fn examine(address: &str, db: &mut Connection) -> Result<Surveyed, Failure> {
    let mut found = Surveyed::default();
    schema::examine(db, &mut found)?;
    if !found.is_empty() {
        return Ok(found);
    }
    let anything = |_: &StoreFinding| true;
    // The server refuses to read an infinite time as a number, and with it all the others.
    let readable = match violations(db, &[EXPERIMENT_TIMES], anything, &mut found)? {
        0 => read_experiments(address, db, &mut found)?,
        _ => HashSet::new(),
    };
    if violations(db, &[LOG_TIMES], anything, &mut found)? == 0 {
        read_log(address, db, &mut found)?;
    }
    let is_decided = |finding: &StoreFinding| match finding.code {
        StoreFault::RemovedVariant => readable.contains(&finding.subject),
        _ => true,
    };
    violations(db, INVARIANTS, is_decided, &mut found)?;
    read_periods(db, &mut found)?;
    Ok(found)
}

/// How many there are. What is not decided is reported as not repairable.
fn violations(
    db: &mut Connection,
    invariants: &[Invariant],
    is_decided: impl Fn(&StoreFinding) -> bool,
    found: &mut Surveyed,
) -> Result<usize, Failure> {
    let mut count = 0;
    for invariant in invariants {
        for row in db.rows(invariant.sql, &[])? {
            let name: String = row.try_get(0)?;
            let finding = invariant.violated(&name, row.try_get(1)?);
            let repairable = finding.repairable && is_decided(&finding);
            found.name(invariant.nouns(), finding.repairable(repairable));
            count += 1;
        }
    }
    Ok(count)
}

/// The names of those that can be read.
fn read_experiments(
    address: &str,
    db: &mut Connection,
    found: &mut Surveyed,
) -> Result<HashSet<String>, Failure> {
    let mut readable = HashSet::new();
    for row in db.rows(experiments::ALL, &[])? {
        let stored = experiments::stored(address, &row);
        match stored.and_then(|stored| Ok(stored.readable()?)) {
            Ok(config) => {
                for finding in contradictions(&config) {
                    found.name("experiments", finding);
                }
                readable.insert(config.name);
            }
            Err(failure) => {
                let name = row.try_get(0).unwrap_or_default();
                unreadable("experiments", name, "it", failure, found);
            }
        }
    }
    Ok(readable)
}

/// Whether the weight periods of each experiment can be read, up to the present one.
fn read_periods(db: &mut Connection, found: &mut Surveyed) -> Result<(), Failure> {
    let rows = db.rows(
        "SELECT name, weight_period,
             ARRAY(SELECT period FROM exp_weight_periods WHERE experiment = e.name ORDER BY 1),
             ARRAY(SELECT variants::text FROM exp_weight_periods WHERE experiment = e.name
                 ORDER BY period)
         FROM autumn_experiments e ORDER BY name COLLATE \"C\"",
        &[],
    )?;
    for row in rows {
        let (name, present): (String, i32) = (row.try_get(0)?, row.try_get(1)?);
        let (periods, lists): (Vec<i32>, Vec<&str>) = (row.try_get(2)?, row.try_get(3)?);
        let unread = |list: &&str| serde_json::from_str::<Vec<VariantConfig>>(list).err();
        let problem = if periods.into_iter().eq(0..=present) {
            lists.iter().find_map(unread).map(|error| error.to_string())
        } else {
            Some("one of them is missing, or there is one too many".to_owned())
        };
        if let Some(problem) = problem {
            let message = format!(
                "experiment {}: its weight periods cannot be read: {problem}",
                Quoted(&name)
            );
            found.push(StoreFinding::new(StoreFault::Unreadable, name, message));
        }
    }
    Ok(())
}

/// Entries of the log that are read at once.
const PAGE: i64 = 1000;

fn read_log(address: &str, db: &mut Connection, found: &mut Surveyed) -> Result<(), Failure> {
    let mut last = i64::MIN;
    loop {
        let page = db.rows(
            "SELECT mutation, actor, floor(extract(epoch FROM changed_at))::bigint, detail::text,
                 experiment, id
             FROM autumn_experiment_changes WHERE id > $1 ORDER BY id LIMIT $2",
            &[&last, &PAGE],
        )?;
        let Some(newest) = page.last() else {
            return Ok(());
        };
        last = newest.try_get(5)?;
        for row in page {
            let (name, id): (String, i64) = (row.try_get(4)?, row.try_get(5)?);
            if let Err(failure) = records::change(address, &name, &row) {
                let what = format!("entry {id} of its log");
                unreadable("entries of the audit log", name, &what, failure, found);
            }
        }
    }
}

fn unreadable(
    rows: &'static str,
    name: String,
    what: &str,
    failure: Failure,
    found: &mut Surveyed,
) {
    let problem = match failure {
        Failure::Refused(ExperimentError::Store(ExperimentStoreError::Corrupt {
            found, ..
        })) => found,
        Failure::Refused(refusal) => refusal.to_string(),
        Failure::Call(fault) => fault.to_string(),
    };
    let message = format!(
        "experiment {}: {what} cannot be read: {problem}",
        Quoted(&name)
    );
    found.name(
        rows,
        StoreFinding::new(StoreFault::Unreadable, name, message),
    );
}
