//! The database as a whole: how much of ours is in it, and whether it can be true.

use super::connection::Pace;
use super::failure::Failure;
use super::{PgExperimentStore, experiments, migrations};
use crate::error::ExperimentError;
use crate::store::survey::{StoreInfo, contradictions, counted};

/// Each finds a name and a count. Then follow of what the name is, what is counted, and what is wrong
/// with it; none finds anything in a sound store.
const INVARIANTS: &[(&str, &str, &str, &str)] = &[
    (
        "SELECT a.experiment, count(*) FROM autumn_experiment_assignments a
         JOIN autumn_experiments e ON e.name = a.experiment
         WHERE NOT e.variants @> jsonb_build_array(jsonb_build_object('name', a.variant))
         GROUP BY a.experiment ORDER BY a.experiment",
        "experiment",
        "assignment",
        "of a variant that it does not have",
    ),
    (
        "SELECT a.experiment, count(*) FROM autumn_experiment_assignments a
         JOIN autumn_experiments e ON e.name = a.experiment
         WHERE e.state = 'draft' GROUP BY a.experiment ORDER BY a.experiment",
        "experiment",
        "assignment",
        "in a draft",
    ),
    (
        "SELECT exclusion_group, count(*) FROM (
             SELECT e.exclusion_group, a.actor FROM autumn_experiment_assignments a
             JOIN autumn_experiments e ON e.name = a.experiment
             WHERE e.exclusion_group IS NOT NULL AND NOT a.is_override
             GROUP BY e.exclusion_group, a.actor HAVING count(*) > 1
         ) twice GROUP BY exclusion_group ORDER BY exclusion_group",
        "group",
        "actor",
        "assigned in two of its experiments",
    ),
    (
        "SELECT a.experiment, count(*) FROM autumn_experiment_assignments a
         WHERE NOT EXISTS (SELECT FROM autumn_experiments e WHERE e.name = a.experiment)
         GROUP BY a.experiment ORDER BY a.experiment",
        "experiment",
        "assignment",
        "of an experiment that is not there",
    ),
    (
        "SELECT o.experiment, count(*) FROM autumn_experiment_overrides o
         WHERE NOT EXISTS (SELECT FROM autumn_experiments e WHERE e.name = o.experiment)
         GROUP BY o.experiment ORDER BY o.experiment",
        "experiment",
        "override",
        "of an experiment that is not there",
    ),
    (
        "SELECT x.experiment, count(*) FROM exp_exposures x
         WHERE NOT EXISTS (SELECT FROM autumn_experiments e WHERE e.name = x.experiment)
         GROUP BY x.experiment ORDER BY x.experiment",
        "experiment",
        "exposure",
        "of an experiment that is not there",
    ),
];

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
                        'exp_exposures']::regclass[]) AS name)",
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
            })
        })
    }

    /// Whether what is in the tables can be true: what is wrong, one sentence each. It reads all of
    /// them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn check(&self) -> Result<Vec<String>, ExperimentError> {
        self.snapshot("check it", |db| {
            let configs = experiments::all(self.address(), db)?;
            let mut found = contradictions(&configs);
            for (sql, subject, noun, what) in INVARIANTS {
                for row in db.rows(sql, &[])? {
                    let name: &str = row.try_get(0)?;
                    found.push(counted(subject, name, row.try_get(1)?, noun, what));
                }
            }
            Ok(found)
        })
    }
}
