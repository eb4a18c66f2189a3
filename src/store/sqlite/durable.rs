//! Directories, and names in them, that survive a power cut.

use std::fs;
use std::io;
use std::path::Path;

/// Makes the directory and those above it that are missing, for their owner alone. If one cannot be
/// made or synced, those that were made are removed: the next try must not take them for synced.
pub(super) fn create_directories(directory: &Path) -> io::Result<()> {
    let is_missing = |directory: &&Path| !directory.as_os_str().is_empty() && !directory.exists();
    let missing: Vec<&Path> = directory.ancestors().take_while(is_missing).collect();
    let mut made = Vec::new();
    for &next in missing.iter().rev() {
        let done = match create_private(next) {
            // Another process may have been faster; it may not have synced it yet.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && next.is_dir() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                made.push(next);
                Ok(())
            }
        };
        let done = done.and_then(|()| sync_directory(next.parent().unwrap_or(Path::new("."))));
        if let Err(error) = done {
            for directory in made.iter().rev() {
                let _ = fs::remove_dir(directory);
            }
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(unix)]
fn create_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn create_private(directory: &Path) -> io::Result<()> {
    fs::create_dir(directory)
}

/// Has the names in a directory survive a power cut.
#[cfg(unix)]
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let synced = fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.or_else(|error| match error.kind() {
        // One that may be written and not read cannot be synced by anybody, and some file systems
        // sync none.
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::Unsupported => Ok(()),
        _ => Err(error),
    })
}

#[cfg(not(unix))]
pub(super) fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}
