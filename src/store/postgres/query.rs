//! A query of a user's own on the store's server: one SELECT, read-only, in constant memory.
//!
//! The query becomes a part of another one, which turns its columns into the few types that a [`SqlValue`] has,
//! and for which a cursor is opened. So the server refuses whatever is not a SELECT, and READ ONLY whatever
//! writes. What neither stops is rolled back.

use std::time::{Duration, Instant};

use futures_util::future::join;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::connection::{Connection, Mode};
use super::failure::{self, CallError, Failure};
use super::pace::Pace;
use super::{PgExperimentStore, dial, migrations, wire};
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::store::{RowSink, SqlValue};

const DOING: &str = "answer the query";
const NO_SELECT: &str = "it is not a SELECT";

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
    /// Runs one SELECT on the store's server and gives its rows to `sink`, in one view and in constant memory.
    /// Nothing is written, and nobody is kept from writing. It is run as the store's user, who may read more
    /// than the store's tables.
    ///
    /// Whole numbers and truth values arrive as integers, 1 for true, and other numbers as reals; times as whole
    /// seconds since the Unix epoch, those without a time zone as UTC; all else as text.
    ///
    /// # Errors
    /// It [is refused or fails](ExperimentStoreError::Query): it is not one SELECT, or the server can't run it;
    /// it takes [longer than `timeout`](ExperimentStoreError::QueryTimeout), including what the sink takes; the
    /// store or the sink fails.
    pub fn query(
        &self,
        sql: &str,
        timeout: Duration,
        sink: &mut dyn RowSink,
    ) -> Result<(), ExperimentError> {
        let options = self.pool.options();
        // What a function does to the session goes with the connection.
        let mut db = Connection::open(&options.clone().statement_timeout(timeout))?;
        db.begin(Mode::Snapshot, Pace::Long);
        let answered = self.answer(&mut db, sql, timeout, sink);
        // Never committed: READ ONLY lets some functions write, such as those of large objects. A connection
        // that is lost is rolled back by the server.
        if !matches!(&answered, Err(Failure::Call(fault)) if failure::is_lost(fault)) {
            let _ = db.roll_back();
        }
        let explained = answered.map_err(|failure| match failure {
            Failure::Call(fault) => {
                let fault = db.explain(fault);
                migrations::explain(&mut db, options, fault)
            }
            refused @ Failure::Refused(_) => refused,
        });
        explained.map_err(|failure| match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Call(CallError::GivenUp(_)) => self.took_too_long(timeout),
            Failure::Call(CallError::Silent(_)) => {
                // Whatever it is at, nobody waits for it.
                dial::cancel(options, db.wire());
                self.took_too_long(timeout)
            }
            Failure::Call(fault) => match fault.message() {
                Some(message) => self.failed_query(message.to_owned()),
                None => self.sort(DOING, fault).into(),
            },
        })
    }

    fn answer(
        &self,
        db: &mut Connection,
        sql: &str,
        timeout: Duration,
        sink: &mut dyn RowSink,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        // Also where the address sets another.
        db.batch(&set_timeout(timeout))?;
        let sql = without_end(sql);
        let columns = db.describe(sql)?;
        let columns = columns.ok_or_else(|| self.failed_query("it has parameters".to_owned()))?;
        if columns.is_empty() {
            return Err(self.failed_query(NO_SELECT.to_owned()).into());
        }
        let (names, kinds): (Vec<String>, Vec<Type>) = columns.into_iter().unzip();
        let shapes: Vec<Shape> = kinds.iter().map(Shape::of).collect();
        db.execute(&cursor(sql, &kinds), &[])
            .map_err(|fault| match fault.message() {
                Some(message) if fault.is_of_grammar() => {
                    let problem = format!("{NO_SELECT}, or does more than read: {message}");
                    self.failed_query(problem).into()
                }
                _ => Failure::from(fault),
            })?;
        sink.columns(&names)?;
        loop {
            let left = timeout.saturating_sub(begun.elapsed());
            let rows = fetch(db, left)?;
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
            if begun.elapsed() >= timeout {
                return Err(self.took_too_long(timeout).into());
            }
        }
    }

    fn failed_query(&self, problem: String) -> ExperimentError {
        let store = self.location();
        ExperimentStoreError::Query { store, problem }.into()
    }

    fn took_too_long(&self, timeout: Duration) -> ExperimentError {
        ExperimentStoreError::QueryTimeout {
            store: self.location(),
            waited_secs: timeout.as_secs(),
        }
        .into()
    }
}

/// How much longer than the server the client waits: whichever gives up, the caller is told the same.
const GRACE: Duration = Duration::from_secs(1);

/// The next rows, within the time that is left, whatever the query has set the timeout to.
fn fetch(db: &mut Connection, left: Duration) -> Result<Vec<Row>, CallError> {
    let set = set_timeout(left);
    let until = wire::deadline(left.saturating_add(GRACE));
    let fetched = db.wire().run(until, async |client| {
        let (set, rows) = join(client.batch_execute(&set), client.query_typed(FETCH, &[])).await;
        set.and(rows)
    })?;
    Ok(fetched?)
}

/// To the server, 0 is none.
fn set_timeout(timeout: Duration) -> String {
    let millis = timeout.as_millis().clamp(1, i32::MAX as u128);
    format!("SET LOCAL statement_timeout = {millis}")
}

/// The statement without the semicolons, white space and comments that it ends in.
fn without_end(sql: &str) -> &str {
    let (mut end, mut at) = (0, 0);
    while let Some(c) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let comment = if rest.starts_with("--") {
            Some(rest.find('\n').unwrap_or(rest.len()))
        } else {
            comment(rest)
        };
        if let Some(length) = comment {
            at += length;
            continue;
        }
        let quote = if matches!(c, '\'' | '"') {
            &rest[..1]
        } else {
            dollar_quote(rest).unwrap_or_default()
        };
        // A quote that is doubled within ends one text and begins the next.
        at += match rest[quote.len()..].find(quote) {
            _ if quote.is_empty() => c.len_utf8(),
            Some(inner) => inner + 2 * quote.len(),
            None => rest.len(),
        };
        if c != ';' && !c.is_whitespace() {
            end = at;
        }
    }
    &sql[..end]
}

/// The length of the comment between `/*` and `*/` that begins here; it may have others within.
fn comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    loop {
        let rest = text.get(at..)?;
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if depth > 0 && rest.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest.chars().next().filter(|_| depth > 0)?.len_utf8();
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// What opens, and closes, a text quoted by dollars: `$$`, `$f$`.
fn dollar_quote(text: &str) -> Option<&str> {
    let end = text.strip_prefix('$')?.find('$')? + 2;
    let name = &text[1..end - 1];
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_name.then_some(&text[..end])
}

/// Opens the cursor. The query may end in a comment.
fn cursor(sql: &str, kinds: &[Type]) -> String {
    let columns = (1..).zip(kinds);
    let selected = columns.map(|(number, kind)| Shape::of(kind).select(number, kind));
    let aliases = (1..=kinds.len()).map(|number| format!("c{number}"));
    format!(
        "DECLARE exp_query NO SCROLL CURSOR FOR SELECT {} FROM (\n{sql}\n) AS q ({})",
        selected.collect::<Vec<_>>().join(", "),
        aliases.collect::<Vec<_>>().join(", ")
    )
}
