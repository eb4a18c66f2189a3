//! The application: its migrations, one by one or all, and its service.

use autumn_web::migrate::{FRAMEWORK_MIGRATIONS, MigrationError, run_pending_locked};
use autumn_web::reexports::diesel::migration::{Migration, MigrationSource};
use autumn_web::reexports::diesel::pg::Pg;
use autumn_web::reexports::diesel::{Connection as _, PgConnection};
use autumn_web::reexports::diesel_migrations::MigrationHarness as _;

/// The migration that makes the tables of the experiments.
pub(crate) const EXPERIMENTS: &str = "20260530300000";

/// Applies all its migrations that are not recorded yet, as it does when it starts.
pub(crate) fn migrate(url: &str) -> Result<(), MigrationError> {
    run_pending_locked(url, FRAMEWORK_MIGRATIONS, None).map(drop)
}

/// Applies only the migration of the experiments.
pub(crate) fn migrate_experiments(url: &str) {
    connect(url).run_migration(&*experiments()).unwrap();
}

/// Takes the migration of the experiments back.
pub(crate) fn revert_experiments(url: &str) -> Result<(), String> {
    let reverted = connect(url).revert_migration(&*experiments());
    reverted.map(drop).map_err(|error| error.to_string())
}

fn connect(url: &str) -> PgConnection {
    let mut connection = PgConnection::establish(url).unwrap();
    // What diesel does before it applies anything.
    connection.applied_migrations().unwrap();
    connection
}

fn experiments() -> Box<dyn Migration<Pg>> {
    let all = MigrationSource::<Pg>::migrations(&FRAMEWORK_MIGRATIONS).unwrap();
    let mut all = all.into_iter();
    all.find(|migration| migration.name().version().to_string() == EXPERIMENTS)
        .unwrap()
}
