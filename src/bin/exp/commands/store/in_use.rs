//! What to do about a store that others use, where it must not be in use.

use experiments::{ErrorKind, ExperimentError, StoreErrorKind};

use crate::exit::Hint;

/// The error with its hint: to wait longer, the hint of other commands, does not help against a service.
pub(super) fn in_use(error: ExperimentError) -> anyhow::Error {
    let is_busy = error.kind() == ErrorKind::Store(StoreErrorKind::Busy);
    let error = anyhow::Error::new(error);
    if is_busy {
        let hint =
            "stop what has it open, such as a service, or wait longer with --lock-timeout SECONDS";
        return error.context(Hint(hint.to_owned()));
    }
    error
}
