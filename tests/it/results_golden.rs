//! The analysis against figures that an independent script found in the same files: `fixtures/results`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use experiments::metric::{MetricRole, Population};
use experiments::results::{
    AnalysedMetric, Analysis, ColumnNames, Exclusion, Member, Members, Reading, Totals,
};
use experiments::rows::Format;
use experiments::{
    ExperimentConfig, ExperimentState, Finite, MetricConfig, VariantConfig, WeightPeriod,
};
use serde::Deserialize;
use serde_json::Value;

/// How a test is analysed.
#[derive(Deserialize)]
struct Case {
    experiment: String,
    state: ExperimentState,
    variants: Vec<VariantConfig>,
    periods: Vec<Period>,
    control: Option<String>,
    population: Population,
    from_secs: u64,
    to_secs: u64,
    now_secs: u64,
    confidence: Finite,
    tuning_actors: u64,
    #[serde(rename = "final")]
    is_final: bool,
    only_seen: bool,
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
struct Period {
    #[serde(rename = "period")]
    number: u32,
    from_secs: u64,
    variants: Vec<VariantConfig>,
}

#[derive(Deserialize)]
struct Metric {
    role: MetricRole,
    exploratory: bool,
    config: MetricConfig,
}

/// The rows of a file, without the first.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().skip(1);
    rows.map(|row| row.split(',').map(str::to_owned).collect())
        .collect()
}

/// Who is in the experiment.
fn members(folder: &Path, case: &Case) -> Members {
    let mut members = Members::default();
    let never = Exclusion {
        overridden_since: u64::MAX,
        mixed_since: u64::MAX,
    };
    for row in rows(&folder.join("assignments.csv")) {
        let variant = case.variants.iter().position(|known| known.name == row[1]);
        let assigned_at_secs = row[3].parse().unwrap();
        let member = Member {
            variant: u16::try_from(variant.unwrap()).unwrap(),
            period: row[2].parse().unwrap(),
            assigned_at_secs,
            exposed_at_secs: u64::MAX,
        };
        let number = members.push(&row[0], member);
        if row[4] == "1" {
            let exclusion = members.exclusions.entry(number).or_insert(never);
            exclusion.overridden_since = assigned_at_secs;
        }
    }
    let mut exposures = rows(&folder.join("exposures.csv"));
    exposures.sort_by_key(|row| row[2].parse::<u64>().unwrap());
    let mut first = BTreeMap::new();
    for row in &exposures {
        let secs = row[2].parse::<u64>().unwrap();
        let number = members.number(&row[0]).unwrap();
        let member = &mut members.members[number as usize];
        member.exposed_at_secs = member.exposed_at_secs.min(secs);
        let is_other = first.entry(number).or_insert_with(|| row[1].clone()) != &row[1];
        if is_other || row[3] == "1" {
            let exclusion = members.exclusions.entry(number).or_insert(never);
            if is_other {
                exclusion.mixed_since = exclusion.mixed_since.min(secs);
            }
            if row[3] == "1" {
                exclusion.overridden_since = exclusion.overridden_since.min(secs);
            }
        }
    }
    members
}

/// What the outcomes add up to.
fn totals(folder: &Path, case: &Case, members: &Members) -> Totals {
    let metrics = case.metrics.iter().map(|metric| metric.config.clone());
    let metrics: Vec<MetricConfig> = metrics.collect();
    let reading = Reading {
        members,
        metrics: &metrics,
        population: case.population,
        columns: ColumnNames::default(),
        now_secs: case.now_secs,
        to_secs: case.to_secs,
        until_latest: false,
    };
    let outcomes = fs::File::open(folder.join("outcomes.csv")).unwrap();
    reading.read_text(outcomes, Format::Csv).unwrap()
}

/// Analyses one case.
fn report(path: &Path) -> Value {
    let case: Case = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let folder = path.parent().unwrap();
    let mut config = ExperimentConfig::new(&*case.experiment, case.variants.clone());
    config.state = case.state;
    config.analysis.control.clone_from(&case.control);
    config.analysis.confidence = case.confidence;
    config.analysis.tuning_actors = case.tuning_actors;
    let metrics = case.metrics.iter().map(|metric| AnalysedMetric {
        config: metric.config.clone(),
        role: metric.role,
        is_exploratory: metric.exploratory,
    });
    let metrics: Vec<AnalysedMetric> = metrics.collect();
    let periods = case.periods.iter().map(|period| WeightPeriod {
        period: period.number,
        from_secs: period.from_secs,
        variants: period.variants.clone(),
        counts: Vec::new(),
    });
    let periods: Vec<WeightPeriod> = periods.collect();
    let members = members(folder, &case);
    let totals = totals(folder, &case, &members);
    let analysis = Analysis {
        config: &config,
        metrics: &metrics,
        periods: &periods,
        from_secs: case.from_secs,
        to_secs: case.to_secs,
        now_secs: case.now_secs,
        population: case.population,
        control: None,
        is_final: case.is_final,
        only_seen: case.only_seen,
    };
    serde_json::to_value(analysis.report(&members, &totals)).unwrap()
}

/// Holds what was found to what was expected: numbers to nine digits, everything else exactly, and every field
/// must be in both.
fn compare(place: &str, found: &Value, expected: &Value, faults: &mut Vec<String>) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let names: Vec<_> = found.keys().collect();
            let wanted: Vec<_> = expected.keys().collect();
            if sorted(&names) != sorted(&wanted) {
                faults.push(format!("{place}: fields {names:?}, not {wanted:?}"));
            }
            for (name, found) in found {
                let expected = expected.get(name).unwrap_or(&Value::Null);
                compare(&format!("{place}.{name}"), found, expected, faults);
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                compare(&format!("{place}[{index}]"), found, expected, faults);
            }
        }
        (Value::Number(found), Value::Number(expected)) => {
            let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
            // Below this, floating point has fewer than nine digits itself.
            let least = f64::MIN_POSITIVE;
            if (found - expected).abs() > (1e-9 * expected.abs()).max(least) {
                faults.push(format!("{place}: {found:e}, not {expected:e}"));
            }
        }
        _ if found == expected => {}
        _ => faults.push(format!("{place}: {found}, not {expected}")),
    }
}

fn sorted<'a>(names: &[&'a String]) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    names.sort_unstable();
    names
}

/// All cases, with the figures that the script found in them.
fn cases() -> Vec<(PathBuf, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/results");
    let folders = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let folders = folders.filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path().to_str().unwrap().to_owned());
    let cases = files.filter(|path| path.ends_with(".case.json"));
    cases
        .map(|path| {
            let expected = path.replace(".case.", ".expected.");
            (path.into(), expected.into())
        })
        .collect()
}

#[test]
fn the_figures_are_those_of_an_independent_script() {
    let cases = cases();
    assert_eq!(cases.len(), 8);
    let mut faults = Vec::new();
    for (path, expected) in cases {
        let mut found = report(&path);
        // Words are no figures.
        found.as_object_mut().unwrap().remove("warnings").unwrap();
        for metric in found["metrics"].as_array_mut().unwrap() {
            let verdict = metric["verdict"].as_object_mut().unwrap();
            verdict.remove("sentence").unwrap();
        }
        let expected = serde_json::from_str(&fs::read_to_string(expected).unwrap()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        compare(name, &found, &expected, &mut faults);
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}
