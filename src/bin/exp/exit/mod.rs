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
use schemars::JsonSchema;
use serde::Serialize;

use self::codes::{Class, FOUND, USAGE, WRONG_USAGE, class};
pub(crate) use self::errors::{
    EnvironmentError, Failed, Hint, Interrupted, Invalid, SomethingFound, UsageError,
};
use self::hints::hint;
pub(crate) use self::hints::{positional, positionals, quote, start};
pub(crate) use self::message::message;
use crate::options::Format;
use crate::output::json;
use crate::output::stream::{self, Label};
use crate::secrets::mask;

/// An error as a program reads it: with `--format json`, the last line of standard error.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ErrorDocument {
    error: ErrorFields,
}

/// What went wrong.
#[derive(Serialize, JsonSchema)]
struct ErrorFields {
    /// A word that tells this kind of error from others; docs/scripts.md has them all.
    kind: &'static str,
    /// The exit code.
    exit_code: u8,
    /// What happened, in a sentence.
    message: String,
    /// What to do next, where that is known.
    hint: Option<String>,
}

/// Reports the error on standard error and gives the exit code. A reader who closed the pipe wants
/// no more, and is no error. `known_names` are looked at if an experiment was not found.
pub(crate) fn report(
    error: &anyhow::Error,
    format: Format,
    known_names: impl FnOnce() -> Vec<String>,
) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    if error.downcast_ref::<SomethingFound>().is_some() {
        return ExitCode::from(FOUND);
    }
    let class = class(error);
    let exit_code = ExitCode::from(class.exit_code);
    let (message, hint) = (message(error), hint(error, known_names));
    if format == Format::Json {
        tell_document(&class, &message, hint.as_deref());
        return exit_code;
    }
    stream::tell_as(Label::Error, message);
    if let Some(hint) = hint {
        stream::tell_as(Label::Hint, hint);
    }
    exit_code
}

fn tell_document(class: &Class, message: &str, hint: Option<&str>) {
    let document = ErrorDocument {
        error: ErrorFields {
            kind: class.kind,
            exit_code: class.exit_code,
            message: mask(message),
            hint: hint.map(mask),
        },
    };
    // Strings and a number are always JSON.
    stream::tell_line(&json::safe_line(&document).unwrap_or_default());
}

/// Prints help or the version, or reports what clap found wrong, in clap's words.
pub(crate) fn report_parse_error(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ParseErrorKind::DisplayHelp | ParseErrorKind::DisplayVersion
    ) {
        return match stream::print(&error.render().ansi().to_string()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => report(&error, Format::Text, Vec::new),
        };
    }
    let needs_words = error.kind() == ParseErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !needs_words && asks_for_json(std::env::args_os()) {
        let (message, hint) = message::of_parse_error(&error.render().to_string());
        tell_document(&WRONG_USAGE, &message, hint.as_deref());
        return ExitCode::from(USAGE);
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

/// Whether JSON is asked for on a command line that can't be taken apart.
fn asks_for_json(words: impl Iterator<Item = OsString>) -> bool {
    let words: Vec<OsString> = words.take_while(|word| word != "--").collect();
    let is_json = |pair: &[OsString]| pair[0] == "--format" && pair[1] == "json";
    words.iter().any(|word| word == "--format=json") || words.windows(2).any(is_json)
}

/// Whether the words of the command line are wrong.
pub(crate) fn is_usage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<UsageError>().is_some()
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}
