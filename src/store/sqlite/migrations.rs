//! The schema's history: an append-only list of files, each of which opens with why.

use rusqlite::{Connection, TransactionBehavior};

/// Nobody edits a file that was released; a change is a new file at the end.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_entry.sql"),
];

pub(super) enum Outcome {
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
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<Outcome> {
    let version = schema_version(connection)?;
    if version == latest() {
        return Ok(Outcome::Current);
    }
    if version > latest() {
        return Ok(Outcome::Newer(version));
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
    Ok(Outcome::Current)
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
