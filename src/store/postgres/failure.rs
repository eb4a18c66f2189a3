//! Sorts a Postgres error into the failures that a caller can tell apart.

use postgres::error::SqlState;

use super::options::PgOptions;
use crate::error::{ExperimentError, ExperimentStoreError};

/// Why a step was not taken.
pub(super) enum Failure {
    Refused(ExperimentError),
    Postgres(postgres::Error),
}

impl From<ExperimentError> for Failure {
    fn from(refusal: ExperimentError) -> Self {
        Self::Refused(refusal)
    }
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

/// What is being done while there is no connection yet.
pub(super) const CONNECT: &str = "connect";

pub(super) fn sort(
    options: &PgOptions,
    doing: &'static str,
    error: postgres::Error,
) -> ExperimentStoreError {
    let store = options.address().to_owned();
    if is_lost(&error) && doing != CONNECT {
        return ExperimentStoreError::Lost { store, doing };
    }
    if doing == CONNECT && is_unreachable(&error) {
        let source = innermost(error);
        return ExperimentStoreError::Unreachable { store, source };
    }
    let Some(told) = error.as_db_error() else {
        if std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error>::is::<postgres::types::WrongType>)
        {
            let found = error.to_string();
            return ExperimentStoreError::Corrupt { store, found };
        }
        return ExperimentStoreError::Backend {
            store,
            doing,
            source: innermost(error),
        };
    };
    let code = told.code();
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return ExperimentStoreError::ReadOnly { store };
    }
    if [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_FUNCTION,
    ]
    .contains(code)
    {
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
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return ExperimentStoreError::Denied {
            store,
            doing,
            reason: told.message().to_owned(),
        };
    }
    ExperimentStoreError::Backend {
        store,
        doing,
        source: told.message().to_owned().into(),
    }
}

/// The causes of an error say what it was; by itself it says where in the protocol.
fn innermost(error: postgres::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match (error.as_db_error(), std::error::Error::source(&error)) {
        (Some(told), _) => told.message().to_owned().into(),
        (None, Some(cause)) => cause.to_string().into(),
        (None, None) => error.into(),
    }
}

/// Whether it is not the server that refuses what was asked for on connecting, or only for now.
fn is_unreachable(error: &postgres::Error) -> bool {
    let for_now = [
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
    ];
    error.code().is_none_or(|code| for_now.contains(code))
}

/// Whether the connection is gone.
pub(super) fn is_lost(error: &postgres::Error) -> bool {
    let ended = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CONNECTION_FAILURE,
        SqlState::CONNECTION_EXCEPTION,
        SqlState::IDLE_SESSION_TIMEOUT,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    error.is_closed()
        || error.code().is_some_and(|code| ended.contains(code))
        || std::error::Error::source(error)
            .is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

/// Whether the server does not let this user in by this way, or the handshake of TLS has failed.
pub(super) fn is_closed_way(error: &postgres::Error) -> bool {
    let cause = std::error::Error::source(error);
    let io = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
        || io.is_some_and(|io| io.kind() == std::io::ErrorKind::InvalidData)
}

/// Whether somebody else has taken the key meanwhile, two have waited for each other, or others hold
/// too many locks: the same step may succeed when taken again.
pub(super) fn is_conflict(error: &postgres::Error) -> bool {
    [
        SqlState::OUT_OF_MEMORY,
        SqlState::UNIQUE_VIOLATION,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
    ]
    .iter()
    .any(|code| error.code() == Some(code))
}
