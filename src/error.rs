//! Everything that can go wrong, typed. A message says what happened and to which experiment, with
//! names escaped so that it can be shown anywhere; what to type next is the command line's to say.

use std::fmt;

use crate::experiment::ExperimentState;
use crate::field::ConfigField;
use crate::location::StoreLocation;
use crate::reason::AssignmentReason;
use crate::system::SystemRefusal;
use crate::text::{Quoted, escape};

/// Why the library refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// No experiment of that name.
    #[error("experiment {} not found", Quoted(.0))]
    NotFound(String),
    /// Only a running experiment assigns; this one is a draft, or was concluded meanwhile.
    #[error("experiment {} is not running: it is {}", Quoted(.0), adjective(*.1))]
    NotRunning(String, ExperimentState),
    /// The experiment is concluded, and what was asked would change who gets what.
    #[error("experiment {} is concluded: its weights are fixed", Quoted(.0))]
    Concluded(String),
    /// The experiment is archived; nothing about it changes any more.
    #[error("experiment {} is archived", Quoted(.0))]
    Archived(String),
    /// The actor has an assignment in another experiment of the exclusion group (experiment, group).
    #[error("experiment {} is closed to this actor, who is in another experiment of group {}", Quoted(.0), Quoted(.1))]
    ExcludedByGroup(String, String),
    /// The actor is new, and an entry rule keeps newcomers such as this one out.
    #[error("experiment {} does not enrol this actor: {}", Quoted(.experiment), why_not_enrolled(*.reason))]
    NotEnrolled {
        /// The experiment's name.
        experiment: String,
        /// What the rule answered.
        reason: AssignmentReason,
    },
    /// All weights are zero.
    #[error("experiment {} has no variant to assign: all weights are 0", Quoted(.0))]
    NoVariant(String),
    /// The experiment has no variant of that name.
    #[error("experiment {} has no variant {}", Quoted(.experiment), Quoted(.variant))]
    UnknownVariant {
        /// The experiment's name.
        experiment: String,
        /// The name that was given.
        variant: String,
        /// The names it has, in order.
        known: Vec<String>,
    },
    /// An experiment of that name is there already, in that state.
    #[error("experiment {} exists already: it is {}", Quoted(.0), adjective(*.1))]
    AlreadyExists(String, ExperimentState),
    /// The variant would be removed while actors hold it.
    #[error("cannot delete variant {} because it has active assignments", Quoted(.variant))]
    VariantInUse {
        /// The experiment's name.
        experiment: String,
        /// The variant that would have gone.
        variant: String,
    },
    /// Another operator has changed the experiment since it was looked at.
    #[error("experiment {} was changed meanwhile", Quoted(.0))]
    ChangedMeanwhile(String),
    /// What was given cannot be stored.
    #[error("experiment {}: {problem}", Quoted(.experiment))]
    InvalidConfig {
        /// The experiment's name as given.
        experiment: String,
        /// What is wrong, and where.
        problem: ConfigProblem,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ExperimentStoreError),
    /// The exclusion group would change while actors are assigned, who may be in another experiment of
    /// the group.
    #[error("experiment {} has assignments, and its exclusion group can't change", Quoted(.0))]
    GroupInUse(String),
    /// The experiment is concluded, and another program has stored no winner.
    #[error("experiment {} is concluded without a winner", Quoted(.0))]
    NoWinner(String),
}

/// The state as a sentence has it after "it is".
fn adjective(state: ExperimentState) -> &'static str {
    match state {
        ExperimentState::Draft => "a draft",
        other => other.as_str(),
    }
}

/// The rest of the sentence about an actor who may not enter.
fn why_not_enrolled(reason: AssignmentReason) -> &'static str {
    match reason {
        AssignmentReason::NotCovered => "the actor is outside its coverage",
        other => other.as_str(),
    }
}

/// A part of what the caller gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// A field of the configuration.
    Config(ConfigField),
    /// The name of the variant at this position, counted from 0.
    Variant(usize),
    /// The actor.
    Actor,
    /// The request id.
    RequestId,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(field) => write!(f, "its {field}"),
            Self::Variant(index) => write!(f, "the name of variant {}", index + 1),
            Self::Actor => f.write_str("the actor"),
            Self::RequestId => f.write_str("the request id"),
        }
    }
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// Nothing, or only characters that leave no mark: white space, and what is invisible.
    #[error("{0} is empty or blank")]
    Empty(Field),
    /// A control character in a name, or NUL anywhere.
    #[error("{0} holds a control character")]
    ControlCharacter(Field),
    /// More bytes than a store takes.
    #[error("{field} is {bytes} bytes long, and {limit} is the most")]
    TooLong {
        /// Where.
        field: Field,
        /// Its length in bytes.
        bytes: usize,
        /// The longest allowed, in bytes.
        limit: usize,
    },
    /// No variant at all.
    #[error("it has no variants")]
    NoVariants,
    /// More variants than an experiment may have.
    #[error("it has {count} variants, and {limit} is the most")]
    TooManyVariants {
        /// How many it has.
        count: usize,
        /// The most allowed.
        limit: usize,
    },
    /// Two variants of one name.
    #[error("variant {} is there twice", Quoted(.0))]
    DuplicateVariant(String),
    /// Concluded, and no winner.
    #[error("it is concluded, and names no winner")]
    WinnerMissing,
    /// The winner is not one of the variants.
    #[error("its winner {} is not one of its variants", Quoted(.0))]
    WinnerUnknown(String),
    /// A winner on an experiment that is not concluded.
    #[error("it names a winner, and is not concluded")]
    WinnerNotConcluded,
    /// A state that a store never moves an experiment to.
    #[error("no experiment goes back to draft")]
    BackToDraft,
    /// Another program has stored a list of variants that neither program can read.
    #[error("its variants can't be read")]
    VariantsUnreadable,
}

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
    /// Nothing is there, but beside it the log of a store that was.
    #[error("no store at {store}, but {} is the write-ahead log of one that was there", escape(.log))]
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
    /// A copy into it was begun, and is not finished.
    #[error("store {store} is not complete: a copy into it was begun and not finished")]
    Unfinished {
        /// Where.
        store: StoreLocation,
    },
    /// An unfinished copy of another source is there, or of this one before it was changed.
    #[error("an unfinished copy into {store} is of another store, or of this one as it was before")]
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
    #[error("store {store} has schema {found}, and this version knows up to {supported}")]
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
    #[error("that is no address of a database: {problem}")]
    Address {
        /// What is wrong.
        problem: String,
    },
    /// The tables of another program are there, without what this one adds to them.
    #[error("the tables of {store} lack what exp keeps in them")]
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
    #[error("the connection to {store} was lost on trying to {doing}{}", because(reason.as_deref()))]
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
    #[error("store {store} is in the encoding {encoding}, and exp needs UTF8")]
    Encoding {
        /// Where.
        store: StoreLocation,
        /// The encoding, as the server names it.
        encoding: String,
    },
    /// The server did not answer in time; a write may have been done or not.
    #[error("store {store} did not answer within {waited_secs} s on trying to {doing}")]
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
    /// Something that is no file is where SQLite keeps one of its own.
    #[error("store {store} cannot be used: {} is {found}, and SQLite needs that name for a file of its own", escape(.file))]
    Obstructed {
        /// Where.
        store: StoreLocation,
        /// What is in the way.
        file: String,
        /// What it is.
        found: &'static str,
    },
}

/// What kind of failure an [`ExperimentError`] is.
///
/// Whatever follows from an error (an exit status, an HTTP status, whether it concerns one actor) is one match
/// on this. It is exhaustive on purpose: a new kind does not compile before each of them has been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// [`ExperimentError::NotFound`].
    NotFound,
    /// [`ExperimentError::NotRunning`].
    NotRunning,
    /// [`ExperimentError::Concluded`].
    Concluded,
    /// [`ExperimentError::Archived`].
    Archived,
    /// [`ExperimentError::ExcludedByGroup`].
    ExcludedByGroup,
    /// [`ExperimentError::NotEnrolled`], with what the rule answered.
    NotEnrolled(AssignmentReason),
    /// [`ExperimentError::NoVariant`].
    NoVariant,
    /// [`ExperimentError::UnknownVariant`].
    UnknownVariant,
    /// [`ExperimentError::AlreadyExists`].
    AlreadyExists,
    /// [`ExperimentError::VariantInUse`].
    VariantInUse,
    /// [`ExperimentError::ChangedMeanwhile`].
    ChangedMeanwhile,
    /// [`ExperimentError::InvalidConfig`].
    InvalidConfig,
    /// [`ExperimentError::GroupInUse`].
    GroupInUse,
    /// [`ExperimentError::NoWinner`].
    NoWinner,
    /// [`ExperimentError::Store`], with what kind of failure of the store it is.
    Store(StoreErrorKind),
}

/// What kind of failure an [`ExperimentStoreError`] is; exhaustive as [`ErrorKind`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// [`ExperimentStoreError::Missing`].
    Missing,
    /// [`ExperimentStoreError::OrphanedWriteAheadLog`].
    OrphanedWriteAheadLog,
    /// [`ExperimentStoreError::NotEmpty`].
    NotEmpty,
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
    /// [`ExperimentStoreError::Obstructed`].
    Obstructed,
}

impl ExperimentError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(..) => ErrorKind::NotFound,
            Self::NotRunning(..) => ErrorKind::NotRunning,
            Self::Concluded(..) => ErrorKind::Concluded,
            Self::Archived(..) => ErrorKind::Archived,
            Self::ExcludedByGroup(..) => ErrorKind::ExcludedByGroup,
            Self::NotEnrolled { reason, .. } => ErrorKind::NotEnrolled(*reason),
            Self::NoVariant(..) => ErrorKind::NoVariant,
            Self::UnknownVariant { .. } => ErrorKind::UnknownVariant,
            Self::AlreadyExists(..) => ErrorKind::AlreadyExists,
            Self::VariantInUse { .. } => ErrorKind::VariantInUse,
            Self::ChangedMeanwhile(..) => ErrorKind::ChangedMeanwhile,
            Self::InvalidConfig { .. } => ErrorKind::InvalidConfig,
            Self::GroupInUse(..) => ErrorKind::GroupInUse,
            Self::NoWinner(..) => ErrorKind::NoWinner,
            Self::Store(failure) => ErrorKind::Store(failure.kind()),
        }
    }

    /// The name of the experiment that it is about, unless the store failed.
    #[must_use]
    pub fn experiment(&self) -> Option<&str> {
        match self {
            Self::NotFound(experiment)
            | Self::NotRunning(experiment, _)
            | Self::Concluded(experiment)
            | Self::Archived(experiment)
            | Self::ExcludedByGroup(experiment, _)
            | Self::NoVariant(experiment)
            | Self::UnknownVariant { experiment, .. }
            | Self::NotEnrolled { experiment, .. }
            | Self::AlreadyExists(experiment, _)
            | Self::VariantInUse { experiment, .. }
            | Self::ChangedMeanwhile(experiment)
            | Self::InvalidConfig { experiment, .. }
            | Self::GroupInUse(experiment)
            | Self::NoWinner(experiment) => Some(experiment),
            Self::Store(_) => None,
        }
    }
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
            Self::OrphanedWriteAheadLog { .. } => StoreErrorKind::OrphanedWriteAheadLog,
            Self::NotEmpty { .. } => StoreErrorKind::NotEmpty,
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
            Self::Obstructed { .. } => StoreErrorKind::Obstructed,
        }
    }

    /// Where the store is; `None` if that is what could not be understood.
    #[must_use]
    pub fn location(&self) -> Option<&StoreLocation> {
        match self {
            Self::Missing { store, .. }
            | Self::OrphanedWriteAheadLog { store, .. }
            | Self::NotEmpty { store, .. }
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
            | Self::Obstructed { store, .. } => Some(store),
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
