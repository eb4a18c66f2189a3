//! A real Postgres server for the tests: started from the system's programs in a directory of its
//! own, on a Unix socket, once for the whole run; gone with the process that started it, however that
//! ends.

#![allow(
    dead_code,
    reason = "the tests and the benchmarks each use a part of it"
)]

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use experiments::PgOptions;
use postgres::{Client, NoTls};

/// Makes a cluster in the directory `$1` with the programs in `$2`, says `ready`, and removes it when
/// its standard input ends, or when something fails. On a line `stop` it kills the server, on a line
/// `start` it starts it again, on a line `replica` it starts another one that follows it. A signal to
/// all of a run's processes ends the tests, and with them the standard input.
const SCRIPT: &str = r#"
set -eu
trap '' INT TERM HUP
directory=$1 bin=$2 settings=$3
data=$directory/data
replica=$directory/replica
stop() { "$bin/pg_ctl" stop --pgdata="$1" --mode=immediate > /dev/null; }
trap 'stop "$data" 2> /dev/null || true; stop "$replica/data" 2> /dev/null || true; rm -rf "$directory"' EXIT
"$bin/initdb" --pgdata="$data" --auth=trust --username=admin --encoding=UTF8 --no-locale --no-sync > /dev/null
{
    echo "local all guarded scram-sha-256"
    echo "local all all trust"
    echo "local replication all trust"
    echo "hostssl all all all trust"
} > "$data/pg_hba.conf"
if [ -e "$directory/server.key" ]; then
    install -m 600 "$directory/server.key" "$directory/server.crt" "$data"
fi
start() {
    "$bin/pg_ctl" start --pgdata="$1/data" --wait --timeout=300 --log="$directory/log" --options="-k $1 -c listen_addresses= -c max_connections=400 -c shared_buffers=64MB $settings" > /dev/null ||
        { cat "$directory/log" >&2; exit 1; }
    echo ready
}
start "$directory"
while read -r order; do
    case $order in
        stop) stop "$data"; echo ready ;;
        start) start "$directory" ;;
        replica)
            mkdir "$replica"
            "$bin/pg_basebackup" --pgdata="$replica/data" --write-recovery-conf --host="$directory" --username=admin --checkpoint=fast --no-sync
            start "$replica"
            ;;
    esac
done
"#;

/// The user that a server runs as when the tests run as root, whom it refuses.
const UNPRIVILEGED: &str = "postgres";

pub(crate) struct Server {
    directory: PathBuf,
    orders: ChildStdin,
    answers: BufReader<std::process::ChildStdout>,
    _keeper: Child,
}

impl Server {
    /// A server of one's own, to be treated badly.
    pub(crate) fn start() -> Self {
        Self::start_with("-c fsync=off", |_| {})
    }

    /// The same with these settings, and with what `prepare` puts into its directory. Files called
    /// `server.crt` and `server.key` are its certificate and its key.
    pub(crate) fn start_with(settings: &str, prepare: impl FnOnce(&Path)) -> Self {
        let programs = programs().expect("no Postgres server programs on this machine");
        let directory = tempfile::Builder::new()
            .prefix("exp-pg-")
            .tempdir_in("/tmp")
            .unwrap()
            .keep();
        prepare(&directory);
        let mut keeper = unprivileged("bash", &directory)
            .args(["-c", SCRIPT, "bash"])
            .args([&directory, &programs])
            .arg(settings)
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Self {
            directory,
            orders: keeper.stdin.take().unwrap(),
            answers: BufReader::new(keeper.stdout.take().unwrap()),
            _keeper: keeper,
        };
        server.await_ready();
        server
    }

    fn await_ready(&mut self) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
    }

    /// Kills the server and starts it again.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Kills the server.
    pub(crate) fn stop(&mut self) {
        self.order("stop");
    }

    pub(crate) fn start_again(&mut self) {
        self.order("start");
    }

    /// The address of a database on a replica, as it is at this moment.
    pub(crate) fn replica(&mut self, url: &str) -> String {
        self.order("replica");
        format!("{url}/replica")
    }

    fn order(&mut self, order: &str) {
        use std::io::Write as _;
        writeln!(self.orders, "{order}").unwrap();
        self.await_ready();
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The address of a new, empty database.
    pub(crate) fn database(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let administration = self.url("postgres");
        let created = client(&administration).batch_execute(&format!("CREATE DATABASE {name}"));
        created.unwrap();
        let url = self.url(&name);
        MADE.with_borrow_mut(|made| made.0.push((administration, name)));
        url
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!(
            "postgres://admin@/{database}?host={}",
            self.directory.display()
        )
    }
}

/// The databases that this thread has made, and with it a test. They go when it ends: all of them would be gigabytes.
#[derive(Default)]
struct Made(Vec<(String, String)>);

thread_local! {
    static MADE: RefCell<Made> = RefCell::default();
}

impl Drop for Made {
    fn drop(&mut self) {
        for (administration, name) in &self.0 {
            // A server of the test's own may be gone.
            if let Ok(mut client) = Client::connect(administration, NoTls) {
                let _ = client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
            }
        }
    }
}

/// A program that refuses root, to be run by somebody else, who owns the directory and what is in it.
pub(crate) fn unprivileged(program: &str, directory: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let owned = Command::new("chown")
        .args(["--recursive", UNPRIVILEGED])
        .arg(directory)
        .status();
    assert!(owned.unwrap().success());
    let mut command = Command::new("setpriv");
    command.args(["--reuid", UNPRIVILEGED, "--regid", UNPRIVILEGED]);
    command.args(["--init-groups", program]);
    command
}

/// The server that the tests share.
pub(crate) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// A plain connection, as another program has it.
pub(crate) fn client(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}

pub(crate) fn options(url: &str) -> PgOptions {
    PgOptions::parse(url).unwrap().pool_size(16)
}

/// Whether there is a server to start.
pub(crate) fn is_there() -> bool {
    programs().is_some()
}

/// Where `initdb` and the others are.
#[expect(
    clippy::disallowed_methods,
    reason = "they are looked for as a shell would"
)]
pub(crate) fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .map(|version| version.unwrap().path().join("bin"))
        .collect();
    found.sort();
    found.reverse();
    found.extend(std::env::split_paths(&path));
    found
        .into_iter()
        .find(|directory| directory.join("initdb").is_file())
}

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}
