//! The word for an actor on a command line. It comes from elsewhere, so it may begin with `-`: `-5` is an
//! actor, and `--defualt` is still a mistyped option unless `--` stands before it.

use std::ffi::{OsStr, OsString};

use clap::builder::{OsStringValueParser, StringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use experiments::suggest::nearest;

/// An actor as text. The argument also needs `allow_hyphen_values`.
pub(crate) fn text() -> impl TypedValueParser<Value = String> {
    Word(StringValueParser::new())
}

/// An actor whose bytes may not be UTF-8. The argument also needs `allow_hyphen_values`.
pub(crate) fn bytes() -> impl TypedValueParser<Value = OsString> {
    Word(OsStringValueParser::new())
}

#[derive(Clone)]
struct Word<P>(P);

impl<P: TypedValueParser> TypedValueParser for Word<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let is_option = value.as_encoded_bytes().starts_with(b"--");
        if is_option && std::env::args_os().all(|word| word != "--") {
            return Err(unexpected(command, &value.to_string_lossy()));
        }
        self.0.parse_ref(command, argument, value)
    }
}

/// What clap says of an option that it doesn't know.
fn unexpected(command: &Command, option: &str) -> clap::Error {
    let mut error = clap::Error::new(ErrorKind::UnknownArgument).with_cmd(command);
    let string = |text: &str| ContextValue::String(text.to_owned());
    error.insert(ContextKind::InvalidArg, string(option));
    let name = option.trim_start_matches('-');
    let name = name.split_once('=').map_or(name, |(name, _)| name);
    if let Some(known) = nearest(name, command.get_arguments().filter_map(Arg::get_long)) {
        error.insert(ContextKind::SuggestedArg, string(&format!("--{known}")));
    }
    let usage = command.clone().render_usage();
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    error
}
