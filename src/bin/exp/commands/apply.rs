use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use experiments::ChangeRecord;
use experiments::declare::Plan;
use serde::Serialize;

use super::{files, plan};
use crate::context::{Context, Purpose};
use crate::exit::{Failed, UsageError};
use crate::output::View;
use crate::output::change;
use crate::output::plan::PlanView;
use crate::output::stream;
use crate::output::text::{Text, safe};
use crate::output::tsv::Tsv;

/// Make the store what files say, in one step or not at all
///
/// Shows the plan and asks, on a terminal; --yes answers for a script. A plan that exp plan --out
/// wrote is applied as it was shown: if the store has changed since, nothing is applied. The store
/// is made if there is none.
#[derive(Args)]
#[command(after_help = "Example:\n  exp apply experiments.toml --yes\n\n\
    TSV columns: experiment, then those of exp history")]
pub(crate) struct Apply {
    /// Files, or directories of .toml files, or one plan; - is standard input
    #[arg(required = true, value_name = "FILE|DIR|PLAN", value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,

    /// Apply without asking
    #[arg(short, long)]
    yes: bool,

    /// Archive what is in the store and in no file
    #[arg(long)]
    prune: bool,
}

impl Apply {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let reads_input = self.files.iter().any(|file| file == Path::new("-"));
        if !self.yes && (reads_input || !io::stdin().is_terminal()) {
            let message = "there is nobody to ask; --yes applies without asking";
            return Err(UsageError(message.to_owned()).into());
        }
        // Read once: a pipe holds nothing the second time.
        let sources = files::read_sources(&self.files)?;
        let ready = plan::read(&sources)?;
        let is_ready = ready.is_some();
        if ready.is_some() && self.prune {
            let message = "a plan is applied as it is; --prune belongs to exp plan";
            return Err(UsageError(message.to_owned()).into());
        }
        let plan = match ready {
            Some(plan) => plan,
            None => plan::make(context, &sources, &plan::current(context)?, self.prune)?,
        };
        if !self.yes && plan.has_changes() {
            stream::tell_styled(context.render_text(&PlanView(&plan)));
            if !stream::confirm("Apply this?")? {
                return Err(Failed("nothing was applied".to_owned()).into());
            }
        } else {
            warn_of_hypothesis(context, &plan);
        }
        // A ready plan is held against the store also when it changes nothing.
        let changes = if plan.has_changes() || is_ready && !plan.experiments.is_empty() {
            apply(context, &plan)?
        } else {
            Vec::new()
        };
        tell(context, &changes);
        show(context, changes)
    }
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

/// Tells a person how much was changed.
pub(super) fn tell(context: &Context, changes: &[ChangeRecord]) {
    context.say(match changes.len() {
        0 => "nothing to change".to_owned(),
        1 => "applied 1 change".to_owned(),
        count => format!("applied {count} changes"),
    });
}

/// Shows what was changed.
pub(super) fn show(context: &Context, changes: Vec<ChangeRecord>) -> anyhow::Result<()> {
    context.show(&Applied(changes))
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

#[derive(Serialize)]
#[serde(transparent)]
struct Applied(Vec<ChangeRecord>);

impl View for Applied {
    fn columns(&self) -> &'static [&'static str] {
        change::COLUMNS_WITH_EXPERIMENT
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for change in &self.0 {
            change::write_tsv(Some(&change.experiment), change, tsv);
        }
    }

    fn text(&self, text: &mut Text) {
        for change in &self.0 {
            text.line(format_args!(
                "{}  {}",
                safe(&change.experiment),
                safe(&change.mutation)
            ));
        }
    }
}
