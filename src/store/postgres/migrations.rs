//! The schema: an append-only list of files, each of which opens with why, and after them the functions, which
//! are replaced as a whole with each version.

use super::application;
use super::connection::{Connection, Mode};
use super::experiments::{CONFIGURATION, DECIDING, TYPED_CONFIGURATION};
use super::failure::{self, CallError, Failure};
use super::options::PgOptions;
use super::pace::Pace;
use super::version::{MIGRATIONS, VERSION};
use crate::error::{ExperimentError, ExperimentStoreError};

const FUNCTIONS: &str = include_str!("functions.sql");

/// The functions and triggers, as the migrations leave room for them.
pub(super) fn functions() -> String {
    FUNCTIONS
        .replace("TYPED_CONFIGURATION", TYPED_CONFIGURATION)
        .replace("CONFIGURATION", CONFIGURATION)
        .replace("DECIDING", DECIDING)
        .replace("VERSION", &VERSION.to_string())
}

/// For functions that run as their owner: with the temporary tables, which anybody can make, in the last place.
pub(super) const OWN_SEARCH_PATH: &str = "SELECT set_config('search_path',
    concat_ws(', ', nullif(current_setting('search_path'), ''), 'pg_temp'), true)";

/// The lock under which the schema is changed: "EXPM" in ASCII.
pub(super) const LOCK: i64 = 0x4558_504d;

/// What is in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked by itself")]
pub(super) struct Schema {
    /// How many of the migrations were made; 0 where `exp` was never here, or where the application has
    /// taken its tables back since, and with them what was added to them.
    pub(super) version: i32,
    /// Whether an application has made its tables.
    pub(super) has_tables: bool,
    /// Whether an application uses them: they were there before `exp` added to them, or `exp` has made them for it.
    pub(super) was_adopted: bool,
    /// Whether a copy into it was begun and not finished.
    pub(super) is_unfinished: bool,
    /// Whether the application has made the table of the assignments anew, and so without what was added.
    pub(super) lacks_periods: bool,
}

impl Schema {
    /// Whether there is something to migrate.
    fn is_behind(self) -> bool {
        self.version < VERSION || self.lacks_periods
    }
}

/// A fault that may be one of the schema, sorted by what the schema is.
pub(super) fn explain(db: &mut Connection, options: &PgOptions, fault: CallError) -> Failure {
    if failure::is_of_schema(&fault)
        && let Ok(schema) = db.without_check(inspect)
        && let Err(unusable) = require_usable(options, schema)
    {
        return ExperimentError::from(unusable).into();
    }
    fault.into()
}

/// Whether the schema is one that this version works with, and complete.
pub(super) fn require_usable(
    options: &PgOptions,
    schema: Schema,
) -> Result<(), ExperimentStoreError> {
    require_version(options, schema)?;
    if schema.is_unfinished {
        let store = options.location();
        return Err(ExperimentStoreError::Unfinished { store });
    }
    Ok(())
}

/// Whether the schema is one that this version works with.
pub(super) fn require_version(
    options: &PgOptions,
    schema: Schema,
) -> Result<(), ExperimentStoreError> {
    let store = options.location();
    if schema.version == 0 && !schema.has_tables {
        return Err(ExperimentStoreError::Missing { store });
    }
    if schema.version < VERSION {
        return Err(ExperimentStoreError::NotMigrated { store });
    }
    if schema.version > VERSION {
        return Err(ExperimentStoreError::NewerSchema {
            store,
            found: schema.version.into(),
            supported: VERSION.into(),
        });
    }
    Ok(())
}

pub(super) fn inspect(db: &mut Connection) -> Result<Schema, CallError> {
    let found = db.one(
        "SELECT to_regclass('autumn_experiments') IS NOT NULL,
                to_regclass('exp_migrations') IS NOT NULL
                    AND EXISTS (SELECT FROM pg_attribute
                        WHERE attrelid = to_regclass('autumn_experiments')
                            AND attname = 'exp_version' AND NOT attisdropped),
                to_regclass('exp_copy') IS NOT NULL,
                to_regclass('autumn_experiment_assignments') IS NOT NULL
                    AND NOT EXISTS (SELECT FROM pg_attribute
                        WHERE attrelid = to_regclass('autumn_experiment_assignments')
                            AND attname = 'weight_period' AND NOT attisdropped)",
        &[],
    )?;
    let has_tables: bool = found.try_get(0)?;
    let mut schema = Schema {
        version: 0,
        has_tables,
        was_adopted: has_tables,
        is_unfinished: found.try_get(2)?,
        lacks_periods: false,
    };
    if found.try_get(1)? {
        let made = db.one(
            "SELECT coalesce(max(version), 0), coalesce(bool_or(adopted), false)
             FROM exp_migrations",
            &[],
        )?;
        schema.version = made.try_get(0)?;
        schema.was_adopted = made.try_get(1)?;
        schema.lacks_periods = schema.version == VERSION && found.try_get(3)?;
    }
    Ok(schema)
}

/// For whom the tables are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Us,
    /// For an application, too, which is to find its own migration applied.
    Application,
}

/// Makes what is missing, in one transaction. Two at once wait for each other. Whether anything was
/// missing.
pub(super) fn migrate(db: &mut Connection, whom: For) -> Result<bool, CallError> {
    if whom == For::Us && !inspect(db)?.is_behind() {
        return Ok(false);
    }
    loop {
        db.begin(Mode::Write, Pace::Unbounded);
        match migrate_in_transaction(db, whom) {
            Ok(has_changed) => {
                db.commit()?;
                return Ok(has_changed);
            }
            Err(fault) => {
                let _ = db.roll_back();
                // An application was using its tables.
                if !failure::is_conflict(&fault) {
                    return Err(fault);
                }
            }
        }
    }
}

fn migrate_in_transaction(db: &mut Connection, whom: For) -> Result<bool, CallError> {
    if whom == For::Application {
        application::lock(db)?;
    }
    db.row("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
    let before = inspect(db)?;
    if before.is_behind() {
        make(db, before)?;
    }
    if whom == For::Us {
        return Ok(before.is_behind());
    }
    let adopted = db.execute(
        "UPDATE exp_migrations SET adopted = true WHERE NOT adopted",
        &[],
    )?;
    Ok(application::record(db)? || adopted > 0 || before.is_behind())
}

/// Gives a table of the assignments that the application has made anew what belongs to it, within the
/// transaction that has begun. Whether it was missing.
pub(super) fn complete(db: &mut Connection) -> Result<bool, CallError> {
    db.row("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
    let before = inspect(db)?;
    if before.lacks_periods {
        make(db, before)?;
    }
    Ok(before.lacks_periods)
}

fn make(db: &mut Connection, before: Schema) -> Result<(), CallError> {
    // All at once and before anything else: taken one by one, behind an application that uses them in
    // another order, two would wait for each other. First the one that whoever asks has read.
    db.batch(
        "DO $$ DECLARE present text; BEGIN
            SELECT string_agg(name, ', ') INTO present FROM unnest(ARRAY[
                'exp_migrations', 'autumn_experiments', 'autumn_experiment_assignments',
                'autumn_experiment_overrides', 'autumn_experiment_changes']) AS name
            WHERE to_regclass(name) IS NOT NULL;
            IF present IS NOT NULL THEN
                EXECUTE 'LOCK TABLE ' || present || ' IN ACCESS EXCLUSIVE MODE';
            END IF;
        END $$;
        CREATE TABLE IF NOT EXISTS exp_migrations (
            version integer PRIMARY KEY,
            adopted boolean NOT NULL,
            made_at timestamptz NOT NULL DEFAULT now()
        )",
    )?;
    let mut done = usize::try_from(before.version).unwrap_or(0);
    if done == 0 || before.lacks_periods {
        // What is recorded was made to tables that are gone.
        db.execute("DELETE FROM exp_migrations", &[])?;
        done = 0;
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        db.batch(migration)?;
        let version = i32::try_from(index + 1).unwrap_or(i32::MAX);
        db.execute(
            "INSERT INTO exp_migrations (version, adopted) VALUES ($1, $2)",
            &[&version, &before.was_adopted],
        )?;
    }
    db.batch(OWN_SEARCH_PATH)?;
    db.batch(&functions())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucketing::fnv1a;

    /// What is frozen. A file that was changed is put back, and what it was to do becomes a migration of
    /// its own.
    const FROZEN: &[u64] = &[
        0x8278_9289_1ba7_d59c,
        0x6a3d_208f_a51a_ee99,
        0x6b92_9818_da37_7d27,
        0x9bf1_74ac_d97f_5bdf,
        0xb2f2_ea85_ac37_2637,
    ];

    /// The functions may be edited, but the version that they belong to can't have been in use.
    const OF_VERSION: (i32, u64) = (5, 0x407a_db26_06d1_8760);

    fn hash(text: &str) -> u64 {
        fnv1a(0xcbf2_9ce4_8422_2325, text.as_bytes())
    }

    #[test]
    fn no_migration_is_edited() {
        let hashes: Vec<u64> = MIGRATIONS.iter().map(|text| hash(text)).collect();
        assert_eq!(hashes, FROZEN, "{hashes:#x?}");
    }

    #[test]
    fn functions_change_with_the_version() {
        let hash = hash(&functions());
        assert_eq!((VERSION, hash), OF_VERSION, "{hash:#x}; add a migration");
    }
}
