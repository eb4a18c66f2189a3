use clap::Args;
use experiments::text::escape;
use experiments::{ChangeSide, ExperimentService, VariantConfig};

use super::pinned;
use super::weight::{TypedWeight, parse_variant, parse_weights};
use crate::complete;
use crate::context::{Context, Purpose};
use crate::exit::quote;
use crate::output::change::Done;

/// Change the variants and their weights
///
/// The given list replaces the current one. Nobody who is assigned is moved. A variant
/// that is left out is removed, which is refused while it has assignments; weight 0 keeps it and
/// assigns nobody new to it. With --keep, variants that are left out stay as they are.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp set-weights checkout_v2 control=10,treatment=90\n  \
    exp set-weights checkout_v2 treatment=0 --keep")]
pub(crate) struct SetWeights {
    /// The experiment's name
    #[arg(add = complete::unfinished_experiments())]
    name: String,

    /// Variants and their weights; a comma separates two in one word
    #[arg(value_name = "VARIANT=WEIGHT", value_parser = parse_weights,
          required_unless_present = "named", conflicts_with = "named", add = complete::weights())]
    listed: Vec<Vec<TypedWeight>>,

    /// The same, where the name of a variant may hold a comma; repeat for each
    #[arg(long = "variant", id = "named", value_name = "VARIANT=WEIGHT",
          value_parser = parse_variant, add = complete::weights())]
    named: Vec<Vec<TypedWeight>>,

    /// Leave the variants that are not given as they are
    #[arg(long)]
    keep: bool,
}

impl SetWeights {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Change)?;
        let known = service.status(&self.name)?;
        let given = self.listed.into_iter().chain(self.named).flatten();
        let given: anyhow::Result<Vec<VariantConfig>> =
            given.map(|typed| typed.of(&known)).collect();
        let given = given?;
        let change = if self.keep {
            service.set_some_weights(&self.name, &given)?
        } else {
            service.set_weights(&self.name, given, None)?
        };
        context.show(&Done::new(change.clone()))?;
        let name = escape(&self.name);
        let Some(change) = change else {
            context.say(format_args!(
                "{name} has these weights already: nothing changed"
            ));
            return Ok(());
        };
        let list = |side: &ChangeSide| side.variants.clone().unwrap_or_default();
        let detail = change.detail.unwrap_or_default();
        let (before, after) = (list(&detail.before), list(&detail.after));
        let weights: Vec<_> = after
            .iter()
            .map(|variant| format!("{}={}", escape(&quote(&variant.name)), variant.weight))
            .collect();
        context.say(format_args!(
            "set the weights of {name}: {}",
            weights.join(" ")
        ));
        let added: Vec<_> = pinned::without(&after, &before).collect();
        for added in &added {
            context.say(format_args!("added {}", escape(&quote(&added.name))));
        }
        let removed: Vec<_> = pinned::without(&before, &after).collect();
        for removed in &removed {
            context.say(format_args!(
                "removed {}, which had no assignments",
                escape(&quote(&removed.name))
            ));
        }
        if !removed.is_empty() || !added.is_empty() {
            let overrides = service.overrides(&self.name)?;
            context.warn_of_each(&pinned::warnings(&self.name, &before, &after, &overrides)?);
        }
        if let Some(order) = new_order(&before, &after).filter(|_| known.state.is_under_way()) {
            context.warn(format_args!(
                "the order of the variants is {order} now: newcomers would get a different variant than in the old order"
            ));
        }
        if !context.is_quiet() {
            tell_who_stays(&self.name, &after, &service, context)?;
        }
        Ok(())
    }
}

/// The variants in their new order, if those of before that newcomers get are in another one.
fn new_order(before: &[VariantConfig], after: &[VariantConfig]) -> Option<String> {
    let given: Vec<&str> = after
        .iter()
        .filter(|new| new.weight > 0)
        .map(|new| &*new.name)
        .collect();
    let old: Vec<&str> = before
        .iter()
        .map(|old| &*old.name)
        .filter(|old| given.contains(old))
        .collect();
    let kept = given.iter().filter(|new| old.contains(new));
    let names = after
        .iter()
        .map(|new| escape(&quote(&new.name)).into_owned());
    (!old.iter().eq(kept)).then(|| names.collect::<Vec<_>>().join(", "))
}

/// Says how many are assigned, as one who raises a weight may think that some of them move.
fn tell_who_stays(
    name: &str,
    now: &[VariantConfig],
    service: &ExperimentService,
    context: &Context,
) -> anyhow::Result<()> {
    let variants = service.summary(name)?.variants;
    let stay: u64 = variants.iter().map(|v| v.assigned + v.overridden).sum();
    let who = match stay {
        0 => return Ok(()),
        1 => "1 actor is assigned and stays".to_owned(),
        stay => format!("{stay} actors are assigned and stay"),
    };
    let is_ramp = now.iter().any(|variant| variant.weight > 0);
    let advice = if is_ramp {
        ": a ramp by weights moves nobody (see docs/recipes.md)"
    } else {
        ""
    };
    context.say(format_args!("{who}{advice}"));
    Ok(())
}
