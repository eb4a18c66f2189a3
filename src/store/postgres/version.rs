//! The versions of the schema, and how the database is asked to refuse another than this program's.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Statement};

/// The schema version that this program works with, for the names of functions, too.
macro_rules! schema_version {
    () => {
        5
    };
}
pub(super) use schema_version;

pub(super) const VERSION: i32 = schema_version!();
const _: () = assert!(
    MIGRATIONS.len() == schema_version!(),
    "the version is the number of migrations"
);

/// Nobody edits a file of these; a change is a new file at the end.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_layout.sql"),
    include_str!("migrations/0002_additions.sql"),
    include_str!("migrations/0003_entry.sql"),
    include_str!("migrations/0004_results.sql"),
    include_str!("migrations/0005_who_enters.sql"),
];

const REQUIRE: &str = "SELECT exp_require($1)";

/// Asks the database to fail where the schema is another than this program's, or a copy is unfinished:
/// what is sent with it in one transaction is then not done. Prepared where it was prepared.
pub(super) async fn require(
    client: &Client,
    prepared: Option<&Statement>,
) -> Result<(), tokio_postgres::Error> {
    let version: &(dyn ToSql + Sync) = &VERSION;
    match prepared {
        Some(prepared) => client.query(prepared, &[version]).await?,
        None => {
            client
                .query_typed(REQUIRE, &[(version, Type::INT4)])
                .await?
        }
    };
    Ok(())
}

pub(super) async fn prepare_to_require(
    client: &Client,
) -> Result<Statement, tokio_postgres::Error> {
    client.prepare_typed(REQUIRE, &[Type::INT4]).await
}

/// Has a snapshot begin before or after a change of the schema, and not in the middle: what is seen in it
/// is settled by the first statement that sees anything, and that would wait for the change to end.
pub(super) const AWAIT_CHANGE: &str = "; LOCK TABLE exp_migrations IN ACCESS SHARE MODE";
