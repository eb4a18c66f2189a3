//! A query of a user's own on the store's server: one SELECT, read-only, in constant memory.
//!
//! The query becomes a part of another one, which turns its columns into the few types that a [`SqlValue`] has,
//! and for which a cursor is opened. So the server refuses whatever is not a SELECT, and READ ONLY whatever
//! writes.

use tokio_postgres::Row;
use tokio_postgres::types::{Kind, Type};

use super::PgExperimentStore;
use super::connection::{Connection, Mode};
use super::failure::{CallError, Failure};
use super::pace::Pace;
use super::steps::in_transaction;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::store::{RowSink, SqlValue};

const DOING: &str = "answer the query";

/// Some rows at a time: what they take is the memory that the query takes here.
const FETCH: &str = "FETCH FORWARD 1000 FROM exp_query";

/// What a column is turned into on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Integer,
    Real,
    /// Decimal digits: a whole number, if it is one.
    Decimal,
    /// Seconds since the Unix epoch.
    Moment,
    Text,
}

impl Shape {
    fn of(kind: &Type) -> Self {
        match *kind {
            Type::INT2 | Type::INT4 | Type::INT8 | Type::BOOL => Self::Integer,
            Type::FLOAT4 | Type::FLOAT8 => Self::Real,
            Type::NUMERIC => Self::Decimal,
            Type::TIMESTAMPTZ | Type::TIMESTAMP | Type::DATE => Self::Moment,
            _ => Self::Text,
        }
    }

    /// What is selected of the column of that number.
    fn select(self, number: usize, kind: &Type) -> String {
        match self {
            Self::Integer if *kind == Type::BOOL => format!("q.c{number}::integer::bigint"),
            Self::Integer => format!("q.c{number}::bigint"),
            // By its digits: 0.1 is no other number because it was stored in half the bits.
            Self::Real if *kind == Type::FLOAT4 => format!("q.c{number}::text::double precision"),
            Self::Real => format!("q.c{number}"),
            Self::Moment => format!("extract(epoch FROM q.c{number})::double precision"),
            Self::Decimal | Self::Text => format!("q.c{number}::text"),
        }
    }

    fn read(self, row: &Row, column: usize) -> Result<SqlValue<'_>, tokio_postgres::Error> {
        let value = match self {
            Self::Integer => row
                .try_get::<_, Option<i64>>(column)?
                .map(SqlValue::Integer),
            Self::Real => row.try_get::<_, Option<f64>>(column)?.map(SqlValue::Real),
            Self::Decimal => row.try_get::<_, Option<&str>>(column)?.map(decimal),
            Self::Moment => row.try_get::<_, Option<f64>>(column)?.map(moment),
            Self::Text => row.try_get::<_, Option<&str>>(column)?.map(SqlValue::Text),
        };
        Ok(value.unwrap_or(SqlValue::Null))
    }
}

/// A whole number where it is one, so that an id keeps all its digits.
fn decimal(digits: &str) -> SqlValue<'_> {
    let whole = digits.parse().map(SqlValue::Integer);
    whole
        .or_else(|_| digits.parse().map(SqlValue::Real))
        .unwrap_or(SqlValue::Text(digits))
}

/// The second that has begun; a time that is infinite is no second.
#[expect(
    clippy::cast_possible_truncation,
    reason = "Postgres ends in the year 294276"
)]
fn moment(secs: f64) -> SqlValue<'static> {
    if secs.is_finite() {
        SqlValue::Integer(secs.floor() as i64)
    } else {
        SqlValue::Real(secs)
    }
}

impl PgExperimentStore {
    /// Runs one SELECT on the store's server, in a transaction that can't write, and shows its rows one after
    /// another, in one view and in constant memory. The server gives it up where it takes longer than the
    /// [statement timeout](crate::PgOptions) to come up with the next rows.
    ///
    /// Whole numbers and truth values come as integers, 1 for true; numbers of other types as reals; times as
    /// whole seconds since the Unix epoch, those without a time zone as UTC; all else as text.
    ///
    /// # Errors
    /// It is not one statement, or not one that gives rows and writes nothing; the server fails on it, or takes
    /// too long; or the sink fails.
    pub fn query(&self, sql: &str, sink: &mut dyn RowSink) -> Result<(), ExperimentError> {
        // What a function does to the session goes with the connection.
        let mut db = Connection::open(self.pool.options())?;
        let answered = in_transaction(&mut db, Mode::Snapshot, Pace::Long, &mut |db| {
            answer(db, sql, sink)
        });
        answered.map_err(|failure| self.unanswered(failure))
    }

    fn unanswered(&self, failure: Failure) -> ExperimentError {
        let source = match failure {
            Failure::Refused(refusal) => return refusal,
            Failure::Call(CallError::GivenUp(patience)) => {
                format!("it takes longer than {} s", patience.as_secs())
            }
            Failure::Call(fault) => match fault.message() {
                Some(message) => message.to_owned(),
                None => return self.sort(DOING, fault).into(),
            },
        };
        ExperimentStoreError::Backend {
            store: self.location(),
            doing: DOING,
            source: source.into(),
        }
        .into()
    }
}

fn answer(db: &mut Connection, sql: &str, sink: &mut dyn RowSink) -> Result<(), Failure> {
    let sql = sql.trim_end().trim_end_matches(';');
    let mut columns = db.describe(sql)?;
    for (_, kind) in &mut columns {
        while let Kind::Domain(base) = kind.kind() {
            *kind = base.clone();
        }
    }
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let shapes: Vec<Shape> = columns.iter().map(|(_, kind)| Shape::of(kind)).collect();
    let selected = (1..).zip(&shapes).zip(&columns);
    let selected: Vec<String> = selected
        .map(|((number, shape), (_, kind))| shape.select(number, kind))
        .collect();
    let aliases: Vec<String> = (1..=columns.len())
        .map(|number| format!("c{number}"))
        .collect();
    // The query may end in a comment.
    let cursor = format!(
        "DECLARE exp_query NO SCROLL CURSOR FOR SELECT {} FROM (\n{sql}\n) AS q ({})",
        selected.join(", "),
        aliases.join(", ")
    );
    db.execute(&cursor, &[])?;
    sink.columns(&names)?;
    loop {
        let rows = db.rows(FETCH, &[])?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            let values = shapes.iter().enumerate();
            let values: Result<Vec<_>, _> = values
                .map(|(column, shape)| shape.read(row, column))
                .collect();
            sink.row(&values?)?;
        }
    }
}
