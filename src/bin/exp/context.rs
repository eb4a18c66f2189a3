//! What a command is run with: flags and environment become a store, a service and an operator, and
//! views become output.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{BufWriter, StdoutLock};
use std::path::Path;
use std::time::Duration;

use anstream::adapter::strip_str;
use experiments::{
    ConfigField, ExperimentConfig, ExperimentError, ExperimentService, ExperimentStoreError,
    NoOpExposureSink, PgExperimentStore, PgOptions, SqliteAccess, SqliteExperimentStore,
};

use crate::environment::{self, NamedStore};
use crate::options::{Format, GlobalOptions};
use crate::output::rows::{Column, Rows};
use crate::output::stream::{self, Label};
use crate::output::text::{Page, Text, safe};
use crate::output::tsv::Tsv;
use crate::output::{self, View};

/// What a command is run with.
pub(crate) struct Context {
    options: GlobalOptions,
    /// Whether it was told where the store is.
    has_told_place: Cell<bool>,
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

/// A store that is open.
pub(crate) enum Opened {
    File(SqliteExperimentStore),
    Database(PgExperimentStore),
}

impl Opened {
    /// A service on it.
    pub(crate) fn service(&self) -> ExperimentService {
        let service = match self {
            Self::File(store) => ExperimentService::new(store.clone()),
            Self::Database(store) => ExperimentService::new(store.clone()),
        };
        service.with_exposure_sink(NoOpExposureSink)
    }

    /// Whether it is the database of an application, which knows nothing of what `exp` adds to it.
    pub(crate) fn is_of_application(&self) -> anyhow::Result<bool> {
        Ok(match self {
            Self::File(_) => false,
            Self::Database(store) => store.is_adopted()?,
        })
    }
}

impl Context {
    pub(crate) fn new(options: GlobalOptions) -> Self {
        Self {
            options,
            has_told_place: Cell::new(false),
        }
    }

    /// A service on the store that the flags name.
    pub(crate) fn service(&self, purpose: Purpose) -> anyhow::Result<ExperimentService> {
        Ok(self.open(purpose)?.service())
    }

    /// The names of all experiments, to find the one that was meant; none if there is no telling.
    pub(crate) fn known_names(&self) -> Vec<String> {
        let listed = self.service(Purpose::Use).ok().and_then(|s| s.list().ok());
        let listed = listed.unwrap_or_default();
        listed.into_iter().map(|config| config.name).collect()
    }

    /// Where the store is that the flags name.
    pub(crate) fn place(&self) -> anyhow::Result<NamedStore> {
        let lock_timeout = self.lock_timeout()?;
        Ok(
            match environment::store_place(self.options.store.clone())? {
                NamedStore::Database(options) => {
                    NamedStore::Database(Box::new(options.lock_timeout(lock_timeout)))
                }
                file @ NamedStore::File(_) => file,
            },
        )
    }

    /// What `--by` says.
    pub(crate) fn typed_operator(&self) -> Option<&str> {
        self.options.by.as_deref()
    }

    pub(crate) fn lock_timeout(&self) -> anyhow::Result<Duration> {
        Ok(environment::lock_timeout(self.options.lock_timeout)?)
    }

    /// The store that the flags name, as what it is.
    pub(crate) fn open(&self, purpose: Purpose) -> anyhow::Result<Opened> {
        let place = self.place()?;
        let clock = environment::clock()?;
        let operator = matches!(purpose, Purpose::Change | Purpose::Create)
            .then(|| environment::operator(self.options.by.clone()));
        if !self.has_told_place.replace(true) {
            let told = match &place {
                NamedStore::File(path) => path.display().to_string(),
                NamedStore::Database(options) => options.address().to_string(),
            };
            self.verbose(format_args!("store: {told}"));
        }
        if let Some(operator) = &operator {
            self.verbose(format_args!("operator: {operator}"));
        }
        Ok(match place {
            NamedStore::File(path) => {
                let mut store = self.file(&path, purpose)?.with_clock(clock);
                if let Some(operator) = operator {
                    store = store.with_operator(operator);
                }
                Opened::File(store)
            }
            NamedStore::Database(options) => {
                let mut store = database(*options, purpose)?.with_clock(clock);
                if let Some(operator) = operator {
                    store = store.with_operator(operator);
                }
                Opened::Database(store)
            }
        })
    }

    /// Warns of what the application whose database it is does not know of these experiments, each as it was
    /// before and as it is now.
    pub(crate) fn warn_of_application<'a>(
        &self,
        opened: &Opened,
        changes: impl Iterator<Item = (Option<&'a ExperimentConfig>, &'a ExperimentConfig)>,
    ) -> anyhow::Result<()> {
        let unknown = changes.flat_map(|(before, after)| {
            let fields = ConfigField::ALL.into_iter();
            let new = fields.filter(move |field| {
                before.is_none_or(|before| field.get(before) != field.get(after))
            });
            new.filter_map(move |field| Some((&after.name, field.unknown_to_application(after)?)))
        });
        let mut unknown = unknown.peekable();
        if unknown.peek().is_some() && opened.is_of_application()? {
            for (name, what) in unknown {
                self.warn(format_args!("'{}' {what}", safe(name)));
            }
        }
        Ok(())
    }

    fn file(&self, path: &Path, purpose: Purpose) -> anyhow::Result<SqliteExperimentStore> {
        let access = match purpose {
            Purpose::Create => SqliteAccess::Create,
            Purpose::Look => SqliteAccess::Read,
            Purpose::Use | Purpose::Change => SqliteAccess::ReadWrite,
        };
        let opened = SqliteExperimentStore::open_as(path, access, self.lock_timeout()?);
        Ok(opened.map_err(ExperimentError::from)?)
    }

    /// Whether a store was named on the command line.
    pub(crate) fn names_a_store(&self) -> bool {
        self.options.store.is_some()
    }

    pub(crate) fn format(&self) -> Format {
        self.options.format
    }

    /// Whether lines of tab-separated fields begin with a line of their names.
    pub(crate) fn wants_header(&self) -> bool {
        self.options.header
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.options.quiet
    }

    /// Prints data to standard output.
    pub(crate) fn show(&self, view: &impl View) -> anyhow::Result<()> {
        stream::print(&self.render(view)?)
    }

    /// Rows on standard output, in the format that was asked for.
    pub(crate) fn rows(&self, columns: &'static [Column]) -> Rows<BufWriter<StdoutLock<'static>>> {
        Rows::printed(self.options.format, self.options.header, columns)
    }

    /// A view in the format that was asked for.
    pub(crate) fn render(&self, view: &impl View) -> anyhow::Result<String> {
        Ok(match self.options.format {
            Format::Json => output::json::render(view)?,
            Format::Tsv => {
                let mut tsv = Tsv::default();
                if self.options.header {
                    tsv.line(view.columns());
                }
                view.tsv(&mut tsv);
                tsv.into_string()
            }
            // The commands that have the other formats print them themselves.
            Format::Text | Format::Csv | Format::Github | Format::Markdown | Format::Sarif => {
                self.render_text(view)
            }
        })
    }

    /// A view as people read it.
    #[expect(clippy::unused_self, reason = "it is the context that knows the page")]
    pub(crate) fn render_text(&self, view: &impl View) -> String {
        let mut text = Text::new(environment::page());
        view.text(&mut text);
        text.into_string()
    }

    /// A moment as people read it.
    #[expect(clippy::unused_self, reason = "it is the context that knows the page")]
    pub(crate) fn time(&self, secs: u64) -> String {
        Text::new(environment::page()).time(secs)
    }

    /// The same, without colours and however wide.
    #[expect(clippy::unused_self, reason = "it is the context that knows the page")]
    pub(crate) fn render_plain(&self, view: &impl View) -> String {
        let mut text = Text::new(Page {
            width: None,
            ..environment::page()
        });
        view.text(&mut text);
        strip_str(&text.into_string()).to_string()
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

    /// Warns of each.
    pub(crate) fn warn_of_each(&self, warnings: &[String]) {
        for warning in warnings {
            self.warn(warning);
        }
    }

    fn verbose(&self, message: impl Display) {
        if self.options.verbose {
            stream::tell(message);
        }
    }
}

/// The store in a database. Only where nothing is at all a new one is made; the tables of an
/// application are added to when somebody says so. Otherwise the first call connects, and checks what is
/// there with what it asks.
fn database(options: PgOptions, purpose: Purpose) -> anyhow::Result<PgExperimentStore> {
    if purpose != Purpose::Create {
        return Ok(PgExperimentStore::lazy(options));
    }
    let opened = match PgExperimentStore::open(options.clone()) {
        Err(ExperimentStoreError::Missing { .. }) => PgExperimentStore::open_or_create(options),
        opened => opened,
    };
    Ok(opened.map_err(ExperimentError::from)?)
}
