//! The list of commands. What belongs to one command is in its file.

use std::ffi::OsString;

use clap::{
    ArgMatches, Args as _, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueHint,
};

use crate::commands::{
    actor, apply, archive, assign, assignments, check, close, completions, conclude, create,
    delete, demo, edit, explain, export, exposures, history, list, man, open, outcomes, overrides,
    pause, plan, power, rename, results, resume, schema, set_coverage, set_weights, simulate,
    start, status, store, track, unassign,
};
use crate::context::Context;
use crate::exit::UsageError;
use crate::options::{GlobalOptions, with_formats};
use crate::tips;

/// A/B experiments from the shell
///
/// Declares experiments, assigns actors to their variants and keeps every assignment, in one SQLite
/// file, or in a Postgres database; joins them with outcomes and says who won. Data goes to standard output, everything else to standard error.
#[derive(Parser)]
#[command(
    name = "exp",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    mut_subcommands = with_formats,
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
    /// The command's name.
    #[arg(skip)]
    pub(crate) name: String,
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
  4  wrong state: a draft or a paused one cannot assign, the weights of a
     concluded one are fixed
  5  archived
  6  not in the experiment: excluded by the group, closed to newcomers, or
     outside the coverage
  7  no variant to assign
  8  refused: exists already, in use, invalid, unknown variant, changed
     since the plan
  9  found: an error (check), changes (plan --exit-code), a fault (store check),
     a broken sample ratio (--fail-on-mismatch)

Environment (a variable that is empty counts as not set):
  EXP_STORE         the store, as --store
  EXP_BY            the operator, as --by
  EXP_LOCK_TIMEOUT  the waiting time, as --lock-timeout
  VISUAL, EDITOR    the editor of exp edit; vi without them
  PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD
                    what the address of a database leaves out
  EXP_NOW           seconds since 1970 in place of the clock, for tests
  NO_COLOR          no colour, even on a terminal
  XDG_STATE_HOME    holds the default store; ~/.local/state without it";

#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(visible_alias = "new")]
    Create(create::Create),
    Edit(edit::Edit),
    Start(start::Start),
    Pause(pause::Pause),
    Resume(resume::Resume),
    Conclude(conclude::Conclude),
    Archive(archive::Archive),
    Rename(rename::Rename),
    Delete(delete::Delete),
    SetWeights(set_weights::SetWeights),
    SetCoverage(set_coverage::SetCoverage),
    Close(close::Close),
    Open(open::Open),
    Override(overrides::Override),
    Assign(assign::Assign),
    Unassign(unassign::Unassign),
    Explain(explain::Explain),
    Actor(actor::Actor),
    #[command(visible_alias = "ls")]
    List(list::List),
    Status(status::Status),
    #[command(visible_alias = "log")]
    History(history::History),
    Track(track::Track),
    Results(results::Results),
    Power(power::Power),
    Outcomes(outcomes::Outcomes),
    Assignments(assignments::Assignments),
    Exposures(exposures::Exposures),
    Check(check::Check),
    Plan(plan::Plan),
    Apply(apply::Apply),
    Export(export::Export),
    Schema(schema::Schema),
    Simulate(simulate::Simulate),
    Store(store::Store),
    Demo(demo::Demo),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Runs the command of this name.
    pub(crate) fn run(self, name: &str, context: &Context) -> anyhow::Result<()> {
        if let Some(refusal) = context.format().refusal(name) {
            return Err(UsageError(refusal).into());
        }
        match self {
            Self::Create(command) => command.run(context),
            Self::Edit(command) => command.run(context),
            Self::Start(command) => command.run(context),
            Self::Pause(command) => command.run(context),
            Self::Resume(command) => command.run(context),
            Self::Conclude(command) => command.run(context),
            Self::Archive(command) => command.run(context),
            Self::Rename(command) => command.run(context),
            Self::Delete(command) => command.run(context),
            Self::SetWeights(command) => command.run(context),
            Self::SetCoverage(command) => command.run(context),
            Self::Close(command) => command.run(context),
            Self::Open(command) => command.run(context),
            Self::Override(command) => command.run(context),
            Self::Assign(command) => command.run(context),
            Self::Unassign(command) => command.run(context),
            Self::Explain(command) => command.run(context),
            Self::Actor(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Status(command) => command.run(context),
            Self::History(command) => command.run(context),
            Self::Track(command) => command.run(context),
            Self::Results(command) => command.run(context),
            Self::Power(command) => command.run(context),
            Self::Outcomes(command) => command.run(context),
            Self::Assignments(command) => command.run(context),
            Self::Exposures(command) => command.run(context),
            Self::Check(command) => command.run(context),
            Self::Plan(command) => command.run(context),
            Self::Apply(command) => command.run(context),
            Self::Export(command) => command.run(context),
            Self::Schema(command) => command.run(),
            Self::Simulate(command) => command.run(context),
            Self::Store(command) => command.run(context),
            Self::Demo(command) => command.run(context),
            Self::Completions(command) => command.run(),
            Self::Man(command) => command.run(Cli::command()),
        }
    }
}

/// Takes the words of the command line apart.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    if let Some(assign) = parse_assign() {
        return Ok(assign);
    }
    let parsed = Cli::command().try_get_matches().and_then(|matches| {
        let name = matches.subcommand_name().unwrap_or_default();
        let cli = Cli::from_arg_matches(&matches)?;
        Ok(Cli {
            name: name.to_owned(),
            ..cli
        })
    });
    parsed.map_err(|error| tips::with_tip(error, &Cli::command()))
}

/// The short way for `exp assign`, which scripts call once for every request. To build all the other
/// commands and to take them down again would be a sixth of the instructions of such a run. Whatever
/// it can't read (help, a mistake) goes the long way.
fn parse_assign() -> Option<Cli> {
    const NAME: &str = "assign";
    if std::env::args_os().nth(1)? != NAME {
        return None;
    }
    let assign = assign::Assign::augment_args(clap::Command::new(NAME));
    let exp = GlobalOptions::augment_args(clap::Command::new("exp")).subcommand(assign);
    let mut matches = exp.try_get_matches().ok()?;
    let (_, assign) = matches.remove_subcommand()?;
    let assign = assign::Assign::from_arg_matches(&assign).ok()?;
    Some(Cli {
        global: GlobalOptions::from_arg_matches(&matches).ok()?,
        command: Command::Assign(assign),
        name: NAME.to_owned(),
    })
}

/// What was typed where a path is expected, or an address in its place; nothing if the command line is wrong.
pub(crate) fn typed_paths() -> Option<Vec<OsString>> {
    let command = Cli::command();
    let matches = command.clone().try_get_matches().ok()?;
    let mut paths = Vec::new();
    add_paths(&command, &matches, &mut paths);
    Some(paths)
}

fn add_paths(command: &clap::Command, matches: &ArgMatches, paths: &mut Vec<OsString>) {
    let is_path = |hint| {
        matches!(
            hint,
            ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath
        )
    };
    let arguments = command.get_arguments();
    for argument in arguments.filter(|argument| is_path(argument.get_value_hint())) {
        let typed = matches.try_get_raw(argument.get_id().as_str());
        let typed = typed.ok().flatten().into_iter().flatten();
        paths.extend(typed.map(ToOwned::to_owned));
    }
    if let Some((name, matches)) = matches.subcommand()
        && let Some(command) = command.find_subcommand(name)
    {
        add_paths(command, matches, paths);
    }
}

/// All commands, each with the words that lead to it.
#[cfg(test)]
pub(crate) fn commands() -> Vec<(String, clap::Command)> {
    let mut exp = Cli::command();
    exp.build();
    let mut found = Vec::new();
    let mut left = vec![("exp".to_owned(), exp)];
    while let Some((words, command)) = left.pop() {
        for command in command.get_subcommands() {
            if command.get_name() != "help" {
                let words = format!("{words} {}", command.get_name());
                left.push((words.clone(), command.clone()));
                found.push((words, command.clone()));
            }
        }
    }
    found
}
