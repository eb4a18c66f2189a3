use clap::Args;
use experiments::text::escape;
use serde::Serialize;

use crate::context::{Context, Purpose};
use crate::output::View;
use crate::output::change::Done;
use crate::output::text::{Text, cell};
use crate::output::tsv::Tsv;
use crate::{actor_word, complete};

/// Override the variant of an actor, for QA
///
/// An override bypasses weights and the exclusion group. Clearing it also drops the assignment that
/// it made, so that the actor is bucketed again.
#[derive(Args)]
#[command(
    override_usage = "exp override [OPTIONS] <NAME> <ACTOR> <VARIANT>\n       \
    exp override [OPTIONS] <NAME> <ACTOR> --clear\n       \
    exp override [OPTIONS] <NAME> --list",
    after_help = "Examples:\n  \
    exp override checkout_v2 qa:ann treatment\n  \
    exp override checkout_v2 qa:ann --clear\n  \
    exp override checkout_v2 --list\n\n\
    TSV columns of --list: actor, variant, seconds since 1970"
)]
pub(crate) struct Override {
    /// The experiment's name
    #[arg(add = complete::live_experiments())]
    name: String,

    /// Whose variant it is
    #[arg(required_unless_present = "list",
          value_parser = actor_word::text(), allow_hyphen_values = true,
          add = complete::overridden_actors())]
    actor: Option<String>,

    /// The variant that the actor gets
    #[arg(required_unless_present_any = ["list", "clear"], add = complete::variants())]
    variant: Option<String>,

    /// Take the actor's override back
    #[arg(long, conflicts_with_all = ["variant", "list"])]
    clear: bool,

    /// Show all overrides
    #[arg(long, conflicts_with_all = ["actor", "variant"])]
    list: bool,
}

impl Override {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        match (&self.actor, &self.variant) {
            (Some(actor), Some(variant)) => set(context, &self.name, actor, variant),
            (Some(actor), None) => clear(context, &self.name, actor),
            _ => {
                let service = context.service(Purpose::Use)?;
                context.show(&Overrides(service.overrides(&self.name)?))
            }
        }
    }
}

fn set(context: &Context, name: &str, actor: &str, variant: &str) -> anyhow::Result<()> {
    let service = context.service(Purpose::Change)?;
    let change = service.set_override(name, actor, variant)?;
    context.show(&Done(change.clone()))?;
    let (actor, name, variant) = (escape(actor), escape(name), escape(variant));
    context.say(match change {
        Some(_) => format!("set the override of {actor} in {name}: {variant}"),
        None => format!("{actor} has the override {variant} in {name} already: nothing changed"),
    });
    Ok(())
}

fn clear(context: &Context, name: &str, actor: &str) -> anyhow::Result<()> {
    let change = context
        .service(Purpose::Change)?
        .clear_override(name, actor)?;
    context.show(&Done(change.clone()))?;
    let (actor, name) = (escape(actor), escape(name));
    context.say(match change {
        Some(_) => format!("cleared the override of {actor} in {name}"),
        None => format!("{actor} has no override in {name}: nothing changed"),
    });
    Ok(())
}

#[derive(Serialize)]
#[serde(transparent)]
struct Overrides(Vec<experiments::Override>);

impl View for Overrides {
    fn columns(&self) -> &'static [&'static str] {
        &["actor", "variant", "created_at_secs"]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for set in &self.0 {
            tsv.line(&[&set.actor, &set.variant, &set.created_at_secs.to_string()]);
        }
    }

    fn text(&self, text: &mut Text) {
        if self.0.is_empty() {
            return;
        }
        let row = |set: &experiments::Override| {
            let since = text.time(set.created_at_secs);
            vec![cell(&set.actor), cell(&set.variant), cell(&since)]
        };
        let rows = self.0.iter().map(row).collect();
        text.table(&["ACTOR", "VARIANT", "SINCE"], rows);
    }
}
