//! A PgBouncer for the tests, in front of a server of theirs; gone with the process that started it.

#![allow(
    dead_code,
    reason = "the tests and the benchmarks each use a part of it"
)]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::server::{self, Server};

/// Runs the pooler of the configuration `$1` until its standard input ends.
const SCRIPT: &str = r#"
set -eu
trap '' INT TERM HUP
pgbouncer --quiet "$1/pgbouncer.ini" 2> "$1/log" &
pid=$!
disown
trap 'kill -KILL "$pid" 2> /dev/null || true; rm -rf "$1"' EXIT
until [ -S "$1/.s.PGSQL.6432" ]; do
    kill -0 "$pid" || { cat "$1/log" >&2; exit 1; }
    sleep 0.02
done
echo ready
read -r _ || true
"#;

/// How a pooler is set up.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// PgBouncer's `pool_mode`.
    pub(crate) mode: &'static str,
    /// Whether it passes over `options` in what a client begins with.
    pub(crate) passes_over_options: bool,
}

pub(crate) const SESSION: Setup = Setup {
    mode: "session",
    passes_over_options: false,
};
pub(crate) const TRANSACTION: Setup = Setup {
    mode: "transaction",
    passes_over_options: false,
};

pub(crate) struct Pooler {
    directory: PathBuf,
    _keeper: Child,
}

impl Pooler {
    /// One in front of that server.
    pub(crate) fn start(server: &Server, setup: Setup) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("exp-pgbouncer-")
            .tempdir_in("/tmp")
            .unwrap()
            .keep();
        // In session mode every client keeps a connection to the server.
        let size = if setup.mode == "session" { 40 } else { 6 };
        let ignored = if setup.passes_over_options {
            "ignore_startup_parameters = options"
        } else {
            ""
        };
        let configuration = format!(
            "[databases]\n* = host={server} user=admin\n[pgbouncer]\nlisten_port = 6432\n\
             unix_socket_dir = {directory}\nauth_type = any\npool_mode = {mode}\n\
             default_pool_size = {size}\nmax_client_conn = 1000\nserver_idle_timeout = 2\n\
             autodb_idle_timeout = 2\n{ignored}\n",
            server = server.directory().display(),
            directory = directory.display(),
            mode = setup.mode,
        );
        std::fs::write(directory.join("pgbouncer.ini"), configuration).unwrap();
        let mut keeper = server::unprivileged("bash", &directory)
            .args(["-c", SCRIPT, "bash"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut answers = BufReader::new(keeper.stdout.take().unwrap());
        answers.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "pgbouncer did not start");
        Self {
            directory,
            _keeper: keeper,
        }
    }

    /// The address of a database of the server by way of this.
    pub(crate) fn url(&self, url: &str) -> String {
        let (base, _) = url.split_once("?host=").unwrap();
        format!("{base}?host={}&port=6432", self.directory.display())
    }
}

/// Whether there is one to start.
pub(crate) fn is_there() -> bool {
    let found = Command::new("pgbouncer").arg("--version").output();
    found.is_ok_and(|output| output.status.success())
}

/// The pooler that the tests share, one a mode.
pub(crate) fn shared(setup: Setup) -> &'static Pooler {
    static POOLERS: [OnceLock<Pooler>; 2] = [const { OnceLock::new() }; 2];
    POOLERS[usize::from(setup.mode == "transaction")]
        .get_or_init(|| Pooler::start(server::shared(), setup))
}
