use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use crate::cli::Cli;
use crate::context::{self, Context};
use crate::exit::UsageError;

/// Print a manual page, or write them all
#[derive(Args)]
#[command(after_help = "Read one at once:\n  exp man assign | man -l -")]
pub(crate) struct Man {
    /// The command the page is about; exp itself if none is named
    #[arg(value_name = "COMMAND")]
    command: Option<String>,

    /// Write the pages of exp and of all its commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command",
          value_hint = clap::ValueHint::DirPath)]
    out: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, _context: &Context) -> anyhow::Result<()> {
        let mut exp = Cli::command();
        exp.build();
        if let Some(directory) = self.out {
            let written = fs::create_dir_all(&directory)
                .and_then(|()| clap_mangen::generate_to(exp, &directory));
            return written
                .with_context(|| format!("cannot write manual pages to {}", directory.display()));
        }
        let subject = match &self.command {
            None => exp,
            Some(name) => exp
                .find_subcommand(name)
                .cloned()
                .ok_or_else(|| UsageError(format!("exp has no command '{name}'")))?,
        };
        let mut page = Vec::new();
        clap_mangen::Man::new(subject).render(&mut page)?;
        context::print(&String::from_utf8(page)?)
    }
}
