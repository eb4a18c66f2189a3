//! The schema's history: an append-only list of files, each of which opens with why.

use postgres::Client;

use super::failure;

/// Nobody edits a file that was released; a change is a new file at the end.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_layout.sql"),
    include_str!("migrations/0002_additions.sql"),
];

/// The lock under which the schema is changed: "EXPM" in ASCII.
pub(super) const LOCK: i64 = 0x4558_504d;

/// What stands in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schema {
    /// How many of the migrations were made; 0 where `exp` was never here.
    pub(super) version: i32,
    /// Whether an application has made its tables.
    pub(super) has_tables: bool,
    /// Whether they were there before `exp` was.
    pub(super) was_adopted: bool,
    /// Whether a copy into it was begun and not finished.
    pub(super) is_unfinished: bool,
}

/// The schema version that this program works with.
pub(super) fn latest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

pub(super) fn inspect(client: &mut Client) -> Result<Schema, postgres::Error> {
    let found = client.query_one(
        "SELECT to_regclass('autumn_experiments') IS NOT NULL,
                to_regclass('exp_migrations') IS NOT NULL, to_regclass('exp_copy') IS NOT NULL",
        &[],
    )?;
    let has_tables: bool = found.try_get(0)?;
    let mut schema = Schema {
        version: 0,
        has_tables,
        was_adopted: has_tables,
        is_unfinished: found.try_get(2)?,
    };
    if found.try_get(1)? {
        let made = client.query_one(
            "SELECT coalesce(max(version), 0), coalesce(bool_or(adopted), false)
             FROM exp_migrations",
            &[],
        )?;
        schema.version = made.try_get(0)?;
        schema.was_adopted = made.try_get(1)?;
    }
    Ok(schema)
}

/// Makes what is missing, in one transaction. Two at once wait for each other.
pub(super) fn migrate(client: &mut Client) -> Result<Schema, postgres::Error> {
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK])?;
    let migrated = loop {
        match migrate_alone(client) {
            // An application was using its tables; the transaction is undone.
            Err(error) if failure::is_conflict(&error) => {}
            done => break done,
        }
    };
    // A connection that failed takes the lock along.
    let unlocked = client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]);
    let schema = migrated?;
    unlocked?;
    Ok(schema)
}

fn migrate_alone(client: &mut Client) -> Result<Schema, postgres::Error> {
    let before = inspect(client)?;
    if before.version >= latest() {
        return Ok(before);
    }
    let mut transaction = client.transaction()?;
    // All at once and before anything else: taken one by one, behind an application that uses them in
    // another order, two would wait for each other.
    transaction.batch_execute(
        "DO $$ DECLARE present text; BEGIN
            SELECT string_agg(name, ', ') INTO present FROM unnest(ARRAY[
                'autumn_experiments', 'autumn_experiment_assignments',
                'autumn_experiment_overrides', 'autumn_experiment_changes']) AS name
            WHERE to_regclass(name) IS NOT NULL;
            IF present IS NOT NULL THEN
                EXECUTE 'LOCK TABLE ' || present || ' IN ACCESS EXCLUSIVE MODE';
            END IF;
        END $$",
    )?;
    transaction.batch_execute(
        "CREATE TABLE IF NOT EXISTS exp_migrations (
            version integer PRIMARY KEY,
            adopted boolean NOT NULL,
            made_at timestamptz NOT NULL DEFAULT now()
        )",
    )?;
    let done = usize::try_from(before.version).unwrap_or(0);
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        transaction.batch_execute(migration)?;
        let version = i32::try_from(index + 1).unwrap_or(i32::MAX);
        transaction.execute(
            "INSERT INTO exp_migrations (version, adopted) VALUES ($1, $2)",
            &[&version, &before.was_adopted],
        )?;
    }
    transaction.commit()?;
    inspect(client)
}
