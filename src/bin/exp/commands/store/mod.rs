//! `exp store`: what concerns the store as a whole.

pub(super) mod backup;
pub(super) mod changed;
pub(super) mod check;
mod checkpoint;
pub(super) mod copy;
mod figures;
mod in_use;
mod info;
mod migrate;
pub(super) mod restore;

use clap::{Args, Subcommand};

use crate::context::Context;

/// Look after the store itself
#[derive(Args)]
pub(crate) struct Store {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Info(info::Info),
    Check(check::Check),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Checkpoint(checkpoint::Checkpoint),
    Copy(copy::Copy),
    Migrate(migrate::Migrate),
}

impl Store {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        match self.command {
            Command::Info(command) => command.run(context),
            Command::Check(command) => command.run(context),
            Command::Backup(command) => command.run(context),
            Command::Restore(command) => command.run(context),
            Command::Checkpoint(command) => command.run(context),
            Command::Copy(command) => command.run(context),
            Command::Migrate(command) => command.run(context),
        }
    }
}
