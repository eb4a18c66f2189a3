//! `exp results` on an SQLite store with a million actors, from start to exit: ten million outcomes beside
//! `DuckDB`, which joins the same rows with the same assignments, and beside `awk`, which reads the lines and adds
//! one column. And `exp status` on that store, beside a store without actors.
//!
//! `DuckDB` is the one of the `python3` on the path: `pip install duckdb==2.0.1` in a virtual environment, whose
//! `bin` comes first.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::measure::{Report, Target, time};
use crate::process::{EXP, Random, has, run_shell, write_lines};

const MILLION: usize = 1_000_000;
/// When the experiment starts, in seconds since 1970.
const BEGIN: u64 = 1_790_000_000;
/// How long outcomes come in, in seconds.
const SPAN: u64 = 1_000_000;
const HOUR: u64 = 3_600;

/// Makes the file in which `DuckDB` has the assignments, as a table of its own.
const DUCKDB_IMPORT: &str = "
import sys
import duckdb
database, assignments = sys.argv[1:]
duckdb.connect(database).execute(f'''
    CREATE TABLE assignments AS
    SELECT actor, variant, assigned_at_secs AS assigned_at FROM read_csv('{assignments}')''')
";

/// The job in SQL. It prints for each variant its actors, and of each metric the mean and the variance.
const DUCKDB: &str = "
import sys
import duckdb
database, outcomes = sys.argv[1:]
connection = duckdb.connect(database, read_only=True)
connection.execute('SET enable_progress_bar = false')
rows = connection.execute(f'''
    WITH sums AS (
        SELECT a.rowid AS id, max(o.purchased <> 0) AS purchased, sum(o.revenue) AS revenue
        FROM read_csv('{outcomes}') o
        JOIN assignments a ON a.actor = o.actor AND a.assigned_at <= o.timestamp
        GROUP BY a.rowid),
    actors AS (
        SELECT variant, coalesce(purchased, false)::INTEGER AS purchased, coalesce(revenue, 0) AS revenue
        FROM assignments a LEFT JOIN sums ON sums.id = a.rowid)
    SELECT count(*), avg(purchased), var_samp(purchased), avg(revenue), var_samp(revenue)
    FROM actors GROUP BY variant ORDER BY variant''').fetchall()
for row in rows:
    print(*row)
";

pub(crate) fn run(report: &Report, directory: &Path, long: bool) {
    let is_wanted = [RESULTS.as_slice(), &STATUS]
        .map(|figures| figures.iter().any(|figure| report.wants(figure)));
    if is_wanted == [false; 2] {
        return;
    }
    let store = directory.join("million.db");
    enrol(&store, MILLION);
    if is_wanted[0] {
        results(report, directory, &store);
    }
    if is_wanted[1] {
        status(report, directory, &store, long);
    }
}

const RESULTS: [&str; 5] = [
    "results: 10 million rows, to DuckDB",
    "results: 10 million rows, peak MB",
    "results: 10 million rows, peak MB to DuckDB's",
    "results: 10 million rows, to awk's sum",
    "results: 10 million rows, to 10 times 1 million",
];

fn results(report: &Report, directory: &Path, store: &Path) {
    let ten = write_outcomes(directory, 10);
    let one = write_outcomes(directory, 1);
    let ours = |outcomes: &Path| {
        let mut command = exp(store, BEGIN + 2 * SPAN);
        let as_of = (BEGIN + SPAN).to_string();
        command.args(["results", "e", "--as-of", &as_of, "--format", "json"]);
        command.arg("--outcomes").arg(outcomes);
        command
    };
    let our_time = |outcomes: &Path| time(|| drop(done(&mut ours(outcomes))));
    let our_peak = peak(&ours(&ten), directory);
    match our_peak {
        Some(peak) => report.quantity(RESULTS[1], peak, 256.0),
        None => report.skipped(RESULTS[1], "it needs GNU time"),
    }
    if let Some(database) = duckdb_database(directory, store) {
        let duckdb = || {
            let mut command = Command::new("python3");
            command.args(["-c", DUCKDB]).arg(&database).arg(&ten);
            command
        };
        let our_figures = figures_of_report(&done(&mut ours(&ten)));
        let their_figures = figures_of_lines(&done(&mut duckdb()));
        assert_eq!(our_figures.len(), their_figures.len());
        for (ours, theirs) in our_figures.iter().zip(&their_figures) {
            let difference = (ours - theirs).abs();
            assert!(difference <= theirs.abs() * 1e-9, "{ours} {theirs}");
        }
        if let (Some(ours), Some(theirs)) = (our_peak, peak(&duckdb(), directory)) {
            report.quantity(RESULTS[2], ours, theirs);
        }
        report.times(
            RESULTS[0],
            5,
            Target::AtMost(1.0),
            || our_time(&ten),
            || time(|| drop(done(&mut duckdb()))),
        );
    } else {
        report.skipped(RESULTS[0], "it needs a python3 with duckdb");
    }
    let awk = || {
        let mut awk = Command::new("awk");
        awk.args(["-F,", "{sum += $4} END {print sum}"]).arg(&ten);
        time(|| drop(done(&mut awk)))
    };
    report.times(RESULTS[3], 5, Target::AtMost(2.0), || our_time(&ten), awk);
    report.times(
        RESULTS[4],
        5,
        Target::AtMost(1.1),
        || our_time(&ten),
        || our_time(&one) * 10,
    );
}

const STATUS: [&str; 3] = [
    "status: 1 million actors, to none",
    "status: 1 million actors, to the shell's count",
    "status: 10 million actors, to none",
];

fn status(report: &Report, directory: &Path, store: &Path, long: bool) {
    let none = directory.join("none.db");
    enrol(&none, 0);
    let status = |store: &Path| -> Duration {
        let mut command = exp(store, BEGIN + SPAN);
        command.args(["status", "e"]);
        time(|| drop(done(&mut command)))
    };
    let beside_none = |figure: &str, store: &Path| {
        let target = Target::AtMost(1.1);
        report.times(figure, 201, target, || status(store), || status(&none));
    };
    beside_none(STATUS[0], store);
    if has("sqlite3") {
        let count = || run_shell(store, "SELECT count(*) FROM assignments;");
        let target = Target::AtMost(1.0);
        report.times(STATUS[1], 21, target, || status(store), count);
    } else {
        report.skipped(STATUS[1], "it needs the sqlite3 shell");
    }
    if long && report.wants(STATUS[2]) {
        let store = directory.join("ten-million.db");
        enrol(&store, 10 * MILLION);
        beside_none(STATUS[2], &store);
    }
}

/// `exp` on a store at a time.
fn exp(store: &Path, now: u64) -> Command {
    let mut command = Command::new(EXP);
    command.env("EXP_NOW", now.to_string());
    command.arg("--quiet").arg("--store").arg(store);
    command
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// Makes a store with an experiment, and assigns actors in ten batches, an hour apart, without exposures.
fn enrol(store: &Path, actors: usize) {
    let mut create = exp(store, BEGIN);
    create.args(["create", "e", "--start"]);
    create.args(["--variant", "control=50", "--variant", "treatment=50"]);
    create.args(["--metric", "purchased:conversion"]);
    create.args(["--metric", "revenue:mean"]);
    done(&mut create);
    let list = store.with_extension("txt");
    let batch = actors / 10;
    for n in 0..10 {
        let actors: Vec<String> = (n * batch..(n + 1) * batch)
            .map(|actor| format!("user:{actor}"))
            .collect();
        write_lines(&list, &actors);
        let mut assign = exp(store, BEGIN + n as u64 * HOUR);
        assign.args(["assign", "e", "--actors"]).arg(&list);
        assert!(assign.stdout(Stdio::null()).status().unwrap().success());
    }
}

/// A file with the store's assignments in a table; nothing without `DuckDB`.
fn duckdb_database(directory: &Path, store: &Path) -> Option<PathBuf> {
    let exported = directory.join("assignments.csv");
    let mut export = exp(store, BEGIN + SPAN);
    export.args(["assignments", "e", "--format", "csv"]);
    let status = export.stdout(File::create(&exported).unwrap()).status();
    assert!(status.unwrap().success());
    let database = directory.join("assignments.duckdb");
    let mut import = Command::new("python3");
    import.args(["-c", DUCKDB_IMPORT]);
    let output = import.arg(&database).arg(&exported).output();
    output.is_ok_and(|o| o.status.success()).then_some(database)
}

fn write_outcomes(directory: &Path, millions: usize) -> PathBuf {
    let path = directory.join(format!("outcomes-{millions}.csv"));
    let mut file = BufWriter::new(File::create(&path).unwrap());
    let mut random = Random::new();
    writeln!(file, "actor,timestamp,purchased,revenue").unwrap();
    for _ in 0..millions * MILLION {
        let actor = random.next() % MILLION as u64;
        let at = BEGIN + random.next() % SPAN;
        let cents = random.next() % 100_000;
        // One in ten buys.
        let (bought, cents) = if cents < 10_000 { (1, cents) } else { (0, 0) };
        let (whole, part) = (cents / 100, cents % 100);
        writeln!(file, "user:{actor},{at},{bought},{whole}.{part:02}").unwrap();
    }
    path
}

/// What `DUCKDB` prints, from `exp`'s report.
fn figures_of_report(output: &Output) -> Vec<f64> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let figure = |metric: usize, variant: usize, name: &str| {
        let variant = &report["metrics"][metric]["variants"][variant];
        variant[name].as_f64().unwrap()
    };
    let of_variant = |variant| {
        [
            figure(0, variant, "actors"),
            figure(0, variant, "mean"),
            figure(0, variant, "variance"),
            figure(1, variant, "mean"),
            figure(1, variant, "variance"),
        ]
    };
    [0, 1].map(of_variant).concat()
}

fn figures_of_lines(output: &Output) -> Vec<f64> {
    let text = str::from_utf8(&output.stdout).unwrap();
    let numbers = text.split_whitespace();
    numbers.map(|number| number.parse().unwrap()).collect()
}

/// How many megabytes of memory a command takes at most; nothing without GNU time.
fn peak(command: &Command, directory: &Path) -> Option<f64> {
    if !has("time") {
        return None;
    }
    let file = directory.join("peak");
    let mut timed = Command::new("time");
    timed.args(["--format=%M", "--output"]).arg(&file);
    timed.arg(command.get_program()).args(command.get_args());
    timed.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    done(&mut timed);
    let kibibytes: f64 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    Some(kibibytes * 1024.0 / 1e6)
}
