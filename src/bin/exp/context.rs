//! Flags and environment become a store, a service and an operator. Nothing else reads the
//! environment, the home directory or the size of the terminal.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use etcetera::BaseStrategy as _;
use experiments::{
    Clock, ExperimentError, ExperimentService, NoOpExposureSink, SqliteExperimentStore,
};
use jiff::tz::TimeZone;

use crate::cli::{Format, GlobalOptions};
use crate::exit::UsageError;
use crate::output::text::{Page, Text};
use crate::output::{self, View};

/// What a command is run with.
pub(crate) struct Context {
    options: GlobalOptions,
}

/// What a command wants of the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read, or to assign.
    Use,
    /// To make a change, which is logged with its operator.
    Change,
    /// The same, and the store may be new.
    Create,
}

impl Context {
    pub(crate) fn new(options: GlobalOptions) -> Self {
        Self { options }
    }

    /// A service on the store that the flags name.
    pub(crate) fn service(&self, purpose: Purpose) -> anyhow::Result<ExperimentService> {
        let store = self.store(purpose)?;
        Ok(ExperimentService::new(store).with_exposure_sink(NoOpExposureSink))
    }

    fn store(&self, purpose: Purpose) -> anyhow::Result<SqliteExperimentStore> {
        let path = store_path(self.options.store.clone())?;
        let clock = clock()?;
        let lock_timeout = self.lock_timeout()?;
        self.verbose(format_args!("store: {}", path.display()));
        let opened = match purpose {
            Purpose::Create => SqliteExperimentStore::open_or_create(&path),
            Purpose::Use | Purpose::Change => SqliteExperimentStore::open(&path),
        };
        let mut store = opened.map_err(ExperimentError::from)?.with_clock(clock);
        if let Some(timeout) = lock_timeout {
            store = store.with_busy_timeout(timeout);
        }
        if purpose != Purpose::Use {
            let operator = self.operator();
            self.verbose(format_args!("operator: {operator}"));
            store = store.with_operator(operator);
        }
        Ok(store)
    }

    fn lock_timeout(&self) -> Result<Option<Duration>, UsageError> {
        let secs = match (self.options.lock_timeout, text_variable("EXP_LOCK_TIMEOUT")) {
            (Some(secs), _) => Some(secs),
            (None, Some(text)) => Some(text.parse().map_err(|_| {
                UsageError(format!(
                    "EXP_LOCK_TIMEOUT is '{text}', not a number of seconds"
                ))
            })?),
            (None, None) => None,
        };
        Ok(secs.map(|secs| Duration::from_secs(secs.into())))
    }

    fn operator(&self) -> String {
        let named = self.options.by.clone();
        named
            .or_else(|| {
                ["EXP_BY", "LOGNAME", "USER"]
                    .into_iter()
                    .find_map(text_variable)
            })
            .or_else(|| whoami::username().ok())
            .unwrap_or_else(|| "unknown".to_owned())
    }

    /// Prints data to standard output.
    pub(crate) fn show(&self, view: &impl View) -> anyhow::Result<()> {
        let rendered = match self.options.format {
            Format::Json => output::json::render(view)?,
            Format::Tsv => output::tsv::render(view),
            Format::Text => {
                let mut text = Text::new(page());
                view.text(&mut text);
                text.into_string()
            }
        };
        print(&rendered)
    }

    /// Tells a person what was done, on standard error.
    pub(crate) fn say(&self, message: impl std::fmt::Display) {
        if !self.options.quiet {
            tell(message);
        }
    }

    fn verbose(&self, message: impl std::fmt::Display) {
        if self.options.verbose {
            tell(message);
        }
    }
}

/// Writes to standard output in one piece.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("cannot write to standard output")
}

/// Writes a line to standard error. If that is closed too, nobody can be told.
pub(crate) fn tell(message: impl std::fmt::Display) {
    let message = message.to_string();
    let line = experiments::text::escape(&message);
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// The store's file: as named by the flag, or else by the environment, or else the default one.
pub(crate) fn store_path(named: Option<PathBuf>) -> Result<PathBuf, UsageError> {
    let Some(path) = named.or_else(|| variable("EXP_STORE").map(PathBuf::from)) else {
        let message = "no home directory to keep the default store in; name one with --store";
        return default_store().ok_or_else(|| UsageError(message.to_owned()));
    };
    let address = path.to_string_lossy();
    let scheme = ["postgres://", "postgresql://"];
    if scheme.iter().any(|scheme| address.starts_with(scheme)) {
        let message = "this version of exp keeps its store in an SQLite file; \
                       Postgres is not supported yet";
        return Err(UsageError(message.to_owned()));
    }
    Ok(path)
}

fn default_store() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    let state = base.state_dir().unwrap_or_else(|| base.data_dir());
    Some(state.join("exp").join("experiments.db"))
}

fn clock() -> Result<Clock, UsageError> {
    match text_variable("EXP_NOW") {
        None => Ok(Clock::System),
        Some(now) => now.parse().map(Clock::Fixed).map_err(|_| {
            UsageError(format!(
                "EXP_NOW is '{now}', not a number of seconds since 1970"
            ))
        }),
    }
}

fn page() -> Page {
    let terminal = terminal_size::terminal_size_of(io::stdout());
    let width = terminal.map(|(width, _)| usize::from(width.0));
    Page {
        width: width.or_else(|| {
            text_variable("COLUMNS")?
                .parse()
                .ok()
                .filter(|width| *width > 0)
        }),
        zone: TimeZone::system(),
    }
}

/// A variable of the environment; set to nothing, it counts as not set.
#[expect(clippy::disallowed_methods, reason = "this is where it is read")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn text_variable(name: &str) -> Option<String> {
    variable(name).map(|value| value.to_string_lossy().into_owned())
}
