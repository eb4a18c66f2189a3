//! Experiments as code: folders of configurations with their expected diagnosis, the formats that
//! other programs read, and that nothing in a file is too much for `check`. What random files and experiments come
//! to is in `random`.

mod random;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use experiments::declare::{self, Lint, SourceFile};
use serde_json::Value;
use snapbox::Data;
use snapbox::assert::Assert;

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
        "values",
    ] {
        let path = root.join("fixtures/configs/invalid").join(name);
        assert!(!validates(&path.with_extension("toml")), "{name}");
    }
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
