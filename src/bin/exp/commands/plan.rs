use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueHint};
use experiments::declare::{Plan as Planned, SourceFile};

use super::files;
use super::proposal::{self, Proposal, Read};
use crate::context::Context;
use crate::exit::{Invalid, SomethingFound, UsageError};
use crate::options::Format;
use crate::output::plan::PlanView;
use crate::output::text::safe;
use crate::output::{markdown, stream};

/// Show what applying files would change, and who would move
///
/// Nothing is written. What is in the store but in no file is left alone, unless --prune says
/// otherwise.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp plan experiments.toml\n  \
    exp plan experiments.toml --out plan.json && exp apply plan.json\n\n\
    Formats: text, json, tsv, markdown (a comment for a pull request)\n\n\
    TSV columns: action, experiment, state_before, state_after, steps, new_actors_per_10000 (who\n    \
    get another variant while it runs), stored_kept (assignments that stay), exploratory (metrics\n    \
    that become so), stored_lost (whose actors lose their variant for good),\n    \
    enter_before_per_10000, enter_after_per_10000 (newcomers who enter while it runs),\n    \
    stored_told_another (of those kept, whose actors get another variant), stored_suspended (of\n    \
    those kept, whose actors get nothing until it runs again), stored_resumed (of those kept,\n    \
    whose actors got nothing and get theirs again)")]
pub(crate) struct Plan {
    /// Files, or directories of .toml files; - is standard input
    #[arg(required = true, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,

    /// Archive experiments that are in the store but in no file
    #[arg(long)]
    prune: bool,

    /// Also write the plan to this file, for exp apply
    #[arg(long, value_name = "PLAN", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,

    /// Exit with 9 if something would change, with 0 if nothing would
    #[arg(long)]
    exit_code: bool,
}

impl Plan {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let sources = files::read_sources(&self.files)?;
        refuse_plan(&sources.files)?;
        if let Some(out) = &self.out {
            refuse_to_overwrite(out)?;
        }
        let current = proposal::current(context)?;
        let Proposal { plan, warnings } =
            proposal::make(context, &sources, &current, self.prune, Read::Before)?;
        context.warn_of_each(&warnings);
        if let Some(out) = &self.out {
            let json = serde_json::to_string_pretty(&plan)? + "\n";
            let failed = || format!("cannot write {}", out.display());
            fs::write(out, json).with_context(failed)?;
        }
        let view = PlanView(&plan);
        if context.format() == Format::Markdown {
            let details = context.render_plain(&view);
            stream::print(&markdown::comment(&plan, &details, &warnings))?;
        } else {
            context.show(&view)?;
        }
        if self.exit_code && plan.has_changes() {
            return Err(SomethingFound.into());
        }
        Ok(())
    }
}

/// Refuses a place for a plan where something else is, such as the store or one of the files.
fn refuse_to_overwrite(out: &Path) -> anyhow::Result<()> {
    if out == Path::new("-") {
        let message = "--out names a file; --format json prints the plan";
        return Err(UsageError(message.to_owned()).into());
    }
    // What is no regular file, such as a pipe, holds nothing to lose.
    if !out.is_file() {
        return Ok(());
    }
    let found = fs::read(out).unwrap_or_default();
    let json: Option<serde_json::Value> = serde_json::from_slice(&found).ok();
    let is_plan = json.is_some_and(|json| json.get("exp_plan").is_some());
    // An empty file is what mktemp makes; an unreadable one is told when it is written.
    if found.is_empty() || is_plan {
        return Ok(());
    }
    let message = format!("{} exists already and is not a plan", out.display());
    Err(Invalid(message).into())
}

/// Whether a file looks like what `--out` writes: TOML never begins with a brace.
fn is_plan(source: &SourceFile) -> bool {
    source.text.trim_start().starts_with('{')
}

/// Refuses a plan where files of experiments are read.
pub(super) fn refuse_plan(sources: &[SourceFile]) -> Result<(), UsageError> {
    match sources.iter().find(|source| is_plan(source)) {
        None => Ok(()),
        Some(plan) => Err(UsageError(format!(
            "{} is a plan already; exp apply applies it",
            plan.name
        ))),
    }
}

/// The plan that was written by `--out`, if that is what the one file is.
pub(super) fn read(sources: &[SourceFile]) -> anyhow::Result<Option<Planned>> {
    let Some(source) = sources.iter().find(|source| is_plan(source)) else {
        return Ok(None);
    };
    if sources.len() > 1 {
        let message = format!("{} is a plan, and a plan is applied alone", source.name);
        return Err(UsageError(message).into());
    }
    let invalid =
        |problem: String| Invalid(format!("{} is not a valid plan: {problem}", source.name));
    if !source.is_utf8() {
        return Err(invalid("it is not UTF-8".to_owned()).into());
    }
    let plan: Planned =
        serde_json::from_str(&source.text).map_err(|error| invalid(error.to_string()))?;
    if plan.exp_plan != Planned::VERSION {
        let problem = format!("its version is {}", plan.exp_plan);
        return Err(invalid(problem).into());
    }
    if let Some(name) = plan.contradiction() {
        let problem = format!(
            "the steps of {} do something other than it shows",
            safe(name)
        );
        return Err(invalid(problem).into());
    }
    Ok(Some(plan))
}
