use clap::Args;
use serde::Serialize;

use crate::context::{Context, Opened, Purpose};
use crate::exit::Found;
use crate::output::View;
use crate::output::text::{Text, safe};
use crate::output::tsv::Tsv;

/// Verify that the store is whole and that what it holds can be true
///
/// It reads all of it: the file's own structure; that every assignment is of a variant that is
/// there and of an experiment that is there, that no draft has any, that no actor was assigned in
/// two experiments of a group; and every experiment's configuration. What is wrong is printed, one
/// line each, and the exit status is 9.
#[derive(Args)]
pub(crate) struct Check {}

impl Check {
    #[expect(clippy::unused_self, reason = "every command runs by value")]
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let found = match context.open(Purpose::Use)? {
            Opened::File(store) => store.check()?,
            Opened::Database(store) => store.check()?,
        };
        let is_sound = found.is_empty();
        context.show(&Shown(found))?;
        if is_sound {
            context.say("nothing wrong was found");
            return Ok(());
        }
        Err(Found.into())
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(Vec<String>);

impl View for Shown {
    fn tsv(&self, tsv: &mut Tsv) {
        for line in &self.0 {
            tsv.line(&[line]);
        }
    }

    fn text(&self, text: &mut Text) {
        for line in &self.0 {
            text.line(safe(line));
        }
    }
}
