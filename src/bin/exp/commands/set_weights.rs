use clap::Args;
use experiments::VariantConfig;
use experiments::text::escape;

use super::weight::{parse_weight, parse_weights};
use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;

/// Change the variants and their weights
///
/// The list that is given replaces the one that is there. Nobody who is assigned is moved. A variant
/// that is left out is removed, which is refused while it has assignments; weight 0 keeps it and
/// assigns nobody new to it.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp set-weights checkout_v2 control=10,treatment=90")]
pub(crate) struct SetWeights {
    /// Its name
    #[arg(add = complete::unfinished_experiments())]
    name: String,

    /// Variants and their weights; a comma separates two in one word
    #[arg(value_name = "VARIANT=WEIGHT", value_parser = parse_weights,
          required_unless_present = "named", add = complete::weights())]
    listed: Vec<Vec<VariantConfig>>,

    /// One variant and its weight, taken as it is, commas and all; repeat for each
    #[arg(long = "variant", id = "named", value_name = "VARIANT=WEIGHT", value_parser = parse_weight,
          add = complete::weights())]
    named: Vec<VariantConfig>,
}

impl SetWeights {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let variants: Vec<_> = self
            .listed
            .into_iter()
            .flatten()
            .chain(self.named)
            .collect();
        let service = context.service(Purpose::Change)?;
        let change = service.set_weights(&self.name, variants.clone(), None)?;
        context.show(&Done::new(change.clone()))?;
        if change.is_none() {
            let name = escape(&self.name);
            context.say(format_args!(
                "{name} has these weights already: nothing changed"
            ));
            return Ok(());
        }
        let weights: Vec<_> = variants
            .iter()
            .map(|variant| format!("{}={}", escape(&variant.name), variant.weight))
            .collect();
        context.say(format_args!(
            "set the weights of {}: {}",
            escape(&self.name),
            weights.join(" ")
        ));
        Ok(())
    }
}
