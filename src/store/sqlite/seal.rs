//! A file beside which nothing can be written, as on read-only media. SQLite keeps an index of the log there,
//! which it needs even to read; so such a file is read alone, without a lock. Who can write it from elsewhere
//! is not kept from doing so: that is noticed after each step.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::file_system::can_write;
use super::identity::{Identity, identity};
use super::place::{Place, named};
use crate::error::ExperimentStoreError;

/// What a file was like before it was opened alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seal {
    file: Option<Identity>,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Seal {
    fn of(file: &Path) -> Option<Self> {
        let found = fs::metadata(file).ok()?;
        Some(Self {
            file: identity(file),
            bytes: found.len(),
            modified: found.modified().ok(),
        })
    }
}

impl Place {
    /// What the file is like, if it can be read and nothing can be written beside it.
    ///
    /// # Errors
    /// A part of it is in a log, which can't be read that way.
    pub(super) fn seal(&self) -> Result<Option<Seal>, ExperimentStoreError> {
        let file = self.beside("");
        let seal = Seal::of(&file);
        if can_write(file.parent().unwrap_or(Path::new("."))) || !can_read(&file) {
            return Ok(None);
        }
        match self.log_with_content() {
            None => Ok(seal),
            Some(log) if !can_read(&log) => Ok(None),
            Some(log) => {
                let log = named(&log);
                let problem = format!(
                    "a part of it is in {log}, which cannot be read where nothing can be written: copy \
                     both files to a directory that you can write"
                );
                Err(self.backend("open", problem))
            }
        }
    }

    /// Refuses what was read if somebody has written the file since, or begun a log.
    pub(super) fn require_sealed(&self, seal: &Seal) -> Result<(), ExperimentStoreError> {
        let is_same = Seal::of(&self.beside("")).as_ref() == Some(seal);
        if is_same && self.log_with_content().is_none() {
            return Ok(());
        }
        Err(ExperimentStoreError::WrittenWhileRead {
            store: self.store(),
        })
    }
}

#[cfg(unix)]
fn can_read(file: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(file, Access::READ_OK).is_ok()
}

#[cfg(not(unix))]
fn can_read(file: &Path) -> bool {
    fs::File::open(file).is_ok()
}
