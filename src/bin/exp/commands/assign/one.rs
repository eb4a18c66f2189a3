//! One actor.

use std::ffi::OsStr;

use experiments::text::escape;
use experiments::{Assigned, AssignmentReason, ErrorKind, ExperimentError, ExperimentState};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::arguments::Assign;
use super::value;
use crate::context::{Context, Purpose};
use crate::exit::{Hint, Invalid};
use crate::options::Format;
use crate::output::View;
use crate::output::stream::{self, Label};
use crate::output::text::Text;
use crate::output::tsv::Tsv;
use crate::secrets::mask;
use crate::{exit, panics};

pub(super) fn run(command: &Assign, context: &Context) -> anyhow::Result<()> {
    let actor = command.actor.clone().unwrap_or_default();
    let Some(default) = command.default.clone() else {
        return match assign(command, &actor, context) {
            Ok(assigned) => answer(command, &actor, assigned)?.print(context),
            Err(error) => {
                if let Some(refusal) = refusal(command, &actor, &error)
                    && context.format() == Format::Json
                {
                    context.show(&refusal)?;
                }
                Err(explained(command, &actor, error))
            }
        };
    };
    let default = Answer {
        // Nothing is known of the experiment then: what was typed as its name may be an address.
        experiment: mask(&command.name),
        actor: actor.to_string_lossy().into_owned(),
        variant: (!command.value).then(|| default.clone()),
        value: command.value.then(|| default.clone().into()),
        reason: Reason::Default,
        preview: command.preview,
        shown: default,
        is_value: command.value,
    };
    panics::set_default(context.render(&default)?);
    match assign(command, &actor, context) {
        Err(error) if !exit::is_usage(&error) => {
            let reason = exit::message(&error);
            // Also with -q, as there is no other sign of it.
            stream::tell_as(
                Label::Warning,
                format_args!("{reason}; the default was used"),
            );
            default.print(context)
        }
        assigned => answer(command, &actor, assigned?)?.print(context),
    }
}

fn assign(command: &Assign, actor: &OsStr, context: &Context) -> anyhow::Result<Assigned> {
    let actor = text(command, "actor", actor)?;
    let request_id = command.request_id.as_deref();
    let request_id = request_id.map(|id| text(command, "request id", id));
    let request_id = request_id.transpose()?;
    let assigned = if command.preview {
        preview(command, actor, context)?
    } else {
        let mut service = context.service(Purpose::Use)?;
        if !command.no_exposure {
            service = service.with_stored_exposures();
        }
        if command.value {
            value::require(&service.status(&command.name)?)?;
        }
        let decided = service.decide(&command.name, actor, request_id);
        // The process ends now, and the kernel takes back at once what closing would give back bit by bit.
        std::mem::forget(service);
        decided?
    };
    // Somebody may have taken it away since it was there.
    if command.value && assigned.value.is_none() {
        return Err(value::missing(&command.name, &assigned.variant));
    }
    Ok(assigned)
}

fn preview(command: &Assign, actor: &str, context: &Context) -> anyhow::Result<Assigned> {
    let service = context.service(Purpose::Look)?;
    let config = service.status(&command.name)?;
    if command.value {
        value::require(&config)?;
    }
    let assigned = service.preview(&command.name, actor)?;
    let name = escape(&config.name);
    context.say(match config.state {
        ExperimentState::Draft => format!("preview: {name} is a draft; nothing was stored"),
        ExperimentState::Paused => format!("preview: {name} is paused; nothing was stored"),
        ExperimentState::Running | ExperimentState::Concluded | ExperimentState::Archived => {
            "preview: nothing was stored".to_owned()
        }
    });
    Ok(assigned)
}

fn answer(command: &Assign, actor: &OsStr, assigned: Assigned) -> anyhow::Result<Answer> {
    let shown = match &assigned.value {
        Some(value) if command.value => value::text(value)?,
        _ => assigned.variant.clone(),
    };
    Ok(Answer {
        experiment: command.name.clone(),
        actor: actor.to_string_lossy().into_owned(),
        variant: Some(assigned.variant),
        value: assigned.value,
        reason: Reason::Rule(assigned.reason),
        preview: command.preview,
        shown,
        is_value: command.value,
    })
}

/// A refusal that concerns this actor only, as a list of actors has it in its place.
fn refusal(command: &Assign, actor: &OsStr, error: &anyhow::Error) -> Option<Answer> {
    let reason = error.downcast_ref::<ExperimentError>()?.reason()?;
    (!reason.concerns_everyone()).then(|| Answer {
        experiment: command.name.clone(),
        actor: actor.to_string_lossy().into_owned(),
        variant: None,
        value: None,
        reason: Reason::Rule(reason),
        preview: command.preview,
        shown: String::new(),
        is_value: command.value,
    })
}

/// Says which command explains it, if it concerns this actor only.
fn explained(command: &Assign, actor: &OsStr, error: anyhow::Error) -> anyhow::Error {
    let known = error.downcast_ref::<ExperimentError>();
    let what = match known.map(ExperimentError::kind) {
        Some(ErrorKind::ExcludedByGroup) => "names the other experiment",
        Some(ErrorKind::NotEnrolled(_)) => "shows why",
        _ => return error,
    };
    let words = exit::positionals(&[&command.name, &actor.to_string_lossy()]);
    error.context(Hint(format!("exp explain {words} {what}")))
}

/// What a store can hold, as it holds text only.
fn text<'a>(command: &Assign, what: &str, word: &'a OsStr) -> Result<&'a str, Invalid> {
    let name = escape(&command.name);
    let refused = || Invalid(format!("experiment '{name}': the {what} is not UTF-8"));
    word.to_str().ok_or_else(refused)
}

/// Why it is this variant.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// Nothing was decided: it is what --default says.
    Default,
    #[serde(untagged)]
    Rule(AssignmentReason),
}

#[derive(Serialize, JsonSchema)]
pub(in crate::commands) struct Answer {
    /// The experiment's name.
    experiment: String,
    /// Who asked.
    actor: String,
    /// The variant that the actor gets, or what --default says; null if there is neither.
    variant: Option<String>,
    /// What the variant stands for; left out if it stands for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    /// Why the actor gets it.
    reason: Reason,
    /// Whether it is only what the actor would get, and nothing was recorded; left out if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    preview: bool,
    /// The variant's name, or its value.
    #[serde(skip)]
    shown: String,
    #[serde(skip)]
    is_value: bool,
}

impl Answer {
    fn print(&self, context: &Context) -> anyhow::Result<()> {
        if self.is_value && context.format() == Format::Text {
            return stream::print_as_it_is(&format!("{}\n", self.shown));
        }
        context.show(self)
    }
}

impl View for Answer {
    fn columns(&self) -> &'static [&'static str] {
        if self.is_value {
            &["actor", "value"]
        } else {
            &["actor", "variant"]
        }
    }

    fn tsv(&self, tsv: &mut Tsv) {
        tsv.line(&[&self.actor, &self.shown]);
    }

    fn text(&self, text: &mut Text) {
        text.line(escape(&self.shown));
    }
}
