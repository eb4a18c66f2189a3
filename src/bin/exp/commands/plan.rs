use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueHint};
use experiments::declare::{
    self, Action, Checked, Current, Finding, Lint, Plan as Planned, Severity, SourceFile,
};
use experiments::independence::IdSample;
use experiments::readiness::{StartConcern, group_concern};
use experiments::{
    ExperimentConfig, ExperimentError, ExperimentService, ExperimentState, ExperimentStoreError,
};

use super::files::{self, Sources};
use super::pinned;
use crate::context::{Context, Purpose};
use crate::exit::{Hint, Invalid, SomethingFound, UsageError};
use crate::options::Format;
use crate::output::findings::Findings;
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
    TSV columns: action, experiment, state before, state after, steps, new actors of 10000 who\n\
    move, stored assignments that are kept, metrics that become exploratory, stored assignments\n\
    whose actors lose their variant, newcomers of 10000 who enter before and after")]
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
        let current = current(context)?;
        let plan = make(context, &sources, &current, self.prune)?;
        if let Some(out) = &self.out {
            let json = serde_json::to_string_pretty(&plan)? + "\n";
            let failed = || format!("cannot write {}", out.display());
            fs::write(out, json).with_context(failed)?;
        }
        let view = PlanView(&plan);
        if context.format() == Format::Markdown {
            let details = context.render_plain(&view);
            stream::print(&markdown::comment(&plan, &details))?;
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

/// What the store holds; nothing if there is no store yet.
pub(super) fn current(context: &Context) -> anyhow::Result<Vec<Current>> {
    found(context, ExperimentService::current)
}

/// What is read from the store; nothing if there is no store yet.
pub(super) fn found<T: Default>(
    context: &Context,
    read: impl FnOnce(&ExperimentService) -> Result<T, ExperimentError>,
) -> anyhow::Result<T> {
    // A database is looked at only by the first call.
    let found = context
        .service(Purpose::Look)
        .and_then(|service| Ok(read(&service)?));
    found.or_else(|error| match error.downcast_ref() {
        Some(ExperimentError::Store(ExperimentStoreError::Missing { .. })) => Ok(T::default()),
        _ => Err(error),
    })
}

/// Checks the files and plans; what is wrong is told on standard error.
pub(super) fn make(
    context: &Context,
    sources: &Sources,
    current: &[Current],
    prune: bool,
) -> anyhow::Result<Planned> {
    if prune {
        require_all(&sources.left_out)?;
    }
    let sources = &*sources.files;
    propose(context, sources, current, prune)?.map_err(|findings| {
        let view = Findings::new(sources, &findings);
        stream::tell_styled(context.render_text(&view));
        Invalid(view.summary()).into()
    })
}

/// The same, with the errors in hand.
pub(super) fn propose(
    context: &Context,
    sources: &[SourceFile],
    current: &[Current],
    prune: bool,
) -> anyhow::Result<Result<Planned, Vec<Finding>>> {
    let live: Vec<ExperimentConfig> = current.iter().map(|c| c.config.clone()).collect();
    let Checked {
        declarations,
        findings,
        ..
    } = declare::check(sources, &live);
    let refuse = |mut findings: Vec<Finding>| {
        findings.retain(|finding| finding.severity() == Severity::Error);
        Ok(Err(findings))
    };
    // A store may hold it, and what is exported can be applied.
    let (mut zero, findings): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.lint == Lint::AllWeightsZero);
    if findings.iter().any(|f| f.severity() == Severity::Error) {
        return refuse(findings);
    }
    if prune && declarations.is_empty() {
        let message = "nothing is declared, and --prune would archive everything";
        return Err(Invalid(message.to_owned()).into());
    }
    let (plan, mut warnings) = match declare::plan(&declarations, current, prune) {
        Ok(planned) => planned,
        Err(findings) => return refuse(findings),
    };
    if !context.is_quiet() {
        // What stays as it is was measured when it came; what is archived disturbs nobody.
        let names_of = |is_wanted: fn(Action) -> bool| -> HashSet<&str> {
            let planned = plan.experiments.iter();
            let wanted = planned.filter(|planned| is_wanted(planned.action));
            wanted.map(|planned| &*planned.experiment).collect()
        };
        let still = names_of(|action| action == Action::Nothing);
        let pruned = names_of(|action| action == Action::Prune);
        let mut moving = declarations;
        moving.retain(|declaration| !still.contains(&*declaration.config.name));
        let mut live = live;
        live.retain(|config| !pruned.contains(&*config.name));
        let dependent = declare::check_independence(&moving, &live, &IdSample::SHAPES);
        for planned in &plan.experiments {
            let Some(before) = &planned.before else {
                continue;
            };
            let (before, after) = (&before.variants, &planned.after.variants);
            if pinned::without(before, after).next().is_some() {
                let overrides = found(context, |service| service.overrides(&planned.experiment))?;
                pinned::warn(&planned.experiment, before, after, &overrides, context);
            }
        }
        for concern in group_concerns(&plan, current) {
            context.warn(format_args!("{concern}; {}", concern.help()));
        }
        // The plan itself shows this.
        warnings.retain(|warning| warning.lint != Lint::HypothesisChanged);
        warnings.append(&mut zero);
        warnings.extend(dependent);
        for warning in warnings {
            context.warn(format_args!("{}; {}", warning.message, warning.help));
        }
    }
    Ok(Ok(plan))
}

/// The experiments that would run or be paused in a group in which others run already and leave them hardly anybody, unless
/// that was so before.
fn group_concerns(plan: &Planned, current: &[Current]) -> Vec<StartConcern> {
    let planned = plan.experiments.iter();
    let planned: HashMap<&str, &ExperimentConfig> = planned
        .map(|planned| (&*planned.experiment, &planned.after))
        .collect();
    let before: Vec<ExperimentConfig> = current.iter().map(|c| c.config.clone()).collect();
    // Those that start together share the newcomers.
    let running = before
        .iter()
        .filter(|c| c.state == ExperimentState::Running);
    let running = running.map(|c| planned.get(&*c.name).map_or(c, |after| *after).clone());
    let running: Vec<ExperimentConfig> = running.collect();
    let changed = plan.experiments.iter().filter(|planned| {
        let was_so = planned.before.as_ref().is_some_and(|config| {
            config.state.is_under_way() && group_concern(config, &before).is_some()
        });
        let after = &planned.after;
        after.state.is_under_way() && after.enrolling && !was_so
    });
    changed
        .filter_map(|planned| group_concern(&planned.after, &running))
        .collect()
}

/// Whether a file looks like what `--out` writes: TOML never begins with a brace.
fn is_plan(source: &SourceFile) -> bool {
    source.text.trim_start().starts_with('{')
}

/// Refuses to archive what is in no file when there may be files that were not read.
fn require_all(left_out: &[PathBuf]) -> anyhow::Result<()> {
    let Some(first) = left_out.first() else {
        return Ok(());
    };
    let (others, were) = match left_out.len() - 1 {
        0 => (String::new(), "was"),
        1 => (" and 1 other".to_owned(), "were"),
        others => (format!(" and {others} others"), "were"),
    };
    let first = first.display();
    let message = format!("--prune needs every file, but {first}{others} {were} left out");
    let hint = "names that begin with a dot and broken links are not read from a directory; \
                remove what was left out, or name it beside the directory";
    Err(anyhow::Error::new(Invalid(message)).context(Hint(hint.to_owned())))
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
