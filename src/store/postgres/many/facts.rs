//! What is stored of many actors, in as few questions as it takes.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use tokio_postgres::Row;

use crate::assignment::{Facts, StoredVariant};
use crate::experiment::ExperimentConfig;
use crate::store::postgres::connection::Connection;
use crate::store::postgres::experiments::{self, FOLLOWING, WITH_WHAT_IT_HOLDS};
use crate::store::postgres::failure::{CallError, Failure};

/// By the actor's name; who has nothing is not in it.
pub(super) type FactsByActor<'r> = HashMap<&'r str, Facts<'r>, FixedState>;

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

/// The rows that are stored of some actors.
#[derive(Default)]
pub(super) struct StoredRows {
    overrides: Vec<Row>,
    own: Vec<Row>,
    in_siblings: Vec<Row>,
}

impl StoredRows {
    /// Reads them.
    ///
    /// It takes one search of an index for each actor: what the server supposes of a table that has only
    /// just been filled would have it read all of the table, with every batch.
    pub(super) fn find(db: &mut Connection, held: &Held, actors: &[&str]) -> Result<Self, Failure> {
        let mut found = Self::default();
        let name = &held.config.name;
        if held.has_overrides {
            found.overrides = db.rows(
                "SELECT wanted.actor, o.variant FROM unnest($2::text[]) AS wanted (actor)
                 CROSS JOIN LATERAL (
                     SELECT variant FROM autumn_experiment_overrides
                     WHERE experiment = $1 AND actor = wanted.actor OFFSET 0
                 ) o",
                &[name, &actors],
            )?;
        }
        if held.has_assignments {
            found.own = assignments(db, name, actors)?;
        }
        for sibling in &held.siblings {
            found.in_siblings.extend(assignments(db, sibling, actors)?);
        }
        Ok(found)
    }

    /// What the rules look at.
    pub(super) fn facts(&self) -> Result<FactsByActor<'_>, Failure> {
        let mut facts = FactsByActor::default();
        for row in &self.overrides {
            facts.entry(row.try_get(0)?).or_default().pinned = Some(row.try_get(1)?);
        }
        for row in &self.own {
            let stored = StoredVariant {
                variant: row.try_get(1)?,
                is_override: row.try_get(2)?,
            };
            facts.entry(row.try_get(0)?).or_default().stored = Some(stored);
        }
        for row in &self.in_siblings {
            facts.entry(row.try_get(0)?).or_default().in_sibling = true;
        }
        Ok(facts)
    }
}

fn assignments(
    db: &mut Connection,
    experiment: &String,
    actors: &[&str],
) -> Result<Vec<Row>, CallError> {
    db.rows(
        "SELECT wanted.actor, a.variant, a.is_override FROM unnest($2::text[]) AS wanted (actor)
         CROSS JOIN LATERAL (
             SELECT variant, is_override FROM autumn_experiment_assignments
             WHERE experiment = $1 AND actor = wanted.actor OFFSET 0
         ) a",
        &[experiment, &actors],
    )
}
