//! What can go wrong that only the command knows of.

/// The command line is wrong in a way that clap can't see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// A variable of the environment is set to what can't be used, or something that it must have is missing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct EnvironmentError(pub(crate) String);

/// Not everything that was asked for could be done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(pub(crate) String);

/// A signal ends the process in the middle.
#[derive(Debug, thiserror::Error)]
#[error("interrupted: {message}")]
pub(crate) struct Interrupted {
    /// What is done.
    pub(crate) message: String,
    pub(crate) signal: i32,
}

/// What was looked for was found; it has been shown.
#[derive(Debug, thiserror::Error)]
#[error("found")]
pub(crate) struct SomethingFound;

/// Files can't be applied, for what has been shown.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Invalid(pub(crate) String);

/// A hint that only the command knows, attached as context to the error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Hint(pub(crate) String);
