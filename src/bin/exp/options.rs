//! The options that every command takes.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{
    EnumValueParser, NonEmptyStringValueParser, PossibleValue, PossibleValuesParser,
    TypedValueParser,
};
use clap::{Arg, Args, Command, ValueEnum};

use crate::whole_number;

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

    /// Begin TSV with a line that names the columns: those that the help of the command names, or else those of exp
    /// history
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) header: bool,

    /// How many seconds to wait for the lock of another process [env: EXP_LOCK_TIMEOUT]
    /// [default: 10]
    #[arg(long, global = true, value_name = "SECONDS", hide_short_help = true,
          value_parser = whole_number::any::<u32>)]
    pub(crate) lock_timeout: Option<u32>,

    /// Print nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Report which store is used, and by whom
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document on one line, an array where there are several things to show; one document for each row, a line
    /// each, from exp assign --actors, assignments, exposures and outcomes
    Json,
    /// Lines of fields separated by tabs, without a header unless --header is given; tab, line feed and backslash are
    /// written as `\t`, `\n` and `\\`, what can't be seen as `\u{200b}`
    Tsv,
    /// Comma-separated with a header; only for exp assignments, exposures and outcomes
    Csv,
    /// Annotations of a pull request on GitHub; only for exp check
    Github,
    /// A comment for a pull request; only for exp plan
    Markdown,
    /// SARIF 2.1.0; only for exp check
    Sarif,
}

impl Format {
    /// The only commands that have it. None are named if all do; but files of experiments have no TSV.
    fn only_for(self) -> &'static [&'static str] {
        match self {
            Self::Text | Self::Json | Self::Tsv => &[],
            Self::Csv => &["assignments", "exposures", "outcomes"],
            Self::Github | Self::Sarif => &["check"],
            Self::Markdown => &["plan"],
        }
    }

    fn is_of(self, command: &str) -> bool {
        let only = self.only_for();
        let is_tsv_of_files = self == Self::Tsv && command == "export";
        !is_tsv_of_files && (only.is_empty() || only.contains(&command))
    }

    /// Why a command does not have it, if so.
    pub(crate) fn refusal(self, command: &str) -> Option<String> {
        let value = self.to_possible_value().filter(|_| !self.is_of(command))?;
        let commands = match self.only_for() {
            [] => return Some("exp export writes TOML, and JSON with --format json".to_owned()),
            [others @ .., last] if !others.is_empty() => {
                format!("{} and {last}", others.join(", "))
            }
            commands => commands.concat(),
        };
        Some(format!(
            "--format {} is for exp {commands}",
            value.get_name()
        ))
    }
}

/// Has a command of `exp` show and complete the formats that it has.
pub(crate) fn with_formats(command: Command) -> Command {
    let exp = GlobalOptions::augment_args(Command::new("exp"));
    let format = exp
        .get_arguments()
        .find(|argument| argument.get_id() == "format");
    let parser = FormatOf(command.get_name().to_owned());
    let format = format.cloned().map(|format| format.value_parser(parser));
    command.args(format)
}

/// Reads every format, so that the refusal can say whose it is, and offers those of one command.
#[derive(Clone)]
struct FormatOf(String);

impl TypedValueParser for FormatOf {
    type Value = Format;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Format, clap::Error> {
        let read = EnumValueParser::new().parse_ref(command, argument, value);
        read.map_err(|error| {
            // It would show the formats of all commands.
            let offered = PossibleValuesParser::new(self.possible_values().into_iter().flatten());
            let refused = offered.parse_ref(command, argument, value);
            refused.err().unwrap_or(error)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let formats = Format::value_variants().iter();
        let offered = formats.filter(|format| format.is_of(&self.0));
        Some(Box::new(offered.filter_map(ValueEnum::to_possible_value)))
    }
}
