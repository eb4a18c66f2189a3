//! Ten million outcomes of a million actors: joined with the assignments, and summed up by variant, beside `DuckDB`,
//! which does the same job, and `awk`, which reads the lines and adds one column. `DuckDB` is the one of the `python3`
//! on the path: `pip install duckdb==2.0.1` in a virtual environment, whose `bin` comes first.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use experiments::MetricConfig;
use experiments::metric::{MetricKind, Population};
use experiments::results::{ColumnNames, Member, Members, Reading};
use experiments::rows::{Format, TextRows};

use crate::measure::{Report, Target, time};
use crate::process::Random;

const MILLION: usize = 1_000_000;
const BEGIN: u64 = 1_790_000_000;
const METRICS: [&str; 2] = ["purchased", "revenue"];

/// What a process is started with that is one round of ours.
pub(crate) const ROUND: &str = "--results-round";

/// The job in SQL. It prints for each variant its actors, and of each metric the sum and the variance.
const DUCKDB: &str = "
import resource, sys
import duckdb
assignments, outcomes = sys.argv[1:]
duckdb.execute('SET enable_progress_bar = false')
rows = duckdb.execute(f'''
    WITH actors AS (
        SELECT any_value(a.variant) AS variant,
               max(CASE WHEN o.purchased <> 0 THEN 1 ELSE 0 END) AS purchased,
               coalesce(sum(o.revenue), 0) AS revenue
        FROM read_csv('{assignments}') a
        LEFT JOIN read_csv('{outcomes}') o ON o.actor = a.actor AND o.timestamp >= a.assigned_at
        GROUP BY a.actor)
    SELECT count(*), sum(purchased), var_samp(purchased), sum(revenue), var_samp(revenue)
    FROM actors GROUP BY variant ORDER BY variant''').fetchall()
for row in rows:
    print(*row)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
";

pub(crate) fn run(report: &Report, directory: &Path) {
    const FIGURES: [&str; 5] = [
        "results: 10 million rows, to DuckDB",
        "results: 10 million rows, peak MB",
        "results: peak, to DuckDB's",
        "results: 10 million rows, to awk's sum",
        "results: 10 million rows, to 10 times 1 million",
    ];
    if !FIGURES.iter().any(|figure| report.wants(figure)) {
        return;
    }
    let assignments = write_assignments(directory);
    let ten = write_outcomes(directory, 10);
    let one = write_outcomes(directory, 1);
    let ours = |outcomes: &Path| {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.arg(ROUND).arg(&assignments).arg(outcomes);
        process.output().unwrap()
    };
    let duckdb = |outcomes: &Path| {
        let mut process = Command::new("python3");
        process.args(["-c", DUCKDB]).arg(&assignments).arg(outcomes);
        process.output()
    };
    let (sums, peak) = answer(&ours(&ten));
    report.quantity(FIGURES[1], peak, 256.0);
    match duckdb(&ten) {
        Ok(output) if output.status.success() => {
            let (theirs, their_peak) = answer(&output);
            assert_eq!(sums.len(), theirs.len());
            for (ours, theirs) in sums.iter().zip(&theirs) {
                assert!(
                    (ours - theirs).abs() <= theirs.abs() * 1e-9,
                    "{ours} {theirs}"
                );
            }
            report.quantity(FIGURES[2], peak, their_peak);
            report.times(
                FIGURES[0],
                5,
                Target::AtMost(1.0),
                || time(|| drop(ours(&ten))),
                || time(|| drop(duckdb(&ten))),
            );
        }
        _ => report.skipped(FIGURES[0], "it needs a python3 with duckdb"),
    }
    let awk = || {
        let mut awk = Command::new("awk");
        awk.args(["-F,", "{sum += $4} END {print sum}"]).arg(&ten);
        time(|| assert!(awk.output().unwrap().status.success()))
    };
    let our_time = |outcomes: &Path| time(|| drop(ours(outcomes)));
    report.times(FIGURES[3], 5, Target::AtMost(2.0), || our_time(&ten), awk);
    let tenfold = || our_time(&one) * 10;
    report.times(
        FIGURES[4],
        5,
        Target::AtMost(1.1),
        || our_time(&ten),
        tenfold,
    );
}

/// The numbers of a process, and the last one apart: how much memory it took, from kilobytes to megabytes.
fn answer(output: &Output) -> (Vec<f64>, f64) {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let numbers = text
        .split_whitespace()
        .map(|number| number.parse().unwrap());
    let mut numbers: Vec<f64> = numbers.collect();
    let peak = numbers.pop().unwrap();
    (numbers, peak / 1024.0)
}

fn write_assignments(directory: &Path) -> PathBuf {
    let path = directory.join("assignments.csv");
    let mut actors: Vec<String> = (0..MILLION).map(|n| format!("user:{n}")).collect();
    actors.sort();
    let mut text = String::from("actor,variant,assigned_at\n");
    for (place, actor) in actors.iter().enumerate() {
        let _ = writeln!(
            text,
            "{actor},{},{}",
            place % 2,
            BEGIN + place as u64 % 1000
        );
    }
    fs::write(&path, text).unwrap();
    path
}

fn write_outcomes(directory: &Path, millions: usize) -> PathBuf {
    let path = directory.join(format!("outcomes-{millions}.csv"));
    let mut file = BufWriter::new(File::create(&path).unwrap());
    let mut random = Random::new();
    writeln!(file, "actor,timestamp,purchased,revenue").unwrap();
    for _ in 0..millions * MILLION {
        let actor = random.next() % MILLION as u64;
        let at = BEGIN + random.next() % 1_000_000;
        let cents = random.next() % 100_000;
        // One in ten buys.
        let (bought, cents) = if cents < 10_000 { (1, cents) } else { (0, 0) };
        let (whole, part) = (cents / 100, cents % 100);
        writeln!(file, "user:{actor},{at},{bought},{whole}.{part:02}").unwrap();
    }
    path
}

/// Does the job, and prints what `DUCKDB` does.
pub(crate) fn round(assignments: &str, outcomes: &str) {
    let mut members = Members::default();
    let mut rows = TextRows::new(File::open(assignments).unwrap(), Format::Csv).unwrap();
    while let Some(row) = rows.next_row().unwrap() {
        let [actor, variant, assigned_at] = row.cells else {
            panic!("there are three columns");
        };
        let member = Member {
            variant: variant.parse().unwrap(),
            period: 0,
            assigned_at_secs: assigned_at.parse().unwrap(),
            exposed_at_secs: u64::MAX,
        };
        members.push(actor, member);
    }
    let [purchased, revenue] = METRICS;
    let reading = Reading {
        members: &members,
        metrics: &[
            MetricConfig::new(purchased, MetricKind::Conversion),
            MetricConfig::new(revenue, MetricKind::Mean),
        ],
        population: Population::Assigned,
        columns: ColumnNames::default(),
        now_secs: 2 * BEGIN,
        to_secs: 2 * BEGIN,
        until_latest: true,
    };
    let totals = reading.read_text(File::open(outcomes).unwrap(), Format::Csv);
    let totals = totals.unwrap();
    for variant in 0..2 {
        let of_variant = |values: &[f64]| -> Vec<f64> {
            let actors = members.members.iter().zip(values);
            let of_variant = actors.filter(|(member, _)| member.variant == variant);
            of_variant.map(|(_, value)| *value).collect()
        };
        let metrics = totals.metrics.iter();
        let values: Vec<_> = metrics.map(|metric| of_variant(&metric.values)).collect();
        print!("{}", values[0].len());
        for values in &values {
            let count = values.len() as f64;
            let sum: f64 = values.iter().sum();
            let squares = values.iter().map(|value| (value - sum / count).powi(2));
            print!(" {sum:?} {:?}", squares.sum::<f64>() / (count - 1.0));
        }
        println!();
    }
    println!("{}", peak_kilobytes());
}

/// How much memory this process has had at most.
fn peak_kilobytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().split_whitespace().next();
    number.unwrap().parse().unwrap()
}
