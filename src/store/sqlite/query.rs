//! A query of a user's own: one SELECT on the store's file, or on another one with the store beside it.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};

use super::SqliteExperimentStore;
use super::failure::Failure;
use super::locks::wait_for_lock;
use super::open_sealed::uri;
use super::place::Place;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::location::StoreLocation;
use crate::store::query::{RowSink, SqlValue};

/// The name by which a query reaches the store beside another file.
const STORE: &str = "exp";

/// After how many steps of SQLite's machine the clock is looked at.
const STEPS: i32 = 10_000;

/// What stands for bytes that are no text.
const NO_TEXT: &str = "\u{fffd}";

impl SqliteExperimentStore {
    /// Runs one SELECT and gives its rows to `sink`, in one view and in constant memory. Nothing is written,
    /// and nobody is kept from writing.
    ///
    /// It is run on the store's file, or on `file`, which may be any SQLite database. The store is then beside
    /// it under the name `exp`: its views (`exp_view_assignments` and the others) are found by their plain names
    /// in either case. Bytes that are no text arrive as one replacement character.
    ///
    /// # Errors
    /// It [is refused or fails](ExperimentStoreError::Query): it is not one SELECT, or SQLite can't run it; it
    /// takes [longer than `timeout`](ExperimentStoreError::QueryTimeout), including what the sink takes; the
    /// store or the sink fails.
    pub fn query(
        &self,
        sql: &str,
        file: Option<&Path>,
        timeout: Duration,
        sink: &mut dyn RowSink,
    ) -> Result<(), ExperimentError> {
        let queried = match file {
            None => self.place.store(),
            Some(file) => StoreLocation::File(file.to_owned()),
        };
        let mut connection = match file {
            None => self.another()?,
            Some(file) => self.beside(file, &queried)?,
        };
        run(&mut connection, sql, timeout, sink).map_err(|failure| match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Sqlite(error) => failed(queried, timeout, &error).into(),
        })?;
        self.require_in_place(&self.lock(), None)
    }

    /// Opens another file, with the store attached to it.
    fn beside(&self, file: &Path, queried: &StoreLocation) -> Result<Connection, ExperimentError> {
        let refused = |problem: String| ExperimentStoreError::Query {
            store: queried.clone(),
            problem,
        };
        // SQLite would wait for the other end of a pipe, and has one sentence for all else.
        match std::fs::metadata(file) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(refused("that is not a file".to_owned()).into()),
            Err(error) => return Err(refused(error.to_string()).into()),
        }
        let attached = |path: Option<&str>| {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
                | OpenFlags::SQLITE_OPEN_URI
                | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let path = path.map_or_else(|| self.place.path.clone(), Into::into);
            let file = uri(&Place::new(file).path, "mode=ro");
            let mut connection = Connection::open_with_flags(file, flags)?;
            wait_for_lock(&mut connection, self.busy_timeout)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            let attach = format!("ATTACH ?1 AS {STORE}");
            let told = self.seal.as_ref().map_or("mode=ro", |_| "immutable=1");
            connection.execute(&attach, [uri(&path, told)])?;
            Ok(connection)
        };
        // From the root: the process may have changed its working directory.
        let connection = attached(self.lock().path());
        Ok(connection.map_err(|error: rusqlite::Error| refused(told(&error)))?)
    }
}

fn run(
    connection: &mut Connection,
    sql: &str,
    timeout: Duration,
    sink: &mut dyn RowSink,
) -> Result<(), Failure> {
    let begun = Instant::now();
    connection.progress_handler(STEPS, Some(move || begun.elapsed() >= timeout))?;
    connection.authorizer(Some(only_reading))?;
    let mut query = connection.prepare(sql)?;
    require_select(&query)?;
    let names: Vec<String> = query.column_names().map(str::to_owned).collect();
    sink.columns(&names)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(names.len());
        for column in 0..names.len() {
            values.push(match row.get_ref(column)? {
                ValueRef::Null => SqlValue::Null,
                ValueRef::Integer(number) => SqlValue::Integer(number),
                ValueRef::Real(number) => SqlValue::Real(number),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    SqlValue::Text(str::from_utf8(bytes).unwrap_or(NO_TEXT))
                }
            });
        }
        sink.row(&values)?;
    }
    Ok(())
}

/// SQLite asks before it runs a statement. What is not for reading is refused, also where it would not change a
/// file: a PRAGMA, or another file that is attached.
fn only_reading(asked: AuthContext<'_>) -> Authorization {
    match asked.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Function { .. }
        | AuthAction::Recursive => Authorization::Allow,
        _ => Authorization::Deny,
    }
}

/// What is left when all but reading is refused: an empty text, or EXPLAIN of something that reads.
fn require_select(query: &Statement<'_>) -> rusqlite::Result<()> {
    if query.column_count() == 0 || !query.readonly() || query.is_explain() != 0 {
        return Err(rusqlite::Error::ExecuteReturnedResults);
    }
    Ok(())
}

/// What is wrong with a query, in SQLite's own words where it has any.
fn told(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::MultipleStatement => "it is more than one statement".to_owned(),
        rusqlite::Error::ExecuteReturnedResults => "it is not a SELECT".to_owned(),
        rusqlite::Error::SqlInputError { error, .. }
            if error.code == ErrorCode::AuthorizationForStatementDenied =>
        {
            "it is not a SELECT, or does more than read".to_owned()
        }
        // Without the text of the statement.
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::SqliteFailure(cause, _)
            if cause.code == ErrorCode::AuthorizationForStatementDenied =>
        {
            "it is not a SELECT, or does more than read".to_owned()
        }
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}

fn failed(
    store: StoreLocation,
    timeout: Duration,
    error: &rusqlite::Error,
) -> ExperimentStoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => ExperimentStoreError::QueryTimeout {
            store,
            waited_secs: timeout.as_secs(),
        },
        _ => ExperimentStoreError::Query {
            problem: told(error),
            store,
        },
    }
}
