//! What a command is run with: flags and environment become a store, a service and an operator, and
//! views become output.

use std::fmt::Display;

use experiments::{
    ExperimentError, ExperimentService, NoOpExposureSink, SqliteAccess, SqliteExperimentStore,
};

use crate::environment;
use crate::options::{Format, GlobalOptions};
use crate::output::stream::{self, Label};
use crate::output::text::Text;
use crate::output::{self, View};

/// What a command is run with.
pub(crate) struct Context {
    options: GlobalOptions,
}

/// What a command wants of the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read, from a store that must not be written.
    Look,
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

    /// The names of all experiments, to find the one that was meant; none if there is no telling.
    pub(crate) fn known_names(&self) -> Vec<String> {
        let listed = self.service(Purpose::Use).ok().and_then(|s| s.list().ok());
        let listed = listed.unwrap_or_default();
        listed.into_iter().map(|config| config.name).collect()
    }

    fn store(&self, purpose: Purpose) -> anyhow::Result<SqliteExperimentStore> {
        let path = environment::store_path(self.options.store.clone())?;
        let clock = environment::clock()?;
        let lock_timeout = environment::lock_timeout(self.options.lock_timeout)?;
        self.verbose(format_args!("store: {}", path.display()));
        let access = match purpose {
            Purpose::Create => SqliteAccess::Create,
            Purpose::Look => SqliteAccess::Read,
            Purpose::Use | Purpose::Change => SqliteAccess::ReadWrite,
        };
        let opened = SqliteExperimentStore::open_as(&path, access, lock_timeout);
        let mut store = opened.map_err(ExperimentError::from)?.with_clock(clock);
        if matches!(purpose, Purpose::Change | Purpose::Create) {
            let operator = environment::operator(self.options.by.clone());
            self.verbose(format_args!("operator: {operator}"));
            store = store.with_operator(operator);
        }
        Ok(store)
    }

    /// Whether a store was named on the command line.
    pub(crate) fn names_a_store(&self) -> bool {
        self.options.store.is_some()
    }

    pub(crate) fn format(&self) -> Format {
        self.options.format
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.options.quiet
    }

    /// Prints data to standard output.
    pub(crate) fn show(&self, view: &impl View) -> anyhow::Result<()> {
        let rendered = match self.options.format {
            Format::Json => output::json::render(view)?,
            Format::Tsv => output::tsv::render(view),
            // The command that has these formats prints them itself.
            Format::Text | Format::Github | Format::Sarif => self.render_text(view),
        };
        stream::print(&rendered)
    }

    /// A view as people read it.
    #[expect(clippy::unused_self, reason = "it is the context that knows the page")]
    pub(crate) fn render_text(&self, view: &impl View) -> String {
        let mut text = Text::new(environment::page());
        view.text(&mut text);
        text.into_string()
    }

    /// Tells a person what was done, on standard error.
    pub(crate) fn say(&self, message: impl Display) {
        if !self.options.quiet {
            stream::tell(message);
        }
    }

    /// Tells a person what went wrong without being an error, on standard error.
    pub(crate) fn warn(&self, message: impl Display) {
        if !self.options.quiet {
            stream::tell_as(Label::Warning, message);
        }
    }

    fn verbose(&self, message: impl Display) {
        if self.options.verbose {
            stream::tell(message);
        }
    }
}
