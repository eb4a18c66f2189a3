//! Where outcomes come from: a file, a query, or what the store keeps.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use experiments::results::{ColumnNames, Reading, Totals};
use experiments::rows::Format;

use super::kept;
use crate::context::Opened;
use crate::hash::Hashed;
use crate::input::{self, InputFormat};

#[derive(Args)]
pub(super) struct Arguments {
    /// Read outcomes from this file; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    outcomes: Option<PathBuf>,

    /// How the outcomes are written [default: by the file's extension]
    #[arg(long, value_name = "FORMAT", requires = "outcomes")]
    input_format: Option<InputFormat>,

    /// Read outcomes by a query on the store's own database
    #[arg(long, value_name = "QUERY", conflicts_with = "outcomes")]
    sql: Option<String>,

    /// Let the query read this SQLite file as well; it is opened read-only
    #[arg(long, value_name = "FILE", requires = "sql", value_hint = ValueHint::FilePath)]
    attach: Option<PathBuf>,

    /// How many seconds the query may take
    #[arg(long, value_name = "SECONDS", requires = "sql", default_value_t = 300)]
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
    /// Reads them, and hashes them if they are to be told from others.
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
                        totals: reading.read_text(input, *format)?,
                        input: (name, String::new()),
                    });
                }
                let mut hashed = Hashed::new(input);
                let totals = reading.read_text(&mut hashed, *format)?;
                let input = (name, hashed.hash.to_string());
                Ok(Outcomes { totals, input })
            }
            Self::Query { .. } => anyhow::bail!("no query yet"),
            Self::Kept => {
                let service = opened.service();
                let totals = reading.read_kept(service.store())?;
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
