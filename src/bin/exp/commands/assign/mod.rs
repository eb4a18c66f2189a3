mod arguments;
pub(super) mod input;
pub(super) mod many;
pub(super) mod one;
mod repeated;
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
