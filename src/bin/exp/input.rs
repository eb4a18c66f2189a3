//! Files of rows that commands read, and numbers that are typed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context as _;
use clap::ValueEnum;
use experiments::rows::Format;

use crate::exit::UsageError;

/// How rows are written.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum InputFormat {
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
pub(crate) fn format_of(path: &Path, named: Option<InputFormat>) -> anyhow::Result<Format> {
    let format = named.map(Format::from).or_else(|| Format::of_path(path));
    format.ok_or_else(|| {
        let message =
            "its name does not end in .csv, .tsv or .jsonl; name the format with --input-format";
        UsageError(format!("{}: {message}", path.display())).into()
    })
}

/// Opens a file, or standard input for `-`.
pub(crate) fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
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
