use clap::Args;
use experiments::ExperimentState;
use experiments::text::escape;

use super::dependence;
use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;

/// Rename a draft that was never used
///
/// It is refused in the same cases as exp delete, and in the database of an application, which knows
/// the experiment by its name. The history goes with it. Change the name in your files too: a file that
/// declares the old name creates that experiment again.
#[derive(Args)]
#[command(
    visible_alias = "mv",
    after_help = "Examples:\n  exp rename chekout_v2 checkout_v2"
)]
pub(crate) struct Rename {
    /// The experiment's name
    #[arg(add = complete::experiments_in(&[ExperimentState::Draft]))]
    old: String,

    /// Its new name
    new: String,
}

impl Rename {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Change)?;
        let to = self.new.trim();
        let change = service.rename(&self.old, to)?;
        context.show(&Done::new(change.clone()))?;
        let (old, new) = (escape(&self.old), escape(to));
        if change.is_none() {
            context.say(format_args!("{old} has this name already: nothing changed"));
            return Ok(());
        }
        context.say(format_args!("renamed {old} to {new}"));
        let config = service.status(to)?;
        if config.salt.is_none() {
            context.say(format_args!(
                "{new} has no salt, so its name is hashed: actors get other buckets than {old} \
                 would have given them"
            ));
            dependence::warn(&config, &service, context)?;
        }
        Ok(())
    }
}
