//! What the shell is told when somebody presses Tab.
//!
//! The scripts in `completions/` ask with `EXP_COMPLETE=SHELL exp -- WORDS`. An argument says what completes
//! it: `#[arg(add = complete::experiments())]`. Nothing that is stored may become a command on the line of
//! whoever presses Tab: zsh, fish and elvish quote what they insert, and for the others it is quoted here.

mod line;
mod quote;
mod stored;
mod typed;

use std::ffi::OsString;
use std::process::ExitCode;

use clap_complete::Shell;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate, complete};

use self::line::Line;
pub(crate) use self::stored::{
    experiments, experiments_in, groups, live_experiments, metric_kinds, metrics,
    overridden_actors, unfinished_experiments, variants, weights,
};
use self::typed::Typed;
use crate::exit;
use crate::options::Format;
use crate::output::stream;
use crate::variables::variable;

/// The variable by which the scripts of `exp completions` ask for candidates.
const VARIABLE: &str = "EXP_COMPLETE";

/// The script that has the shell ask.
pub(crate) fn script(shell: Shell) -> Option<&'static str> {
    macro_rules! script {
        ($file:literal) => {
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/completions/", $file))
        };
    }
    Some(match shell {
        Shell::Bash => script!("exp.bash"),
        Shell::Elvish => script!("exp.elv"),
        Shell::Fish => script!("exp.fish"),
        Shell::PowerShell => script!("_exp.ps1"),
        Shell::Zsh => script!("_exp"),
        _ => return None,
    })
}

/// Answers the shell if it is the shell that asks.
pub(crate) fn answer_shell(exp: fn() -> clap::Command) -> Option<ExitCode> {
    let shell = variable(VARIABLE)?;
    let answered = shell
        .to_str()
        .and_then(|shell| shell.parse().ok())
        .ok_or_else(|| anyhow::anyhow!("{VARIABLE} names no shell that exp knows"))
        .and_then(|shell| stream::print(&answer(shell, exp)?));
    Some(match answered {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error, Format::Text, Vec::new),
    })
}

/// The candidates for the last of the words behind `--`, one a line.
fn answer(shell: Shell, exp: fn() -> clap::Command) -> anyhow::Result<String> {
    let asked = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let asked: Vec<OsString> = asked.collect();
    let line = Line::new(shell, &asked);
    let Some((current, before)) = line.words.split_last() else {
        return Ok(script(shell).unwrap_or_default().to_owned());
    };
    typed::remember(Typed {
        exp,
        words: before.to_vec(),
    });
    let words: Vec<OsString> = line.words.iter().map(OsString::from).collect();
    let directory = std::env::current_dir().ok();
    let mut candidates = complete(&mut exp(), words, before.len(), directory.as_deref())?;
    // Flags only for those who begin one; and a name that looks like one can stand behind `--` alone.
    if !current.starts_with('-') && before.iter().all(|word| word != "--") {
        candidates.retain(|candidate| !candidate.get_value().as_encoded_bytes().starts_with(b"-"));
    }
    for candidate in &mut candidates {
        prefer_name(candidate, current);
    }
    if !candidates.iter().all(is_alias) {
        candidates.retain(|candidate| !is_alias(candidate));
    }
    let mut answer = String::new();
    for candidate in &candidates {
        if let Some(text) = written(shell, &line, candidate) {
            answer.push_str(&text);
            answer.push('\n');
        }
    }
    Ok(answer)
}

/// Puts the name of a command in place of its alias. Of the two, the first in the alphabet is the candidate.
fn prefer_name(candidate: &mut CompletionCandidate, current: &str) {
    let name = command_of(candidate).filter(|name| name.starts_with(current));
    if let Some(name) = name.map(str::to_owned) {
        let help = candidate.get_help().cloned();
        *candidate = CompletionCandidate::new(name).help(help);
    }
}

/// Whether it is another name of a command: it is offered where nothing else begins as what was typed.
fn is_alias(candidate: &CompletionCandidate) -> bool {
    command_of(candidate).is_some_and(|name| candidate.get_value() != name)
}

fn command_of(candidate: &CompletionCandidate) -> Option<&str> {
    candidate.get_id()?.strip_prefix("command::")
}

/// The candidate as the shell's script reads it.
fn written(shell: Shell, line: &Line, candidate: &CompletionCandidate) -> Option<String> {
    let value = candidate.get_value().to_str()?;
    // A script reads lines. The name of a file may hold anything.
    if value.chars().any(char::is_control) {
        return None;
    }
    let value = match shell {
        Shell::Bash => line.rest_of(value)?,
        Shell::PowerShell => quote::for_powershell(value),
        _ => value.to_owned(),
    };
    let help = candidate.get_help().map(ToString::to_string);
    let help = help.as_deref().and_then(|help| help.lines().next());
    Some(match (shell, help) {
        (Shell::Bash | Shell::Elvish, _) | (_, None) => value,
        (_, Some(help)) => format!("{value}\t{help}"),
    })
}

/// Completes one of these words, each with its meaning.
pub(crate) fn words(words: &'static [(&'static str, &'static str)]) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let candidate = |(word, meaning): &(&'static str, &'static str)| {
            CompletionCandidate::new(word).help(Some((*meaning).into()))
        };
        words.iter().map(candidate).collect()
    })
}

/// Completes the words that lead to a command, `store`, then `copy`, as the argument of this id takes them. Only
/// commands that fit are offered, and those that lead to one.
pub(crate) fn commands(argument: &'static str, fits: fn(&str) -> bool) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let typed = typed::typed();
        let mut command = (typed.exp)();
        let words = typed.all(argument);
        for word in &words {
            match command.find_subcommand(word) {
                Some(found) => command = found.clone(),
                None => return Vec::new(),
            }
        }
        let commands = command.get_subcommands().filter(|command| {
            let whole = [&*words.join(" "), command.get_name()].join(" ");
            command.has_subcommands() || fits(whole.trim_start())
        });
        commands
            .map(|command| {
                let help = command.get_about().cloned();
                CompletionCandidate::new(command.get_name()).help(help)
            })
            .collect()
    })
}
