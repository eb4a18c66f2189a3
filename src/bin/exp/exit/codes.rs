//! The exit codes. They are part of the contract; see `exp --help`.

use experiments::results::OutcomesError;
use experiments::rows::RowsError;
use experiments::{ErrorKind, ExperimentError, StoreErrorKind};

use super::errors::{EnvironmentError, Invalid, UsageError};

const FAILURE: u8 = 1;
pub(super) const USAGE: u8 = 2;
const NOT_FOUND: u8 = 3;
const WRONG_STATE: u8 = 4;
const ARCHIVED: u8 = 5;
const EXCLUDED: u8 = 6;
const NO_VARIANT: u8 = 7;
const REFUSED: u8 = 8;
pub(super) const FOUND: u8 = 9;

/// The one place that maps an error to its exit code.
pub(super) fn code(error: &anyhow::Error) -> u8 {
    let is_environment = error.downcast_ref::<EnvironmentError>().is_some();
    if is_environment || error.downcast_ref::<UsageError>().is_some() {
        return USAGE;
    }
    if error.downcast_ref::<Invalid>().is_some() {
        return REFUSED;
    }
    if let Some(error) = error.downcast_ref::<OutcomesError>() {
        return match error {
            OutcomesError::Rows(RowsError::Read(_)) => FAILURE,
            _ => REFUSED,
        };
    }
    if let Some(error) = error.downcast_ref::<RowsError>() {
        return match error {
            RowsError::Read(_) => FAILURE,
            _ => REFUSED,
        };
    }
    match error.downcast_ref::<ExperimentError>() {
        Some(error) => code_of(error.kind()),
        None => FAILURE,
    }
}

fn code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::NotRunning | ErrorKind::NotDraft | ErrorKind::Concluded => WRONG_STATE,
        ErrorKind::Archived => ARCHIVED,
        ErrorKind::ExcludedByGroup | ErrorKind::NotEnrolled(_) => EXCLUDED,
        ErrorKind::NoVariant | ErrorKind::NoWinner => NO_VARIANT,
        ErrorKind::UnknownVariant
        | ErrorKind::AlreadyExists
        | ErrorKind::VariantInUse
        | ErrorKind::GroupInUse
        | ErrorKind::InUse
        | ErrorKind::NameIsShared
        | ErrorKind::ChangedMeanwhile
        | ErrorKind::InvalidConfig
        | ErrorKind::InvalidOutcome => REFUSED,
        ErrorKind::Store(kind) => match kind {
            StoreErrorKind::NotEmpty | StoreErrorKind::OtherCopy | StoreErrorKind::Query => REFUSED,
            StoreErrorKind::Missing
            | StoreErrorKind::OrphanedWriteAheadLog
            | StoreErrorKind::Unfinished
            | StoreErrorKind::NotAStore
            | StoreErrorKind::NewerSchema
            | StoreErrorKind::Busy
            | StoreErrorKind::ReadOnly
            | StoreErrorKind::Corrupt
            | StoreErrorKind::Address
            | StoreErrorKind::NotMigrated
            | StoreErrorKind::Denied
            | StoreErrorKind::Unreachable
            | StoreErrorKind::Lost
            | StoreErrorKind::Backend
            | StoreErrorKind::Encoding
            | StoreErrorKind::Silent
            | StoreErrorKind::Unconfirmed
            | StoreErrorKind::Replaced
            | StoreErrorKind::HardLinked
            | StoreErrorKind::WrittenWhileRead
            | StoreErrorKind::MountedAlone
            | StoreErrorKind::OnNetwork
            | StoreErrorKind::Obstructed
            | StoreErrorKind::QueryTimeout => FAILURE,
        },
    }
}
