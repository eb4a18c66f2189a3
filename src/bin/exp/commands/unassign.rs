use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;
use experiments::text::escape;
use experiments::{ExperimentService, Unassigned, actor_problem};
use schemars::JsonSchema;
use serde::Serialize;

use super::assign::input::{BadLines, Input};
use crate::context::{Context, Purpose};
use crate::environment;
use crate::exit::{Failed, Invalid};
use crate::output::View;
use crate::output::figures::plural;
use crate::output::stream;
use crate::output::text::Text;
use crate::output::tsv::Tsv;
use crate::{actor_word, complete};

/// Take assignments back, with their exposures
///
/// All of them go in one step, or none. The actors are newcomers again; with the same weights their
/// buckets give them the same variants. Overrides and outcomes stay. With --actors it asks first on a
/// terminal; a script is not asked.
#[derive(Args)]
#[command(
    override_usage = "exp unassign [OPTIONS] <NAME> <ACTOR>\n       \
    exp unassign [OPTIONS] <NAME> --actors <FILE>",
    after_help = "Examples:\n  \
    exp unassign checkout_v2 user:42\n  \
    exp unassign checkout_v2 --actors ids.txt\n\n\
    TSV columns: assignments, exposures"
)]
pub(crate) struct Unassign {
    /// The experiment's name
    #[arg(add = complete::unfinished_experiments())]
    name: String,

    /// Whose assignment it is
    #[arg(required_unless_present = "actors",
          value_parser = actor_word::text(), allow_hyphen_values = true)]
    actor: Option<String>,

    /// Take back those of every actor of this file, one a line; - is standard input
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "actor")]
    actors: Option<PathBuf>,

    /// Take every line of the file as an actor, even if it looks like something else
    #[arg(long, requires = "actors", conflicts_with = "actor")]
    raw: bool,

    /// Take them back without asking
    #[arg(short, long)]
    yes: bool,
}

impl Unassign {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Change)?;
        match (&self.actors, &self.actor) {
            (Some(file), _) => self.every(file, &service, context),
            (None, actor) => {
                let actor = actor.as_deref().unwrap_or_default();
                let gone = service.unassign(&self.name, &[actor])?;
                // Another program, or an earlier version, may have stored one who is refused now.
                if gone == Unassigned::default()
                    && let Some(problem) = actor_problem(actor)
                {
                    return Err(Invalid(problem.to_string()).into());
                }
                self.tell(gone, &[actor], &service, context)
            }
        }
    }

    fn every(
        &self,
        file: &Path,
        service: &ExperimentService,
        context: &Context,
    ) -> anyhow::Result<()> {
        // An experiment that gives nothing back is told before the input is waited for.
        service.unassign(&self.name, &[])?;
        let mut input = Input::open(file, self.raw)?;
        let mut bad = BadLines::default();
        let mut batches = Vec::new();
        while let Some(batch) = input.next_batch()? {
            bad.take(&batch, context);
            batches.push(batch);
        }
        let actors: Vec<&str> = batches.iter().flat_map(|batch| batch.actors()).collect();
        if !self.yes && !actors.is_empty() && stream::can_ask() {
            let count = plural(actors.len() as u64, "actor");
            let question = format!(
                "Take back the assignments of {count} in {}?",
                escape(&self.name)
            );
            if !stream::confirm(&question)? {
                return Err(Failed("nothing was taken back".to_owned()).into());
            }
        }
        let gone = service.unassign(&self.name, &actors)?;
        self.tell(gone, &actors, service, context)?;
        bad.into_result()
    }

    fn tell(
        &self,
        gone: Unassigned,
        actors: &[&str],
        service: &ExperimentService,
        context: &Context,
    ) -> anyhow::Result<()> {
        context.show(&Gone {
            experiment: self.name.clone(),
            gone,
        })?;
        let name = escape(&self.name);
        if gone == Unassigned::default() {
            context.say(format_args!(
                "there was no assignment to take back in {name}: nothing changed"
            ));
        } else {
            context.say(format_args!(
                "took back {} and {} in {name}",
                plural(gone.assignments, "assignment"),
                plural(gone.exposures, "exposure")
            ));
        }
        self.say_of_overrides(actors, service, context)
    }

    /// An override gives its actor the variant again.
    fn say_of_overrides(
        &self,
        actors: &[&str],
        service: &ExperimentService,
        context: &Context,
    ) -> anyhow::Result<()> {
        let now = environment::clock()?.now_secs();
        let actors: HashSet<&str> = actors.iter().copied().collect();
        let overrides = service.overrides(&self.name)?;
        let pinned = overrides.iter().filter(|set| {
            let stays = !set.has_expired(now);
            stays && actors.contains(&*set.actor)
        });
        match pinned.count() {
            0 => {}
            1 => context.say("1 of these actors has an override, which stays"),
            count => context.say(format_args!(
                "{count} of these actors have an override, which stays"
            )),
        }
        Ok(())
    }
}

/// What was taken back.
#[derive(Serialize, JsonSchema)]
pub(super) struct Gone {
    /// From which experiment.
    experiment: String,
    #[serde(flatten)]
    gone: Unassigned,
}

impl View for Gone {
    fn columns(&self) -> &'static [&'static str] {
        &["assignments", "exposures"]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        tsv.line(&[
            &self.gone.assignments.to_string(),
            &self.gone.exposures.to_string(),
        ]);
    }

    /// It is said on standard error.
    fn text(&self, _text: &mut Text) {}
}
