mod arguments;
pub(super) mod input;
mod interruption;
pub(super) mod lines;
mod many;
pub(super) mod one;
mod progress;
mod repeated;
mod summary;
mod value;

pub(crate) use self::arguments::Assign;
use crate::context::Context;

impl Assign {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        match &self.actors {
            Some(file) => many::run(&self, file, context),
            None => one::run(&self, context),
        }
    }
}
