//! What a client is told when something goes wrong: the status and the body.

use std::error::Error;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

#[cfg(doc)]
use crate::error::ExperimentStoreError;
use crate::error::{ErrorKind, ExperimentError, StoreErrorKind};

/// The HTTP status of an error.
///
/// | error | status |
/// |---|---|
/// | [`NotFound`](ExperimentError::NotFound) | 404 Not Found |
/// | [`Archived`](ExperimentError::Archived) | 410 Gone |
/// | [`NotRunning`](ExperimentError::NotRunning), [`Concluded`](ExperimentError::Concluded), [`AlreadyExists`](ExperimentError::AlreadyExists), [`ExcludedByGroup`](ExperimentError::ExcludedByGroup), [`NotEnrolled`](ExperimentError::NotEnrolled), [`ChangedMeanwhile`](ExperimentError::ChangedMeanwhile), [`VariantInUse`](ExperimentError::VariantInUse), [`GroupInUse`](ExperimentError::GroupInUse), [`NotDraft`](ExperimentError::NotDraft), [`InUse`](ExperimentError::InUse), [`NameIsShared`](ExperimentError::NameIsShared), [`NoVariant`](ExperimentError::NoVariant), [`NoWinner`](ExperimentError::NoWinner) | 409 Conflict |
/// | [`UnknownVariant`](ExperimentError::UnknownVariant), [`InvalidConfig`](ExperimentError::InvalidConfig), [`InvalidOutcome`](ExperimentError::InvalidOutcome) | 422 Unprocessable Content: the request could be read, and what it names can't be done |
/// | [`Store`](ExperimentError::Store): [`Busy`](ExperimentStoreError::Busy), [`Lost`](ExperimentStoreError::Lost), [`Silent`](ExperimentStoreError::Silent), [`Unconfirmed`](ExperimentStoreError::Unconfirmed), or [`Unreachable`](ExperimentStoreError::Unreachable) | 503 Service Unavailable: it may work a moment later |
/// | any other [`Store`](ExperimentError::Store) | 500 Internal Server Error |
///
/// As a response the error has this status and its message as plain text; but of a failed store only that
/// it failed, since the message names the store's address. That message is logged as a `tracing` event of
/// level ERROR.
#[must_use]
pub fn status_of(error: &ExperimentError) -> StatusCode {
    match error.kind() {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Archived => StatusCode::GONE,
        ErrorKind::NotRunning
        | ErrorKind::Concluded
        | ErrorKind::AlreadyExists
        | ErrorKind::ExcludedByGroup
        | ErrorKind::NotEnrolled(_)
        | ErrorKind::ChangedMeanwhile
        | ErrorKind::VariantInUse
        | ErrorKind::GroupInUse
        | ErrorKind::NotDraft
        | ErrorKind::InUse
        | ErrorKind::NameIsShared
        | ErrorKind::NoVariant
        | ErrorKind::NoWinner => StatusCode::CONFLICT,
        ErrorKind::UnknownVariant | ErrorKind::InvalidConfig | ErrorKind::InvalidOutcome => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ErrorKind::Store(kind) => status_of_failure(kind),
    }
}

fn status_of_failure(kind: StoreErrorKind) -> StatusCode {
    match kind {
        StoreErrorKind::Busy
        | StoreErrorKind::Lost
        | StoreErrorKind::Silent
        | StoreErrorKind::Unconfirmed
        | StoreErrorKind::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
        StoreErrorKind::Missing
        | StoreErrorKind::Retired
        | StoreErrorKind::OrphanedWriteAheadLog
        | StoreErrorKind::NotEmpty
        | StoreErrorKind::Occupied
        | StoreErrorKind::Unfinished
        | StoreErrorKind::OtherCopy
        | StoreErrorKind::NotAStore
        | StoreErrorKind::NewerSchema
        | StoreErrorKind::ReadOnly
        | StoreErrorKind::Corrupt
        | StoreErrorKind::Address
        | StoreErrorKind::NotMigrated
        | StoreErrorKind::Denied
        | StoreErrorKind::Encoding
        | StoreErrorKind::Backend
        | StoreErrorKind::Replaced
        | StoreErrorKind::HardLinked
        | StoreErrorKind::WrittenWhileRead
        | StoreErrorKind::MountedAlone
        | StoreErrorKind::OnNetwork
        | StoreErrorKind::Obstructed
        | StoreErrorKind::Query
        | StoreErrorKind::QueryTimeout => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for ExperimentError {
    fn into_response(self) -> Response {
        let status = status_of(&self);
        match self {
            Self::Store(failure) => {
                log(&failure, "the store of the experiments failed");
                (status, "the store of the experiments failed").into_response()
            }
            refusal => (status, refusal.to_string()).into_response(),
        }
    }
}

/// Why there is no [`Experiments`](super::Experiments) for a request. A response of status 500 whose
/// body names the fix, but for a failed session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentsRejection {
    /// The request has no `ExperimentService` extension.
    #[error(
        "no ExperimentService in this request: add `.layer(Extension(service))` to the router, below its routes"
    )]
    MissingService,
    /// The actor has to come from the session, and there is none.
    #[error(
        "no session in this request, and no ExperimentActor: add `.layer(SessionManagerLayer::new(store))` of tower-sessions to the router, below its routes"
    )]
    MissingSession,
    /// The session's user is neither a text nor a number.
    #[error(
        "the session's '{key}' is neither a text nor a number: keep the user's id there, or name its key with `Extension(ExperimentSession::with_user_key(..))`"
    )]
    UnusableUser {
        /// The key under which it was found.
        key: String,
    },
    /// The session could not be read or written. The response is a 503 without the reason, which is
    /// logged as a `tracing` event of level ERROR.
    #[error("the session failed")]
    Session(#[from] tower_sessions::session::Error),
}

impl IntoResponse for ExperimentsRejection {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::MissingService | Self::MissingSession | Self::UnusableUser { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Session(failure) => {
                log(failure, "the session failed");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        (status, self.to_string()).into_response()
    }
}

/// Logs a failure with its causes.
fn log(failure: &(dyn Error + 'static), what: &str) {
    let mut reason = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        reason.push_str(": ");
        reason.push_str(&error.to_string());
        cause = error.source();
    }
    tracing::error!(reason, "{what}");
}
