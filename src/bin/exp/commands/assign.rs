use clap::Args;
use experiments::text::escape;
use serde::Serialize;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::exit;
use crate::output::View;
use crate::output::text::Text;
use crate::output::tsv::Tsv;

/// Print an actor's variant, and nothing else
///
/// The first call assigns the actor; every later one gives the same variant. Each call is recorded
/// as an exposure.
#[derive(Args)]
#[command(
    after_help = "Example, in a script that must go on whatever happens:\n  \
    variant=$(exp assign checkout_v2 \"user:$id\" --default control)\n\n\
    TSV columns: actor, variant"
)]
pub(crate) struct Assign {
    /// The experiment's name
    #[arg(add = complete::experiments())]
    name: String,

    /// Who is to be assigned, for example user:42
    actor: String,

    /// The request it happens in, for the exposure
    #[arg(long, value_name = "ID", conflicts_with = "no_exposure")]
    request_id: Option<String>,

    /// Record no exposure
    #[arg(long)]
    no_exposure: bool,

    /// Print this and succeed, whatever fails; the reason goes to standard error
    #[arg(long, value_name = "VARIANT")]
    default: Option<String>,
}

impl Assign {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let assignment = match (self.assign(context), self.default) {
            (Err(error), Some(default)) if !exit::is_usage(&error) => {
                let reason = exit::message(&error);
                context.warn(format_args!("{reason}; the default was used"));
                Assignment {
                    variant: default,
                    reason: "default",
                    experiment: self.name,
                    actor: self.actor,
                }
            }
            (assigned, _) => {
                let assigned = assigned?;
                Assignment {
                    variant: assigned.variant,
                    reason: assigned.reason.as_str(),
                    experiment: self.name,
                    actor: self.actor,
                }
            }
        };
        context.show(&assignment)
    }

    fn assign(&self, context: &Context) -> anyhow::Result<experiments::Assigned> {
        let mut service = context.service(Purpose::Use)?;
        if !self.no_exposure {
            service = service.with_stored_exposures();
        }
        Ok(service.decide(&self.name, &self.actor, self.request_id.as_deref())?)
    }
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
