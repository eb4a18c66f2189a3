//! What a repair writes: only what the rest of the store says.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::changes;
use super::super::experiments;
use super::super::{Failure, periods};
use super::schema;
use crate::experiment::{ChangeDetail, ChangeRecord, ChangeSide};
use crate::store::survey::{StoreFault, repaired};

/// Who repairs, and when.
pub(super) struct Repair<'a> {
    pub(super) db: &'a Connection,
    pub(super) operator: Option<&'a str>,
    pub(super) now: i64,
}

impl Repair<'_> {
    /// Mends what is wrong with a subject, and logs it with the experiment.
    pub(super) fn mend(&self, code: StoreFault, subject: &str) -> Result<(), Failure> {
        match code {
            StoreFault::Structure => self.db.execute_batch("REINDEX")?,
            StoreFault::Schema => {
                for made in schema::expected()? {
                    if made.name == subject {
                        self.db.execute_batch(&made.sql)?;
                    }
                }
            }
            StoreFault::MissingSpace => self.make_space(subject)?,
            StoreFault::Miscounted => self.count(subject)?,
            StoreFault::RemovedVariant => return self.list_removed(subject),
            StoreFault::UnknownVariant => self.drop_overrides(subject)?,
            _ => return Ok(()),
        }
        self.log(code, subject, None)
    }

    fn log(
        &self,
        code: StoreFault,
        subject: &str,
        detail: Option<ChangeDetail>,
    ) -> Result<(), Failure> {
        let id = "SELECT id FROM experiments WHERE name = ?1";
        let id = self.db.query_row(id, [subject], |row| row.get(0));
        let Some(id) = id.optional()? else {
            return Ok(());
        };
        let change = ChangeRecord {
            experiment: subject.to_owned(),
            mutation: repaired(code),
            actor: self.operator.map(str::to_owned),
            timestamp_secs: u64::try_from(self.now).unwrap_or(0),
            detail,
        };
        Ok(changes::append(self.db, id, &change, self.now)?)
    }

    /// Makes the space anew, of the group that the log names.
    fn make_space(&self, experiment: &str) -> Result<(), Failure> {
        let space = "SELECT space_id FROM experiments WHERE name = ?1";
        let space: i64 = self.db.query_row(space, [experiment], |row| row.get(0))?;
        if let Some(Group(group)) = group_in_log(self.db, space)? {
            let insert = "INSERT OR IGNORE INTO spaces (id, exclusion_group) VALUES (?1, ?2)";
            self.db.execute(insert, params![space, group])?;
        }
        Ok(())
    }

    fn count(&self, experiment: &str) -> Result<(), Failure> {
        self.db.execute(
            "DELETE FROM assignment_counts WHERE experiment_id = (
                 SELECT id FROM experiments WHERE name = ?1)",
            [experiment],
        )?;
        self.db.execute(
            "INSERT INTO assignment_counts
                 (experiment_id, weight_period, variant, assigned, overridden)
             SELECT e.id, a.weight_period,
                 CASE WHEN a.variant < 0 THEN -1 - a.variant ELSE a.variant END AS idx,
                 count(*) FILTER (WHERE a.variant >= 0), count(*) FILTER (WHERE a.variant < 0)
             FROM experiments e JOIN assignments a ON a.space_id = e.space_id AND a.slot = e.slot
             WHERE e.name = ?1 GROUP BY e.id, a.weight_period, idx",
            [experiment],
        )?;
        Ok(())
    }

    /// Lists the removed variants that actors still hold again, with weight 0: nobody new gets them.
    fn list_removed(&self, experiment: &str) -> Result<(), Failure> {
        let Some(stored) = experiments::load(self.db, experiment)? else {
            return Ok(());
        };
        self.db.execute(
            "UPDATE variants SET weight = 0, position = 1 + idx + (
                 SELECT coalesce(max(position), 0) FROM variants o
                 WHERE o.experiment_id = variants.experiment_id)
             FROM experiments e
             WHERE e.name = ?1 AND variants.experiment_id = e.id AND position IS NULL AND EXISTS (
                 SELECT 1 FROM assignments a WHERE a.space_id = e.space_id AND a.slot = e.slot
                     AND a.variant IN (variants.idx, -1 - variants.idx))",
            [experiment],
        )?;
        let side = |variants| ChangeSide {
            variants,
            ..ChangeSide::default()
        };
        let listed = experiments::load(self.db, experiment)?.map(|stored| stored.config.variants);
        if let Some(listed) = &listed {
            let period = stored.weight_period.saturating_add(1);
            periods::begin(self.db, stored.id, period, listed, self.now)?;
        }
        let detail = ChangeDetail {
            before: side(Some(stored.config.variants)),
            after: side(listed),
        };
        self.log(StoreFault::RemovedVariant, experiment, Some(detail))
    }

    /// Drops the overrides of variants that the experiment never had: they pin nothing.
    fn drop_overrides(&self, experiment: &str) -> Result<(), Failure> {
        self.db.execute(
            "DELETE FROM overrides WHERE experiment_id = (SELECT id FROM experiments WHERE name = ?1)
             AND variant NOT IN (SELECT idx FROM variants v
                 WHERE v.experiment_id = overrides.experiment_id)",
            [experiment],
        )?;
        Ok(())
    }
}

/// The exclusion group of a space, if it has one.
#[derive(Clone, PartialEq)]
pub(super) struct Group(Option<String>);

/// The group of a space, or that it has none, as the logs of all its experiments say; `None` if they
/// don't, or say what cannot be.
pub(super) fn group_in_log(db: &Connection, space: i64) -> rusqlite::Result<Option<Group>> {
    let mut members = db.prepare("SELECT id FROM experiments WHERE space_id = ?1")?;
    let members = members.query_map([space], |row| row.get(0))?;
    let members: Vec<i64> = members.collect::<rusqlite::Result<_>>()?;
    let mut groups = Vec::new();
    for &member in &members {
        groups.push(last_group(db, member)?);
    }
    let Some(Some(group)) = groups.first().cloned() else {
        return Ok(None);
    };
    let is_elsewhere = "SELECT EXISTS (SELECT 1 FROM spaces WHERE exclusion_group = ?1)";
    let is_elsewhere: bool = db.query_row(is_elsewhere, [&group.0], |row| row.get(0))?;
    let agree = groups.iter().all(|other| other.as_ref() == Some(&group));
    let is_possible = agree && !is_elsewhere && (group.0.is_some() || members.len() == 1);
    Ok(is_possible.then_some(group))
}

/// The group in the newest entry of the log that holds all of the experiment.
fn last_group(db: &Connection, experiment: i64) -> rusqlite::Result<Option<Group>> {
    let mut details = db.prepare(
        "SELECT detail FROM changes WHERE experiment_id = ?1 AND detail IS NOT NULL ORDER BY id DESC",
    )?;
    let mut rows = details.query([experiment])?;
    while let Some(row) = rows.next()? {
        let Ok(Some(detail)) = changes::read_detail(row, 0) else {
            return Ok(None);
        };
        if detail.after.bucketing.is_some() {
            return Ok(Some(Group(detail.after.exclusion_group)));
        }
    }
    Ok(None)
}
