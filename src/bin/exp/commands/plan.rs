use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueHint};
use experiments::declare::{self, Checked, Current, Plan as Planned, Rule, Severity};
use experiments::independence::IdSample;
use experiments::{ExperimentConfig, ExperimentError, ExperimentStoreError};

use super::files;
use crate::context::{Context, Purpose};
use crate::exit::{Found, Invalid};
use crate::output::findings::Findings;
use crate::output::plan::PlanView;
use crate::output::stream;

/// Show what applying files would change, and who would move
///
/// Nothing is written. What is in the store and in no file is left alone, unless --prune says
/// otherwise.
#[derive(Args)]
#[command(
    after_help = "Example, for a plan that is reviewed before it is applied:\n  \
    exp plan experiments.toml --out plan.json && exp apply plan.json\n\n\
    TSV columns: action, experiment, state before, state after, steps, new actors of 10000 who\n\
    move, stored assignments that are kept"
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
        let current = current(context)?;
        let plan = make(context, &self.files, &current, self.prune)?;
        if let Some(out) = &self.out {
            let json = serde_json::to_string_pretty(&plan)? + "\n";
            let failed = || format!("cannot write {}", out.display());
            fs::write(out, json).with_context(failed)?;
        }
        context.show(&PlanView(&plan))?;
        if self.exit_code && plan.has_changes() {
            return Err(Found.into());
        }
        Ok(())
    }
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
    paths: &[PathBuf],
    current: &[Current],
    prune: bool,
) -> anyhow::Result<Planned> {
    let sources = files::read_sources(paths)?;
    let live: Vec<ExperimentConfig> = current.iter().map(|c| c.config.clone()).collect();
    let Checked {
        declarations,
        findings,
    } = declare::check(&sources, &live);
    let refuse = |mut findings: Vec<declare::Finding>| {
        findings.retain(|finding| finding.severity() == Severity::Error);
        let view = Findings::new(&sources, &findings);
        stream::tell_styled(context.render_text(&view));
        Err(Invalid(view.summary()).into())
    };
    // A store may hold it, and what is exported can be applied.
    let (mut zero, findings): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.rule == Rule::AllWeightsZero);
    if findings.iter().any(|f| f.severity() == Severity::Error) {
        return refuse(findings);
    }
    let (plan, mut warnings) = match declare::plan(&declarations, current, prune) {
        Ok(planned) => planned,
        Err(findings) => return refuse(findings),
    };
    if !context.is_quiet() {
        let dependent = declare::check_independence(&declarations, &live, &IdSample::SHAPES);
        warnings.append(&mut zero);
        warnings.extend(dependent);
        for warning in warnings {
            context.warn(format_args!("{}; {}", warning.message, warning.help));
        }
    }
    Ok(plan)
}

/// Reads a plan that was written by `--out`, if that is what the file is.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<Planned>> {
    // TOML never begins with a brace.
    if path.is_dir() || path == Path::new("-") {
        return Ok(None);
    }
    let text = files::read_text(path)?;
    if !text.trim_start().starts_with('{') {
        return Ok(None);
    }
    let invalid = |problem: String| Invalid(format!("{} is no plan: {problem}", path.display()));
    let plan: Planned = serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?;
    if plan.exp_plan != Planned::VERSION {
        let problem = format!("its version is {}", plan.exp_plan);
        return Err(invalid(problem).into());
    }
    Ok(Some(plan))
}
