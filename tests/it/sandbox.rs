//! A place of its own to run the real `exp` in: an empty home, an empty environment, a fixed clock
//! and a fixed width.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use tempfile::TempDir;

/// The second at which the sandbox's clock stands: 2025-11-24 12:00:00 UTC.
pub(crate) const NOW: u64 = 1_763_985_600;

pub(crate) struct Sandbox {
    home: TempDir,
    /// The address of the store that `EXP_STORE` names, if it does.
    store: Option<String>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            store: None,
        }
    }

    /// The same, with this store in place of the default one.
    pub(crate) fn on_store(store: &str) -> Self {
        Self {
            store: Some(store.to_owned()),
            ..Self::new()
        }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where `exp` keeps its store unless it is told otherwise.
    pub(crate) fn default_store(&self) -> PathBuf {
        self.home().join(".local/state/exp/experiments.db")
    }

    /// `exp` with these arguments.
    pub(crate) fn exp(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_exp"));
        command.args(arguments);
        command
    }

    /// Runs a line of bash.
    pub(crate) fn bash(&self, line: &str) -> Output {
        self.command("bash").args(["-c", line]).output().unwrap()
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_exp"));
        let directory = binary.parent().unwrap().display();
        let mut command = Command::new(program);
        command
            .current_dir(self.home())
            .env_clear()
            .env("PATH", format!("{directory}:/usr/local/bin:/usr/bin:/bin"))
            .env("HOME", self.home())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("COLUMNS", "80")
            .env("EXP_NOW", NOW.to_string())
            .env("EXP_BY", "ann");
        if let Some(store) = &self.store {
            command.env("EXP_STORE", store);
        }
        command
    }

    /// `text` without what is different in every sandbox.
    pub(crate) fn neutral(&self, text: &str) -> String {
        let text = text.replace(&*self.home().to_string_lossy(), "[HOME]");
        match &self.store {
            Some(store) => {
                let (_, socket) = store.split_once("host=").unwrap();
                text.replace(store, "[STORE]").replace(socket, "[SOCKET]")
            }
            None => text,
        }
    }
}

/// All that it tells on standard error, which is a pipe.
pub(crate) fn told(child: &mut Child) -> String {
    let mut told = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    told
}

/// How often to try what may go wrong at any moment: a few times, or as often as `EXP_TEST_ROUNDS` says.
pub(crate) fn rounds(few: usize) -> usize {
    #[expect(
        clippy::disallowed_methods,
        reason = "the long run is asked for this way"
    )]
    let asked = std::env::var("EXP_TEST_ROUNDS").ok();
    asked.map_or(few, |asked| asked.parse().unwrap())
}
