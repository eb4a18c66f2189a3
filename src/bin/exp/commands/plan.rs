use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueHint};
use experiments::declare::{
    self, Action, Checked, Current, Finding, Lint, Plan as Planned, Severity, SourceFile,
};
use experiments::independence::IdSample;
use experiments::{ExperimentConfig, ExperimentError, ExperimentStoreError};

use super::files;
use crate::context::{Context, Purpose};
use crate::exit::{Invalid, SomethingFound, UsageError};
use crate::output::findings::Findings;
use crate::output::plan::PlanView;
use crate::output::stream;
use crate::output::text::safe;

/// Show what applying files would change, and who would move
///
/// Nothing is written. What is in the store and in no file is left alone, unless --prune says
/// otherwise.
#[derive(Args)]
#[command(
    after_help = "Example, for a plan that is reviewed before it is applied:\n  \
    exp plan experiments.toml --out plan.json && exp apply plan.json\n\n\
    TSV columns: action, experiment, state before, state after, steps, new actors of 10000 who\n\
    move, stored assignments that are kept, metrics that become exploratory, newcomers of 10000\n\
    who enter, before and after"
)]
pub(crate) struct Plan {
    /// Files, or directories of .toml files; - is standard input
    #[arg(required = true, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,

    /// Archive what is in the store and in no file
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
        context.show(&PlanView(&plan))?;
        if self.exit_code && plan.has_changes() {
            return Err(SomethingFound.into());
        }
        Ok(())
    }
}

/// Refuses a place for a plan where something else is, such as the store or one of the files.
fn refuse_to_overwrite(out: &Path) -> anyhow::Result<()> {
    let message = if out == Path::new("-") {
        "--out names a file; --format json prints the plan".to_owned()
    } else {
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
        format!("{} is there already, and is no plan", out.display())
    };
    Err(UsageError(message).into())
}

/// What the store holds; nothing if there is no store yet.
pub(super) fn current(context: &Context) -> anyhow::Result<Vec<Current>> {
    match context.service(Purpose::Look) {
        Ok(service) => Ok(service.current()?),
        Err(error) => match error.downcast_ref() {
            Some(ExperimentError::Store(ExperimentStoreError::Missing { .. })) => Ok(Vec::new()),
            _ => Err(error),
        },
    }
}

/// Checks the files and plans; what is wrong is told on standard error.
pub(super) fn make(
    context: &Context,
    sources: &[SourceFile],
    current: &[Current],
    prune: bool,
) -> anyhow::Result<Planned> {
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

/// The plan that was written by `--out`, if that is what the one file is.
pub(super) fn read(sources: &[SourceFile]) -> anyhow::Result<Option<Planned>> {
    // TOML never begins with a brace.
    let [source] = sources else { return Ok(None) };
    if !source.text.trim_start().starts_with('{') {
        return Ok(None);
    }
    let invalid = |problem: String| Invalid(format!("{} is no plan: {problem}", source.name));
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
            "the steps of {} do something else than it shows",
            safe(name)
        );
        return Err(invalid(problem).into());
    }
    Ok(Some(plan))
}
