//! What is stored of many actors.

use rusqlite::{Connection, Row, Statement};

use super::super::choice::Choice;
use super::super::experiments::Stored;
use super::super::{actors, overrides};
use crate::assignment::{Facts, StoredOverride};
use crate::clock::Clock;

/// All assignments from one actor to another.
const SCAN: &str = "SELECT slot, variant, assigned_after, actor FROM assignments
    WHERE space_id = ?1 AND actor BETWEEN ?2 AND ?3 ORDER BY actor, slot";

/// How many rows are read to find a group's actors among them, before each is searched for.
const SCANNED_ROWS: usize = 256;

/// What is stored of one of them.
#[derive(Clone, Copy, Default)]
pub(super) struct Found<'a> {
    pub(super) facts: Facts<'a>,
    /// Whether an assignment is there that does not count.
    pub(super) is_stale: bool,
}

impl<'a> Found<'a> {
    /// Adds a row of the actor's assignments.
    fn note(&mut self, store: &Store<'a>, actor: &str, row: &Row<'_>) -> rusqlite::Result<()> {
        let Store {
            db,
            experiment,
            clock,
        } = *store;
        let slot: i64 = row.get(0)?;
        let choice = Choice::read(row, 1)?;
        if slot == experiment.slot {
            self.facts.stored = Some(actors::stored_variant(experiment, choice)?);
        } else if actors::counts(db, experiment.space, slot, actor, choice, clock)? {
            self.facts.in_sibling = true;
        }
        Ok(())
    }

    /// Adds the actor's override, by which it is known whether the assignment counts.
    fn apply(&mut self, pinned: Option<StoredOverride<'a>>, clock: Clock) {
        let stored = self.facts.stored;
        let counting = Facts::at(|| clock.now_secs(), pinned, stored);
        self.is_stale = stored.is_some() && counting.stored.is_none();
        self.facts = Facts {
            in_sibling: self.facts.in_sibling,
            ..counting
        };
    }
}

/// Where it is looked for.
#[derive(Clone, Copy)]
struct Store<'a> {
    db: &'a Connection,
    experiment: &'a Stored,
    clock: Clock,
}

/// Looks up what is stored of many.
pub(super) struct Finder<'a> {
    store: Store<'a>,
    has_overrides: bool,
    find: Statement<'a>,
    scan: Statement<'a>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(
        db: &'a Connection,
        experiment: &'a Stored,
        clock: Clock,
        has_overrides: bool,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            store: Store {
                db,
                experiment,
                clock,
            },
            has_overrides,
            find: db.prepare(actors::FIND)?,
            scan: db.prepare(SCAN)?,
        })
    }

    /// What is stored of each of these actors. Where they stand close together in the store, reading
    /// from the first to the last is several times cheaper than one search each.
    pub(super) fn find_all(&mut self, actors: &[&str]) -> rusqlite::Result<Vec<Found<'a>>> {
        let mut all = vec![Found::default(); actors.len()];
        let scanned = if actors.is_sorted() {
            self.scan(actors, &mut all)?
        } else {
            0
        };
        for (found, actor) in all.iter_mut().zip(actors).skip(scanned) {
            *found = self.find(actor)?;
        }
        if self.has_overrides {
            let Store {
                db,
                experiment,
                clock,
            } = self.store;
            for (found, actor) in all.iter_mut().zip(actors) {
                found.apply(overrides::pinned(db, experiment, actor)?, clock);
            }
        }
        Ok(all)
    }

    /// Reads from the first of them to the last. Returns how many are settled by that.
    fn scan(&mut self, actors: &[&str], all: &mut [Found<'a>]) -> rusqlite::Result<usize> {
        let (Some(first), Some(last)) = (actors.first(), actors.last()) else {
            return Ok(0);
        };
        self.scan
            .raw_bind_parameter(1, self.store.experiment.space)?;
        self.scan.raw_bind_parameter(2, first)?;
        self.scan.raw_bind_parameter(3, last)?;
        let mut rows = self.scan.raw_query();
        let mut reached = 0;
        let mut scanned = 0;
        while let Some(row) = rows.next()? {
            scanned += 1;
            if scanned > SCANNED_ROWS {
                return Ok(reached);
            }
            let stored = row.get_ref(3)?.as_str()?;
            while actors[reached] < stored && reached + 1 < actors.len() {
                reached += 1;
            }
            // One who comes twice is found twice.
            for index in (reached..actors.len()).take_while(|&index| actors[index] == stored) {
                all[index].note(&self.store, stored, row)?;
            }
        }
        Ok(actors.len())
    }

    fn find(&mut self, actor: &str) -> rusqlite::Result<Found<'a>> {
        let mut found = Found::default();
        self.find
            .raw_bind_parameter(1, self.store.experiment.space)?;
        self.find.raw_bind_parameter(2, actor)?;
        let mut rows = self.find.raw_query();
        while let Some(row) = rows.next()? {
            found.note(&self.store, actor, row)?;
        }
        Ok(found)
    }
}
