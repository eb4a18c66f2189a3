use clap::Args;
use experiments::text::escape;

use super::dependence;
use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;

/// Give a draft that was never used another name
///
/// It is refused as exp delete is, and in the database of an application, which knows the experiment
/// by its name. The history goes with it. A file that declares the old name would create it anew.
#[derive(Args)]
#[command(
    visible_alias = "mv",
    after_help = "Example:\n  exp rename chekout_v2 checkout_v2"
)]
pub(crate) struct Rename {
    /// Its name
    #[arg(add = complete::experiments())]
    old: String,

    /// Its next name
    new: String,
}

impl Rename {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Change)?;
        let change = service.rename(&self.old, &self.new)?;
        context.show(&Done(change.clone()))?;
        let (old, new) = (escape(&self.old), escape(&self.new));
        if change.is_none() {
            context.say(format_args!("{old} has this name already: nothing changed"));
            return Ok(());
        }
        context.say(format_args!("renamed {old} to {new}"));
        let config = service.status(&self.new)?;
        if config.salt.is_none() {
            context.say(format_args!(
                "{new} has no salt, so that its name is hashed: actors get other buckets than {old} \
                 would have given them"
            ));
            dependence::warn(&config, &service, context)?;
        }
        Ok(())
    }
}
