//! Where outcomes come from: a file, a query, or what the store keeps.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use experiments::ExperimentError;
use experiments::results::{ColumnNames, OutcomesError, Reading, Totals};
use experiments::rows::Format;
use experiments::store::{RowSink, SqlValue};

use super::kept;
use crate::context::Opened;
use crate::exit::UsageError;
use crate::hash::{Hash, Hashed};
use crate::input::{self, InputFormat};
use crate::whole_number;

#[derive(Args)]
pub(super) struct Arguments {
    /// Read outcomes from this file; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    outcomes: Option<PathBuf>,

    /// The format of the outcomes [default: by the file's extension]
    #[arg(long, value_name = "FORMAT", requires = "outcomes")]
    input_format: Option<InputFormat>,

    /// Read outcomes with this SELECT, from the store's own database
    #[arg(
        long,
        value_name = "QUERY",
        conflicts_with = "outcomes",
        allow_hyphen_values = true
    )]
    sql: Option<String>,

    /// Let the query read this SQLite file as well; it is opened read-only
    #[arg(long, value_name = "FILE", requires = "sql", value_hint = ValueHint::FilePath)]
    attach: Option<PathBuf>,

    /// How many seconds the query may take
    #[arg(long, value_name = "SECONDS", requires = "sql", default_value_t = 300,
          value_parser = whole_number::any::<u64>)]
    sql_timeout: u64,

    /// The column with the actor [default: actor]
    #[arg(long, value_name = "COLUMN")]
    actor_column: Option<String>,

    /// The column with the time [default: timestamp]
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
}

/// Where outcomes come from.
pub(super) enum Source {
    Text(PathBuf, Format),
    Query {
        sql: String,
        attached: Option<PathBuf>,
        timeout: Duration,
    },
    Kept,
}

/// Outcomes that were read.
pub(super) struct Outcomes {
    pub(super) totals: Totals,
    /// What they were read from, and its hash if it was asked for.
    pub(super) input: (String, String),
}

impl Arguments {
    pub(super) fn source(&self) -> anyhow::Result<Source> {
        if let Some(path) = &self.outcomes {
            let format = input::format_of(path, self.input_format)?;
            return Ok(Source::Text(path.clone(), format));
        }
        Ok(match &self.sql {
            Some(sql) => Source::Query {
                sql: sql.clone(),
                attached: self.attach.clone(),
                timeout: Duration::from_secs(self.sql_timeout),
            },
            None => Source::Kept,
        })
    }

    pub(super) fn columns(&self) -> ColumnNames<'_> {
        ColumnNames {
            actor: self.actor_column.as_deref(),
            time: self.time_column.as_deref(),
            by: None,
        }
    }
}

impl Source {
    /// Reads them, and hashes the input if a page is to name it.
    pub(super) fn read(
        &self,
        reading: &Reading<'_>,
        opened: &Opened,
        is_hashed: bool,
    ) -> anyhow::Result<Outcomes> {
        match self {
            Self::Text(path, format) => {
                let input = input::open(path)?;
                let name = path.display().to_string();
                if !is_hashed {
                    return Ok(Outcomes {
                        totals: reading
                            .read_text(input, *format)
                            .map_err(|error| explained(error, &name))?,
                        input: (name, String::new()),
                    });
                }
                let mut hashed = Hashed::new(input);
                let read = reading.read_text(&mut hashed, *format);
                let totals = read.map_err(|error| explained(error, &name))?;
                let input = (name, hashed.hash.to_string());
                Ok(Outcomes { totals, input })
            }
            Self::Query {
                sql,
                attached,
                timeout,
            } => {
                let mut hash = Hash::default();
                if attached.is_some() && matches!(opened, Opened::Database(_)) {
                    let message =
                        "--attach is for a store in a file; a database reads its own tables";
                    return Err(UsageError(message.to_owned()).into());
                }
                let read = reading.read_query(|sink| {
                    let mut sink = HashedRows {
                        sink,
                        hash: is_hashed.then_some(&mut hash),
                    };
                    match opened {
                        Opened::File(store) => {
                            store.query(sql, attached.as_deref(), *timeout, &mut sink)
                        }
                        Opened::Database(store) => store.query(sql, *timeout, &mut sink),
                    }
                });
                let totals = read.map_err(|error| explained(error, "--sql"))?;
                let input = (format!("rows of {sql}"), hash.to_string());
                Ok(Outcomes { totals, input })
            }
            Self::Kept => {
                let service = opened.service();
                let totals = reading
                    .read_kept(service.store())
                    .map_err(|error| explained(error, "recorded outcomes"))?;
                let input = if is_hashed {
                    kept::input(service.store(), reading.metrics)?
                } else {
                    Default::default()
                };
                Ok(Outcomes { totals, input })
            }
        }
    }
}

/// The error with where it is from. That of a store is told as every command tells it.
fn explained(error: OutcomesError, from: &str) -> anyhow::Error {
    match error {
        OutcomesError::Store(error) => error.into(),
        error => anyhow::Error::from(error).context(from.to_owned()),
    }
}

/// Hashes rows on their way, each as a line of values separated by tabs.
struct HashedRows<'a> {
    sink: &'a mut dyn RowSink,
    hash: Option<&'a mut Hash>,
}

impl RowSink for HashedRows<'_> {
    fn columns(&mut self, names: &[String]) -> Result<(), ExperimentError> {
        self.sink.columns(names)
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> Result<(), ExperimentError> {
        if let Some(hash) = &mut self.hash {
            for (place, value) in values.iter().enumerate() {
                let separator = if place > 0 { "\t" } else { "" };
                // A hash takes all that is written to it.
                let _ = match value {
                    SqlValue::Null => write!(hash, "{separator}"),
                    SqlValue::Integer(number) => write!(hash, "{separator}{number}"),
                    SqlValue::Real(number) => write!(hash, "{separator}{number}"),
                    SqlValue::Text(text) => write!(hash, "{separator}{text}"),
                };
            }
            let _ = writeln!(hash);
        }
        self.sink.row(values)
    }
}
