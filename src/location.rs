//! Where a store is, as an error says it.

use std::fmt;
use std::path::PathBuf;

use crate::text::escape;

/// Where a store is. As text it is escaped, so that it can be shown anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreLocation {
    /// In a file, named as whoever opened it has named it.
    File(PathBuf),
    /// In the file in which a copy is made: it gets the name of the new store once it is complete.
    Unfinished(PathBuf),
    /// In a database: its address, without a password.
    Database(String),
    /// Elsewhere: what a person calls the place.
    Other(String),
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::File(path) | Self::Unfinished(path) => path.to_string_lossy(),
            Self::Database(text) | Self::Other(text) => text.into(),
        };
        f.write_str(&escape(&text))
    }
}
