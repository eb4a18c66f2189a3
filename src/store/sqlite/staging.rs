//! A file is built in a directory of its own beside its place, and moved there once it is complete. The
//! directory is locked while that takes, so that what a killed process has left is known from what is
//! in use.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{TempDir, TempPath};

use super::identity::is_same_file;

/// What is built: a new store, the backup of one, or what is restored from a backup.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    NewStore,
    Backup,
    Restored,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::NewStore, Self::Backup, Self::Restored];

    fn prefix(self) -> &'static str {
        match self {
            Self::NewStore => ".exp-new-store-",
            Self::Backup => ".exp-backup-",
            Self::Restored => ".exp-restored-",
        }
    }
}

/// The file's name in its directory.
const FILE: &str = "store.db";
/// All that is ever in the directory.
const FILES: [&str; 4] = [FILE, "store.db-journal", "store.db-wal", "store.db-shm"];

/// What a copy that is not complete has at the end of its name.
pub(super) const UNFINISHED: &str = ".unfinished";

/// What a store has at the end of its second name while another file takes its place.
const EXCHANGED: &str = ".exchanged";

/// How often a directory is made anew that another process took for left over, in the moment before
/// it was locked.
const TRIES: usize = 5;

/// A file in the making; dropped, it is removed.
pub(super) struct Staging {
    directory: TempDir,
    target: PathBuf,
    /// Held until the directory is removed. A file system that has no such locks does without:
    /// nobody can take the directory for left over there.
    _lock: Option<File>,
}

impl Staging {
    /// Begins an empty file that its owner alone can read, and removes what killed processes left.
    pub(super) fn begin(target: &Path, purpose: Purpose) -> io::Result<Self> {
        let beside = target.parent().unwrap_or(Path::new("."));
        let mut tries = 0;
        loop {
            tries += 1;
            let mut builder = tempfile::Builder::new();
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
            let directory = builder.prefix(purpose.prefix()).tempdir_in(beside)?;
            let lock = File::open(directory.path()).ok();
            let lock = lock.filter(|lock| lock.lock().is_ok());
            let staging = Self {
                target: target.to_owned(),
                directory,
                _lock: lock,
            };
            match create_private(&staging.file()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    remove_abandoned(beside, staging.directory.path());
                    return Ok(staging);
                }
            }
        }
    }

    /// Where the file is until it is complete.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.path().join(FILE)
    }

    /// Moves the file to its name, if nothing is there.
    pub(super) fn finish(self) -> io::Result<()> {
        move_to_new_name(&self.file(), &self.target)
    }

    /// The same with another name in the same directory.
    pub(super) fn finish_at(self, name: &Path) -> io::Result<()> {
        move_to_new_name(&self.file(), name)
    }
}

/// Has a store and the file that takes its place exchange their names. At every moment one of the two is in
/// place.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub(super) fn exchange(file: &Path, store: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, file, CWD, store, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => exchange_in_steps(file, store),
        exchanged => Ok(exchanged?),
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub(super) fn exchange(file: &Path, store: &Path) -> io::Result<()> {
    exchange_in_steps(file, store)
}

/// The same where the file system can't do it in one step: in between, the store has a third name.
fn exchange_in_steps(file: &Path, store: &Path) -> io::Result<()> {
    let aside = with_suffix(store, EXCHANGED);
    fs::hard_link(store, &aside)?;
    if let Err(error) = fs::rename(file, store) {
        let _ = fs::remove_file(aside);
        return Err(error);
    }
    move_to_new_name(&aside, file)
}

/// Gives a file a name that nothing has yet. If that fails it keeps the one it has.
pub(super) fn move_to_new_name(file: &Path, name: &Path) -> io::Result<()> {
    let moved = TempPath::try_from_path(file)?.persist_noclobber(name);
    moved.map_err(|refused| {
        // Keeping it fails only where a file needs more than its name to be kept, as on Windows.
        let _ = refused.path.keep();
        refused.error
    })
}

#[cfg(unix)]
fn create_private(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    Ok(())
}

#[cfg(not(unix))]
fn create_private(file: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(file)?;
    Ok(())
}

/// The directories in which files are built, or were.
fn stagings(beside: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(beside).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        Purpose::ALL.iter().any(|of| name.starts_with(of.prefix()))
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
    });
    ours.map(|entry| entry.path())
}

/// Removes the directories of processes that are no more. What cannot be removed is left to the next.
fn remove_abandoned(beside: &Path, own: &Path) {
    let Ok(owned) = fs::metadata(own) else { return };
    for directory in stagings(beside) {
        if let Err(error) = remove_if_abandoned(&directory, &owned) {
            tracing::debug!(%error, "what a killed process left was not removed");
        }
    }
}

fn remove_if_abandoned(directory: &Path, own: &Metadata) -> io::Result<()> {
    // Looked at before it is opened: who may write here may have put anything at that name.
    let found = fs::symlink_metadata(directory)?;
    if !found.is_dir() || !is_of_one_owner(&found, own) {
        return Ok(());
    }
    let lock = File::open(directory)?;
    if !is_of_one_owner(&lock.metadata()?, own) || lock.try_lock().is_err() {
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if !FILES.iter().any(|file| name == *file) {
            return Ok(());
        }
    }
    for file in FILES {
        match fs::remove_file(directory.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(directory)
}

/// A name in a directory that everybody may write is not to be trusted, unless it is one's own.
#[cfg(unix)]
fn is_of_one_owner(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    one.uid() == other.uid()
}

#[cfg(not(unix))]
fn is_of_one_owner(_one: &Metadata, _other: &Metadata) -> bool {
    true
}

/// Where a file system cannot move a file without replacing another, it gets its second name before it
/// loses the first: removes that, if whoever did so was killed in between.
pub(super) fn remove_second_names(store: &Path) {
    let beside = store.parent().unwrap_or(Path::new("."));
    let built = stagings(beside).map(|directory| directory.join(FILE));
    let others = [unfinished(store), with_suffix(store, EXCHANGED)];
    for name in built.chain(others) {
        if is_same_file(&name, store) {
            // Whoever has given it the other name ignores that this one is gone.
            let _ = fs::remove_file(name);
        }
    }
}

/// Where a copy is until it is complete.
pub(super) fn unfinished(store: &Path) -> PathBuf {
    with_suffix(store, UNFINISHED)
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}
