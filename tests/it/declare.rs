//! Experiments as code: folders of configurations with their expected diagnosis, the formats that
//! other programs read, and that nothing in a file is too much for `check`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use experiments::declare::{self, Lint, SourceFile};
use experiments::independence::IdSample;
use experiments::metric::{Better, Cap, MetricKind, MetricRole, Population, Window};
use experiments::{
    AnalysisConfig, Bucketing, Coverage, ExperimentConfig, ExperimentService, ExperimentState,
    ExperimentStore as _, Finite, MetricConfig, MetricField, SqliteExperimentStore, VariantConfig,
};
use proptest::prelude::*;
use serde_json::Value;
use snapbox::Data;
use snapbox::assert::Assert;

use crate::random::try_cases;
use crate::sandbox::Sandbox;

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join("fixtures/configs").join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    paths.sort();
    paths
}

/// A sandbox with a copy of a file, and what `exp check` with these words says of it.
fn check(path: &Path, words: &[&str]) -> (String, Option<i32>) {
    let sandbox = Sandbox::new();
    let name = path.file_name().unwrap().to_str().unwrap();
    fs::copy(path, sandbox.home().join(name)).unwrap();
    let words = [&["check", name, "-q"], words].concat();
    let output = sandbox.exp(&words).output().unwrap();
    assert!(output.stderr.is_empty(), "{path:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    (text, output.status.code())
}

#[test]
fn valid_files_are_clean() {
    let paths = fixtures("valid");
    assert!(paths.len() > 2);
    for path in paths {
        assert_eq!(
            check(&path, &["--strict"]),
            (String::new(), Some(0)),
            "{path:?}"
        );
    }
}

/// Beside each file stands what `exp check --strict --format tsv` says of it.
#[test]
fn invalid_files_have_their_diagnosis() {
    let assert = Assert::new().action_env("SNAPSHOTS");
    let mut rules = BTreeSet::new();
    for path in fixtures("invalid") {
        let (found, code) = check(&path, &["--strict", "--format", "tsv"]);
        assert_eq!(code, Some(9), "{path:?}");
        rules.extend(
            found
                .lines()
                .map(|line| line.split('\t').nth(1).unwrap().to_owned()),
        );
        let expected = Data::read_from(&path.with_extension("tsv"), None).raw();
        assert.eq(found, expected);
        // Only errors fail without --strict.
        let (lenient, code) = check(&path, &["--format", "tsv"]);
        let has_error = lenient.lines().any(|line| line.starts_with("error\t"));
        assert_eq!(code, Some(if has_error { 9 } else { 0 }), "{path:?}");
    }
    // What needs a store is in the transcripts.
    let of_stores = [
        Lint::VariantInUse,
        Lint::Lifecycle,
        Lint::WeightsFixed,
        Lint::BucketingFixed,
        Lint::GroupFixed,
        Lint::FieldFixed,
        Lint::VariantOrder,
        Lint::HypothesisChanged,
    ];
    let of_files = Lint::ALL.iter().filter(|rule| !of_stores.contains(rule));
    let of_files: BTreeSet<String> = of_files.map(|rule| rule.id().to_owned()).collect();
    assert_eq!(rules, of_files);
}

/// A line may be as long as a file. Of it only what is around the finding is drawn, and the place that is
/// named is the one in the file.
#[test]
fn a_finding_in_a_very_long_line_is_drawn_short() {
    let mut line = "variants = [".to_owned();
    for number in 0..2000 {
        let _ = write!(line, "{{name = 'é{}', weight = 1}}, ", number % 1999);
    }
    line += "]";
    let text = format!("[[experiment]]\nname = 'e'\n{line}\n");
    let sandbox = Sandbox::new();
    fs::write(sandbox.home().join("x.toml"), text).unwrap();
    let duplicates = |columns: &str| {
        let check = sandbox
            .exp(&["check", "x.toml"])
            .env("COLUMNS", columns)
            .output();
        let drawn = String::from_utf8(check.unwrap().stdout).unwrap();
        let all = drawn.split("\n\n");
        let mut duplicates = all.filter(|finding| finding.starts_with("error[duplicate-variant]"));
        duplicates.next().unwrap().to_owned()
    };
    let column = |name: &str, found: Option<usize>| {
        assert!(found.is_some(), "{name}");
        line[..found.unwrap()].chars().count() + 1
    };
    let (first, last) = (
        column("first", line.find("'é0'")),
        column("last", line.rfind("'é0'")),
    );
    for columns in ["80", "100000"] {
        let drawn = duplicates(columns);
        assert!(drawn.len() < 4000, "{} bytes", drawn.len());
        for expected in [
            format!("--> x.toml:3:{last}\n"),
            format!("::: x.toml:3:{first}\n"),
        ] {
            assert!(drawn.contains(&expected), "{expected}: {drawn}");
        }
        // What is marked is the name, in each snippet.
        let lines: Vec<&str> = drawn.lines().collect();
        let mut marked = 0;
        for pair in lines.windows(2) {
            let [shown, marks] = pair else { continue };
            let Some(at) = marks.find(['^', '-']).filter(|_| marks.starts_with("  |")) else {
                continue;
            };
            let shown: String = shown.chars().skip(at).take(4).collect();
            assert_eq!(shown, "'é0'", "{drawn}");
            marked += 1;
        }
        assert_eq!(marked, 2, "{drawn}");
    }
}

#[test]
fn sarif_keeps_to_its_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = fs::read_to_string(root.join("fixtures/sarif-2.1.0.schema.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&schema).unwrap();
    // As published, these patterns are no regular expressions; the property is not used here.
    for holder in ["run", "toolComponent"] {
        let language = &mut schema["definitions"][holder]["properties"]["language"];
        assert!(
            language
                .as_object_mut()
                .unwrap()
                .remove("pattern")
                .is_some()
        );
    }
    let validator = jsonschema::draft7::new(&schema).unwrap();
    for path in fixtures("invalid").into_iter().chain(fixtures("valid")) {
        let (log, _) = check(&path, &["--strict", "--format", "sarif"]);
        let log: Value = serde_json::from_str(&log).unwrap();
        let errors: Vec<String> = validator.iter_errors(&log).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{path:?}: {errors:?}");
        // What code scanning on GitHub requires beyond the schema.
        for rule in log["runs"][0]["tool"]["driver"]["rules"]
            .as_array()
            .unwrap()
        {
            for property in ["shortDescription", "fullDescription", "help"] {
                let text = rule[property]["text"].as_str().unwrap();
                assert!((1..=1024).contains(&text.len()), "{rule}");
            }
        }
        let (rows, _) = check(&path, &["--strict", "--format", "json"]);
        let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), rows.len());
        for (result, row) in results.iter().zip(&rows) {
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["region"]["startLine"], row["line"]);
            assert_eq!(place["region"]["endColumn"], row["end_column"]);
            let rules = &log["runs"][0]["tool"]["driver"]["rules"];
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], row["rule"]);
        }
    }
}

/// Reads a workflow command as GitHub's runner does.
fn read_command(line: &str) -> (String, Vec<(String, String)>, String) {
    let (head, data) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
    let (kind, properties) = head.split_once(' ').unwrap();
    let data_of = |text: &str| {
        let text = text.replace("%0D", "\r").replace("%0A", "\n");
        text.replace("%25", "%")
    };
    let property = |text: &str| {
        let (key, value) = text.split_once('=').unwrap();
        let value = value.replace("%3A", ":").replace("%2C", ",");
        (key.to_owned(), data_of(&value))
    };
    let properties = properties.split(',').map(property).collect();
    (kind.to_owned(), properties, data_of(data))
}

#[test]
fn github_commands_read_back() {
    for path in fixtures("invalid") {
        let (commands, _) = check(&path, &["--strict", "--format", "github"]);
        let (rows, _) = check(&path, &["--strict", "--format", "json"]);
        let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
        assert_eq!(commands.lines().count(), rows.len(), "{commands}");
        for (command, row) in commands.lines().zip(&rows) {
            let (kind, properties, message) = read_command(command);
            let get = |key: &str| {
                let found = properties.iter().find(|(known, _)| known == key);
                found.map(|(_, value)| value.clone())
            };
            assert_eq!(kind, row["severity"]);
            assert_eq!(get("file").unwrap(), row["file"]);
            assert_eq!(get("line").unwrap(), row["line"].to_string());
            if let Some(column) = get("col") {
                assert_eq!(column, row["column"].to_string());
            }
            assert_eq!(
                get("title").unwrap(),
                format!("exp: {}", row["rule"].as_str().unwrap())
            );
            assert!(
                message.starts_with(row["message"].as_str().unwrap()),
                "{message}"
            );
        }
    }
}

#[test]
fn the_committed_schema_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("fixtures/exp.schema.json");
    let printed = Sandbox::new().exp(&["schema"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let committed = Data::read_from(&path, None).raw();
    Assert::new()
        .action_env("SNAPSHOTS")
        .eq(printed.clone(), committed);

    let schema: Value = serde_json::from_str(&printed).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let validates = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        let value: toml::Value = toml::from_str(&text).unwrap();
        validator.is_valid(&serde_json::to_value(value).unwrap())
    };
    for path in fixtures("valid") {
        assert!(validates(&path), "{path:?}");
    }
    for name in [
        "unknown-key",
        "wrong-type",
        "bad-value",
        "missing-name",
        "bad-weight",
        "metric-values",
        "metric-types",
        "unknown-metric-key",
        "missing-denominator",
        "missing-minimum-effect",
        "unexpected-key",
        "reserved-column",
        "too-many-metrics",
    ] {
        let path = root.join("fixtures/configs/invalid").join(name);
        assert!(!validates(&path.with_extension("toml")), "{name}");
    }
}

/// Looks at everything that `exp check` looks at; whatever the file holds, it gives an answer.
fn look_at(text: &str) {
    let sources = [SourceFile::new("f.toml", text)];
    let checked = declare::check(&sources, &[]);
    let lines = declare::Lines::new(text);
    for finding in &checked.findings {
        let span = finding.place.span.clone();
        assert!(text.get(span.clone()).is_some(), "{span:?} of {text:?}");
        assert!(lines.position(span.start).line <= text.matches('\n').count() + 1);
    }
    let ids = ["a".to_owned(), "b".to_owned()];
    let samples = [IdSample::Given(&ids)];
    let _ = declare::check_independence(&checked.declarations, &[], &samples);
    let _ = declare::plan(&checked.declarations, &[], true);
}

/// Text that is nearly a file of experiments.
fn nearly_toml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[[experiment]]\n".to_owned()),
        Just("[[experiment.variants]]\n".to_owned()),
        Just("[[experiment.metrics]]\nname = \"m\"\nkind = \"mean\"\n".to_owned()),
        Just(
            "variants = [{ name = \"a\", weight = 1 }, { name = \"b\", weight = 2 }]\n".to_owned()
        ),
        "(name|state|winner|weight|description|exclusion_group|bucketing|salt|coverage|variants|experiment)",
        "(control|confidence|tuning_actors|population|metrics|kind|column|denominator|quantile|role|better|window|covariate|cap|minimum_effect)",
        "( = |=|\\.|\\[|\\]|\\{|\\}|,|\"|'|\n|\"\"\"|#)",
        "\"(a|b|running|concluded|fnv1a_mixed|\\\\u0000|ä)\"\n",
        "\"(exposed|conversion|ratio|quantile|guardrail|down|7d|99\\.9%|timestamp)\"\n",
        "-?[0-9]{1,12}\n",
        "[01]\\.[0-9]{1,5}\n",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

#[test]
fn any_bytes_are_answered() {
    try_cases(64, &prop::collection::vec(any::<u8>(), 0..400), |bytes| {
        look_at(&String::from_utf8_lossy(&bytes));
        Ok(())
    });
}

#[test]
fn anything_like_a_file_is_answered() {
    try_cases(256, &nearly_toml(), |text| {
        look_at(&text);
        Ok(())
    });
}

/// What is exported and applied elsewhere is the same; applied where it comes from, it is nothing.
#[test]
fn an_export_goes_round() {
    let configs = prop::collection::vec(any_config(), 0..6);
    try_cases(32, &configs, |configs| {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            SqliteExperimentStore::open_or_create(directory.path().join(name)).unwrap()
        };
        let (here, there) = (open("here.db"), open("there.db"));
        for (index, mut config) in configs.into_iter().enumerate() {
            config.name = format!("{} {index}", config.name);
            here.insert(config.clone()).unwrap();
        }
        let service = ExperimentService::new(here);
        let all = service.list().unwrap();
        let sources = [SourceFile::new("export.toml", declare::to_toml(&all))];
        let checked = declare::check(&sources, &[]);
        let again = declare::plan(&checked.declarations, &service.current().unwrap(), true);
        prop_assert!(!again.unwrap().0.has_changes());

        let elsewhere = ExperimentService::new(there);
        let (plan, _) = declare::plan(&checked.declarations, &[], false).unwrap();
        elsewhere.apply(&plan).unwrap();
        let unstamped = |configs: Vec<ExperimentConfig>| -> Vec<ExperimentConfig> {
            let unstamped = |config| ExperimentConfig {
                updated_at_secs: 0,
                ..config
            };
            configs.into_iter().map(unstamped).collect()
        };
        prop_assert_eq!(unstamped(elsewhere.list().unwrap()), unstamped(all));
        Ok(())
    });
}

fn any_config() -> impl Strategy<Value = ExperimentConfig> {
    let name = "[^\\p{C}]{1,12}x";
    let variants = prop::collection::btree_map(name, any::<u32>(), 1..4);
    let variants = variants.prop_map(|variants| -> Vec<VariantConfig> {
        let variants = variants.into_iter();
        variants
            .map(|(name, weight)| VariantConfig::new(name, weight))
            .collect()
    });
    let state = prop::sample::select(ExperimentState::ALL.to_vec());
    let bucketing = prop::sample::select(Bucketing::ALL.to_vec());
    let description = prop::option::of("[^\0]{0,30}");
    let group = prop::option::of(name);
    let salt = prop::option::of(name);
    let coverage = (1..=10_000_u64).prop_map(|parts| Coverage::of_10000(parts).unwrap());
    let entry = (description, group, salt, coverage);
    let parts = (
        name,
        variants,
        state,
        bucketing,
        entry,
        any_analysis(),
        any::<bool>(),
    );
    parts.prop_map(
        |(name, variants, state, bucketing, entry, mut analysis, won)| {
            let (description, group, salt, coverage) = entry;
            let control = analysis.control.is_some();
            analysis.control = control.then(|| variants[variants.len() - 1].name.clone());
            let has_winner = match state {
                ExperimentState::Concluded => true,
                ExperimentState::Archived => won,
                _ => false,
            };
            ExperimentConfig {
                winner: has_winner.then(|| variants[0].name.clone()),
                state,
                bucketing,
                description,
                exclusion_group: group,
                salt,
                coverage,
                analysis,
                ..ExperimentConfig::new(name, variants)
            }
        },
    )
}

/// Any analysis. If it has a control, that stands for a variant of the experiment.
fn any_analysis() -> impl Strategy<Value = AnalysisConfig> {
    let control = prop::option::of(Just("any".to_owned()));
    let population = prop::sample::select(Population::ALL);
    let metrics = prop::collection::vec(any_metric(), 0..4);
    let parts = (
        control,
        0.51..0.999,
        1..=u64::from(u32::MAX),
        population,
        metrics,
    );
    parts.prop_map(
        |(control, confidence, tuning_actors, population, mut metrics)| {
            for (index, metric) in metrics.iter_mut().enumerate() {
                metric.name = format!("{} {index}", metric.name);
            }
            AnalysisConfig {
                control,
                confidence: Finite::new(confidence).unwrap(),
                tuning_actors,
                population,
                metrics,
            }
        },
    )
}

/// Any metric that a store holds.
fn any_metric() -> impl Strategy<Value = MetricConfig> {
    let name = "[^\\p{C}]{1,12}x";
    let columns = prop::array::uniform3(prop::option::of(name));
    let role = prop::option::of(prop::sample::select(MetricRole::ALL));
    let better = prop::option::of(prop::sample::select(Better::ALL));
    let window = prop::option::of(1..=36_500 * 86_400_u64);
    let cap = prop_oneof![
        Just(None),
        (1e-300..1e300).prop_map(Cap::of_value),
        (0.1..99.9).prop_map(Cap::of_percent),
    ];
    let numbers = prop::array::uniform2(prop::option::of(1e-9..0.999_f64));
    let kind = prop::sample::select(MetricKind::ALL);
    let parts = (name, kind, columns, role, better, window, cap, numbers);
    parts.prop_map(
        |(name, kind, columns, role, better, window, cap, numbers)| {
            let [column, denominator, covariate] = columns;
            let [quantile, minimum_effect] = numbers.map(|number| Finite::new(number?));
            let mut metric = MetricConfig {
                column,
                denominator: denominator.or_else(|| Some("d".to_owned())),
                covariate,
                role,
                better,
                window: window.and_then(Window::of_secs),
                cap,
                quantile,
                minimum_effect: minimum_effect.or_else(|| Finite::new(0.01)),
                ..MetricConfig::new(name, kind)
            };
            let takes = |field: MetricField| field.takers().contains(&kind);
            metric.denominator = metric
                .denominator
                .filter(|_| takes(MetricField::Denominator));
            metric.covariate = metric.covariate.filter(|_| takes(MetricField::Covariate));
            metric.quantile = metric.quantile.filter(|_| takes(MetricField::Quantile));
            metric
        },
    )
}

/// A file with very many faults is answered in little memory, and every one of them is counted.
#[test]
fn what_is_too_much_to_show_is_counted() {
    const VARIANTS: usize = 20_000;
    let sandbox = Sandbox::new();
    let variants: Vec<String> = (0..VARIANTS)
        .map(|n| format!("{{ name = \"v{n}\" }}"))
        .collect();
    let variants = variants.join(
        ",
",
    );
    let text = format!("[[experiment]]\nname = \"e\"\nvariants = [{variants}]\n");
    fs::write(sandbox.home().join("x.toml"), text).unwrap();
    for format in ["text", "json", "tsv", "sarif", "github"] {
        let line = format!("ulimit -v 200000; exp check x.toml --format {format}");
        let output = sandbox.bash(&line);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(9), "{format}: {told}");
        // One variant too many is a fault of its own.
        let errors = format!("{} errors, 0 warnings in 1 file\n", VARIANTS + 1);
        assert_eq!(told, errors, "{format}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.len() < 3_000_000, "{format}: {}", shown.len());
        let cut = format!(
            "{} more findings of bad-weight",
            VARIANTS - declare::MAX_KEPT
        );
        assert!(format == "text" || shown.contains(&cut), "{format}");
    }
}

/// What was only counted keeps an experiment from being planned all the same.
#[test]
fn an_error_that_is_not_kept_counts_for_its_experiment() {
    let mut text = String::new();
    for n in 0..declare::MAX_KEPT + 50 {
        let _ = writeln!(
            text,
            "[[experiment]]\nname = \"e{n}\"\nvariants = [{{ name = \"a\", weight = -1 }}]"
        );
    }
    text += "[[experiment]]\nname = \"sound\"\nvariants = [{ name = \"a\", weight = 1 }]\n";
    let checked = declare::check(&[SourceFile::new("x.toml", text)], &[]);
    let sound = checked.sound();
    let names: Vec<&str> = sound.iter().map(|d| &*d.config.name).collect();
    assert_eq!(names, ["sound"]);
}
