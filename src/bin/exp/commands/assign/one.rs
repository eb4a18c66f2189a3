//! One actor.

use std::ffi::OsStr;

use experiments::text::escape;
use serde::Serialize;

use super::arguments::Assign;
use crate::context::{Context, Purpose};
use crate::exit::Invalid;
use crate::output::View;
use crate::output::stream::{self, Label};
use crate::output::text::Text;
use crate::output::tsv::Tsv;
use crate::secrets::mask;
use crate::{exit, panics};

pub(super) fn run(command: &Assign, context: &Context) -> anyhow::Result<()> {
    let actor = command.actor.clone().unwrap_or_default();
    let answer = |variant: String, reason| Assignment {
        experiment: command.name.clone(),
        actor: actor.to_string_lossy().into_owned(),
        variant,
        reason,
    };
    let Some(default) = command.default.clone() else {
        let assigned = assign(command, &actor, context)?;
        return context.show(&answer(assigned.variant, assigned.reason.as_str()));
    };
    // Nothing is known of the experiment then: what was typed as its name may be an address.
    let default = context.render(&Assignment {
        experiment: mask(&command.name),
        ..answer(default, "default")
    })?;
    panics::set_default(default.clone());
    match assign(command, &actor, context) {
        Err(error) if !exit::is_usage(&error) => {
            let reason = exit::message(&error);
            // Also with -q, as there is no other sign of it.
            stream::tell_as(
                Label::Warning,
                format_args!("{reason}; the default was used"),
            );
            stream::print(&default)
        }
        assigned => {
            let assigned = assigned?;
            context.show(&answer(assigned.variant, assigned.reason.as_str()))
        }
    }
}

fn assign(
    command: &Assign,
    actor: &OsStr,
    context: &Context,
) -> anyhow::Result<experiments::Assigned> {
    let actor = text(command, "actor", actor)?;
    let request_id = command.request_id.as_deref();
    let request_id = request_id.map(|id| text(command, "request id", id));
    let request_id = request_id.transpose()?;
    let mut service = context.service(Purpose::Use)?;
    if !command.no_exposure {
        service = service.with_stored_exposures();
    }
    let decided = service.decide(&command.name, actor, request_id);
    // The process ends now, and the kernel takes back at once what closing would give back bit by bit.
    std::mem::forget(service);
    Ok(decided?)
}

/// What a store can hold, as it holds text only.
fn text<'a>(command: &Assign, what: &str, word: &'a OsStr) -> Result<&'a str, Invalid> {
    let name = escape(&command.name);
    let refused = || Invalid(format!("experiment '{name}': the {what} is not UTF-8"));
    word.to_str().ok_or_else(refused)
}

#[derive(Serialize)]
struct Assignment {
    experiment: String,
    actor: String,
    variant: String,
    reason: &'static str,
}

impl View for Assignment {
    fn columns(&self) -> &'static [&'static str] {
        &["actor", "variant"]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        tsv.line(&[&self.actor, &self.variant]);
    }

    fn text(&self, text: &mut Text) {
        text.line(escape(&self.variant));
    }
}
