//! The kinds of errors, each with its exit code. Both are part of the contract; see `exp --help` and
//! docs/scripts.md.

use experiments::results::OutcomesError;
use experiments::rows::RowsError;
use experiments::{ErrorKind, ExperimentError, StoreErrorKind};

use super::errors::{EnvironmentError, Failed, Interrupted, Invalid, UsageError};

const FAILURE: u8 = 1;
pub(super) const USAGE: u8 = 2;
const NOT_FOUND: u8 = 3;
const WRONG_STATE: u8 = 4;
const ARCHIVED: u8 = 5;
const EXCLUDED: u8 = 6;
const NO_VARIANT: u8 = 7;
const REFUSED: u8 = 8;
pub(super) const FOUND: u8 = 9;

/// What a script tells an error by.
pub(super) struct Class {
    /// A word of its own, in snake case.
    pub(super) kind: &'static str,
    pub(super) exit_code: u8,
}

/// The command line is wrong.
pub(super) const WRONG_USAGE: Class = Class {
    kind: "usage",
    exit_code: USAGE,
};

/// The one place that maps an error to what a script sees of it.
pub(super) fn class(error: &anyhow::Error) -> Class {
    let (kind, exit_code) = if error.downcast_ref::<UsageError>().is_some() {
        return WRONG_USAGE;
    } else if error.downcast_ref::<EnvironmentError>().is_some() {
        ("environment", USAGE)
    } else if error.downcast_ref::<Invalid>().is_some() {
        ("invalid", REFUSED)
    } else if let Some(error) = error.downcast_ref::<OutcomesError>() {
        match error {
            OutcomesError::Rows(error) => of_rows(error),
            _ => ("invalid_outcomes", REFUSED),
        }
    } else if let Some(error) = error.downcast_ref::<RowsError>() {
        of_rows(error)
    } else if let Some(error) = error.downcast_ref::<ExperimentError>() {
        of_experiment(error.kind())
    } else if let Some(Interrupted { signal, .. }) = error.downcast_ref::<Interrupted>() {
        // What a shell makes of being ended by it.
        ("interrupted", u8::try_from(128 + signal).unwrap_or(FAILURE))
    } else if error.downcast_ref::<Failed>().is_some() {
        ("incomplete", FAILURE)
    } else {
        ("failure", FAILURE)
    };
    Class { kind, exit_code }
}

fn of_rows(error: &RowsError) -> (&'static str, u8) {
    match error {
        RowsError::Read(_) => ("failure", FAILURE),
        _ => ("invalid_outcomes", REFUSED),
    }
}

fn of_experiment(kind: ErrorKind) -> (&'static str, u8) {
    match kind {
        ErrorKind::NotFound => ("not_found", NOT_FOUND),
        ErrorKind::NotRunning => ("not_running", WRONG_STATE),
        ErrorKind::NotDraft => ("not_draft", WRONG_STATE),
        ErrorKind::Concluded => ("concluded", WRONG_STATE),
        ErrorKind::Archived => ("archived", ARCHIVED),
        ErrorKind::ExcludedByGroup => ("excluded_by_group", EXCLUDED),
        ErrorKind::NotEnrolled(_) => ("not_enrolled", EXCLUDED),
        ErrorKind::NoVariant => ("no_variant", NO_VARIANT),
        ErrorKind::NoWinner => ("no_winner", NO_VARIANT),
        ErrorKind::UnknownVariant => ("unknown_variant", REFUSED),
        ErrorKind::AlreadyExists => ("already_exists", REFUSED),
        ErrorKind::VariantInUse => ("variant_in_use", REFUSED),
        ErrorKind::GroupInUse => ("group_in_use", REFUSED),
        ErrorKind::InUse => ("in_use", REFUSED),
        ErrorKind::NameIsShared => ("name_is_shared", REFUSED),
        ErrorKind::ChangedMeanwhile => ("changed_meanwhile", REFUSED),
        ErrorKind::InvalidConfig => ("invalid", REFUSED),
        ErrorKind::InvalidOutcome => ("invalid_outcomes", REFUSED),
        ErrorKind::Store(kind) => of_store(kind),
    }
}

fn of_store(kind: StoreErrorKind) -> (&'static str, u8) {
    match kind {
        StoreErrorKind::NotEmpty => ("store_not_empty", REFUSED),
        StoreErrorKind::Occupied => ("store_exists", REFUSED),
        StoreErrorKind::OtherCopy => ("store_other_copy", REFUSED),
        StoreErrorKind::Query => ("query", REFUSED),
        StoreErrorKind::Missing => ("store_missing", FAILURE),
        StoreErrorKind::Retired => ("store_retired", FAILURE),
        StoreErrorKind::OrphanedWriteAheadLog => ("store_orphaned_log", FAILURE),
        StoreErrorKind::Unfinished => ("store_unfinished", FAILURE),
        StoreErrorKind::NotAStore => ("store_foreign", FAILURE),
        StoreErrorKind::NewerSchema => ("store_newer", FAILURE),
        StoreErrorKind::Busy => ("store_busy", FAILURE),
        StoreErrorKind::ReadOnly => ("store_read_only", FAILURE),
        StoreErrorKind::Corrupt => ("store_corrupt", FAILURE),
        StoreErrorKind::Address => ("store_address", FAILURE),
        StoreErrorKind::NotMigrated => ("store_not_migrated", FAILURE),
        StoreErrorKind::Denied => ("store_denied", FAILURE),
        StoreErrorKind::Unreachable => ("store_unreachable", FAILURE),
        StoreErrorKind::Lost => ("store_lost", FAILURE),
        StoreErrorKind::Backend => ("store_failure", FAILURE),
        StoreErrorKind::Encoding => ("store_encoding", FAILURE),
        StoreErrorKind::Silent => ("store_silent", FAILURE),
        StoreErrorKind::Unconfirmed => ("store_unconfirmed", FAILURE),
        StoreErrorKind::Replaced => ("store_replaced", FAILURE),
        StoreErrorKind::HardLinked => ("store_hard_linked", FAILURE),
        StoreErrorKind::Obstructed => ("store_obstructed", FAILURE),
        StoreErrorKind::QueryTimeout => ("query_timeout", FAILURE),
        StoreErrorKind::WrittenWhileRead => ("store_written_while_read", FAILURE),
        StoreErrorKind::MountedAlone => ("store_mounted_alone", FAILURE),
        StoreErrorKind::OnNetwork => ("store_on_network", FAILURE),
    }
}
