//! From an error to what a person reads and a script sees: the message, the hint that says what to do
//! next, and the exit code. The codes are part of the contract; see `exp --help`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind as ParseErrorKind;
use experiments::suggest::nearest;
use experiments::text::{escape, is_unsafe};
use experiments::{
    ErrorKind, ExperimentError, ExperimentState, ExperimentStoreError, StoreErrorKind,
};

use crate::output::stream::{self, Label};

const FAILURE: u8 = 1;
const USAGE: u8 = 2;
const NOT_FOUND: u8 = 3;
const WRONG_STATE: u8 = 4;
const ARCHIVED: u8 = 5;
const EXCLUDED: u8 = 6;
const NO_VARIANT: u8 = 7;
const REFUSED: u8 = 8;
const FOUND: u8 = 9;

/// The command line is wrong in a way that clap can't see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Not everything that was asked for could be done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(pub(crate) String);

/// What was looked for was found; it has been shown.
#[derive(Debug, thiserror::Error)]
#[error("found")]
pub(crate) struct Found;

/// Files can't be applied, for what has been shown.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Invalid(pub(crate) String);

/// A hint that only the command knows, attached as context to the error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Hint(pub(crate) String);

/// Reports the error on standard error and gives the exit code. A reader who closed the pipe wants
/// no more, and is no error. `known_names` are looked at if an experiment was not found.
pub(crate) fn report(error: &anyhow::Error, known_names: impl FnOnce() -> Vec<String>) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    if error.downcast_ref::<Found>().is_some() {
        return ExitCode::from(FOUND);
    }
    let hint = hint(error, known_names);
    stream::tell_as(Label::Error, message(error));
    if let Some(hint) = hint {
        stream::tell_as(Label::Hint, hint);
    }
    ExitCode::from(code(error))
}

/// Prints help or the version, or reports what clap found wrong, in clap's words.
pub(crate) fn report_parse_error(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ParseErrorKind::DisplayHelp | ParseErrorKind::DisplayVersion
    ) {
        return match stream::print(&error.render().ansi().to_string()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => report(&error, Vec::new),
        };
    }
    // The message repeats what was typed, and coloured it can't be escaped.
    let is_safe = |word: OsString| !word.to_string_lossy().chars().any(is_unsafe);
    if std::env::args_os().all(is_safe) {
        stream::tell_styled(error.render().ansi());
    } else {
        error.render().to_string().lines().for_each(stream::tell);
    }
    ExitCode::from(USAGE)
}

pub(crate) fn is_usage(error: &anyhow::Error) -> bool {
    code(error) == USAGE
}

/// The one place that maps an error to its exit code.
fn code(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<UsageError>().is_some() {
        return USAGE;
    }
    if error.downcast_ref::<Invalid>().is_some() {
        return REFUSED;
    }
    match error.downcast_ref::<ExperimentError>() {
        Some(error) => code_of(error.kind()),
        None => FAILURE,
    }
}

fn code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::NotRunning | ErrorKind::Concluded => WRONG_STATE,
        ErrorKind::Archived => ARCHIVED,
        ErrorKind::ExcludedByGroup => EXCLUDED,
        ErrorKind::NoVariant | ErrorKind::NoWinner => NO_VARIANT,
        ErrorKind::UnknownVariant
        | ErrorKind::AlreadyExists
        | ErrorKind::VariantInUse
        | ErrorKind::GroupInUse
        | ErrorKind::ChangedMeanwhile
        | ErrorKind::InvalidConfig => REFUSED,
        ErrorKind::Store(kind) => match kind {
            StoreErrorKind::NotEmpty | StoreErrorKind::OtherCopy => REFUSED,
            StoreErrorKind::Missing
            | StoreErrorKind::OrphanedLog
            | StoreErrorKind::Unfinished
            | StoreErrorKind::NotAStore
            | StoreErrorKind::NewerSchema
            | StoreErrorKind::Busy
            | StoreErrorKind::ReadOnly
            | StoreErrorKind::Corrupt
            | StoreErrorKind::Address
            | StoreErrorKind::NotMigrated
            | StoreErrorKind::Denied
            | StoreErrorKind::Unreachable
            | StoreErrorKind::Lost
            | StoreErrorKind::Backend
            | StoreErrorKind::Encoding
            | StoreErrorKind::Silent
            | StoreErrorKind::Unconfirmed
            | StoreErrorKind::Replaced
            | StoreErrorKind::HardLinked
            | StoreErrorKind::Obstructed => FAILURE,
        },
    }
}

/// The error and its causes, in one line.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut chain = error.chain();
    if error.downcast_ref::<Hint>().is_some() {
        chain.next();
    }
    let mut message = String::new();
    for cause in chain {
        let cause = cause.to_string();
        // A wrapper that is transparent repeats the message of what it wraps.
        if message.ends_with(&cause) {
            continue;
        }
        if let Some(code) = repeated_code(&message, &cause) {
            let _ = write!(message, " (error code {code})");
            continue;
        }
        let separator = if message.is_empty() { "" } else { ": " };
        let _ = write!(message, "{separator}{cause}");
    }
    message
}

/// The code in a cause of SQLite that says for the rest what its wrapper has said.
fn repeated_code<'a>(message: &str, cause: &'a str) -> Option<&'a str> {
    let (code, said) = cause.strip_prefix("Error code ")?.split_once(": ")?;
    message.ends_with(said).then_some(code)
}

/// What to do next.
fn hint(error: &anyhow::Error, known_names: impl FnOnce() -> Vec<String>) -> Option<String> {
    if let Some(Hint(hint)) = error.downcast_ref::<Hint>() {
        return Some(hint.clone());
    }
    Some(match error.downcast_ref::<ExperimentError>()? {
        ExperimentError::NotFound(name) => {
            match nearest(name, known_names().iter().map(String::as_str)) {
                Some(nearest) => format!("did you mean '{nearest}'?"),
                None => "exp list shows what there is".to_owned(),
            }
        }
        ExperimentError::NotRunning(name, ExperimentState::Draft) => {
            format!("start it: {}", start(name))
        }
        ExperimentError::Concluded(name) => {
            format!("to reopen it, start it again: {}", start(name))
        }
        ExperimentError::Archived(_) => {
            "archiving is for good; create an experiment of another name".to_owned()
        }
        ExperimentError::ExcludedByGroup(name, _) => {
            format!(
                "exp explain {} ACTOR names the other experiment",
                positional(name)
            )
        }
        ExperimentError::NoVariant(name) => {
            format!(
                "give one a weight: exp set-weights {} VARIANT=WEIGHT ...",
                positional(name)
            )
        }
        ExperimentError::UnknownVariant { variant, known, .. } => {
            match nearest(variant, known.iter().map(String::as_str)) {
                Some(nearest) => format!("did you mean '{nearest}'?"),
                None => format!("it has {}", known.join(", ")),
            }
        }
        ExperimentError::AlreadyExists(name, _) => {
            format!("exp status {} shows it", positional(name))
        }
        ExperimentError::VariantInUse { variant, .. } => {
            format!(
                "keep it with weight 0, so that nobody new gets it: {}=0",
                quote(variant)
            )
        }
        ExperimentError::ChangedMeanwhile(_) => {
            "nothing was applied; plan again to see what would be done now".to_owned()
        }
        ExperimentError::NoWinner(name) => {
            format!("name one: exp conclude {} WINNER", positional(name))
        }
        ExperimentError::GroupInUse(_) => {
            "keep the group, or create an experiment of another name in the other one".to_owned()
        }
        ExperimentError::Store(error) => return store_hint(error),
        _ => return None,
    })
}

fn store_hint(error: &ExperimentStoreError) -> Option<String> {
    let hint = match error {
        ExperimentStoreError::Missing { store } if store.starts_with("postgres://") => {
            "exp create makes one in that database, exp store migrate only its tables"
        }
        ExperimentStoreError::NotEmpty { store } if store.ends_with(".unfinished") => {
            "it holds a store that is complete: give it another name to keep it, or remove it; then \
             copy again"
        }
        ExperimentStoreError::NotEmpty { .. } => {
            "a copy goes to a file that is not there yet, or to a database without experiments"
        }
        ExperimentStoreError::Unfinished { .. } => {
            "the same exp store copy goes on with it, and with --restart begins anew"
        }
        ExperimentStoreError::OtherCopy { .. } => "to throw it away and begin anew, add --restart",
        ExperimentStoreError::NotMigrated { .. } => {
            "exp store migrate adds it, and leaves the application's own as it is"
        }
        ExperimentStoreError::Denied { .. } => {
            "the owner of the tables can grant it: GRANT SELECT, INSERT, UPDATE, DELETE ON the \
             tables, USAGE ON their sequences, EXECUTE ON the functions; exp store migrate and copy make \
             tables, which CREATE ON the schema allows"
        }
        ExperimentStoreError::Lost { .. }
        | ExperimentStoreError::Silent { .. }
        | ExperimentStoreError::Unconfirmed { .. } => {
            "it may have been done or not; it is safe to run the command again"
        }
        ExperimentStoreError::Encoding { .. } => {
            "create a database for it with CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
        }
        ExperimentStoreError::ReadOnly { store } if store.starts_with("postgres://") => {
            "it is a replica, or set to read only: name the primary server"
        }
        ExperimentStoreError::Missing { .. } => {
            "exp create makes one; --store or EXP_STORE names another place"
        }
        ExperimentStoreError::OrphanedLog { .. } => {
            "put the store's file back beside it; or, to begin anew without what it held, remove \
             that file"
        }
        ExperimentStoreError::NotAStore { .. } => {
            "--store and EXP_STORE must name an exp store, or a path where nothing is yet"
        }
        ExperimentStoreError::NewerSchema { .. } => "use the version of exp that wrote it",
        ExperimentStoreError::Busy { .. } => {
            "try again, or wait longer with --lock-timeout SECONDS"
        }
        ExperimentStoreError::ReadOnly { .. } => {
            "you need write permission for the file and for its directory"
        }
        ExperimentStoreError::Corrupt { .. } => {
            "restore it from a backup, with the -wal and -shm files beside it removed"
        }
        ExperimentStoreError::Backend { store, source, .. }
            if !store.starts_with("postgres://")
                && source
                    .downcast_ref::<io::Error>()
                    .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied) =>
        {
            "you need permission for the file and for its directory"
        }
        ExperimentStoreError::Backend { source, .. } if is_too_many_files(&**source) => {
            "raise the limit of open files (ulimit -n), or close what has many open"
        }
        ExperimentStoreError::Replaced { .. } => {
            "what was written since may be lost with it; put the file back, or see what the store \
             holds now and run the command again"
        }
        ExperimentStoreError::HardLinked { .. } => {
            "what is written through one name is lost through another: remove the other names \
             (find -samefile FILE prints them), or make them symbolic links"
        }
        ExperimentStoreError::Obstructed { file, .. } => {
            return Some(format!("remove {0}, or give it another name", escape(file)));
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Whether the system has refused to open one more file, to this process or to any.
#[cfg(unix)]
fn is_too_many_files(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let codes = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
    let code = error.downcast_ref().and_then(io::Error::raw_os_error);
    code.is_some_and(|code| codes.iter().any(|errno| errno.raw_os_error() == code))
}

#[cfg(not(unix))]
fn is_too_many_files(_error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    false
}

/// The command that starts an experiment.
pub(crate) fn start(name: &str) -> String {
    format!("exp start {}", positional(name))
}

/// Quotes the first word after a command's name, which must not be taken for an option.
fn positional(word: &str) -> String {
    let options_end = if word.starts_with('-') { "-- " } else { "" };
    format!("{options_end}{}", quote(word))
}

/// Quotes a word so that it can be pasted into a shell.
fn quote(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}
