//! What is stored of actors: assignments, overrides and exposures.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::choice::Choice;
use super::experiments::{self, Stored, contradiction};
use super::periods;
use crate::assignment::{Facts, StoredVariant};
use crate::experiment::{Assignment, Override};
use crate::exposure::ExposureRecord;

/// All assignments of an actor in a space.
pub(super) const FIND: &str = "SELECT slot, variant, assigned_after, weight_period FROM assignments
    WHERE space_id = ?1 AND actor = ?2";

pub(super) const APPEND_EXPOSURE: &str =
    "INSERT INTO exposures (experiment_id, variant, actor, request_id, exposed_at)
    VALUES (?1, ?2, ?3, ?4, ?5)";

/// An actor's assignment, with the time of it.
#[derive(Clone, Copy)]
struct Placed {
    choice: Choice,
    after: i64,
    period: u32,
}

/// What is stored of one actor in one experiment and its space.
pub(super) struct Actor<'a> {
    experiment: &'a Stored,
    name: &'a str,
    pinned: Option<&'a str>,
    placed: Option<Placed>,
    sibling_slots: Vec<i64>,
}

impl<'a> Actor<'a> {
    /// Reads all of it: two searches, whatever the number of siblings.
    pub(super) fn load(
        db: &Connection,
        experiment: &'a Stored,
        actor: &'a str,
    ) -> rusqlite::Result<Self> {
        let mut found = Self {
            experiment,
            name: actor,
            pinned: pinned(db, experiment, actor)?,
            placed: None,
            sibling_slots: Vec::new(),
        };
        let mut query = db.prepare_cached(FIND)?;
        let mut rows = query.query(params![experiment.space, actor])?;
        while let Some(row) = rows.next()? {
            let slot: i64 = row.get(0)?;
            if slot == experiment.slot {
                found.placed = Some(Placed {
                    choice: Choice::read(row, 1)?,
                    after: row.get(2)?,
                    period: row.get(3)?,
                });
            } else {
                found.sibling_slots.push(slot);
            }
        }
        // Checked here, so that asking for the name later cannot fail.
        if let Some(placed) = found.placed {
            experiment.variant_name(placed.choice.variant)?;
        }
        Ok(found)
    }

    /// What the rules look at.
    pub(super) fn facts(&self) -> Facts<'a> {
        Facts {
            pinned: self.pinned,
            stored: self.placed.map(|placed| StoredVariant {
                variant: self.placed_variant(placed),
                is_override: placed.choice.is_override,
            }),
            in_sibling: !self.sibling_slots.is_empty(),
        }
    }

    pub(super) fn assignment(&self) -> Option<Assignment> {
        let placed = self.placed?;
        let assigned_at = self.experiment.created_at.saturating_add(placed.after);
        Some(Assignment {
            experiment: self.experiment.config.name.clone(),
            actor: self.name.to_owned(),
            variant: self.placed_variant(placed).to_owned(),
            is_override: placed.choice.is_override,
            assigned_at_secs: u64::try_from(assigned_at).unwrap_or(0),
        })
    }

    /// The first by name of the other experiments of the space in which the actor has an assignment.
    /// There is more than one only where overrides made them.
    pub(super) fn sibling(&self, db: &Connection) -> rusqlite::Result<Option<String>> {
        let slots = self.sibling_slots.iter();
        let names = slots.map(|&slot| experiments::name_in_slot(db, self.experiment.space, slot));
        let names: rusqlite::Result<Vec<String>> = names.collect();
        Ok(names?.into_iter().min())
    }

    fn placed_variant(&self, placed: Placed) -> &'a str {
        let name = self.experiment.variant_name(placed.choice.variant);
        name.unwrap_or_default()
    }

    /// Stores the variant as the actor's assignment, in place of the one that may be there.
    pub(super) fn put_assignment(
        &self,
        db: &Connection,
        variant: &str,
        is_override: bool,
        now: i64,
    ) -> rusqlite::Result<()> {
        let choice = Choice {
            variant: index_of(self.experiment, variant)?,
            is_override,
        };
        db.prepare_cached(
            "INSERT INTO assignments
                 (space_id, actor, slot, variant, assigned_after, weight_period)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE
             SET variant = excluded.variant, assigned_after = excluded.assigned_after,
                 weight_period = excluded.weight_period",
        )?
        .execute(params![
            self.experiment.space,
            self.name,
            self.experiment.slot,
            choice.encode(),
            now.saturating_sub(self.experiment.created_at),
            self.experiment.weight_period
        ])?;
        let id = self.experiment.id;
        if let Some(replaced) = self.placed {
            periods::count(db, id, replaced.period, replaced.choice, -1)?;
        }
        periods::count(db, id, self.experiment.weight_period, choice, 1)
    }

    /// Drops the actor's assignment if an override made it.
    pub(super) fn drop_overridden(&self, db: &Connection) -> rusqlite::Result<()> {
        let Some(placed) = self.placed.filter(|placed| placed.choice.is_override) else {
            return Ok(());
        };
        db.prepare_cached(
            "DELETE FROM assignments WHERE space_id = ?1 AND actor = ?2 AND slot = ?3",
        )?
        .execute(params![
            self.experiment.space,
            self.name,
            self.experiment.slot
        ])?;
        periods::count(db, self.experiment.id, placed.period, placed.choice, -1)
    }
}

fn index_of(experiment: &Stored, variant: &str) -> rusqlite::Result<usize> {
    experiment.index_of(variant).ok_or_else(|| {
        contradiction(format!(
            "experiment {:?} does not know variant {variant:?}",
            experiment.config.name
        ))
    })
}

/// Whether the actor has an assignment in that group, in another experiment than `except`.
pub(super) fn is_in_group(
    db: &Connection,
    group: &str,
    actor: &str,
    except: &str,
) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT EXISTS (
             SELECT 1 FROM assignments a JOIN spaces s ON s.id = a.space_id
             WHERE s.exclusion_group = ?1 AND a.actor = ?2 AND a.slot IS NOT (
                 SELECT slot FROM experiments WHERE name = ?3 AND space_id = s.id))",
    )?
    .query_row(params![group, actor, except], |row| row.get(0))
}

/// Whether nobody has an assignment in the experiment's space.
pub(super) fn is_blank(db: &Connection, experiment: &Stored) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM assignments WHERE space_id = ?1)")?
        .query_row([experiment.space], |row| row.get(0))
}

/// Whether the experiment has an override at all.
pub(super) fn has_overrides(db: &Connection, experiment: &Stored) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM overrides WHERE experiment_id = ?1)")?
        .query_row([experiment.id], |row| row.get(0))
}

/// The variant pinned to an actor. It may have been removed from the experiment since.
pub(super) fn pinned<'a>(
    db: &Connection,
    experiment: &'a Stored,
    actor: &str,
) -> rusqlite::Result<Option<&'a str>> {
    let mut query =
        db.prepare_cached("SELECT variant FROM overrides WHERE experiment_id = ?1 AND actor = ?2")?;
    let index: Option<usize> = query
        .query_row(params![experiment.id, actor], |row| row.get(0))
        .optional()?;
    index
        .map(|index| experiment.variant_name(index))
        .transpose()
}

pub(super) fn put_override(
    db: &Connection,
    experiment: &Stored,
    actor: &str,
    variant: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let index = index_of(experiment, variant)?;
    db.prepare_cached(
        "INSERT INTO overrides (experiment_id, actor, variant, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET variant = excluded.variant, created_at = excluded.created_at",
    )?
    .execute(params![experiment.id, actor, index, now])?;
    Ok(())
}

pub(super) fn delete_override(
    db: &Connection,
    experiment: &Stored,
    actor: &str,
) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM overrides WHERE experiment_id = ?1 AND actor = ?2")?
        .execute(params![experiment.id, actor])?;
    Ok(())
}

/// All overrides of an experiment, sorted by actor.
pub(super) fn overrides(db: &Connection, experiment: &Stored) -> rusqlite::Result<Vec<Override>> {
    let mut query = db.prepare_cached(
        "SELECT actor, variant, created_at FROM overrides WHERE experiment_id = ?1 ORDER BY actor",
    )?;
    let rows = query.query_map([experiment.id], |row| {
        Ok(Override {
            experiment: experiment.config.name.clone(),
            actor: row.get(0)?,
            variant: experiment.variant_name(row.get(1)?)?.to_owned(),
            created_at_secs: row.get(2)?,
            expires_at_secs: None,
            reason: None,
            operator: None,
        })
    })?;
    rows.collect()
}

pub(super) fn append_exposure(
    db: &Connection,
    experiment: &Stored,
    exposure: &ExposureRecord,
) -> rusqlite::Result<()> {
    let choice = Choice {
        variant: index_of(experiment, &exposure.variant)?,
        is_override: exposure.is_override,
    };
    db.prepare_cached(APPEND_EXPOSURE)?.execute(params![
        experiment.id,
        choice.encode(),
        exposure.actor,
        exposure.request_id,
        exposure.timestamp_secs
    ])?;
    Ok(())
}

/// Removes the exposures of before that second, but the first of each actor to each variant, by an override and
/// without one. Returns how many there were.
pub(super) fn prune_exposures(
    db: &Connection,
    experiment: &Stored,
    before: i64,
) -> rusqlite::Result<usize> {
    db.execute(
        "DELETE FROM exposures WHERE id IN (
             SELECT id FROM (
                 SELECT id, exposed_at, row_number() OVER (
                     PARTITION BY actor, variant ORDER BY exposed_at, id) AS place
                 FROM exposures WHERE experiment_id = ?1)
             WHERE place > 1 AND exposed_at < ?2)",
        params![experiment.id, before],
    )
}
