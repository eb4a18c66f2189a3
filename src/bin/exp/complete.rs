//! What the shell is told when somebody presses Tab.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use experiments::text::escape;
use experiments::{ExperimentStore as _, PgExperimentStore, SqliteExperimentStore};

use crate::environment::{self, NamedStore};
use crate::exit;
use crate::variables::variable;

/// How long a completion waits for a database.
const PATIENCE: Duration = Duration::from_secs(1);

/// The variable by which the scripts of `exp completions` ask for candidates.
pub(crate) const VARIABLE: &str = "EXP_COMPLETE";

/// Answers the shell if it is the shell that asks.
pub(crate) fn answer_shell(exp: fn() -> clap::Command) -> Option<ExitCode> {
    // The engine looks at the variable, too; asking first keeps every other start short.
    variable(VARIABLE)?;
    let answered = CompleteEnv::with_factory(exp)
        .var(VARIABLE)
        .bin("exp")
        .completer("exp")
        .try_complete(std::env::args_os(), None);
    match answered {
        Ok(true) => Some(ExitCode::SUCCESS),
        Ok(false) => None,
        Err(error) => Some(exit::report_parse_error(&error)),
    }
}

/// Completes the names of the experiments in the store.
pub(crate) fn experiments() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let current = current.to_string_lossy();
        let mut candidates = Vec::new();
        for config in stored().unwrap_or_default() {
            // A name with a control character can't be typed, and none is ever created.
            if config.name.starts_with(&*current) && escape(&config.name) == config.name {
                let help = config.state.to_string();
                candidates.push(CompletionCandidate::new(config.name).help(Some(help.into())));
            }
        }
        candidates
    })
}

fn stored() -> Option<Vec<experiments::ExperimentConfig>> {
    match environment::store_place(named_store(std::env::args_os())).ok()? {
        NamedStore::File(path) => SqliteExperimentStore::open(path).ok()?.list().ok(),
        NamedStore::Database(options) => {
            // Nobody who pressed Tab waits for long.
            let options = options
                .connect_timeout(PATIENCE)
                .statement_timeout(PATIENCE);
            PgExperimentStore::open(options).ok()?.list().ok()
        }
    }
}

/// The value of `--store` among the words typed so far, which the engine has not parsed.
fn named_store(words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let mut words = words;
    let mut named = None;
    while let Some(word) = words.next() {
        if word == "--store" {
            named = words.next().map(PathBuf::from);
        } else if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--store=")) {
            named = Some(PathBuf::from(path));
        }
    }
    named
}
