//! Whole processes: the real binary beside the `sqlite3` shell and a trivial program.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use experiments::{Allocation, Bucketing};

use crate::measure::{Report, Target, time};
use crate::{results, waiting};

pub(crate) const EXP: &str = env!("CARGO_BIN_EXE_exp");
const MILLION: usize = 1_000_000;

/// The table of assignments as the store has it.
const TABLE: &str = "CREATE TABLE assignments (
    space_id INTEGER NOT NULL, actor TEXT NOT NULL, slot INTEGER NOT NULL,
    variant INTEGER NOT NULL, assigned_after INTEGER NOT NULL,
    PRIMARY KEY (space_id, actor, slot)) STRICT, WITHOUT ROWID;";

pub(crate) fn run(report: &Report, long: bool) {
    // Below the target directory, which is on a disk; and where there is none.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    one_shot(report, disk.path());
    bulk(report, disk.path(), long);
    waiting::run(report, &[Path::new(EXP)], disk.path(), long);
    results::run(report, disk.path(), long);
}

pub(crate) fn has(program: &str) -> bool {
    let mut asked = Command::new(program);
    asked
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// A store with a running experiment, made anew.
pub(crate) fn fresh_store(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        fs::remove_file(file).ok();
    }
    let create = [
        "create",
        "e",
        "--variant",
        "control=50",
        "--variant",
        "treatment=50",
        "--start",
    ];
    run_exp(path, &create, None);
}

fn run_exp(store: &Path, arguments: &[&str], output: Option<&Path>) -> Duration {
    let output = output.map_or_else(Stdio::null, |path| File::create(path).unwrap().into());
    run_build(Path::new(EXP), store, arguments, output)
}

/// Runs this build of `exp`.
pub(crate) fn run_build(exp: &Path, store: &Path, arguments: &[&str], output: Stdio) -> Duration {
    let mut command = Command::new(exp);
    // The command comes first, as it does in scripts: `exp assign` is parsed in a shorter way then.
    command
        .args(arguments)
        .arg("--quiet")
        .env("EXP_STORE", store)
        .stdout(output);
    time(|| assert!(command.status().unwrap().success()))
}

pub(crate) fn run_shell(database: &Path, script: &str) -> Duration {
    let file = database.with_extension("sql");
    fs::write(&file, script).unwrap();
    let mut command = Command::new("sqlite3");
    command
        .arg(database)
        .stdin(File::open(file).unwrap())
        .stdout(Stdio::null());
    time(|| assert!(command.status().unwrap().success()))
}

/// The transaction of a first assignment with its exposure, as a shell script would have it.
fn transaction(actor: &str) -> String {
    format!(
        "PRAGMA synchronous = FULL;
BEGIN IMMEDIATE;
SELECT e.id, e.state, e.space_id, e.slot FROM experiments e WHERE e.name = 'e';
SELECT name, weight FROM variants WHERE experiment_id = 1 ORDER BY idx;
SELECT variant FROM overrides WHERE experiment_id = 1 AND actor = '{actor}';
SELECT slot, variant FROM assignments WHERE space_id = 1 AND actor = '{actor}';
INSERT INTO assignments VALUES (1, '{actor}', 0, 1, 60, 0);
INSERT INTO assignment_counts VALUES (1, 0, 1, 1, 0) ON CONFLICT DO UPDATE SET assigned = assigned + 1;
INSERT INTO exposures (experiment_id, variant, actor, exposed_at) VALUES (1, 1, '{actor}', 60);
COMMIT;
"
    )
}

fn one_shot(report: &Report, disk: &Path) {
    let memory = tempfile::tempdir_in("/dev/shm").ok();
    let places = [
        (
            "one-shot first assign, no disk",
            memory.as_ref().map(tempfile::TempDir::path),
            0.65,
        ),
        ("one-shot first assign, disk", Some(disk), 0.75),
    ];
    for (figure, place, limit) in places {
        let Some(place) = place.filter(|_| has("sqlite3")) else {
            report.skipped(figure, "it needs /dev/shm and the sqlite3 shell");
            continue;
        };
        if !report.wants(figure) {
            continue;
        }
        let (ours, rival) = (place.join("ours.db"), place.join("rival.db"));
        fresh_store(&ours);
        fresh_store(&rival);
        let (mut n, mut m) = (0, 0);
        report.times(
            figure,
            201,
            Target::AtMost(limit),
            || {
                n += 1;
                run_exp(&ours, &["assign", "e", &format!("user:{n}")], None)
            },
            || {
                m += 1;
                run_shell(&rival, &transaction(&format!("user:{m}")))
            },
        );
    }
    let store = disk.join("fsyncs.db");
    fresh_store(&store);
    if has("strace") {
        let first = fsyncs(&store, &["assign", "e", "new"]);
        report.quantity("one-shot first assign, fsyncs", first, 2.0);
        let repeat = fsyncs(&store, &["assign", "e", "new", "--no-exposure"]);
        report.quantity("one-shot repeat --no-exposure, fsyncs", repeat, 0.0);
    } else {
        report.skipped("one-shot first assign, fsyncs", "it needs strace");
    }
    let figure = "one-shot repeat --no-exposure, to a trivial";
    if report.wants(figure) {
        let trivial = trivial_program(disk);
        report.times(
            figure,
            201,
            Target::AtMost(1.75),
            || run_exp(&store, &["assign", "e", "new", "--no-exposure"], None),
            || {
                let mut command = Command::new(&trivial);
                command.stdout(Stdio::null());
                time(|| assert!(command.status().unwrap().success()))
            },
        );
    }
}

fn fsyncs(store: &Path, arguments: &[&str]) -> f64 {
    let trace = store.with_extension("trace");
    let mut command = Command::new("strace");
    command.args(["--follow-forks", "--trace=fsync,fdatasync", "--output"]);
    command
        .arg(&trace)
        .arg(EXP)
        .arg("--store")
        .arg(store)
        .args(arguments);
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    let trace = fs::read_to_string(trace).unwrap();
    trace.lines().filter(|line| line.contains("sync(")).count() as f64
}

/// A Rust program that prints a word, linked as `exp` is.
fn trivial_program(directory: &Path) -> PathBuf {
    let source = directory.join("trivial.rs");
    fs::write(&source, "fn main() { println!(\"control\"); }").unwrap();
    let program = directory.join("trivial");
    let mut rustc = Command::new("rustc");
    if cfg!(target_feature = "crt-static") {
        // As .cargo/static.toml has it.
        let flags = ["target-feature=+crt-static", "relocation-model=static"];
        rustc.args(flags.iter().flat_map(|flag| ["-C", flag]));
    }
    rustc
        .args(["-O", "-C", "strip=symbols", "-o"])
        .arg(&program)
        .arg(source);
    assert!(rustc.status().unwrap().success());
    program
}

/// Pseudo-random numbers that are the same in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(88_172_645_463_325_252)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn shuffled(&mut self, mut list: Vec<String>) -> Vec<String> {
        for last in (1..list.len()).rev() {
            list.swap(last, self.next() as usize % (last + 1));
        }
        list
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            0x8000 | b >> 48 & 0x3fff,
            b & 0xffff_ffff_ffff
        )
    }
}

pub(crate) fn write_lines(path: &Path, lines: &[String]) {
    let mut text = lines.join("\n");
    text.push('\n');
    fs::write(path, text).unwrap();
}

/// A list of actors, as a file for us and as the final rows for the rival.
struct Input {
    actors: PathBuf,
    import: String,
}

impl Input {
    fn new(directory: &Path, name: &str, actors: &[String]) -> Self {
        let input = directory.join(format!("{name}.txt"));
        write_lines(&input, actors);
        let allocation = Allocation::new(Bucketing::Fnv1a, "e", [50, 50].into_iter());
        let mut rows = String::new();
        for actor in actors {
            let variant = allocation.variant(actor).unwrap();
            let _ = writeln!(rows, "1\t{actor}\t0\t{variant}\t60");
        }
        let file = directory.join(format!("{name}.tsv"));
        fs::write(&file, rows).unwrap();
        Self {
            actors: input,
            import: format!(
                "PRAGMA page_size = 8192;\nPRAGMA journal_mode = WAL;\nPRAGMA synchronous = FULL;\n\
                 {TABLE}\n.mode tabs\n.import {} assignments\n",
                file.display()
            ),
        }
    }

    fn enrol(&self, store: &Path, output: &Path) -> Duration {
        let file = self.actors.to_str().unwrap();
        run_exp(store, &["assign", "e", "--actors", file], Some(output))
    }

    fn import(&self, database: &Path) -> Duration {
        for suffix in ["", "-wal", "-shm"] {
            fs::remove_file(format!("{}{suffix}", database.display())).ok();
        }
        run_shell(database, &self.import)
    }
}

fn bulk(report: &Report, disk: &Path, long: bool) {
    const FIGURES: [&str; 4] = ["sorted", "random order", "UUIDs", "sticky"];
    let (store, output, rival) = (
        disk.join("bulk.db"),
        disk.join("out"),
        disk.join("import.db"),
    );
    let name = |what: &str| format!("bulk: 1 million, {what}");
    let wanted = FIGURES.iter().any(|what| report.wants(&name(what)));
    if wanted && has("sqlite3") {
        let mut random = Random::new();
        let mut actors: Vec<String> = (0..MILLION).map(|n| format!("user:{n}")).collect();
        actors.sort();
        let sorted = Input::new(disk, "sorted", &actors);
        let shuffled = Input::new(disk, "random", &random.shuffled(actors));
        let uuids: Vec<String> = (0..MILLION).map(|_| random.uuid()).collect();
        let uuids = Input::new(disk, "uuids", &uuids);
        let inputs = [(&sorted, 0.5), (&shuffled, 0.8), (&uuids, 0.8)];
        for (what, (input, limit)) in FIGURES.iter().zip(inputs) {
            report.times(
                &name(what),
                5,
                Target::AtMost(limit),
                || {
                    fresh_store(&store);
                    input.enrol(&store, &output)
                },
                || input.import(&rival),
            );
        }
        fresh_store(&store);
        sorted.enrol(&store, &output);
        let enrol = || sorted.enrol(&store, &output);
        report.times(&name("sticky"), 5, Target::AtMost(0.5), enrol, || {
            sorted.import(&rival)
        });
        bytes(report, &store, &sorted);
    } else if wanted {
        report.skipped(&name("…"), "it needs the sqlite3 shell");
    }
    dry_run(report, disk);
    if long {
        ten_million(report, disk);
    }
}

fn bytes(report: &Report, store: &Path, sorted: &Input) {
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE);";
    run_shell(store, checkpoint);
    let bytes = fs::metadata(store).unwrap().len() as f64 / MILLION as f64;
    let actors = fs::metadata(&sorted.actors).unwrap().len() as f64 / MILLION as f64 - 1.0;
    report.quantity(
        "bulk: bytes a row, limit: the actor's and 16",
        bytes,
        actors + 16.0,
    );
}

fn dry_run(report: &Report, disk: &Path) {
    let figure = "bulk: --dry-run, to cat and a hash loop";
    if !report.wants(figure) {
        return;
    }
    let actors: Vec<String> = (0..MILLION).map(|n| format!("user:{n}")).collect();
    let input = disk.join("dry.txt");
    write_lines(&input, &actors);
    let store = disk.join("dry.db");
    fresh_store(&store);
    let output = disk.join("dry.out");
    let allocation = Allocation::new(Bucketing::Fnv1a, "e", [50, 50].into_iter());
    let file = input.to_str().unwrap();
    report.times(
        figure,
        15,
        Target::AtMost(3.0),
        || {
            run_exp(
                &store,
                &["assign", "e", "--actors", file, "--dry-run"],
                Some(&output),
            )
        },
        || {
            let mut cat = Command::new("sh");
            cat.arg("-c")
                .arg(format!("cat {file} | cat > {}", output.display()));
            let copied = time(|| assert!(cat.status().unwrap().success()));
            let hashed = time(|| {
                for actor in &actors {
                    std::hint::black_box(allocation.variant(actor));
                }
            });
            copied + hashed
        },
    );
}

/// Ten million in random order, a tenth of whose time is to be at most twice that of one million.
fn ten_million(report: &Report, disk: &Path) {
    let figure = "bulk: 10 million, random, speed to 1 million";
    if !report.wants(figure) {
        return;
    }
    let mut random = Random::new();
    let many: Vec<String> = (0..10 * MILLION).map(|n| format!("user:{n}")).collect();
    let many = random.shuffled(many);
    let (large, small) = (disk.join("ten.txt"), disk.join("one.txt"));
    write_lines(&large, &many);
    write_lines(&small, &many[..MILLION]);
    drop(many);
    let (store, output) = (disk.join("ten.db"), disk.join("ten.out"));
    let enrol = |input: &Path| {
        fresh_store(&store);
        let file = input.to_str().unwrap();
        run_exp(&store, &["assign", "e", "--actors", file], Some(&output))
    };
    report.speeds(
        figure,
        3,
        Target::AtLeast(0.5),
        || enrol(&large) / 10,
        || enrol(&small),
    );
    served_meanwhile(report, &store, &large);
}

/// How long a single assignment takes at worst while ten million are being assigned.
fn served_meanwhile(report: &Report, store: &Path, large: &Path) {
    fresh_store(store);
    let mut bulk = Command::new(EXP);
    bulk.arg("--quiet").arg("--store").arg(store);
    bulk.args(["assign", "e", "--actors"]).arg(large);
    let mut bulk = bulk.stdout(Stdio::null()).spawn().unwrap();
    let mut slowest = Duration::ZERO;
    let mut calls = 0;
    while bulk.try_wait().unwrap().is_none() {
        calls += 1;
        let actor = format!("single:{calls}");
        slowest = slowest.max(run_exp(store, &["assign", "e", &actor], None));
    }
    assert!(bulk.wait().unwrap().success());
    let figure = format!("slowest ms of {calls} one-shots meanwhile");
    report.quantity(&figure, slowest.as_secs_f64() * 1e3, 1_000.0);
}
