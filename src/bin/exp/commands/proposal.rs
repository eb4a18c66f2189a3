//! A plan that is made of files, and what there is to say about it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use experiments::declare::{
    self, Action, Checked, Current, Declaration, Finding, Lint, Plan, PlannedExperiment, Severity,
    SourceFile,
};
use experiments::independence::IdSample;
use experiments::readiness::{StartConcern, group_concern};
use experiments::{
    ExperimentConfig, ExperimentError, ExperimentService, ExperimentState, ExperimentStoreError,
    HeldByGroup,
};

use super::files::Sources;
use super::{pinned, ready};
use crate::context::{Context, Purpose};
use crate::exit::{Hint, Invalid};
use crate::options::Format;
use crate::output::findings::Findings;
use crate::output::stream;

/// A plan with the warnings that are not part of it.
pub(super) struct Proposal {
    pub(super) plan: Plan,
    /// Each a sentence, with what to do about it.
    pub(super) warnings: Vec<String>,
}

/// When the warnings are read. A start leaves fewer ways out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Before the plan is applied, if it is.
    Before,
    /// When it has been applied.
    After,
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
    read: Read,
) -> anyhow::Result<Proposal> {
    if prune {
        require_all(&sources.left_out)?;
    }
    let sources = &*sources.files;
    propose(context, sources, current, prune, read)?.map_err(|findings| {
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
    read: Read,
) -> anyhow::Result<Result<Proposal, Vec<Finding>>> {
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
    let (plan, mut found) = match declare::plan(&declarations, current, prune) {
        Ok(planned) => planned,
        Err(findings) => return refuse(findings),
    };
    let mut warnings = Vec::new();
    // It takes a while to measure. A comment is read by others than whoever asks for quiet.
    if !context.is_quiet() || context.format() == Format::Markdown {
        warnings = of_overrides(context, &plan)?;
        for concern in group_concerns(&plan, current) {
            // Once it has started, it can't leave the group.
            warnings.push(match read {
                Read::Before => format!("{concern}; {}", concern.help()),
                Read::After => ready::sentence(&concern),
            });
        }
        // The plan itself shows this.
        found.retain(|warning| warning.lint != Lint::HypothesisChanged);
        found.append(&mut zero);
        found.extend(dependent(&plan, declarations, live, read));
        let found = found.iter();
        warnings.extend(found.map(|warning| format!("{}; {}", warning.message, warning.help)));
    }
    Ok(Ok(Proposal { plan, warnings }))
}

/// The overrides of variants that the plan removes or adds.
fn of_overrides(context: &Context, plan: &Plan) -> anyhow::Result<Vec<String>> {
    let mut warnings = Vec::new();
    for planned in &plan.experiments {
        let Some(before) = &planned.before else {
            continue;
        };
        let (before, after) = (&before.variants, &planned.after.variants);
        let mut moved = pinned::without(before, after).chain(pinned::without(after, before));
        if moved.next().is_some() {
            let overrides = found(context, |service| service.overrides(&planned.experiment))?;
            let name = &planned.experiment;
            warnings.extend(pinned::warnings(name, before, after, &overrides)?);
        }
    }
    Ok(warnings)
}

/// The pairs of which one changes, and whose assignments are not independent.
fn dependent(
    plan: &Plan,
    mut declarations: Vec<Declaration>,
    mut live: Vec<ExperimentConfig>,
    read: Read,
) -> Vec<Finding> {
    // What stays as it is was measured when it came; what is archived disturbs nobody.
    let names_of = |is_wanted: fn(Action) -> bool| -> HashSet<&str> {
        let planned = plan.experiments.iter();
        let wanted = planned.filter(|planned| is_wanted(planned.action));
        wanted.map(|planned| &*planned.experiment).collect()
    };
    let still = names_of(|action| action == Action::Nothing);
    let pruned = names_of(|action| action == Action::Prune);
    declarations.retain(|declaration| !still.contains(&*declaration.config.name));
    live.retain(|config| !pruned.contains(&*config.name));
    if read == Read::After {
        let moving = names_of(|action| matches!(action, Action::Create | Action::Change));
        live.retain(|config| !moving.contains(&*config.name));
        let moved = plan.experiments.iter();
        let moved = moved.filter(|planned| moving.contains(&*planned.experiment));
        live.extend(moved.map(|planned| planned.after.clone()));
    }
    declare::check_independence(&declarations, &live, &IdSample::SHAPES)
}

/// What there is to say of groups: those that keep actors from an experiment that comes into one, or begins to run; and
/// those whose running experiments leave hardly anybody, unless that was so before.
fn group_concerns(plan: &Plan, current: &[Current]) -> Vec<StartConcern> {
    let planned = plan.experiments.iter();
    let planned: HashMap<&str, &ExperimentConfig> = planned
        .map(|planned| (&*planned.experiment, &planned.after))
        .collect();
    let all_before: Vec<ExperimentConfig> = current.iter().map(|c| c.config.clone()).collect();
    // Those that start together share the newcomers.
    let after = |config: &ExperimentConfig| {
        planned
            .get(&*config.name)
            .map_or(config.clone(), |after| (*after).clone())
    };
    let running = all_before
        .iter()
        .filter(|c| c.state == ExperimentState::Running);
    let running: Vec<ExperimentConfig> = running.map(after).collect();
    let nobody = HeldByGroup::default();
    let concern = |planned: &PlannedExperiment| {
        let after = &planned.after;
        let before = planned.before.as_ref();
        let was_under_way = before.is_some_and(|before| before.state.is_under_way());
        let is_new = before.is_none_or(|before| before.exclusion_group != after.exclusion_group);
        let is_over = matches!(
            after.state,
            ExperimentState::Concluded | ExperimentState::Archived
        );
        let begins = after.state.is_under_way() && !was_under_way;
        let held = if !is_over && (is_new || begins) {
            let stored = current.iter().map(|c| (&c.config, c.stored()));
            HeldByGroup::of(after, stored)
        } else {
            nobody.clone()
        };
        let was_so = was_under_way
            && before.is_some_and(|config| group_concern(config, &all_before, &nobody).is_some());
        let takes_newcomers = after.state.is_under_way() && after.enrolling && !was_so;
        let rivals = if takes_newcomers { &*running } else { &[] };
        group_concern(after, rivals, &held)
    };
    plan.experiments.iter().filter_map(concern).collect()
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
