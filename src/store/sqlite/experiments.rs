//! Experiments, their variants and their spaces: domain types to rows and back.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{deleted, ids};
use crate::experiment::{ExperimentConfig, ExperimentState, VariantConfig};

/// An experiment as it is stored: its configuration and its row ids.
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) space: i64,
    pub(super) slot: i64,
    pub(super) created_at: i64,
    /// The number of the present period of weights.
    pub(super) weight_period: u32,
    pub(super) config: ExperimentConfig,
    /// Every variant it ever had; a variant's place in here is its `idx`.
    variants: Vec<KnownVariant>,
}

struct KnownVariant {
    name: String,
    weight: u32,
    position: Option<u32>,
}

impl Stored {
    /// The `idx` of the variant of that name, whether it was removed or not.
    pub(super) fn index_of(&self, variant: &str) -> Option<usize> {
        self.variants.iter().position(|known| known.name == variant)
    }

    /// The `idx` of the variant of that name, which has to have one.
    pub(super) fn require_index(&self, variant: &str) -> rusqlite::Result<usize> {
        self.index_of(variant).ok_or_else(|| {
            contradiction(format!(
                "experiment {:?} does not know variant {variant:?}",
                self.config.name
            ))
        })
    }

    /// The name of the variant with that `idx`.
    pub(super) fn variant_name(&self, index: usize) -> rusqlite::Result<&str> {
        let known = self.variants.get(index);
        known.map(|known| &*known.name).ok_or_else(|| {
            contradiction(format!(
                "experiment {:?} has no variant {index}",
                self.config.name
            ))
        })
    }

    /// The names of all variants it ever had, by their `idx`.
    pub(super) fn variant_names(&self) -> impl Iterator<Item = &str> {
        self.variants.iter().map(|known| &*known.name)
    }
}

/// The store says two things that can't both be true.
pub(super) fn contradiction(what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Null, what.into())
}

const COLUMNS: &str = "e.id, e.name, e.description, e.state, e.winner, e.space_id, e.slot,
    e.bucketing, e.created_at, e.updated_at, s.exclusion_group, e.salt, e.coverage,
    e.analysis, e.weight_period, e.enrolling, e.variant_values
    FROM experiments e JOIN spaces s ON s.id = e.space_id";

pub(super) fn load(db: &Connection, name: &str) -> rusqlite::Result<Option<Stored>> {
    let mut query = db.prepare_cached(&format!("SELECT {COLUMNS} WHERE e.name = ?1"))?;
    let found = query.query_row([name], from_row).optional()?;
    found.map(|row| with_variants(db, row)).transpose()
}

/// The state of the experiment of that name.
pub(super) fn state(db: &Connection, name: &str) -> rusqlite::Result<Option<ExperimentState>> {
    db.prepare_cached("SELECT state FROM experiments WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// All experiments, sorted by name.
pub(super) fn load_all(db: &Connection) -> rusqlite::Result<Vec<Stored>> {
    let mut query = db.prepare_cached(&select_all())?;
    let rows = query.query_map([], from_row)?;
    rows.map(|row| with_variants(db, row?)).collect()
}

/// The query of all experiments, sorted by name, each of which [`read`] reads.
pub(super) fn select_all() -> String {
    format!("SELECT {COLUMNS} ORDER BY e.name")
}

pub(super) fn read(db: &Connection, row: &Row<'_>) -> rusqlite::Result<Stored> {
    with_variants(db, from_row(row)?)
}

type WinnerIndex = Option<usize>;

fn from_row(row: &Row<'_>) -> rusqlite::Result<(Stored, WinnerIndex)> {
    let stored = Stored {
        id: row.get(0)?,
        space: row.get(5)?,
        slot: row.get(6)?,
        created_at: row.get(8)?,
        weight_period: row.get(14)?,
        config: ExperimentConfig {
            name: row.get(1)?,
            description: row.get(2)?,
            state: row.get(3)?,
            variants: Vec::new(),
            winner: None,
            exclusion_group: row.get(10)?,
            bucketing: row.get(7)?,
            salt: row.get(11)?,
            coverage: row.get(12)?,
            enrolling: row.get(15)?,
            values: row.get::<_, Option<_>>(16)?.unwrap_or_default(),
            analysis: row.get::<_, Option<_>>(13)?.unwrap_or_default(),
            updated_at_secs: row.get(9)?,
        },
        variants: Vec::new(),
    };
    Ok((stored, row.get(4)?))
}

fn with_variants(
    db: &Connection,
    (mut stored, winner): (Stored, WinnerIndex),
) -> rusqlite::Result<Stored> {
    let mut query = db.prepare_cached(
        "SELECT name, weight, position, idx FROM variants
         WHERE experiment_id = ?1 ORDER BY idx",
    )?;
    let mut rows = query.query([stored.id])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, usize>(3)? != stored.variants.len() {
            return Err(contradiction(format!(
                "experiment {:?} has lost a variant",
                stored.config.name
            )));
        }
        stored.variants.push(KnownVariant {
            name: row.get(0)?,
            weight: row.get(1)?,
            position: row.get(2)?,
        });
    }
    let mut listed: Vec<_> = stored
        .variants
        .iter()
        .filter_map(|known| Some((known.position?, known)))
        .collect();
    listed.sort_unstable_by_key(|(position, _)| *position);
    stored.config.variants = listed
        .into_iter()
        .map(|(_, known)| VariantConfig::new(&*known.name, known.weight))
        .collect();
    if let Some(winner) = winner {
        stored.config.winner = Some(stored.variant_name(winner)?.to_owned());
    }
    Ok(stored)
}

/// Writes a configuration: a new experiment, or a new version of `current`. Returns its id.
pub(super) fn save(
    db: &Connection,
    current: Option<&Stored>,
    config: &ExperimentConfig,
    now: i64,
) -> rusqlite::Result<i64> {
    let id = match current {
        None => insert(db, config, now)?,
        Some(current) => {
            if current.config.exclusion_group != config.exclusion_group {
                move_to_space(db, current, config.exclusion_group.as_deref())?;
            }
            current.id
        }
    };
    let mut names: Vec<&str> = current.map_or_else(Vec::new, |current| {
        current.variants.iter().map(|v| &*v.name).collect()
    });
    save_variants(db, id, &mut names, &config.variants)?;
    let winner = config.winner.as_deref();
    let winner = winner
        .map(|winner| variant_row(db, id, &mut names, winner))
        .transpose()?;
    db.prepare_cached(
        "UPDATE experiments SET description = ?2, state = ?3, winner = ?4, bucketing = ?5,
         salt = ?6, coverage = ?7, analysis = ?8, enrolling = ?9, variant_values = ?10,
         updated_at = max(?11, created_at) WHERE id = ?1",
    )?
    .execute(params![
        id,
        config.description,
        config.state.as_str(),
        winner,
        config.bucketing.as_str(),
        config.salt,
        config.coverage.per_10000(),
        config.analysis,
        config.enrolling,
        config.values,
        now
    ])?;
    Ok(id)
}

/// Adds an experiment. It goes on with the log of a deleted one of its name.
fn insert(db: &Connection, config: &ExperimentConfig, now: i64) -> rusqlite::Result<i64> {
    let space = space_of(db, config.exclusion_group.as_deref())?;
    let id = match deleted::take(db, &config.name)? {
        Some(id) => id,
        None => ids::free_experiment(db)?,
    };
    db.prepare_cached(
        "INSERT INTO experiments
             (id, name, state, space_id, slot, bucketing, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
    )?
    .execute(params![
        id,
        config.name,
        config.state.as_str(),
        space,
        ids::free_slot(db, space)?,
        config.bucketing.as_str(),
        now
    ])?;
    Ok(id)
}

/// The rules keep the group of an experiment that has assignments, so there are none to move.
fn move_to_space(db: &Connection, current: &Stored, group: Option<&str>) -> rusqlite::Result<()> {
    let space = space_of(db, group)?;
    db.execute(
        "UPDATE experiments SET space_id = ?2, slot = ?3 WHERE id = ?1",
        params![current.id, space, ids::free_slot(db, space)?],
    )?;
    drop_own_space(db, current)
}

/// Removes an experiment of whose actors nothing is stored. Its log stays, under its id and its name.
pub(super) fn delete(db: &Connection, current: &Stored) -> rusqlite::Result<()> {
    for table in ["variants", "weight_periods", "assignment_counts"] {
        let delete = format!("DELETE FROM {table} WHERE experiment_id = ?1");
        db.execute(&delete, [current.id])?;
    }
    db.execute("DELETE FROM experiments WHERE id = ?1", [current.id])?;
    drop_own_space(db, current)?;
    deleted::enter(db, current.id, &current.config.name)
}

/// Gives an experiment another name, under which it goes on with the log of a deleted one.
pub(super) fn rename(
    db: &Connection,
    current: &Stored,
    to: &str,
    now: i64,
) -> rusqlite::Result<()> {
    if let Some(deleted) = deleted::take(db, to)? {
        db.execute(
            "UPDATE changes SET experiment_id = ?1 WHERE experiment_id = ?2",
            [current.id, deleted],
        )?;
    }
    db.execute(
        "UPDATE experiments SET name = ?2, updated_at = max(?3, created_at) WHERE id = ?1",
        params![current.id, to, now],
    )?;
    Ok(())
}

/// The space of an experiment that leaves it goes, unless it is that of a group.
fn drop_own_space(db: &Connection, leaving: &Stored) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM spaces WHERE id = ?1 AND exclusion_group IS NULL",
        [leaving.space],
    )?;
    Ok(())
}

/// The space of a group, or a new one of its own.
fn space_of(db: &Connection, group: Option<&str>) -> rusqlite::Result<i64> {
    let mut find = db.prepare_cached("SELECT id FROM spaces WHERE exclusion_group = ?1")?;
    if let Some(space) = find.query_row([group], |row| row.get(0)).optional()? {
        return Ok(space);
    }
    let space = ids::free_space(db)?;
    db.prepare_cached("INSERT INTO spaces (id, exclusion_group) VALUES (?1, ?2)")?
        .execute(params![space, group])?;
    Ok(space)
}

/// Gives every variant of `list` its weight and position, and takes the others out of the list.
/// `names` holds the known names by `idx`; new ones are added to it.
fn save_variants<'a>(
    db: &Connection,
    experiment: i64,
    names: &mut Vec<&'a str>,
    list: &'a [VariantConfig],
) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE variants SET weight = 0, position = NULL WHERE experiment_id = ?1")?
        .execute([experiment])?;
    let mut put = db.prepare_cached(
        "INSERT INTO variants (experiment_id, idx, name, weight, position)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET weight = excluded.weight, position = excluded.position",
    )?;
    for (position, variant) in list.iter().enumerate() {
        let known = names.iter().position(|name| *name == variant.name);
        let index = known.unwrap_or_else(|| {
            names.push(&variant.name);
            names.len() - 1
        });
        put.execute(params![
            experiment,
            index,
            variant.name,
            variant.weight,
            position
        ])?;
    }
    Ok(())
}

/// The `idx` of a variant; one that is in no list, as the winner that an application stored may be,
/// gets a row.
fn variant_row<'a>(
    db: &Connection,
    experiment: i64,
    names: &mut Vec<&'a str>,
    variant: &'a str,
) -> rusqlite::Result<usize> {
    if let Some(index) = names.iter().position(|name| *name == variant) {
        return Ok(index);
    }
    let index = names.len();
    db.prepare_cached(
        "INSERT INTO variants (experiment_id, idx, name, weight) VALUES (?1, ?2, ?3, 0)",
    )?
    .execute(params![experiment, index, variant])?;
    names.push(variant);
    Ok(index)
}

/// Whether other experiments share its space.
pub(super) fn has_siblings(db: &Connection, experiment: &Stored) -> rusqlite::Result<bool> {
    let find = "SELECT EXISTS (SELECT 1 FROM experiments WHERE space_id = ?1 AND slot <> ?2)";
    db.prepare_cached(find)?
        .query_row([experiment.space, experiment.slot], |row| row.get(0))
}

/// The name of the experiment in that slot of a space.
pub(super) fn name_in_slot(db: &Connection, space: i64, slot: i64) -> rusqlite::Result<String> {
    db.prepare_cached("SELECT name FROM experiments WHERE space_id = ?1 AND slot = ?2")?
        .query_row([space, slot], |row| row.get(0))
}
