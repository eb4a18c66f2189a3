//! The editor: a program that changes a file of ours while we wait.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::Context as _;
use tempfile::TempDir;

use super::signals::Watch;
use crate::environment;
use crate::exit::{Failed, Hint};

pub(super) struct Editor {
    /// A line of the shell, without the file.
    command: String,
    file_name: String,
}

impl Editor {
    /// The editor for the definition of that experiment.
    pub(super) fn new(experiment: &str) -> Self {
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        let plain = experiment.chars().take(60);
        let plain: String = plain.map(|c| if is_plain(c) { c } else { '_' }).collect();
        Self {
            command: environment::editor(),
            file_name: format!("{plain}.toml"),
        }
    }

    pub(super) fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Has a text edited, and returns what was saved: nothing if the file is gone.
    pub(super) fn edit(&self, text: &str) -> anyhow::Result<Vec<u8>> {
        // What ends the process ends the editor first, and then what is here is dropped from below.
        let watch = Watch::begin()?;
        let directory = directory().context("cannot make a temporary directory")?;
        let path = self.write(directory.path(), text.as_bytes())?;
        let terminal = Terminal::remember();
        let status = self.open(&path, &watch);
        if !status.as_ref().is_ok_and(ExitStatus::success) {
            terminal.restore();
        }
        let saved = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        };
        drop(directory);
        drop(watch);
        let failed = |why: &str| {
            Failed(format!(
                "the editor '{}' {why}; nothing changed",
                self.command
            ))
        };
        match status {
            Err(error) => Err(anyhow::Error::new(error).context(failed("can't be run"))),
            Ok(status) if status.success() => {
                saved.context("cannot read what the editor has saved")
            }
            Ok(status) => Err(match status.code() {
                Some(126 | 127) => failed("can't be run"),
                Some(code) => failed(&format!("failed with exit code {code}")),
                None => failed("was interrupted"),
            }
            .into()),
        }
    }

    /// Keeps a text that came to nothing in a file, and adds to the error where.
    pub(super) fn keep(&self, text: &[u8], error: anyhow::Error) -> anyhow::Error {
        let kept = directory().map_err(anyhow::Error::from);
        let kept = kept.and_then(|directory| {
            let path = self.write(directory.path(), text)?;
            // It is for whoever reads the message to remove.
            let _ = directory.keep();
            Ok(path)
        });
        match kept {
            Ok(path) => {
                let hint = format!("what you wrote is kept in {}", path.display());
                error.context(Hint(hint))
            }
            Err(_) => error,
        }
    }

    fn write(&self, directory: &Path, text: &[u8]) -> anyhow::Result<PathBuf> {
        let path = directory.join(&self.file_name);
        let failed = || format!("cannot write {}", path.display());
        let mut file = create(&path).with_context(failed)?;
        file.write_all(text).with_context(failed)?;
        Ok(path)
    }

    /// As git does: the shell takes the words apart, and the file is one of its own.
    fn open(&self, path: &Path, watch: &Watch) -> io::Result<ExitStatus> {
        // In the place of the shell where it is one command, so that a signal for it reaches it.
        let first = self.command.split_whitespace().next().unwrap_or_default();
        let is_one = !self
            .command
            .contains(['|', '&', ';', '\n', '(', ')', '{', '}']);
        let exec = if is_one && !first.is_empty() && !first.contains('=') {
            "exec "
        } else {
            ""
        };
        let line = format!("{exec}{} \"$@\"", self.command);
        let mut child = Command::new("sh")
            .args(["-c", &line, &self.command])
            .arg(path)
            .spawn()?;
        watch.set_editor(Some(&child));
        let status = child.wait();
        watch.set_editor(None);
        status
    }
}

/// A directory for the file and for whatever an editor puts beside it, for nobody else's eyes.
fn directory() -> io::Result<TempDir> {
    let mut directory = tempfile::Builder::new();
    directory.prefix("exp-edit-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        directory.permissions(fs::Permissions::from_mode(0o700));
    }
    directory.tempdir()
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<File> {
    File::create_new(path)
}

/// How the terminal behaves, if there is one: an editor that is killed leaves it as it needed it.
#[cfg(unix)]
struct Terminal(Option<rustix::termios::Termios>);

#[cfg(unix)]
impl Terminal {
    fn remember() -> Self {
        Self(rustix::termios::tcgetattr(io::stdin()).ok())
    }

    fn restore(&self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Self(Some(before)) = self {
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, before);
        }
    }
}

#[cfg(not(unix))]
struct Terminal;

#[cfg(not(unix))]
impl Terminal {
    fn remember() -> Self {
        Self
    }

    fn restore(&self) {}
}
