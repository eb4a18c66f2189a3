use clap::Args;
use experiments::text::escape;
use experiments::{ChangeRecord, ChangeScan, ExperimentService};
use schemars::JsonSchema;
use serde::Serialize;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::exit::{Hint, positional};
use crate::moment;
use crate::output::View;
use crate::output::change::{self, Change};
use crate::output::text::Text;
use crate::output::tsv::Tsv;
use crate::whole_number;

/// Show who changed what and when, newest first
///
/// Without a name it shows the changes of all experiments, including deleted ones.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp history checkout_v2 --limit 10\n  \
    exp history --since 3d\n\n\
    TSV columns: experiment, timestamp_secs (since 1970), operator, mutation, before, after (the values, as JSON); \
    with a name: timestamp_secs, operator, mutation, before, after\n\n\
    In JSON the operator is called actor, as in the tables of the reference; \
    parts.actor is a participant.")]
pub(crate) struct History {
    /// The experiment's name
    #[arg(add = complete::experiments())]
    name: Option<String>,

    /// Only changes since this time: a date, RFC 3339, seconds since 1970, or 3d (3 days ago)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Show this many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole_number::any::<usize>)]
    limit: usize,
}

impl History {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        if let Some(by) = context.typed_operator() {
            context.warn(format_args!(
                "--by says who makes a change: the changes of others than {} are shown, too",
                escape(by)
            ));
        }
        let since_secs = moment::since(self.since.as_deref())?;
        let service = context.service(Purpose::Use)?;
        let experiment = self.name.as_deref();
        let changes = service.changes(&ChangeScan {
            experiment,
            since_secs,
            limit: self.limit,
        })?;
        if changes.is_empty() {
            if let Some(name) = experiment {
                require_known(&service, name)?;
            }
            context.say(match self.since {
                Some(_) => "no changes since then",
                None => "no changes yet",
            });
        }
        context.show(&Changes {
            changes: changes.into_iter().map(Change::from).collect(),
            of_all: experiment.is_none(),
        })
    }
}

/// Refuses the name of an experiment that neither is nor was.
fn require_known(service: &ExperimentService, name: &str) -> anyhow::Result<()> {
    if !service.history(name, 1)?.is_empty() {
        return Ok(());
    }
    // Every experiment has an entry, unless another program made it.
    let Err(error) = service.status(name) else {
        return Ok(());
    };
    let all = service.changes(&ChangeScan::default())?;
    let renamed = all.iter().find(|change| {
        let before = change.detail.as_ref().map(|detail| &detail.before);
        before.is_some_and(|before| before.name.as_deref() == Some(name))
    });
    let to = renamed.and_then(|change| change.detail.as_ref()?.after.name.as_deref());
    Err(match to {
        None => error.into(),
        Some(to) => anyhow::Error::new(error).context(Hint(format!(
            "it was renamed: exp history {}",
            positional(to)
        ))),
    })
}

#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Changes {
    changes: Vec<Change>,
    /// Whether each is shown with its experiment.
    #[serde(skip)]
    of_all: bool,
}

impl Changes {
    fn experiment<'a>(&self, change: &'a ChangeRecord) -> Option<&'a str> {
        self.of_all.then_some(&*change.experiment)
    }
}

impl View for Changes {
    fn columns(&self) -> &'static [&'static str] {
        if self.of_all {
            change::COLUMNS_WITH_EXPERIMENT
        } else {
            change::COLUMNS
        }
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for Change { record: change, .. } in &self.changes {
            change::write_tsv(self.experiment(change), change, tsv);
        }
    }

    fn text(&self, text: &mut Text) {
        for Change { record: change, .. } in &self.changes {
            change::write_text(self.experiment(change), change, text);
        }
    }
}
