//! What `exp assign` is given, and its help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::{actor_word, complete};

/// Print an actor's variant, and nothing else
///
/// The first call assigns the actor; every later one gives the same variant. Each call is recorded
/// as an exposure. With --actors it assigns every actor of a file, and records no exposures unless
/// --expose says so.
#[derive(Args)]
#[command(
    override_usage = "exp assign [OPTIONS] <NAME> <ACTOR>\n       \
    exp assign [OPTIONS] <NAME> --actors <FILE>",
    after_help = "Examples:\n  \
    exp assign checkout_v2 user:42\n  \
    exp assign checkout_v2 --actors users.txt > assigned.tsv\n\n\
    In a script that must go on whatever happens:\n  \
    variant=$(exp assign checkout_v2 --default control -- \"$id\")\n\n\
    TSV columns: actor, variant; with --value: actor, value (empty if there is none)",
    after_long_help = "\
Examples:
  exp assign checkout_v2 user:42
  exp assign checkout_v2 --actors users.txt > assigned.tsv

In a script that must go on whatever happens:
  variant=$(exp assign checkout_v2 --default control -- \"$id\")

With --value the variant's value is printed in its place: a string as it is,
anything else as JSON on one line. A variant without a value is refused before
anybody is assigned. With --format json the value stands beside the variant,
with --value or without.

Before an experiment starts, or while it is paused, --preview shows what it
would do: an actor with an override gets that, anybody else what is stored or
what the rules give. An actor who could not enter is refused as always (exit
code 6).

With --actors a line is printed for each actor, in order, once it is stored:
actor, tab, variant. The variant is empty for an actor whom the group excludes,
who is outside the coverage or who is new to a closed experiment, and for new
actors when all weights are 0. The exit code is 0 even so.
Interrupted (Ctrl-C, SIGTERM), it says how many are stored; the same command
resumes.
Blank lines are skipped. A line that is not an actor (not UTF-8, too long, with a
blank at its edge) is reported and left out, and the exit code is 1.
Input that looks like a table, or whose lines end in carriage returns only, is
refused. --raw takes every line as it is. When the input pauses, what has
arrived is answered at once, so that exp can be a coprocess.

TSV columns: actor, variant; with --value: actor, value"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Assign {
    /// The experiment's name
    #[arg(add = complete::experiments())]
    pub(super) name: String,

    /// The actor, for example user:42
    #[arg(required_unless_present = "actors",
          value_parser = actor_word::bytes(), allow_hyphen_values = true)]
    pub(super) actor: Option<OsString>,

    /// The request's id, for the exposure
    #[arg(
        long,
        value_name = "ID",
        conflicts_with = "no_exposure",
        allow_hyphen_values = true
    )]
    pub(super) request_id: Option<OsString>,

    /// Record no exposure
    #[arg(long)]
    pub(super) no_exposure: bool,

    /// Print the variant's value in place of its name
    #[arg(long)]
    pub(super) value: bool,

    /// Print what the actor would get if a draft or paused experiment ran, and store nothing
    #[arg(long, conflicts_with_all = ["request_id", "actors"])]
    pub(super) preview: bool,

    /// Print this and succeed, whatever fails; the reason goes to standard error
    #[arg(long, value_name = "VARIANT", add = complete::variants())]
    pub(super) default: Option<String>,

    /// Assign every actor of this file, one a line; - is standard input
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath,
          conflicts_with_all = ["actor", "request_id", "no_exposure", "default"])]
    pub(super) actors: Option<PathBuf>,

    /// Record an exposure for every actor of the file
    #[arg(long, requires = "actors", conflicts_with = "actor")]
    pub(super) expose: bool,

    /// Take every line of the file as an actor, even if it looks like something else
    #[arg(long, requires = "actors", conflicts_with = "actor")]
    pub(super) raw: bool,

    /// Print what every actor of the file would get, and store nothing
    #[arg(long, requires = "actors", conflicts_with_all = ["actor", "expose"])]
    pub(super) dry_run: bool,
}
