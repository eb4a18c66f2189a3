//! The global options and the list of commands. What belongs to one command is in its file.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use experiments::VariantConfig;

use crate::commands::{
    archive, assign, completions, conclude, create, explain, history, list, man, overrides,
    set_weights, start, status,
};
use crate::context::Context;

/// A/B experiments from the shell
///
/// Declares experiments, assigns actors to their variants and keeps every assignment, in one SQLite
/// file. Data goes to standard output, everything else to standard error.
#[derive(Parser)]
#[command(
    name = "exp",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Start here:\n  \
        exp create checkout_v2 --variant control=50 --variant treatment=50 --start\n  \
        exp assign checkout_v2 user:1",
    after_long_help = EXIT_CODES
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Start here:
  exp create checkout_v2 --variant control=50 --variant treatment=50 --start
  exp assign checkout_v2 user:1

Exit codes:
  0  done
  1  failure: the store is missing, busy or damaged; reading or writing failed
  2  usage
  3  experiment not found
  4  wrong state: a draft cannot assign, concluded weights are fixed
  5  archived
  6  excluded by the group
  7  no variant to assign
  8  refused: exists already, variant in use, invalid, unknown variant

Environment (a variable that is empty counts as not set):
  EXP_STORE         the store, as --store
  EXP_BY            the operator, as --by
  EXP_LOCK_TIMEOUT  the waiting time, as --lock-timeout
  EXP_NOW           seconds since 1970 in place of the clock, for tests
  NO_COLOR          no colour, also on a terminal
  XDG_STATE_HOME    holds the default store; ~/.local/state without it";

#[derive(Args)]
#[expect(clippy::doc_markdown, reason = "the docs are the help")]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// The store: the path of its file [env: EXP_STORE] [default: exp/experiments.db in the state
    /// directory]
    #[arg(long, global = true, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
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

    /// How many seconds to wait for the lock of another process [env: EXP_LOCK_TIMEOUT]
    /// [default: 10]
    #[arg(long, global = true, value_name = "SECONDS", hide_short_help = true)]
    pub(crate) lock_timeout: Option<u32>,

    /// Print nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Tell which store is used, and by whom
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document on one line
    Json,
    /// Lines of fields separated by tabs, without a header; tab, line feed and backslash are
    /// written as `\t`, `\n` and `\\`
    Tsv,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Create(create::Create),
    Start(start::Start),
    Conclude(conclude::Conclude),
    Archive(archive::Archive),
    SetWeights(set_weights::SetWeights),
    Override(overrides::Override),
    Assign(assign::Assign),
    Explain(explain::Explain),
    List(list::List),
    Status(status::Status),
    History(history::History),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Create(command) => command.run(context),
            Self::Start(command) => command.run(context),
            Self::Conclude(command) => command.run(context),
            Self::Archive(command) => command.run(context),
            Self::SetWeights(command) => command.run(context),
            Self::Override(command) => command.run(context),
            Self::Assign(command) => command.run(context),
            Self::Explain(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Status(command) => command.run(context),
            Self::History(command) => command.run(context),
            Self::Completions(command) => command.run(context),
            Self::Man(command) => command.run(context),
        }
    }
}

/// Parses `VARIANT=WEIGHT`. The last `=` separates, so a variant's name may hold others.
pub(crate) fn parse_weight(text: &str) -> Result<VariantConfig, String> {
    let Some((name, weight)) = text.rsplit_once('=') else {
        return Err("expected VARIANT=WEIGHT, for example control=50".to_owned());
    };
    let digits_only = !weight.is_empty() && weight.bytes().all(|byte| byte.is_ascii_digit());
    match weight.parse() {
        Ok(weight) if digits_only => Ok(VariantConfig::new(name, weight)),
        _ => Err(format!(
            "the weight '{weight}' is not a whole number from 0 to {}",
            u32::MAX
        )),
    }
}

/// Parses `VARIANT=WEIGHT,VARIANT=WEIGHT`.
pub(crate) fn parse_weights(text: &str) -> Result<Vec<VariantConfig>, String> {
    text.split(',').map(parse_weight).collect()
}
