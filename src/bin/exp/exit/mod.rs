//! From an error to what a person reads and a script sees: the message, the hint that says what to do
//! next, and the exit code.

mod codes;
mod errors;
mod hints;
mod message;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind as ParseErrorKind;
use experiments::text::is_unsafe;

use self::codes::{FOUND, USAGE, code};
pub(crate) use self::errors::{Failed, Hint, Invalid, SomethingFound, UsageError};
use self::hints::hint;
pub(crate) use self::hints::{positional, start};
pub(crate) use self::message::message;
use crate::output::stream::{self, Label};

/// Reports the error on standard error and gives the exit code. A reader who closed the pipe wants
/// no more, and is no error. `known_names` are looked at if an experiment was not found.
pub(crate) fn report(error: &anyhow::Error, known_names: impl FnOnce() -> Vec<String>) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    if error.downcast_ref::<SomethingFound>().is_some() {
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

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}
