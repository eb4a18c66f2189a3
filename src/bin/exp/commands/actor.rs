use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use experiments::text::escape;
use experiments::{
    AssignmentReason, ExperimentError, ExperimentService, ExperimentState, Explanation,
    ExposureTotal, PinnedVariant, actor_problem,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::actor_word;
use crate::context::{Context, Purpose};
use crate::exit::Invalid;
use crate::output::View;
use crate::output::text::{BOLD, DIM, Text, safe, state_style, styled, wrapped};
use crate::output::tsv::Tsv;

/// Look at one actor
#[derive(Args)]
pub(crate) struct Actor {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Show(Show),
}

impl Actor {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        match self.command {
            Command::Show(command) => command.run(context),
        }
    }
}

/// Show what an actor gets in every experiment, and what is stored about them
///
/// Writes nothing. For each experiment it prints the state, the variant that the actor gets or would
/// get, and the reason, as exp explain does; then what is stored: the assignment, the override with
/// who set it, when and what for, and the kept exposures.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp actor show user:42\n\n\
    TSV columns: experiment, state, variant, reason, assignment (the stored variant),\n\
    assigned_at_secs (since 1970), assigned_by_override, override, override_expires_at_secs,\n\
    exposures, first_exposure_secs, last_exposure_secs, value (as JSON)")]
struct Show {
    /// The actor, for example user:42
    #[arg(value_parser = actor_word::text(), allow_hyphen_values = true)]
    actor: String,

    /// Also show archived experiments, which give nobody a variant
    #[arg(long)]
    all: bool,
}

impl Show {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        if let Some(problem) = actor_problem(&self.actor) {
            return Err(Invalid(problem.to_string()).into());
        }
        let service = context.service(Purpose::Use)?;
        let mut parts = parts(&service, &self.actor)?;
        let actor = escape(&self.actor);
        if parts.is_empty() {
            context.say("no experiments yet; exp create makes one");
        } else if !parts.iter().any(Part::is_stored) {
            context.say(format_args!(
                "nothing is stored about {actor} in any experiment"
            ));
        }
        if !self.all {
            let is_archived = |part: &Part| part.explained.state == ExperimentState::Archived;
            let left_out = parts
                .iter()
                .filter(|part| is_archived(part) && part.is_stored());
            match left_out.count() {
                0 => {}
                1 => context.say(format_args!(
                    "1 archived experiment in which something is stored about {actor} is left out; --all shows it"
                )),
                count => context.say(format_args!(
                    "{count} archived experiments in which something is stored about {actor} are left out; \
                     --all shows them"
                )),
            }
            parts.retain(|part| !is_archived(part));
        }
        context.show(&Parts(parts))
    }
}

/// One actor in one experiment.
#[derive(Serialize, JsonSchema)]
struct Part {
    #[serde(flatten)]
    explained: Explanation,
    /// How often the actor was exposed, by variant.
    exposures: Vec<ExposureTotal>,
}

fn parts(service: &ExperimentService, actor: &str) -> anyhow::Result<Vec<Part>> {
    let mut exposures: BTreeMap<String, Vec<ExposureTotal>> = BTreeMap::new();
    for total in service.exposure_totals(actor)? {
        let of_experiment = exposures.entry(total.experiment.clone()).or_default();
        of_experiment.push(total);
    }
    let mut parts = Vec::new();
    for config in service.list()? {
        match service.explain(&config.name, actor) {
            Ok(explained) => parts.push(Part {
                explained,
                exposures: exposures.remove(&config.name).unwrap_or_default(),
            }),
            // It was deleted since it was listed.
            Err(ExperimentError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(parts)
}

impl Part {
    /// Whether anything is stored of the actor.
    fn is_stored(&self) -> bool {
        let explained = &self.explained;
        explained.assignment.is_some() || explained.pinned.is_some() || !self.exposures.is_empty()
    }

    /// The experiment, its state, what the actor gets in it, and why.
    fn head(&self) -> String {
        let explained = &self.explained;
        let variant = explained.variant.as_deref().map(|v| styled(BOLD, safe(v)));
        let gets = match variant {
            None => "nothing".to_owned(),
            Some(variant) if explained.reason == AssignmentReason::Assigned => {
                format!("would get {variant}")
            }
            Some(variant) => variant,
        };
        format!(
            "{}  {}  {gets}  {}",
            styled(BOLD, safe(&explained.experiment)),
            styled(state_style(explained.state), explained.state),
            styled(DIM, explained.reason.as_str())
        )
    }

    /// What is behind it, each with what it is called.
    fn details(&self, time: impl Fn(u64) -> String) -> Vec<(&'static str, String)> {
        let explained = &self.explained;
        let mut details = Vec::new();
        if let Some(value) = &explained.value {
            details.push(("value", safe(&value.to_string())));
        }
        if let (Some(variant), Some(at)) = (&explained.assignment, explained.assigned_at_secs) {
            let has_expired = explained.pinned.as_ref().is_some_and(|p| p.has_expired);
            let (variant, since) = (safe(variant), time(at));
            let assigned = match (explained.assigned_by_override, has_expired) {
                (false, _) => format!("{variant}, since {since}"),
                (true, false) => format!("{variant}, by an override, since {since}"),
                (true, true) => format!("{variant}, by the override that has expired: ignored"),
            };
            details.push(("assigned", assigned));
        }
        if let Some(pinned) = &explained.pinned {
            add_override(pinned, &time, &mut details);
        }
        if let (Some(group), Some(sibling)) = (&explained.exclusion_group, &explained.sibling) {
            let place = format!("{}: the actor is in {}", safe(group), safe(sibling));
            details.push(("group", place));
        }
        for total in &self.exposures {
            let by = if total.is_override {
                ", by an override"
            } else {
                ""
            };
            let of = format!("{} of {}{by}", total.exposures, safe(&total.variant));
            details.push(("exposures", of));
            details.push(("first", time(total.first_secs)));
            details.push(("last", time(total.last_secs)));
        }
        details
    }
}

fn add_override(
    pinned: &PinnedVariant,
    time: impl Fn(u64) -> String,
    details: &mut Vec<(&'static str, String)>,
) {
    let removed = if pinned.exists {
        ""
    } else {
        " (removed: ignored)"
    };
    let operator = pinned.operator.as_deref();
    let by = operator.map_or_else(String::new, |operator| format!(", by {}", safe(operator)));
    let (variant, since) = (safe(&pinned.variant), time(pinned.created_at_secs));
    details.push(("override", format!("{variant}{removed}{by}, since {since}")));
    if let Some(at) = pinned.expires_at_secs {
        let ends = if pinned.has_expired {
            "expired"
        } else {
            "expires"
        };
        details.push((ends, time(at)));
    }
    if let Some(reason) = &pinned.reason {
        details.push(("reason", safe(reason)));
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Parts(Vec<Part>);

impl View for Parts {
    fn columns(&self) -> &'static [&'static str] {
        &[
            "experiment",
            "state",
            "variant",
            "reason",
            "assignment",
            "assigned_at_secs",
            "assigned_by_override",
            "override",
            "override_expires_at_secs",
            "exposures",
            "first_exposure_secs",
            "last_exposure_secs",
            "value",
        ]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        let number = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
        for Part {
            explained,
            exposures,
        } in &self.0
        {
            let pinned = explained.pinned.as_ref();
            let value = explained.value.as_ref().map(ToString::to_string);
            let count: u64 = exposures.iter().map(|total| total.exposures).sum();
            tsv.line(&[
                &explained.experiment,
                explained.state.as_str(),
                explained.variant.as_deref().unwrap_or_default(),
                explained.reason.as_str(),
                explained.assignment.as_deref().unwrap_or_default(),
                &number(explained.assigned_at_secs),
                &explained.assigned_by_override.to_string(),
                pinned.map_or("", |pinned| &pinned.variant),
                &number(pinned.and_then(|pinned| pinned.expires_at_secs)),
                &count.to_string(),
                &number(exposures.iter().map(|total| total.first_secs).min()),
                &number(exposures.iter().map(|total| total.last_secs).max()),
                &value.unwrap_or_default(),
            ]);
        }
    }

    fn text(&self, text: &mut Text) {
        for part in &self.0 {
            text.line(part.head());
            for (what, is) in part.details(|secs| text.time(secs)) {
                wrapped(text, &format!("  {what:<9}  "), &is);
            }
        }
    }
}
