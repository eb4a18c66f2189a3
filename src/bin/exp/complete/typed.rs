//! What has been typed before the word that is completed.

use std::path::PathBuf;
use std::sync::OnceLock;

use clap::ArgMatches;

/// The completers are told nothing but the word itself.
static TYPED: OnceLock<Typed> = OnceLock::new();

pub(super) struct Typed {
    /// The commands there are.
    pub(super) exp: fn() -> clap::Command,
    /// The words before the one that is completed.
    pub(super) words: Vec<String>,
}

pub(super) fn remember(typed: Typed) {
    TYPED.get_or_init(|| typed);
}

pub(super) fn typed() -> &'static Typed {
    const NOTHING: Typed = Typed {
        exp: || clap::Command::new("exp"),
        words: Vec::new(),
    };
    TYPED.get_or_init(|| NOTHING)
}

impl Typed {
    /// What stands for an argument of the command, as its field is called.
    pub(super) fn all(&self, argument: &str) -> Vec<String> {
        let Some(matches) = self.matches() else {
            return Vec::new();
        };
        let mut innermost = &matches;
        while let Some((_, command)) = innermost.subcommand() {
            innermost = command;
        }
        let raw = innermost.try_get_raw(argument).ok().flatten();
        let words = raw.into_iter().flatten();
        words
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    /// The same, of an argument that stands once.
    pub(super) fn one(&self, argument: &str) -> Option<String> {
        self.all(argument).pop()
    }

    /// The store that is named; `~/` is still what was typed.
    pub(super) fn store(&self) -> Option<PathBuf> {
        let store = PathBuf::from(self.one("store")?);
        let below_home = store.strip_prefix("~").ok();
        let home = etcetera::home_dir().ok();
        Some(match (below_home, home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => store,
        })
    }

    /// The line is not complete, so what is missing from it is no error.
    fn matches(&self) -> Option<ArgMatches> {
        let exp = (self.exp)().ignore_errors(true);
        exp.try_get_matches_from(&self.words).ok()
    }
}
