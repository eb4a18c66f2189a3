//! A connection as the steps of the store use it: statements, transactions, and how long each may take.
//!
//! A statement is unnamed and sent with the types of its parameters, so that it takes one round trip and
//! leaves nothing behind in the server, whose sessions a pooler may lend to somebody else after each
//! transaction. For the same reason isolation and timeouts are set in each transaction. Where the session
//! is this connection's own, they are set once, and what is asked again and again is prepared.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::{join, try_join, try_join4};
use futures_util::{StreamExt as _, pin_mut};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{Kind, ToSql, Type};
use tokio_postgres::{Client, Column, Row, Statement};

use super::dial::dial;
use super::failure::{CallError, Failure};
use super::options::PgOptions;
use super::pace::{Pace, patience, set_statement_timeout, set_timeouts, statement_timeout};
use super::session::{self, Session};
pub(super) use super::values::Values;
use super::values::typed;
use super::version;
use super::wire::{self, Wire};
use crate::error::ExperimentStoreError;

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Each statement sees what was committed before it began; on that the locks rely.
    Write,
    /// All statements see the same.
    Snapshot,
}

/// What is asked about the schema, with what else is asked: `functions.sql` says how it protects.
struct Schema {
    /// Whether it is asked.
    checks: bool,
    /// Whether it was ever found to be what this program works with.
    was_checked: bool,
    /// The question, once it is prepared.
    question: Option<Statement>,
}

/// A connection that was used within this time is taken to be alive.
const RECENTLY: Duration = Duration::from_millis(100);

pub(super) struct Connection {
    wire: Wire,
    options: PgOptions,
    last_used: Instant,
    /// Whether another one has been lost since, and this one with it for all that is known.
    pub(super) is_suspect: bool,
    schema: Schema,
    session: Session,
    /// What was asked before, prepared from the second time on.
    statements: HashMap<&'static str, Option<Statement>>,
    /// A transaction that begins with the next statement.
    to_begin: Option<String>,
    is_in_transaction: bool,
    pace: Pace,
}

impl Connection {
    /// Opens a connection that checks the schema with each transaction and each statement outside of one.
    pub(super) fn open(options: &PgOptions) -> Result<Self, ExperimentStoreError> {
        let mut connection = Self::open_unchecked(options)?;
        connection.schema.checks = true;
        Ok(connection)
    }

    /// Opens a connection, whatever is in the database.
    pub(super) fn open_unchecked(options: &PgOptions) -> Result<Self, ExperimentStoreError> {
        Ok(Self {
            wire: dial(options)?,
            options: options.clone(),
            last_used: Instant::now(),
            is_suspect: false,
            schema: Schema {
                checks: false,
                was_checked: false,
                question: None,
            },
            session: Session::Unknown,
            statements: HashMap::new(),
            to_begin: None,
            is_in_transaction: false,
            pace: Pace::Quick,
        })
    }

    pub(super) fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Does something whatever is in the database.
    pub(super) fn without_check<T>(&mut self, step: impl FnOnce(&mut Self) -> T) -> T {
        let checks = std::mem::take(&mut self.schema.checks);
        let done = step(self);
        self.schema.checks = checks;
        done
    }

    pub(super) fn put_back(&mut self) {
        self.last_used = Instant::now();
        self.is_suspect = false;
        self.to_begin = None;
        self.is_in_transaction = false;
        self.pace(Pace::Quick);
    }

    /// Whether the server has not closed it meanwhile, as far as is known here: it takes no round trip.
    /// A step that writes can't be repeated once it has been sent, so this is found out before.
    pub(super) fn is_alive(&mut self) -> bool {
        (!self.is_suspect && self.last_used.elapsed() <= RECENTLY) || self.wire.is_open()
    }

    /// How long each of the following statements may take.
    pub(super) fn pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Begins a transaction, with the statement that follows.
    pub(super) fn begin(&mut self, mode: Mode, pace: Pace) {
        self.pace(pace);
        let statement_timeout = statement_timeout(&self.options, pace);
        let mut begin = match mode {
            Mode::Write => "BEGIN ISOLATION LEVEL READ COMMITTED".to_owned(),
            Mode::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY".to_owned(),
        };
        if mode == Mode::Snapshot && self.schema.checks {
            begin.push_str(version::AWAIT_CHANGE);
        }
        if self.is_ours() {
            if !self.is_set_up_for(pace) {
                set_statement_timeout(&mut begin, "SET LOCAL", &self.options, statement_timeout);
            }
        } else {
            set_timeouts(&mut begin, "SET LOCAL", &self.options, statement_timeout);
            if mode == Mode::Write {
                begin.push_str("; ");
                begin.push_str(&session::have_commits_wait(true));
            }
        }
        self.to_begin = Some(begin);
    }

    fn is_ours(&self) -> bool {
        matches!(self.session, Session::New | Session::Ours)
    }

    /// Whether a statement of this pace needs no transaction to be bounded as it should.
    fn is_set_up_for(&self, pace: Pace) -> bool {
        self.is_ours() && pace == Pace::Quick
    }

    /// Whether what is set in the session stays this connection's.
    pub(super) fn owns_session(&mut self) -> Result<bool, CallError> {
        if self.session == Session::Unknown {
            self.rows("SELECT 1", &[])?;
        }
        Ok(self.is_ours())
    }

    /// The same, with how long was waited where the server gave the statement up.
    pub(super) fn explain(&self, fault: CallError) -> CallError {
        fault.within(statement_timeout(&self.options, self.pace))
    }

    pub(super) fn commit(&mut self) -> Result<(), CallError> {
        self.end("COMMIT")
    }

    pub(super) fn roll_back(&mut self) -> Result<(), CallError> {
        self.end("ROLLBACK")
    }

    fn end(&mut self, how: &'static str) -> Result<(), CallError> {
        // It may not have begun at all.
        if self.to_begin.take().is_some() {
            return Ok(());
        }
        let ended = self.batch(how);
        self.is_in_transaction = false;
        ended
    }

    /// Runs one statement in a transaction of its own, in one round trip. It calls functions that have the
    /// schema's version in their names, so that nothing else need check it.
    pub(super) fn single(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Option<Row>, CallError> {
        self.pace(Pace::Quick);
        if !self.schema.was_checked {
            return self.row(sql, values);
        }
        self.without_check(|db| db.row(sql, values))
    }

    /// In the transaction that has begun; without one, as one of its own, in one round trip.
    pub(super) fn rows(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, CallError> {
        if self.is_in_transaction || self.to_begin.is_some() {
            return self.rows_within(sql, values);
        }
        let rows = if self.is_set_up_for(self.pace) {
            self.rows_within(sql, values)
        } else {
            self.rows_alone(sql, values)
        };
        rows.map_err(|fault| self.explain(fault))
    }

    fn rows_alone(&mut self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, CallError> {
        self.begin(Mode::Write, self.pace);
        let asked = self.ask(async |client| {
            join(query(client, sql, values), client.batch_execute("COMMIT")).await
        });
        self.is_in_transaction = false;
        let (rows, committed) = asked?;
        let rows = rows?;
        committed?;
        Ok(rows)
    }

    fn rows_within(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, CallError> {
        if !self.is_ours() {
            return Ok(self.ask(async |client| query(client, sql, values).await)??);
        }
        match self.statements.get(sql).cloned() {
            Some(Some(prepared)) => {
                let values: Vec<_> = values.iter().map(|value| value.sql()).collect();
                Ok(self.ask(async |client| client.query(&prepared, &values).await)??)
            }
            Some(None) => {
                let types: Vec<Type> = values.iter().map(|value| value.kind()).collect();
                let (rows, prepared) = self.ask(async |client| {
                    join(
                        query(client, sql, values),
                        client.prepare_typed(sql, &types),
                    )
                    .await
                })?;
                self.statements.insert(sql, prepared.ok());
                Ok(rows?)
            }
            None => {
                self.statements.insert(sql, None);
                Ok(self.ask(async |client| query(client, sql, values).await)??)
            }
        }
    }

    pub(super) fn row(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Option<Row>, CallError> {
        Ok(self.rows(sql, values)?.into_iter().next())
    }

    /// The row of a statement that always gives one.
    pub(super) fn one(&mut self, sql: &'static str, values: Values<'_>) -> Result<Row, CallError> {
        let none = || CallError::Io(std::io::Error::other("it gave no row"));
        self.row(sql, values)?.ok_or_else(none)
    }

    pub(super) fn execute(&mut self, sql: &str, values: Values<'_>) -> Result<u64, CallError> {
        let executed = self.ask(async |client| client.execute_typed(sql, &typed(values)).await)?;
        Ok(executed?)
    }

    /// Statements without parameters and without results.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), CallError> {
        Ok(self.ask(async |client| client.batch_execute(sql).await)??)
    }

    /// The columns that a statement gives: their names, and their types or what those are made of; `None` if
    /// it has parameters. It is prepared for that, with a name.
    pub(super) fn describe(&mut self, sql: &str) -> Result<Option<Vec<(String, Type)>>, CallError> {
        let prepared = self.ask(async |client| client.prepare(sql).await)??;
        let column = |column: &Column| {
            let mut kind = column.type_();
            while let Kind::Domain(base) = kind.kind() {
                kind = base;
            }
            (column.name().to_owned(), kind.clone())
        };
        let columns = prepared.columns().iter().map(column).collect();
        Ok(prepared.params().is_empty().then_some(columns))
    }

    /// One row after another, however many there are.
    pub(super) fn scan(
        &mut self,
        sql: &str,
        values: Values<'_>,
        each: &mut dyn FnMut(&Row) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let values = typed(values);
        let rows = self.ask(async |client| client.query_typed_raw(sql, values).await)?;
        let rows = rows.map_err(CallError::from)?;
        pin_mut!(rows);
        loop {
            let until = self.deadline();
            let next = self
                .wire
                .run(until, async |_| rows.next().await)
                .map_err(CallError::from)?;
            let Some(row) = next else { return Ok(()) };
            each(&row.map_err(CallError::from)?)?;
        }
    }

    /// Writes rows by `COPY`.
    pub(super) fn copy<'a>(
        &mut self,
        into: &str,
        columns: &[Type],
        rows: impl Iterator<Item = Vec<&'a (dyn ToSql + Sync)>>,
    ) -> Result<(), CallError> {
        let copied = self.ask(async |client| {
            // The statement has a name, and is closed here, before the transaction ends.
            let sink = client.copy_in(into).await?;
            let writer = BinaryCopyInWriter::new(sink, columns);
            pin_mut!(writer);
            for row in rows {
                writer.as_mut().write(&row).await?;
            }
            writer.finish().await
        })?;
        copied?;
        Ok(())
    }

    fn deadline(&self) -> Instant {
        wire::deadline(patience(&self.options, self.pace))
    }

    /// Sends what comes before the statement, and the statement, together.
    fn ask<T>(&mut self, ask: impl AsyncFnOnce(&Client) -> T) -> Result<T, CallError> {
        // Within a transaction nobody else changes the schema.
        let checks = self.schema.checks && !self.is_in_transaction;
        let prepares = checks && self.is_ours() && self.schema.question.is_none();
        let question = self.schema.question.clone();
        let to_begin = self.to_begin.take();
        // What is set in a transaction goes with it, if it is rolled back.
        let sets_up = self.session == Session::New && !self.is_in_transaction;
        let set_up = sets_up.then(|| session::set_up_statement(&self.options));
        self.is_in_transaction |= to_begin.is_some();
        let is_unknown = self.session == Session::Unknown;
        let until = self.deadline();
        let (before, done) = self.wire.run(until, async |client| {
            let set_up = async {
                match &set_up {
                    Some(set_up) => client.batch_execute(set_up).await,
                    None => Ok(()),
                }
            };
            let begun = async {
                match &to_begin {
                    Some(begin) => client.batch_execute(begin).await,
                    None => Ok(()),
                }
            };
            let checked = async {
                if prepares {
                    let required = version::require(client, None);
                    let question = version::prepare_to_require(client);
                    let ((), question) = try_join(required, question).await?;
                    return Ok(Some(question));
                }
                if checks {
                    version::require(client, question.as_ref()).await?;
                }
                Ok(None)
            };
            let session = async {
                if is_unknown {
                    session::find_out(client).await.map(Some)
                } else {
                    Ok(None)
                }
            };
            // What comes after a first failure may never be answered.
            let before = try_join4(set_up, begun, checked, session);
            try_join(before, async { Ok(ask(client).await) }).await
        })??;
        let ((), (), question, session) = before;
        self.schema.was_checked |= checks;
        if question.is_some() {
            self.schema.question = question;
        }
        if let Some(session) = session {
            self.session = session;
        } else if sets_up {
            self.session = Session::Ours;
        }
        Ok(done)
    }
}

async fn query(
    client: &Client,
    sql: &str,
    values: Values<'_>,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    client.query_typed(sql, &typed(values)).await
}
