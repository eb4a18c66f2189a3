//! Why a store failed.

use crate::location::StoreLocation;
use crate::system::SystemRefusal;
use crate::text::escape;

/// Why a store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentStoreError {
    /// Nothing is there.
    #[error("no store at {store}")]
    Missing {
        /// Where it should be.
        store: StoreLocation,
    },
    /// Nothing is there any more: the file was renamed when a copy had taken its place.
    #[error("store {store} was retired: its file is {} now", escape(.file))]
    Retired {
        /// Where it was.
        store: StoreLocation,
        /// The file's new name.
        file: String,
    },
    /// Nothing is there, but beside it the log of a store that was.
    #[error("no store at {store}, but its write-ahead log {} is still there", escape(.log))]
    OrphanedWriteAheadLog {
        /// Where the store should be.
        store: StoreLocation,
        /// The log's file.
        log: String,
    },
    /// It holds something already, and nothing is copied into it.
    #[error("store {store} is not empty")]
    NotEmpty {
        /// Where.
        store: StoreLocation,
    },
    /// A backup or a copy would become a file where something is.
    #[error("{store} exists already")]
    Occupied {
        /// Where it would go.
        store: StoreLocation,
    },
    /// A copy into it was begun, and is not finished.
    #[error("store {store} is incomplete: a copy into it was started but not finished")]
    Unfinished {
        /// Where.
        store: StoreLocation,
    },
    /// An unfinished copy of another source is there, or of this one before it was changed.
    #[error("the unfinished copy in {store} is of another store, or of this one before it changed")]
    OtherCopy {
        /// Where.
        store: StoreLocation,
    },
    /// Something else is there.
    #[error("{store} is not an exp store: it is {found}")]
    NotAStore {
        /// Where.
        store: StoreLocation,
        /// What is there instead.
        found: String,
    },
    /// A newer version of this program wrote it.
    #[error(
        "store {store} has schema {found}, but this version of exp supports at most {supported}"
    )]
    NewerSchema {
        /// Where.
        store: StoreLocation,
        /// The schema version found.
        found: i64,
        /// The newest schema version this program knows.
        supported: i64,
    },
    /// Another process held it for the whole waiting time.
    #[error("store {store} is busy: another process kept it locked for {waited_secs} s")]
    Busy {
        /// Where.
        store: StoreLocation,
        /// How long was waited, in seconds.
        waited_secs: u64,
    },
    /// It can be read and not written.
    #[error("store {store} cannot be written: it is read-only")]
    ReadOnly {
        /// Where.
        store: StoreLocation,
    },
    /// Its content contradicts itself.
    #[error("store {store} is damaged: {found}")]
    Corrupt {
        /// Where.
        store: StoreLocation,
        /// What was found.
        found: String,
    },
    /// What should be the address of a database is none. The message holds nothing of it.
    #[error("that is not a database address: {problem}")]
    Address {
        /// What is wrong.
        problem: String,
    },
    /// The tables of another program, or of an older version, are there, without what this one adds to them.
    #[error("the tables of {store} lack what exp adds to them")]
    NotMigrated {
        /// Where.
        store: StoreLocation,
    },
    /// The user of the connection may not do that.
    #[error("store {store} does not let its user {doing}: {reason}")]
    Denied {
        /// Where.
        store: StoreLocation,
        /// What was being done.
        doing: &'static str,
        /// What the database says.
        reason: String,
    },
    /// No connection to the database was to be had.
    #[error("store {store} cannot be reached")]
    Unreachable {
        /// Where.
        store: StoreLocation,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection broke in the middle; a write may have been done or not.
    #[error("the connection to {store} was lost while trying to {doing}{}", because(reason.as_deref()))]
    Lost {
        /// Where.
        store: StoreLocation,
        /// What was being done.
        doing: &'static str,
        /// What the server or a pooler said last.
        reason: Option<String>,
    },
    /// The system or the database refused.
    #[error("store {store} failed to {doing}")]
    Backend {
        /// Where.
        store: StoreLocation,
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database does not keep its text in UTF-8, so that it could not hold every actor.
    #[error("store {store} uses the encoding {encoding}, but exp needs UTF8")]
    Encoding {
        /// Where.
        store: StoreLocation,
        /// The encoding, as the server names it.
        encoding: String,
    },
    /// The server did not answer in time; a write may have been done or not.
    #[error("store {store} did not answer within {waited_secs} s when asked to {doing}")]
    Silent {
        /// Where.
        store: StoreLocation,
        /// What was being done.
        doing: &'static str,
        /// How long was waited, in seconds.
        waited_secs: u64,
    },
    /// A commit failed on the disk: it may have been done or not.
    #[error("store {store} did not confirm the commit when asked to {doing}")]
    Unconfirmed {
        /// Where.
        store: StoreLocation,
        /// What was being done.
        doing: &'static str,
        /// What failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its file, or one that belongs to it, is no longer the one that was opened: what was written since
    /// then may be lost with it.
    #[error("store {store} was lost while it was in use: {} was removed or replaced", escape(.file))]
    Replaced {
        /// Where.
        store: StoreLocation,
        /// The file that is gone.
        file: String,
    },
    /// Its file has several names, and only one log would be beside each.
    #[error("store {store} has {links} hard links, and SQLite keeps a separate log beside each")]
    HardLinked {
        /// Where.
        store: StoreLocation,
        /// How many names the file has.
        links: u64,
    },
    /// Nothing can be written beside it, so that no lock keeps others away; and somebody has written it since it
    /// was opened. It has to be opened anew.
    #[error(
        "store {store} was written while it was read, and cannot be locked where it is read-only"
    )]
    WrittenWhileRead {
        /// Where.
        store: StoreLocation,
    },
    /// Its file is mounted without the directory that it is in, so that its log would stay outside.
    #[error(
        "store {store} is mounted as a single file, and its write-ahead log would stay outside"
    )]
    MountedAlone {
        /// Where.
        store: StoreLocation,
    },
    /// It is on the file system of another machine.
    #[error(
        "store {store} is on {system}, where SQLite's locks and its shared memory are not reliable"
    )]
    OnNetwork {
        /// Where.
        store: StoreLocation,
        /// What the file system is called.
        system: &'static str,
    },
    /// Something that is no file is where SQLite keeps one of its own.
    #[error("store {store} cannot be used: {} is {found}, but SQLite needs that name for a file of its own", escape(.file))]
    Obstructed {
        /// Where.
        store: StoreLocation,
        /// What is in the way.
        file: String,
        /// What it is.
        found: &'static str,
    },
    /// A query of a user's own is not one SELECT, or the database can't run it.
    #[error("the query on {store} failed: {}", escape(.problem))]
    Query {
        /// What was queried.
        store: StoreLocation,
        /// What is wrong with it; in the words of the database, if it has any.
        problem: String,
    },
    /// A query of a user's own took too long.
    #[error("the query on {store} did not finish within {waited_secs} s")]
    QueryTimeout {
        /// What was queried.
        store: StoreLocation,
        /// How long was waited, in seconds.
        waited_secs: u64,
    },
}

/// What kind of failure an [`ExperimentStoreError`] is; exhaustive as [`ErrorKind`](super::ErrorKind) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// [`ExperimentStoreError::Missing`].
    Missing,
    /// [`ExperimentStoreError::Retired`].
    Retired,
    /// [`ExperimentStoreError::OrphanedWriteAheadLog`].
    OrphanedWriteAheadLog,
    /// [`ExperimentStoreError::NotEmpty`].
    NotEmpty,
    /// [`ExperimentStoreError::Occupied`].
    Occupied,
    /// [`ExperimentStoreError::Unfinished`].
    Unfinished,
    /// [`ExperimentStoreError::OtherCopy`].
    OtherCopy,
    /// [`ExperimentStoreError::NotAStore`].
    NotAStore,
    /// [`ExperimentStoreError::NewerSchema`].
    NewerSchema,
    /// [`ExperimentStoreError::Busy`].
    Busy,
    /// [`ExperimentStoreError::ReadOnly`].
    ReadOnly,
    /// [`ExperimentStoreError::Corrupt`].
    Corrupt,
    /// [`ExperimentStoreError::Address`].
    Address,
    /// [`ExperimentStoreError::NotMigrated`].
    NotMigrated,
    /// [`ExperimentStoreError::Denied`].
    Denied,
    /// [`ExperimentStoreError::Unreachable`].
    Unreachable,
    /// [`ExperimentStoreError::Lost`].
    Lost,
    /// [`ExperimentStoreError::Backend`].
    Backend,
    /// [`ExperimentStoreError::Encoding`].
    Encoding,
    /// [`ExperimentStoreError::Silent`].
    Silent,
    /// [`ExperimentStoreError::Unconfirmed`].
    Unconfirmed,
    /// [`ExperimentStoreError::Replaced`].
    Replaced,
    /// [`ExperimentStoreError::HardLinked`].
    HardLinked,
    /// [`ExperimentStoreError::WrittenWhileRead`].
    WrittenWhileRead,
    /// [`ExperimentStoreError::MountedAlone`].
    MountedAlone,
    /// [`ExperimentStoreError::OnNetwork`].
    OnNetwork,
    /// [`ExperimentStoreError::Obstructed`].
    Obstructed,
    /// [`ExperimentStoreError::Query`].
    Query,
    /// [`ExperimentStoreError::QueryTimeout`].
    QueryTimeout,
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {}", escape(reason)))
}

impl ExperimentStoreError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Missing { .. } => StoreErrorKind::Missing,
            Self::Retired { .. } => StoreErrorKind::Retired,
            Self::OrphanedWriteAheadLog { .. } => StoreErrorKind::OrphanedWriteAheadLog,
            Self::NotEmpty { .. } => StoreErrorKind::NotEmpty,
            Self::Occupied { .. } => StoreErrorKind::Occupied,
            Self::Unfinished { .. } => StoreErrorKind::Unfinished,
            Self::OtherCopy { .. } => StoreErrorKind::OtherCopy,
            Self::NotAStore { .. } => StoreErrorKind::NotAStore,
            Self::NewerSchema { .. } => StoreErrorKind::NewerSchema,
            Self::Busy { .. } => StoreErrorKind::Busy,
            Self::ReadOnly { .. } => StoreErrorKind::ReadOnly,
            Self::Corrupt { .. } => StoreErrorKind::Corrupt,
            Self::Address { .. } => StoreErrorKind::Address,
            Self::NotMigrated { .. } => StoreErrorKind::NotMigrated,
            Self::Denied { .. } => StoreErrorKind::Denied,
            Self::Unreachable { .. } => StoreErrorKind::Unreachable,
            Self::Lost { .. } => StoreErrorKind::Lost,
            Self::Backend { .. } => StoreErrorKind::Backend,
            Self::Encoding { .. } => StoreErrorKind::Encoding,
            Self::Silent { .. } => StoreErrorKind::Silent,
            Self::Unconfirmed { .. } => StoreErrorKind::Unconfirmed,
            Self::Replaced { .. } => StoreErrorKind::Replaced,
            Self::HardLinked { .. } => StoreErrorKind::HardLinked,
            Self::WrittenWhileRead { .. } => StoreErrorKind::WrittenWhileRead,
            Self::MountedAlone { .. } => StoreErrorKind::MountedAlone,
            Self::OnNetwork { .. } => StoreErrorKind::OnNetwork,
            Self::Obstructed { .. } => StoreErrorKind::Obstructed,
            Self::Query { .. } => StoreErrorKind::Query,
            Self::QueryTimeout { .. } => StoreErrorKind::QueryTimeout,
        }
    }

    /// Where the store is; `None` if that is what could not be understood.
    #[must_use]
    pub fn location(&self) -> Option<&StoreLocation> {
        match self {
            Self::Missing { store, .. }
            | Self::Retired { store, .. }
            | Self::OrphanedWriteAheadLog { store, .. }
            | Self::NotEmpty { store, .. }
            | Self::Occupied { store }
            | Self::Unfinished { store, .. }
            | Self::OtherCopy { store, .. }
            | Self::NotAStore { store, .. }
            | Self::NewerSchema { store, .. }
            | Self::Busy { store, .. }
            | Self::ReadOnly { store, .. }
            | Self::Corrupt { store, .. }
            | Self::NotMigrated { store, .. }
            | Self::Denied { store, .. }
            | Self::Unreachable { store, .. }
            | Self::Lost { store, .. }
            | Self::Backend { store, .. }
            | Self::Encoding { store, .. }
            | Self::Silent { store, .. }
            | Self::Unconfirmed { store, .. }
            | Self::Replaced { store, .. }
            | Self::HardLinked { store, .. }
            | Self::WrittenWhileRead { store, .. }
            | Self::MountedAlone { store, .. }
            | Self::OnNetwork { store, .. }
            | Self::Obstructed { store, .. }
            | Self::Query { store, .. }
            | Self::QueryTimeout { store, .. } => Some(store),
            Self::Address { .. } => None,
        }
    }

    /// What the system said, if it is the system that refused.
    #[must_use]
    pub fn system_refusal(&self) -> Option<SystemRefusal> {
        let Self::Backend { source, .. } = self else {
            return None;
        };
        SystemRefusal::of(source.downcast_ref()?)
    }
}
