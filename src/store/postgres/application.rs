//! The bookkeeping of an application's migrations, for a database where `exp` was first. The tables
//! themselves are `migrations`' business.

use super::connection::Connection;
use super::failure::CallError;

/// The migration with which the Autumn framework makes the tables of the experiments.
const MIGRATION: &str = "20260530300000";

/// The lock under which it migrates: `autn_mig` in ASCII.
const LOCK: i64 = 0x6175_746e_5f6d_6967;

/// Waits until the application does not migrate, and keeps it from that until the transaction ends.
pub(super) fn lock(db: &mut Connection) -> Result<(), CallError> {
    db.row("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
    Ok(())
}

/// Records its migration as applied. `false` if it was.
pub(super) fn record(db: &mut Connection) -> Result<bool, CallError> {
    // As diesel makes it.
    db.batch(
        "CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (
            version varchar(50) PRIMARY KEY NOT NULL,
            run_on timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
        )",
    )?;
    let recorded = db.execute(
        "INSERT INTO __diesel_schema_migrations (version) VALUES ($1) ON CONFLICT DO NOTHING",
        &[&MIGRATION],
    )?;
    Ok(recorded > 0)
}
