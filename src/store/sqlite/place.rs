//! Where a store is, and what must and must not be there, at its name and beside it.

use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::staging;
use crate::error::ExperimentStoreError;
use crate::location::StoreLocation;

/// What SQLite adds to a store's name for the files of its own.
pub(super) const ROLLBACK_JOURNAL: &str = "-journal";
pub(super) const LOG: &str = "-wal";
pub(super) const SHARED_MEMORY: &str = "-shm";
pub(super) const BESIDE: [&str; 3] = [ROLLBACK_JOURNAL, LOG, SHARED_MEMORY];

/// Where a store is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// Whether a copy is made there, which is moved once it is complete.
    is_unfinished: bool,
}

impl Place {
    pub(super) fn new(path: &Path) -> Self {
        // A name that SQLite would take for something else, such as `:memory:`, is a file's name.
        let path = if path.is_relative() {
            Path::new(".").join(path)
        } else {
            path.to_owned()
        };
        Self {
            path,
            is_unfinished: false,
        }
    }

    /// Where a copy into this place is until it is complete.
    pub(super) fn unfinished(&self) -> Self {
        Self {
            path: staging::unfinished(&self.path),
            is_unfinished: true,
        }
    }

    /// Where it is, for an error.
    pub(super) fn store(&self) -> StoreLocation {
        let path = as_written(&self.path).to_owned();
        if self.is_unfinished {
            StoreLocation::Unfinished(path)
        } else {
            StoreLocation::File(path)
        }
    }

    /// The file's one name, whatever links lead to it; `None` if it is not there.
    pub(super) fn location(&self) -> Option<String> {
        let path = self.path.canonicalize().ok()?;
        Some(path.to_string_lossy().into_owned())
    }

    pub(super) fn name(&self) -> String {
        named(&self.path)
    }

    pub(super) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// The store's name with this at its end. SQLite's own files are beside the file that a symbolic
    /// link leads to.
    pub(super) fn beside(&self, suffix: &str) -> PathBuf {
        let followed = self.path.is_symlink().then(|| self.path.canonicalize());
        let path = followed.and_then(Result::ok);
        let mut path = path.unwrap_or_else(|| self.path.clone()).into_os_string();
        path.push(suffix);
        path.into()
    }

    /// What the file is called once another store has taken its place.
    pub(super) fn retired_name(&self) -> PathBuf {
        staging::with_suffix(&self.path, ".retired")
    }

    pub(super) fn not_a_store(&self, found: impl Into<String>) -> ExperimentStoreError {
        ExperimentStoreError::NotAStore {
            store: self.store(),
            found: found.into(),
        }
    }

    pub(super) fn replaced(&self, file: String) -> ExperimentStoreError {
        ExperimentStoreError::Replaced {
            store: self.store(),
            file,
        }
    }

    /// The log of a store that is not there: SQLite would replay it over a new store of that name.
    fn orphaned_write_ahead_log(&self) -> Option<ExperimentStoreError> {
        let log = self.log_with_content()?;
        // In between another process may have brought the store into being, and begun its log.
        (!self.path.exists()).then(|| ExperimentStoreError::OrphanedWriteAheadLog {
            store: self.store(),
            log: named(&log),
        })
    }

    /// The log beside it that holds a part of it, if there is one.
    pub(super) fn log_with_content(&self) -> Option<PathBuf> {
        let holds =
            |log: &PathBuf| fs::metadata(log).is_ok_and(|log| log.is_file() && log.len() > 0);
        [LOG, ROLLBACK_JOURNAL]
            .map(|suffix| self.beside(suffix))
            .into_iter()
            .find(holds)
    }

    /// Refuses a name under which no new store can be made, whatever is at the name itself.
    pub(super) fn require_usable(&self) -> Result<(), ExperimentStoreError> {
        self.require_files_beside()?;
        self.orphaned_write_ahead_log().map_or(Ok(()), Err)
    }

    /// Refuses what SQLite would wait for, as for the other end of a pipe, or could not open, in place
    /// of its own files.
    fn require_files_beside(&self) -> Result<(), ExperimentStoreError> {
        for file in BESIDE.map(|suffix| self.beside(suffix)) {
            let found = fs::symlink_metadata(&file).map(|found| found.file_type());
            if let Ok(kind) = found
                && !kind.is_file()
            {
                return Err(ExperimentStoreError::Obstructed {
                    store: self.store(),
                    file: named(&file),
                    found: describe(kind),
                });
            }
        }
        Ok(())
    }

    /// Refuses what is at the name, if it is no file that may be a store.
    pub(super) fn require_file(&self) -> Result<(), ExperimentStoreError> {
        /// The smallest page of SQLite, in bytes. It takes a shorter file for an empty database.
        const SMALLEST_DATABASE: u64 = 512;
        let found = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.nothing());
            }
            Err(error) => return Err(self.backend("open", error)),
            Ok(found) => found,
        };
        if !found.is_file() {
            return Err(self.not_a_store(describe(found.file_type())));
        }
        if found.len() == 0 {
            return Err(self.not_a_store("an empty file"));
        }
        if found.len() < SMALLEST_DATABASE {
            return Err(self.not_a_store("too short for an SQLite database"));
        }
        self.require_one_name(&found)?;
        self.require_files_beside()
    }

    /// What to say where no file is.
    fn nothing(&self) -> ExperimentStoreError {
        let store = self.store();
        let link = fs::read_link(&self.path).ok();
        let leads_to = link.as_ref().map(|target| self.directory().join(target));
        let retired =
            leads_to.map_or_else(|| self.retired_name(), |to| Self::new(&to).retired_name());
        if fs::symlink_metadata(&retired).is_ok() {
            let file = named(&retired);
            return ExperimentStoreError::Retired { store, file };
        }
        if link.is_some() {
            return self.not_a_store("a symbolic link to nothing");
        }
        let missing = ExperimentStoreError::Missing { store };
        self.orphaned_write_ahead_log().unwrap_or(missing)
    }

    /// Refuses a file with several names: SQLite would keep a log beside each, and those who use one
    /// name would not see what is in the log of another.
    fn require_one_name(&self, found: &Metadata) -> Result<(), ExperimentStoreError> {
        if links(found) < 2 {
            return Ok(());
        }
        staging::remove_second_names(&self.beside(""));
        let links = fs::metadata(&self.path).map_or(1, |found| links(&found));
        if links < 2 {
            return Ok(());
        }
        let store = self.store();
        Err(ExperimentStoreError::HardLinked { store, links })
    }

    /// Refuses to go on with a file of which a part is only in a log beside it.
    pub(super) fn require_no_log(&self, doing: &'static str) -> Result<(), ExperimentStoreError> {
        let log = self.log_with_content();
        log.map_or(Ok(()), |log| {
            let found = format!("a part of it is still in {}", named(&log));
            Err(self.backend(doing, found))
        })
    }
}

/// A path as a person wrote it.
pub(super) fn as_written(path: &Path) -> &Path {
    match path.strip_prefix(".") {
        Ok(written) if !written.as_os_str().is_empty() => written,
        // A directory is written like this, too.
        Ok(_) => Path::new("."),
        Err(_) => path,
    }
}

/// The same as text.
pub(super) fn named(path: &Path) -> String {
    as_written(path).to_string_lossy().into_owned()
}

fn describe(kind: FileType) -> &'static str {
    if kind.is_dir() {
        return "a directory";
    }
    if kind.is_symlink() {
        return "a symbolic link";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    "not a regular file"
}

#[cfg(unix)]
fn links(found: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    found.nlink()
}

#[cfg(not(unix))]
fn links(_found: &Metadata) -> u64 {
    1
}
