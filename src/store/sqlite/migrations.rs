//! The schema's history: an append-only list of files, each of which opens with why.

use rusqlite::{Connection, TransactionBehavior};

/// Nobody edits a file that is here: a change is a new one at the end.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_entry.sql"),
    include_str!("migrations/0003_results.sql"),
    include_str!("migrations/0004_second_thoughts.sql"),
];

pub(super) enum SchemaState {
    /// The schema is what this version works with.
    Current,
    /// A newer version of the program wrote the store, with this schema.
    Newer(i64),
}

/// The schema version that this program works with.
pub(super) fn latest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings the schema up to date, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<SchemaState> {
    let version = schema_version(connection)?;
    if version == latest() {
        return Ok(SchemaState::Current);
    }
    if version > latest() {
        return Ok(SchemaState::Newer(version));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it while this one waited for the lock.
    let done = usize::try_from(schema_version(&transaction)?).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    if done < MIGRATIONS.len() {
        transaction.pragma_update(None, "user_version", latest())?;
    }
    transaction.commit()?;
    Ok(SchemaState::Current)
}

/// Whether an older version of the program made the schema.
pub(super) fn is_older(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(schema_version(connection)? < latest())
}

/// The version of the schema, if a newer version of the program made it. It is asked in every transaction: the
/// store may be migrated while this process has it open.
pub(super) fn newer(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let version = schema_version(connection)?;
    Ok((version > latest()).then_some(version))
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("PRAGMA user_version")?
        .query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;
    use crate::bucketing::{FNV_OFFSET, fnv1a};

    /// What is frozen, in order. A file that was changed is put back, and what it was to do becomes one of its
    /// own; CONTRIBUTING.md says how to add it.
    const FROZEN: &[u64] = &[
        0x1c72_1986_99d4_74ae,
        0x6bc6_2238_c25f_2873,
        0x8b28_1698_13dd_4146,
        0x194a_74b1_b038_774f,
    ];

    #[test]
    fn no_migration_is_edited() {
        let hash = |text: &&str| fnv1a(FNV_OFFSET, text.as_bytes());
        let hashes: Vec<u64> = MIGRATIONS.iter().map(hash).collect();
        assert_eq!(hashes, FROZEN, "{hashes:#x?}");
    }
}
