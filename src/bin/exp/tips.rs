//! What to type in place of a command or an option that other tools have and `exp` calls differently.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

/// Words that aren't commands, and what does it. A test keeps out what is a command, and what no command does.
const COMMANDS: &[(&[&str], &str)] = &[
    (
        &["add"],
        "'exp create' declares an experiment, 'exp set-weights' adds a variant",
    ),
    (
        &["analyse", "analyze", "report", "stats", "winner"],
        "'exp results NAME' compares the variants",
    ),
    (
        &["audit", "changes"],
        "'exp history NAME' shows who changed an experiment",
    ),
    (
        &["backup"],
        "'exp store backup --to FILE' copies the store while others use it",
    ),
    (
        &["bucket", "enrol", "enroll", "variant"],
        "'exp assign NAME ACTOR' prints an actor's variant",
    ),
    (
        &["cancel", "disable", "end", "finish", "kill", "stop"],
        "'exp pause NAME' gives out no variants for the time being, 'exp close NAME' keeps newcomers out, \
         'exp conclude NAME WINNER' gives everybody the winner",
    ),
    (
        &["change", "modify", "set", "update"],
        "'exp edit NAME' opens a definition in an editor, 'exp set-weights NAME VARIANT=WEIGHT' changes the weights",
    ),
    (
        &["checkpoint"],
        "'exp store checkpoint' moves the write-ahead log into the store's file",
    ),
    (
        &["clear", "unpin"],
        "'exp override NAME ACTOR --clear' takes an override back",
    ),
    (
        &["continue", "unpause"],
        "'exp resume NAME' resumes a paused experiment",
    ),
    (
        &["copy", "cp"],
        "'exp store copy --to STORE' copies everything into an empty store",
    ),
    (
        &["coverage", "ramp", "rollout"],
        "'exp set-coverage NAME SHARE' sets how many newcomers enter",
    ),
    (
        &["decide", "promote", "ship"],
        "'exp conclude NAME WINNER' gives everybody the winner",
    ),
    (
        &["describe", "inspect", "show", "view"],
        "'exp status NAME' shows an experiment, 'exp actor show ACTOR' what an actor gets in each",
    ),
    (&["destroy", "drop", "remove"], REMOVE),
    (
        &["diff"],
        "'exp plan FILE' shows what applying a file would change",
    ),
    (
        &["doctor", "fsck", "repair", "verify"],
        "'exp store check' verifies the store",
    ),
    (
        &["dump"],
        "'exp export' prints experiments as a file, 'exp assignments NAME' who has which variant",
    ),
    (
        &["enable", "launch", "run"],
        "'exp start NAME' starts an experiment, 'exp resume NAME' resumes a paused one, \
         'exp open NAME' lets newcomers in again",
    ),
    (
        &["event", "record"],
        "'exp track ACTOR METRIC' records an outcome",
    ),
    (
        &["forget", "reset"],
        "'exp unassign NAME ACTOR' takes an assignment back",
    ),
    (
        &["get"],
        "'exp assign NAME ACTOR' prints an actor's variant, 'exp status NAME' shows an experiment",
    ),
    (
        &["import", "load", "sync"],
        "'exp apply FILE' makes the store as a file says",
    ),
    (
        &["info"],
        "'exp status NAME' shows an experiment, 'exp store info' the store",
    ),
    (
        &["init"],
        "no need: 'exp create' and 'exp apply' make the store",
    ),
    (&["lint", "validate"], "'exp check FILE' checks files"),
    (
        &["migrate", "upgrade"],
        "'exp store migrate' brings a store to the schema of this version",
    ),
    (
        &["pin"],
        "'exp override NAME ACTOR VARIANT' gives an actor a variant",
    ),
    (
        &["reopen"],
        "'exp start NAME' reopens a concluded experiment, 'exp open NAME' lets newcomers in again",
    ),
    (
        &["restore"],
        "'exp store restore FILE' puts a backup in the store's place",
    ),
    (&["version"], "'exp --version' prints it"),
    (
        &["weights"],
        "'exp set-weights NAME VARIANT=WEIGHT' changes the weights",
    ),
    (
        &["why"],
        "'exp explain NAME ACTOR' shows which rule decides",
    ),
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
    let (kind, looks_like, tip_for) = match error.kind() {
        ErrorKind::InvalidSubcommand if is_outermost(&error, exp) => (
            ContextKind::InvalidSubcommand,
            ContextKind::SuggestedSubcommand,
            command_tip as fn(&str) -> Option<&'static str>,
        ),
        ErrorKind::UnknownArgument => (
            ContextKind::InvalidArg,
            ContextKind::SuggestedArg,
            option_tip as _,
        ),
        _ => return error,
    };
    let Some(ContextValue::String(typed)) = error.get(kind) else {
        return error;
    };
    if let Some(tip) = tip_for(typed) {
        error.remove(looks_like);
        let tip = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

fn command_tip(typed: &str) -> Option<&'static str> {
    let tip = COMMANDS.iter().find(|(words, _)| words.contains(&typed));
    tip.map(|(_, tip)| *tip)
}

fn option_tip(typed: &str) -> Option<&'static str> {
    let tip = OPTIONS.iter().find(|(word, _)| *word == typed);
    tip.map(|(_, tip)| *tip)
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
        for (words, _) in COMMANDS {
            for word in *words {
                assert!(exp.find_subcommand(word).is_none(), "{word} is a command");
            }
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
        for (typed, tip) in COMMANDS {
            for named in tip.split('\'').filter(|part| part.starts_with("exp ")) {
                let is_there = named == "exp --version"
                    || commands.iter().any(|(words, command)| {
                        let is_it = named == words || named.starts_with(&format!("{words} "));
                        is_it && !command.has_subcommands()
                    });
                assert!(is_there, "the tip for {typed:?} names {named}");
            }
        }
    }
}
