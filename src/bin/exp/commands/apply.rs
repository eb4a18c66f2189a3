use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use experiments::declare::Plan;
use experiments::{ChangeRecord, ErrorKind, ExperimentConfig, ExperimentError};
use schemars::JsonSchema;
use serde::Serialize;

use super::proposal::{self, Proposal, Read};
use super::{files, plan};
use crate::context::{Context, Purpose};
use crate::exit::{Failed, UsageError};
use crate::output::View;
use crate::output::change::{self, Change};
use crate::output::plan::PlanView;
use crate::output::stream;
use crate::output::text::{Text, safe};
use crate::output::tsv::Tsv;

/// Make the store match files, in one step or not at all
///
/// Shows the plan and asks, on a terminal; --yes answers for a script. A plan that exp plan --out
/// wrote is applied as it was shown: if the store has changed since, nothing is applied; if it is
/// already as the plan would make it, nothing needs to be done. The store is made if there is none.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp apply experiments.toml --yes\n\n\
    TSV columns: experiment, timestamp_secs, operator, mutation, before, after\n\n\
    Of a plan that was applied already there is a line for each experiment, with applied_already as\n\
    the mutation.")]
pub(crate) struct Apply {
    /// Files, or directories of .toml files, or one plan; - is standard input
    #[arg(required = true, value_name = "FILE|DIR|PLAN", value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,

    /// Apply without asking
    #[arg(short, long)]
    yes: bool,

    /// Archive experiments that are in the store but in no file
    #[arg(long)]
    prune: bool,
}

impl Apply {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        // Whoever types a file should not be refused only at its end.
        if self.reads_input() && stream::can_ask() {
            self.require_answer()?;
        }
        // Read once: a pipe holds nothing the second time.
        let sources = files::read_sources(&self.files)?;
        let ready = plan::read(&sources.files)?;
        let is_ready = ready.is_some();
        if ready.is_some() && self.prune {
            let message = "a plan is applied as it is; --prune belongs to exp plan";
            return Err(UsageError(message.to_owned()).into());
        }
        let read = if self.yes { Read::After } else { Read::Before };
        let Proposal { plan, warnings } = if let Some(plan) = ready {
            // Its warnings were shown when it was made.
            let warnings = Vec::new();
            Proposal { plan, warnings }
        } else {
            let current = proposal::current(context)?;
            proposal::make(context, &sources, &current, self.prune, read)?
        };
        let mut status = Status::NothingToChange;
        let mut changes = Vec::new();
        if is_ready && is_applied(context, &plan)? {
            status = Status::AppliedAlready;
        } else {
            self.ask(context, &plan, &warnings)?;
            // A ready plan is held against the store also when it changes nothing.
            if plan.has_changes() || is_ready && !plan.experiments.is_empty() {
                match apply(context, &plan) {
                    // Somebody else has applied it meanwhile.
                    Err(error) if is_ready && changed(&error) && is_applied(context, &plan)? => {
                        status = Status::AppliedAlready;
                    }
                    applied => changes = applied?,
                }
            }
            if !changes.is_empty() {
                status = Status::Applied;
            }
        }
        let steps = plan.experiments.iter().filter(|e| !e.steps.is_empty());
        let applied = Applied {
            status,
            planned: steps.map(|e| e.experiment.clone()).collect(),
            changes: changes.into_iter().map(Change::from).collect(),
        };
        applied.tell(context);
        if read == Read::After {
            context.warn_of_each(&warnings);
        }
        context.show(&applied)
    }

    fn reads_input(&self) -> bool {
        self.files.iter().any(|file| file == Path::new("-"))
    }

    /// Refuses to go on where nobody can be asked.
    fn require_answer(&self) -> Result<(), UsageError> {
        if self.yes || !self.reads_input() && stream::can_ask() {
            return Ok(());
        }
        let message = "there is no terminal to ask on; use --yes to apply without asking";
        Err(UsageError(message.to_owned()))
    }

    /// Shows the plan and asks, unless --yes has answered or there is nothing to ask.
    fn ask(&self, context: &Context, plan: &Plan, warnings: &[String]) -> anyhow::Result<()> {
        if self.yes {
            warn_of_hypothesis(context, plan);
            return Ok(());
        }
        if !plan.has_changes() {
            context.warn_of_each(warnings);
            return Ok(());
        }
        self.require_answer()?;
        stream::tell_styled(context.render_text(&PlanView(plan)));
        context.warn_of_each(warnings);
        if stream::confirm("Apply this?")? {
            return Ok(());
        }
        Err(Failed("nothing was applied".to_owned()).into())
    }
}

/// Whether what a plan would change has been changed to that already.
fn is_applied(context: &Context, plan: &Plan) -> anyhow::Result<bool> {
    if !plan.has_changes() {
        return Ok(false);
    }
    let current = proposal::current(context)?.into_iter();
    let configs: Vec<ExperimentConfig> = current.map(|current| current.config).collect();
    Ok(plan.is_applied(&configs))
}

fn changed(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<ExperimentError>();
    error.is_some_and(|error| error.kind() == ErrorKind::ChangedMeanwhile)
}

/// Applies a plan to the store, which may be new.
pub(super) fn apply(context: &Context, plan: &Plan) -> anyhow::Result<Vec<ChangeRecord>> {
    let is_for_nothing = plan.experiments.iter().all(|e| e.before.is_none());
    let purpose = if is_for_nothing {
        Purpose::Create
    } else {
        Purpose::Change
    };
    let opened = context.open(purpose)?;
    let changes = opened.service().apply(plan)?;
    let planned = plan.experiments.iter();
    let planned = planned.map(|e| (e.before.as_ref(), &e.after));
    context.warn_of_application(&opened, planned)?;
    Ok(changes)
}

/// Says what a plan that nobody sees would have shown.
pub(super) fn warn_of_hypothesis(context: &Context, plan: &Plan) {
    for planned in &plan.experiments {
        for metric in &planned.exploratory {
            context.warn(format_args!(
                "metric {} of {}: hypothesis changed after the start: exploratory",
                safe(metric),
                safe(&planned.experiment)
            ));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Applied,
    AppliedAlready,
    NothingToChange,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Applied {
    /// What became of the plan.
    status: Status,
    /// The changes that were made.
    changes: Vec<Change>,
    /// The experiments that the plan changes, by name.
    #[serde(skip)]
    planned: Vec<String>,
}

impl Applied {
    /// What a plan came to that did not wait between being made and applied.
    pub(super) fn at_once(changes: Vec<ChangeRecord>) -> Self {
        Self {
            status: if changes.is_empty() {
                Status::NothingToChange
            } else {
                Status::Applied
            },
            changes: changes.into_iter().map(Change::from).collect(),
            planned: Vec::new(),
        }
    }

    /// Tells a person how much was changed.
    pub(super) fn tell(&self, context: &Context) {
        context.say(match (self.status, self.changes.len()) {
            (Status::AppliedAlready, _) => "applied already: nothing to change".to_owned(),
            (Status::NothingToChange, _) => "nothing to change".to_owned(),
            (Status::Applied, 1) => "applied 1 change".to_owned(),
            (Status::Applied, count) => format!("applied {count} changes"),
        });
    }
}

impl View for Applied {
    fn columns(&self) -> &'static [&'static str] {
        change::COLUMNS_WITH_EXPERIMENT
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for Change { record: change, .. } in &self.changes {
            change::write_tsv(Some(&change.experiment), change, tsv);
        }
        if self.status == Status::AppliedAlready {
            for experiment in &self.planned {
                tsv.line(&[experiment, "", "", "applied_already", "", ""]);
            }
        }
    }

    fn text(&self, text: &mut Text) {
        for Change { record: change, .. } in &self.changes {
            text.line(format_args!(
                "{}  {}",
                safe(&change.experiment),
                safe(&change.mutation)
            ));
        }
    }
}
