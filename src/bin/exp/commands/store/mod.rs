//! `exp store`: what concerns the store as a whole.

pub(super) mod backup;
pub(super) mod check;
mod copy;
mod figures;
mod info;
pub(super) mod migrate;

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
    Copy(copy::Copy),
    Migrate(migrate::Migrate),
}

impl Store {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        match self.command {
            Command::Info(command) => command.run(context),
            Command::Check(command) => command.run(context),
            Command::Backup(command) => command.run(context),
            Command::Copy(command) => command.run(context),
            Command::Migrate(command) => command.run(context),
        }
    }
}
