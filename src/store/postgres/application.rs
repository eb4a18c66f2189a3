//! The bookkeeping of an application's migrations, for a database where `exp` was first. The tables
//! themselves are `migrations`' business.

use postgres::Client;

use super::{PgExperimentStore, PgOptions, failure, pool};
use crate::error::ExperimentStoreError;

/// The migration with which the Autumn framework makes these tables.
const MIGRATION: &str = "20260530300000";

/// The lock under which it migrates: `autn_mig` in ASCII.
const LOCK: i64 = 0x6175_746e_5f6d_6967;

/// As diesel makes it.
const BOOKKEEPING: &str = "
    CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (
        version varchar(50) PRIMARY KEY NOT NULL,
        run_on timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
    )";

impl PgExperimentStore {
    /// Makes what is missing in the database, as [`migrate`](Self::migrate) does, and records for an
    /// application of the Autumn framework that its migration `20260530300000` is applied. It then
    /// makes no tables of experiments and uses these; without the record its migrations stop at a type
    /// that exists. Says whether anything was missing.
    ///
    /// Only for the database of such an application: another one that uses diesel would find a
    /// migration recorded that it doesn't have.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate).
    pub fn migrate_for_application(options: &PgOptions) -> Result<bool, ExperimentStoreError> {
        let is_changed = Self::migrate(options)?;
        let mut client = pool::connect(options)?;
        let is_recorded = record(&mut client);
        let is_recorded = is_recorded
            .map_err(|error| failure::sort(options, "record the application's migration", error))?;
        Ok(is_changed || is_recorded)
    }
}

/// `false` if it is recorded already.
fn record(client: &mut Client) -> Result<bool, postgres::Error> {
    let mut transaction = client.transaction()?;
    // The application holds it while it reads what is recorded and applies the rest.
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
    transaction.batch_execute(BOOKKEEPING)?;
    let recorded = transaction.execute(
        "INSERT INTO __diesel_schema_migrations (version) VALUES ($1) ON CONFLICT DO NOTHING",
        &[&MIGRATION],
    )?;
    transaction.commit()?;
    Ok(recorded > 0)
}
