//! Assignments, and what else is stored of one actor that decides the next one.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::choice::Choice;
use super::experiments::{self, Stored};
use super::{overrides, periods};
use crate::assignment::{Facts, StoredOverride, StoredVariant};
use crate::clock::Clock;
use crate::experiment::Assignment;

/// All assignments of an actor in a space.
pub(super) const FIND: &str = "SELECT slot, variant, assigned_after, weight_period FROM assignments
    WHERE space_id = ?1 AND actor = ?2";

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
    /// Whether it counts or not.
    placed: Option<Placed>,
    facts: Facts<'a>,
    /// Of the other experiments in which the actor has an assignment that counts.
    sibling_slots: Vec<i64>,
}

impl<'a> Actor<'a> {
    /// Reads all of it: two searches, whatever the number of siblings; and one for each sibling in which an
    /// override has put the actor.
    pub(super) fn load(
        db: &Connection,
        experiment: &'a Stored,
        actor: &'a str,
        clock: Clock,
    ) -> rusqlite::Result<Self> {
        let mut placed = None;
        let mut sibling_slots = Vec::new();
        let mut query = db.prepare_cached(FIND)?;
        let mut rows = query.query(params![experiment.space, actor])?;
        while let Some(row) = rows.next()? {
            let slot: i64 = row.get(0)?;
            let choice = Choice::read(row, 1)?;
            if slot == experiment.slot {
                placed = Some(Placed {
                    choice,
                    after: row.get(2)?,
                    period: row.get(3)?,
                });
            } else if counts(db, experiment.space, slot, actor, choice, clock)? {
                sibling_slots.push(slot);
            }
        }
        let stored = placed.map(|placed| stored_variant(experiment, placed.choice));
        let pinned = overrides::pinned(db, experiment, actor)?;
        let facts = Facts::at(|| clock.now_secs(), pinned, stored.transpose()?);
        Ok(Self {
            experiment,
            name: actor,
            placed,
            facts: Facts {
                in_sibling: !sibling_slots.is_empty(),
                ..facts
            },
            sibling_slots,
        })
    }

    /// What the rules look at.
    pub(super) fn facts(&self) -> Facts<'a> {
        self.facts
    }

    /// The assignment in the experiment, whether it counts or not.
    pub(super) fn assignment(&self) -> rusqlite::Result<Option<Assignment>> {
        let Some(placed) = self.placed else {
            return Ok(None);
        };
        let stored = stored_variant(self.experiment, placed.choice)?;
        let assigned_at = self.experiment.created_at.saturating_add(placed.after);
        Ok(Some(Assignment {
            experiment: self.experiment.config.name.clone(),
            actor: self.name.to_owned(),
            variant: stored.variant.to_owned(),
            is_override: stored.is_override,
            assigned_at_secs: u64::try_from(assigned_at).unwrap_or(0),
        }))
    }

    /// The first by name of the other experiments of the space in which the actor has an assignment that counts.
    /// There is more than one only where overrides made them.
    pub(super) fn sibling(&self, db: &Connection) -> rusqlite::Result<Option<String>> {
        let slots = self.sibling_slots.iter();
        let names = slots.map(|&slot| experiments::name_in_slot(db, self.experiment.space, slot));
        let names: rusqlite::Result<Vec<String>> = names.collect();
        Ok(names?.into_iter().min())
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
            variant: self.experiment.require_index(variant)?,
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

/// A variant as the rules look at it.
pub(super) fn stored_variant(
    experiment: &Stored,
    choice: Choice,
) -> rusqlite::Result<StoredVariant<'_>> {
    Ok(StoredVariant {
        variant: experiment.variant_name(choice.variant)?,
        is_override: choice.is_override,
    })
}

/// Whether an assignment of the actor in that slot counts. The override is looked up only of one that an
/// override made.
pub(super) fn counts(
    db: &Connection,
    space: i64,
    slot: i64,
    actor: &str,
    choice: Choice,
    clock: Clock,
) -> rusqlite::Result<bool> {
    if !choice.is_override {
        return Ok(true);
    }
    let mut query = db.prepare_cached(
        "SELECT o.expires_at FROM experiments e JOIN overrides o ON o.experiment_id = e.id
         WHERE e.space_id = ?1 AND e.slot = ?2 AND o.actor = ?3",
    )?;
    let expires_at = query.query_row(params![space, slot, actor], |row| row.get(0));
    // Which variant it is does not matter.
    let pinned = expires_at
        .optional()?
        .map(|expires_at_secs| StoredOverride {
            variant: "",
            expires_at_secs,
        });
    let stored = StoredVariant {
        variant: "",
        is_override: true,
    };
    let facts = Facts::at(|| clock.now_secs(), pinned, Some(stored));
    Ok(facts.stored.is_some())
}

/// Whether the actor has an assignment that counts in that group, in another experiment than `except`.
pub(super) fn is_in_group(
    db: &Connection,
    group: &str,
    actor: &str,
    except: &str,
    clock: Clock,
) -> rusqlite::Result<bool> {
    let mut query = db.prepare_cached(
        "SELECT a.space_id, a.slot, a.variant FROM assignments a JOIN spaces s ON s.id = a.space_id
         WHERE s.exclusion_group = ?1 AND a.actor = ?2 AND a.slot IS NOT (
             SELECT slot FROM experiments WHERE name = ?3 AND space_id = s.id)",
    )?;
    let mut rows = query.query(params![group, actor, except])?;
    while let Some(row) = rows.next()? {
        let choice = Choice::read(row, 2)?;
        if counts(db, row.get(0)?, row.get(1)?, actor, choice, clock)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether nobody has an assignment in the experiment's space.
pub(super) fn is_blank(db: &Connection, experiment: &Stored) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM assignments WHERE space_id = ?1)")?
        .query_row([experiment.space], |row| row.get(0))
}

/// Removes the assignments of these actors, of either kind. Returns how many there were.
pub(super) fn unassign(
    db: &Connection,
    experiment: &Stored,
    actors: &[&str],
) -> rusqlite::Result<u64> {
    let mut delete = db.prepare_cached(
        "DELETE FROM assignments WHERE space_id = ?1 AND actor = ?2 AND slot = ?3
         RETURNING variant, weight_period",
    )?;
    let mut removed = 0;
    for actor in actors {
        let key = params![experiment.space, actor, experiment.slot];
        let found = delete.query_row(key, |row| Ok((Choice::read(row, 0)?, row.get(1)?)));
        if let Some((choice, period)) = found.optional()? {
            periods::count(db, experiment.id, period, choice, -1)?;
            removed += 1;
        }
    }
    Ok(removed)
}
