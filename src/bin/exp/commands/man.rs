use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};

use crate::exit::UsageError;
use crate::output::stream;

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
    pub(crate) fn run(self, exp: Command) -> anyhow::Result<()> {
        let mut exp = exp.disable_help_subcommand(true);
        exp.build();
        if let Some(directory) = self.out {
            let failed = || format!("cannot write manual pages to {}", directory.display());
            fs::create_dir_all(&directory).with_context(failed)?;
            for subject in std::iter::once(&exp).chain(exp.get_subcommands()) {
                let page = page(subject);
                let path = directory.join(page.get_filename());
                fs::write(path, rendered(&page)?).with_context(failed)?;
            }
            return Ok(());
        }
        let subject = match &self.command {
            None => &exp,
            Some(name) => exp
                .find_subcommand(name)
                .ok_or_else(|| UsageError(format!("exp has no command '{name}'")))?,
        };
        stream::print(&String::from_utf8(rendered(&page(subject))?)?)
    }
}

fn page(subject: &Command) -> clap_mangen::Man {
    let source = concat!("exp ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(subject.clone()).source(source)
}

fn rendered(page: &clap_mangen::Man) -> io::Result<Vec<u8>> {
    let mut roff = Vec::new();
    page.render(&mut roff)?;
    Ok(roff)
}
