//! The options that every command takes.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

#[derive(Args)]
#[expect(clippy::doc_markdown, reason = "the docs are the help")]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// The store: the path of its file, or postgres://USER@HOST/DATABASE [env: EXP_STORE]
    /// [default: exp/experiments.db in the state directory]
    #[arg(long, global = true, value_name = "PATH|URL", value_hint = clap::ValueHint::FilePath)]
    pub(crate) store: Option<PathBuf>,

    /// Who makes the change, for the history [env: EXP_BY] [default: the login name]
    #[arg(long, global = true, value_name = "OPERATOR",
          value_parser = NonEmptyStringValueParser::new())]
    pub(crate) by: Option<String>,

    /// How to print data
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(crate) format: Format,

    /// Begin TSV with a line that names the columns
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) header: bool,

    /// How many seconds to wait for the lock of another process [env: EXP_LOCK_TIMEOUT]
    /// [default: 10]
    #[arg(long, global = true, value_name = "SECONDS", hide_short_help = true)]
    pub(crate) lock_timeout: Option<u32>,

    /// Print nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Report which store is used, and by whom
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document on one line; where rows are printed, one for each row
    Json,
    /// Lines of fields separated by tabs, without a header unless --header is given; tab, line feed and backslash are
    /// written as `\t`, `\n` and `\\`, what can't be seen as `\u{200b}`
    Tsv,
    /// Comma-separated with a header; only for exp assignments, exposures and outcomes
    Csv,
    /// Annotations of a pull request on GitHub; only for exp check
    #[value(hide = true)]
    Github,
    /// A comment for a pull request; only for exp plan
    #[value(hide = true)]
    Markdown,
    /// SARIF 2.1.0; only for exp check
    #[value(hide = true)]
    Sarif,
}
