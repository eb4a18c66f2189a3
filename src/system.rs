//! What the operating system refuses, as far as somebody can do something about it.

use std::io;

/// Why the system refused what a store asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemRefusal {
    /// The user may not do that.
    Denied,
    /// This process has too many files open, or all have together.
    TooManyFiles,
}

impl SystemRefusal {
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Some(Self::Denied),
            _ => is_too_many_files(error).then_some(Self::TooManyFiles),
        }
    }
}

/// `ENFILE` and `EMFILE`, which have these numbers on every Unix.
#[cfg(unix)]
fn is_too_many_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

#[cfg(not(unix))]
fn is_too_many_files(_error: &io::Error) -> bool {
    false
}
