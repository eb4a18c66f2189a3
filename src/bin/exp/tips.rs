//! What to type in place of a command or an option that other tools have and `exp` calls differently.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

/// Commands that aren't there, and what does it. A test keeps out what is a command, and what no command does.
const COMMANDS: &[(&str, &str)] = &[
    (
        "add",
        "'exp create' declares an experiment, 'exp set-weights' adds a variant",
    ),
    (
        "diff",
        "'exp plan FILE' shows what applying a file would change",
    ),
    ("doctor", "'exp store check' verifies the store"),
    (
        "get",
        "'exp assign NAME ACTOR' prints an actor's variant, 'exp status NAME' shows an experiment",
    ),
    (
        "info",
        "'exp status NAME' shows an experiment, 'exp store info' the store",
    ),
    (
        "init",
        "no need: 'exp create' and 'exp apply' make the store",
    ),
    ("lint", "'exp check FILE' checks files"),
    (
        "pin",
        "'exp override NAME ACTOR VARIANT' gives an actor a variant",
    ),
    ("remove", REMOVE),
    ("run", "'exp start NAME' starts an experiment"),
    (
        "show",
        "'exp status NAME' shows an experiment, 'exp actor show ACTOR' what an actor gets in each",
    ),
    (
        "stop",
        "'exp pause NAME' gives out no variants for the time being, 'exp close NAME' keeps newcomers out, \
         'exp conclude NAME WINNER' gives everybody the winner",
    ),
    ("validate", "'exp check FILE' checks files"),
    ("version", "'exp --version' prints it"),
];

const REMOVE: &str = "'exp delete NAME' removes a draft that was never used, 'exp archive NAME' ends an experiment for good";

/// Options that aren't there, and what does it.
const OPTIONS: &[(&str, &str)] = &[
    ("--csv", "'--format csv' prints CSV"),
    ("--json", "'--format json' prints JSON"),
    ("--output", OUTPUT),
    ("--tsv", "'--format tsv' prints fields separated by tabs"),
    ("-o", OUTPUT),
];

const OUTPUT: &str = "'--format json' prints JSON; '> FILE' writes what is printed to a file";

/// Puts the tip for what was typed in place of the name that only looks like it.
pub(crate) fn with_tip(mut error: Error, exp: &Command) -> Error {
    let (kind, looks_like, tips) = match error.kind() {
        ErrorKind::InvalidSubcommand if is_outermost(&error, exp) => (
            ContextKind::InvalidSubcommand,
            ContextKind::SuggestedSubcommand,
            COMMANDS,
        ),
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, ContextKind::SuggestedArg, OPTIONS),
        _ => return error,
    };
    let Some(ContextValue::String(typed)) = error.get(kind) else {
        return error;
    };
    let tip = tips.iter().find(|(word, _)| word == typed);
    if let Some((_, tip)) = tip {
        error.remove(looks_like);
        let tip = ContextValue::StyledStrs(vec![(*tip).into()]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

/// Whether the command was looked for among those of `exp` itself.
fn is_outermost(error: &Error, exp: &Command) -> bool {
    let usage = exp.clone().render_usage().to_string();
    let shown = error.get(ContextKind::Usage);
    shown.is_some_and(|shown| shown.to_string() == usage)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::{Cli, commands};

    #[test]
    fn no_tip_is_for_what_is_there() {
        let exp = Cli::command();
        for (word, _) in COMMANDS {
            assert!(exp.find_subcommand(word).is_none(), "{word} is a command");
        }
        for (_, command) in commands() {
            for argument in command.get_arguments() {
                let short = argument.get_short().map(|short| format!("-{short}"));
                let long = argument.get_long().map(|long| format!("--{long}"));
                for option in short.into_iter().chain(long) {
                    let is_tip = OPTIONS.iter().any(|(word, _)| *word == option);
                    assert!(!is_tip, "{option} is an option of {}", command.get_name());
                }
            }
        }
    }

    #[test]
    fn every_tip_names_a_command() {
        let commands = commands();
        for (word, tip) in COMMANDS {
            for named in tip.split('\'').filter(|part| part.starts_with("exp ")) {
                let is_there = named == "exp --version"
                    || commands.iter().any(|(words, command)| {
                        let is_it = named == words || named.starts_with(&format!("{words} "));
                        is_it && !command.has_subcommands()
                    });
                assert!(is_there, "the tip for {word} names {named}");
            }
        }
    }
}
