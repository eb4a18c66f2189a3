//! One actor.

use experiments::text::escape;
use serde::Serialize;

use super::Assign;
use crate::context::{Context, Purpose};
use crate::exit;
use crate::output::View;
use crate::output::stream::{self, Label};
use crate::output::text::Text;
use crate::output::tsv::Tsv;

pub(super) fn run(command: Assign, context: &Context) -> anyhow::Result<()> {
    let actor = command.actor.clone().unwrap_or_default();
    let (variant, reason) = match (assign(&command, &actor, context), command.default) {
        (Err(error), Some(default)) if !exit::is_usage(&error) => {
            let reason = exit::message(&error);
            // Also with -q, as there is no other sign of it.
            stream::tell_as(
                Label::Warning,
                format_args!("{reason}; the default was used"),
            );
            (default, "default")
        }
        (assigned, _) => {
            let assigned = assigned?;
            (assigned.variant, assigned.reason.as_str())
        }
    };
    context.show(&Assignment {
        experiment: command.name,
        actor,
        variant,
        reason,
    })
}

fn assign(
    command: &Assign,
    actor: &str,
    context: &Context,
) -> anyhow::Result<experiments::Assigned> {
    let mut service = context.service(Purpose::Use)?;
    if !command.no_exposure {
        service = service.with_stored_exposures();
    }
    let decided = service.decide(&command.name, actor, command.request_id.as_deref());
    // The process ends now, and the kernel takes back at once what closing would give back bit by bit.
    std::mem::forget(service);
    Ok(decided?)
}

#[derive(Serialize)]
struct Assignment {
    experiment: String,
    actor: String,
    variant: String,
    reason: &'static str,
}

impl View for Assignment {
    fn tsv(&self, tsv: &mut Tsv) {
        tsv.line(&[&self.actor, &self.variant]);
    }

    fn text(&self, text: &mut Text) {
        text.line(escape(&self.variant));
    }
}
