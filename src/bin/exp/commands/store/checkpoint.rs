use clap::Args;

use super::changed::Changed;
use crate::context::{Context, Opened, Purpose};
use crate::exit::UsageError;

/// Move what is in the write-ahead log into the store's file
///
/// After that, and until the next change or assignment of anybody, the file alone is the whole store. To
/// copy a store while others use it, exp store backup is better.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp store checkpoint\n\nTSV columns: changed")]
pub(crate) struct Checkpoint {}

impl Checkpoint {
    #[expect(clippy::unused_self, reason = "every command runs by value")]
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let Opened::File(store) = context.open(Purpose::Use)? else {
            let message = "a database has no write-ahead log beside it that exp could move";
            return Err(UsageError(message.to_owned()).into());
        };
        let changed = store.checkpoint()?;
        context.show(&Changed { changed })?;
        context.say(if changed {
            "moved the write-ahead log into the file: it alone is the store"
        } else {
            "the write-ahead log was empty: the file alone is the store"
        });
        Ok(())
    }
}
