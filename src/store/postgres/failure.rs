//! Sorts a Postgres error into the failures that a caller can tell apart.

use std::io;
use std::time::Duration;

use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::types::WrongType;

use super::options::PgOptions;
use super::wire::Halt;
use crate::error::{ExperimentError, ExperimentStoreError};

/// Why a step was not taken.
pub(super) enum Failure {
    Refused(ExperimentError),
    Call(CallError),
}

/// What went wrong with the database or on the way to it.
pub(super) enum CallError {
    Postgres(tokio_postgres::Error),
    /// It has not answered for as long as that.
    Silent(Duration),
    /// It has given a statement up after as long as that.
    GivenUp(Duration),
    /// The connection was closed, without a reason.
    Closed,
    Io(io::Error),
}

impl From<ExperimentError> for Failure {
    fn from(refusal: ExperimentError) -> Self {
        Self::Refused(refusal)
    }
}

impl<T: Into<CallError>> From<T> for Failure {
    fn from(fault: T) -> Self {
        Self::Call(fault.into())
    }
}

impl From<tokio_postgres::Error> for CallError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<Halt> for CallError {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Silent(patience) => Self::Silent(patience),
            Halt::Closed(Some(error)) => Self::Postgres(error),
            Halt::Closed(None) => Self::Closed,
            Halt::Io(error) => Self::Io(error),
        }
    }
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Postgres(error) => innermost(error).fmt(f),
            Self::Silent(_) | Self::GivenUp(_) => f.write_str("it did not answer in time"),
            Self::Closed => f.write_str("it closed the connection"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl CallError {
    /// The same, where it is that the server gave up a statement that may take so long.
    pub(super) fn within(self, statement_timeout: Duration) -> Self {
        match self.code() {
            Some(&SqlState::QUERY_CANCELED) => Self::GivenUp(statement_timeout),
            _ => self,
        }
    }

    /// What the server said, unless it is that the connection is lost.
    pub(super) fn message(&self) -> Option<&str> {
        let said = self.said().filter(|_| !is_lost(self));
        said.map(DbError::message)
    }

    /// Whether the statement is none that may stand there.
    pub(super) fn is_of_grammar(&self) -> bool {
        [SqlState::SYNTAX_ERROR, SqlState::FEATURE_NOT_SUPPORTED]
            .iter()
            .any(|code| self.code() == Some(code))
    }

    fn code(&self) -> Option<&SqlState> {
        self.said().map(DbError::code)
    }

    /// What the server said.
    fn said(&self) -> Option<&DbError> {
        match self {
            Self::Postgres(error) => error.as_db_error(),
            _ => None,
        }
    }
}

/// What is being done while there is no connection yet.
pub(super) const CONNECT: &str = "connect";

pub(super) fn sort(
    options: &PgOptions,
    doing: &'static str,
    fault: CallError,
) -> ExperimentStoreError {
    let store = options.location();
    if doing == CONNECT {
        if let Some(source) = unreachable(options, &fault) {
            return ExperimentStoreError::Unreachable { store, source };
        }
    } else if let CallError::Silent(patience) = fault {
        let waited_secs = (patience + Duration::from_millis(500)).as_secs();
        return ExperimentStoreError::Silent {
            store,
            doing,
            waited_secs,
        };
    } else if is_lost(&fault) {
        let reason = fault.said().map(|said| said.message().to_owned());
        return ExperimentStoreError::Lost {
            store,
            doing,
            reason,
        };
    }
    let error = match fault {
        CallError::Postgres(error) => error,
        CallError::Io(error) => {
            let source = error.into();
            return ExperimentStoreError::Backend {
                store,
                doing,
                source,
            };
        }
        CallError::GivenUp(patience) => {
            let waited_secs = patience.as_secs();
            return ExperimentStoreError::Busy { store, waited_secs };
        }
        CallError::Silent(_) | CallError::Closed => {
            return ExperimentStoreError::Lost {
                store,
                doing,
                reason: None,
            };
        }
    };
    let Some(said) = error.as_db_error() else {
        let is_type = <dyn std::error::Error>::is::<WrongType>;
        if std::error::Error::source(&error).is_some_and(is_type) {
            let found = error.to_string();
            return ExperimentStoreError::Corrupt { store, found };
        }
        let source = innermost(&error);
        return ExperimentStoreError::Backend {
            store,
            doing,
            source,
        };
    };
    refused(options, doing, said)
}

/// What the database refuses.
fn refused(options: &PgOptions, doing: &'static str, said: &DbError) -> ExperimentStoreError {
    let store = options.location();
    let code = said.code();
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return ExperimentStoreError::ReadOnly { store };
    }
    if is_missing(code) {
        return ExperimentStoreError::NotMigrated { store };
    }
    if *code == SqlState::LOCK_NOT_AVAILABLE {
        let waited_secs = options.lock_timeout.as_secs();
        return ExperimentStoreError::Busy { store, waited_secs };
    }
    if *code == SqlState::QUERY_CANCELED {
        let waited_secs = options.statement_timeout.as_secs();
        return ExperimentStoreError::Busy { store, waited_secs };
    }
    let reason = said.message().to_owned();
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return ExperimentStoreError::Denied {
            store,
            doing,
            reason,
        };
    }
    ExperimentStoreError::Backend {
        store,
        doing,
        source: reason.into(),
    }
}

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The causes of an error say what it was; by itself it says where in the protocol.
fn innermost(error: &tokio_postgres::Error) -> Source {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => said.message().to_owned().into(),
        (None, Some(cause)) => cause.to_string().into(),
        (None, None) => error.to_string().into(),
    }
}

/// Why no connection is to be had; `None` if the server refuses for good what was asked for.
fn unreachable(options: &PgOptions, fault: &CallError) -> Option<Source> {
    let for_now = [
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
    ];
    let no_answer = || {
        let tenths = (options.opening_timeout().as_secs_f64() * 10.0).round();
        format!("there was no answer within {} s", tenths / 10.0).into()
    };
    match fault {
        CallError::Postgres(error) => {
            let is_now = error.code().is_none_or(|code| for_now.contains(code));
            is_now.then(|| innermost(error))
        }
        CallError::Silent(_) => Some(no_answer()),
        CallError::Io(error) if error.kind() == io::ErrorKind::TimedOut => Some(no_answer()),
        CallError::Io(error) => Some(error.to_string().into()),
        CallError::Closed => Some("it closed the connection".into()),
        CallError::GivenUp(_) => None,
    }
}

/// Whether the connection is gone, or nothing more can be expected of it.
pub(super) fn is_lost(fault: &CallError) -> bool {
    let error = match fault {
        CallError::Postgres(error) => error,
        CallError::GivenUp(_) => return false,
        CallError::Silent(_) | CallError::Closed | CallError::Io(_) => return true,
    };
    // Whatever the server says so, it has closed the connection. A pooler that has lost the server calls
    // it an error of the protocol, like any other, by a code of the class 08.
    let is_last = |said: &DbError| {
        let is_fatal = matches!(
            said.parsed_severity(),
            Some(Severity::Fatal | Severity::Panic)
        );
        is_fatal || said.code().code().starts_with("08")
    };
    error.is_closed()
        || error.as_db_error().is_some_and(is_last)
        || std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<io::Error>)
}

/// Whether the server does not let this user in by this way, or the handshake of TLS has failed.
pub(super) fn is_closed_way(error: &tokio_postgres::Error) -> bool {
    let cause = std::error::Error::source(error);
    let io = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
        || io.is_some_and(|io| io.kind() == io::ErrorKind::InvalidData)
}

/// Whether somebody else has taken the key meanwhile, two have waited for each other, or others hold
/// too many locks: the same step may succeed when taken again. Behind a pooler the name of a prepared
/// statement, which `COPY` needs, may be another program's; the next try has another name.
pub(super) fn is_conflict(fault: &CallError) -> bool {
    [
        SqlState::OUT_OF_MEMORY,
        SqlState::UNIQUE_VIOLATION,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::DUPLICATE_PSTATEMENT,
    ]
    .iter()
    .any(|code| fault.code() == Some(code))
}

/// The code by which `exp_require` refuses.
const UNUSABLE: &str = "EXP01";

/// Whether the schema may not be what this version works with. To the server a function that was dropped
/// after the statement had begun is an error within.
pub(super) fn is_of_schema(fault: &CallError) -> bool {
    let is_such = |code: &SqlState| {
        is_missing(code) || *code == SqlState::INTERNAL_ERROR || code.code() == UNUSABLE
    };
    fault.code().is_some_and(is_such)
}

fn is_missing(code: &SqlState) -> bool {
    [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_FUNCTION,
    ]
    .contains(code)
}
