//! Which file is at a path.

#[cfg(unix)]
use std::fs;
use std::path::Path;

/// Which file is at a path: it stays the same file until that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    number: u64,
}

#[cfg(unix)]
pub(super) fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::symlink_metadata(path).ok()?;
    Some(Identity {
        device: found.dev(),
        number: found.ino(),
    })
}

#[cfg(not(unix))]
pub(super) fn identity(_path: &Path) -> Option<Identity> {
    None
}

/// Whether two names are of one file. A symbolic link is a file of its own.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    identity(one).is_some_and(|one| identity(other) == Some(one))
}
