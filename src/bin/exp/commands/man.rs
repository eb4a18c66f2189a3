use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};
use experiments::text::escape;

use crate::complete;
use crate::exit::{Hint, Invalid, UsageError};
use crate::output::{man, stream};

/// Print a manual page, or write them all
#[derive(Args)]
#[command(after_help = "\
Examples:
  exp man assign | man -l -
  exp man store copy | man -l -
  exp man --out ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The command the page is about, as store or store copy; exp itself if none is named
    #[arg(value_name = "COMMAND", add = complete::commands("command", |_| true))]
    command: Vec<String>,

    /// Write the pages of exp and of all its commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command",
          value_hint = clap::ValueHint::DirPath)]
    out: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, exp: Command) -> anyhow::Result<()> {
        let mut exp = exp.disable_help_subcommand(true);
        exp.build();
        if let Some(directory) = self.out {
            if directory.symlink_metadata().is_ok() && !directory.is_dir() {
                let file = directory.to_string_lossy();
                let message = format!("{} already exists and is not a directory", escape(&file));
                let hint = "name a directory, which is made if it is not there".to_owned();
                return Err(anyhow::Error::new(Invalid(message)).context(Hint(hint)));
            }
            let failed = || format!("cannot write manual pages to {}", directory.display());
            fs::create_dir_all(&directory).with_context(failed)?;
            let mut commands = vec![&exp];
            while let Some(command) = commands.pop() {
                let path = directory.join(man::file_name(command));
                fs::write(path, man::page(command)?).with_context(failed)?;
                commands.extend(command.get_subcommands());
            }
            return Ok(());
        }
        let mut subject = &exp;
        for (index, name) in self.command.iter().enumerate() {
            subject = subject.find_subcommand(name).ok_or_else(|| {
                UsageError(format!(
                    "exp has no command '{}'",
                    self.command[..=index].join(" ")
                ))
            })?;
        }
        stream::print(&man::page(subject)?)
    }
}
