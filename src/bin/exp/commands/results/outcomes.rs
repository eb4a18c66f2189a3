//! Where outcomes come from: a file, a query, or what the store keeps.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum, ValueHint};
use experiments::results::{ColumnNames, Reading, Totals};
use experiments::rows::Format;

use crate::context::Opened;
use crate::exit::UsageError;
use crate::hash::Hashed;

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

/// How rows are written.
#[derive(Clone, Copy, ValueEnum)]
pub(in crate::commands) enum InputFormat {
    /// Comma-separated, with a header
    Csv,
    /// Tab-separated, with a header
    Tsv,
    /// One JSON object a line
    #[value(name = "jsonl", alias = "json")]
    JsonLines,
}

impl From<InputFormat> for Format {
    fn from(format: InputFormat) -> Self {
        match format {
            InputFormat::Csv => Self::Csv,
            InputFormat::Tsv => Self::Tsv,
            InputFormat::JsonLines => Self::JsonLines,
        }
    }
}

/// How a file is written: as named, or as its extension says.
pub(in crate::commands) fn format_of(
    path: &Path,
    named: Option<InputFormat>,
) -> anyhow::Result<Format> {
    let format = named.map(Format::from).or_else(|| Format::of_path(path));
    format.ok_or_else(|| {
        let message =
            "its name does not end in .csv, .tsv or .jsonl; name the format with --input-format";
        UsageError(format!("{}: {message}", path.display())).into()
    })
}

/// Opens a file, or standard input for `-`.
pub(in crate::commands) fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let failed = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(failed)?;
    anyhow::ensure!(
        !file.metadata().with_context(failed)?.is_dir(),
        "cannot read {}: it is a directory",
        path.display()
    );
    Ok(Box::new(file))
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
            let format = format_of(path, self.input_format)?;
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
                let input = open(path)?;
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
                let rows = format!("{} rows", totals.rows);
                Ok(Outcomes {
                    totals,
                    input: ("recorded outcomes".to_owned(), rows),
                })
            }
        }
    }
}
