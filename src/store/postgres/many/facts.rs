//! What is stored of many actors, in as few questions as it takes.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;
use tokio_postgres::Row;

use crate::assignment::{Facts, StoredOverride, StoredVariant};
use crate::experiment::ExperimentConfig;
use crate::store::postgres::connection::Connection;
use crate::store::postgres::experiments::{self, FOLLOWING, WITH_WHAT_IT_HOLDS};
use crate::store::postgres::failure::Failure;

/// What is known of the actors, by their names; who has nothing is in neither.
#[derive(Default)]
pub(super) struct Known<'r> {
    pub(super) facts: HashMap<&'r str, Facts<'r>, FixedState>,
    pub(super) stale: Stale<'r>,
}

/// Whose stored assignment [counts as none](Facts::at).
pub(super) type Stale<'r> = HashSet<&'r str, FixedState>;

/// The experiment, and what has to be looked for.
pub(super) struct Held {
    pub(super) config: ExperimentConfig,
    has_overrides: bool,
    has_assignments: bool,
    /// The others of its group that have any.
    siblings: Vec<String>,
    /// The period of its weights.
    pub(super) weight_period: i32,
}

impl Held {
    pub(super) fn read(
        store: &str,
        db: &mut Connection,
        experiment: &str,
    ) -> Result<Option<Self>, Failure> {
        let Some(row) = db.row(WITH_WHAT_IT_HOLDS, &[&experiment])? else {
            return Ok(None);
        };
        Ok(Some(Self {
            config: experiments::stored(store, &row)?.config,
            has_overrides: row.try_get(FOLLOWING)?,
            has_assignments: row.try_get(FOLLOWING + 1)?,
            siblings: row.try_get(FOLLOWING + 2)?,
            weight_period: row.try_get(FOLLOWING + 3)?,
        }))
    }
}

/// The actors in `$2`, each with the experiment `$1`.
macro_rules! wanted {
    () => {
        "(SELECT actor, $1::text AS experiment FROM unnest($2::text[]) AS actor OFFSET 0) wanted"
    };
}

/// The rows that are stored of some actors, as they count at a time.
pub(super) struct StoredRows {
    at: i64,
    overrides: Vec<Row>,
    own: Vec<Row>,
    in_siblings: Vec<Row>,
}

impl StoredRows {
    /// Reads them.
    ///
    /// It takes one search of an index for each actor: what the server supposes of a table that has only
    /// just been filled would have it read all of the table, with every batch. Nor does it see which experiment
    /// is meant: of one that it takes to be empty it would read all rows for each actor.
    pub(super) fn find(
        db: &mut Connection,
        held: &Held,
        actors: &[&str],
        at: i64,
    ) -> Result<Self, Failure> {
        let mut found = Self {
            at,
            overrides: Vec::new(),
            own: Vec::new(),
            in_siblings: Vec::new(),
        };
        let name = &held.config.name;
        if held.has_overrides {
            found.overrides = db.rows(
                concat!(
                    "SELECT wanted.actor, o.variant, floor(extract(epoch FROM o.expires_at))::bigint
                     FROM ",
                    wanted!(),
                    " CROSS JOIN LATERAL (
                         SELECT variant, expires_at FROM autumn_experiment_overrides
                         WHERE experiment = wanted.experiment AND actor = wanted.actor OFFSET 0
                     ) o"
                ),
                &[name, &actors],
            )?;
        }
        if held.has_assignments {
            found.own = db.rows(
                concat!(
                    "SELECT wanted.actor, a.variant, a.is_override FROM ",
                    wanted!(),
                    " CROSS JOIN LATERAL (
                         SELECT variant, is_override FROM autumn_experiment_assignments
                         WHERE experiment = wanted.experiment AND actor = wanted.actor OFFSET 0
                     ) a"
                ),
                &[name, &actors],
            )?;
        }
        for sibling in &held.siblings {
            found.in_siblings.extend(db.rows(
                concat!(
                    "SELECT wanted.actor FROM ",
                    wanted!(),
                    " CROSS JOIN LATERAL (
                         SELECT is_override FROM autumn_experiment_assignments
                         WHERE experiment = wanted.experiment AND actor = wanted.actor OFFSET 0
                     ) a
                     WHERE NOT (a.is_override
                         AND exp_has_expired($1, wanted.actor, to_timestamp($3::bigint)))"
                ),
                &[sibling, &actors, &at],
            )?);
        }
        Ok(found)
    }

    /// What the rules look at.
    pub(super) fn known(&self) -> Result<Known<'_>, Failure> {
        // An actor who comes twice has each row twice.
        let mut overrides: HashMap<&str, StoredOverride<'_>, FixedState> = HashMap::default();
        for row in &self.overrides {
            let expires_at: Option<i64> = row.try_get(2)?;
            let pinned = StoredOverride {
                variant: row.try_get(1)?,
                expires_at_secs: expires_at.map(experiments::unsigned),
            };
            overrides.insert(row.try_get(0)?, pinned);
        }
        let now = experiments::unsigned(self.at);
        let mut known = Known::default();
        for row in &self.own {
            let actor: &str = row.try_get(0)?;
            let stored = StoredVariant {
                variant: row.try_get(1)?,
                is_override: row.try_get(2)?,
            };
            let facts = Facts::at(|| now, overrides.get(actor).copied(), Some(stored));
            if facts.stored.is_none() {
                known.stale.insert(actor);
            }
            known.facts.insert(actor, facts);
        }
        for (actor, pinned) in overrides {
            let only_pinned = || Facts::at(|| now, Some(pinned), None);
            known.facts.entry(actor).or_insert_with(only_pinned);
        }
        for row in &self.in_siblings {
            known.facts.entry(row.try_get(0)?).or_default().in_sibling = true;
        }
        Ok(known)
    }
}
