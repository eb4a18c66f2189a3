//! What `--format json` prints is what `exp schema --of` says, field by field: for every command, and for errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use jsonschema::Validator;
use rusqlite::Connection;
use serde_json::Value;

use crate::sandbox::Sandbox;

/// A session in one store. Each command line follows the words of its schema.
const SESSION: &[(&str, &str)] = &[
    (
        "create",
        "create e --variant control=50 --variant treatment=50 --value 'control={\"n\":1}' --value \
         'treatment={\"n\":2}' --metric buy:conversion --group g --description 'two buttons'",
    ),
    ("create", "create f --variant a=1 --variant b=1 --salt s"),
    ("start", "start e"),
    ("start", "start e"),
    ("assign", "assign e u1"),
    ("assign", "assign e u2 --preview"),
    ("assign", "assign e u2"),
    ("assign", "assign e --actors ids"),
    ("assign", "assign f u9 --default a"),
    ("start", "start f"),
    ("assign", "assign f u1"),
    ("assign", "assign f --actors ids"),
    ("close", "close f"),
    ("assign", "assign f --actors more"),
    ("create", "create draft --variant a=1"),
    ("track", "track u1 buy --id 1"),
    ("track", "track --file outcomes.csv"),
    ("outcomes", "outcomes"),
    ("set-weights", "set-weights e control=90 treatment=10"),
    ("set-coverage", "set-coverage e 50%"),
    ("close", "close e"),
    ("open", "open e"),
    ("pause", "pause e"),
    ("resume", "resume e"),
    (
        "override",
        "override e qa:1 treatment --expires 3d --reason 'a screenshot'",
    ),
    ("override", "override e qa:2 control"),
    ("override", "override e --list"),
    ("override", "override e qa:2 --clear"),
    ("explain", "explain e u1"),
    ("explain", "explain e qa:1"),
    ("explain", "explain f u1"),
    ("actor show", "actor show u1"),
    ("list", "list"),
    ("status", "status e"),
    ("status", "status e --full"),
    (
        "create",
        "create h --variant a=1 --variant b=1 --group g --bucketing fnv1a_mixed --start",
    ),
    ("status", "status h"),
    ("assignments", "assignments e"),
    ("exposures", "exposures e"),
    ("exposures", "exposures e --prune --before 1d"),
    ("results", "results e"),
    ("results", "results e --outcomes outcomes.csv"),
    ("simulate", "simulate e"),
    ("simulate", "simulate e f"),
    ("power", "power --baseline 12% --effect 5% --rate 1200"),
    ("power", "power --baseline 42 --deviation 80 --actors 20000"),
    ("check", "check bad.toml"),
    ("plan", "plan more.toml"),
    ("apply", "apply more.toml --yes"),
    ("apply", "apply more.toml --yes"),
    ("edit", "edit more --yes"),
    ("export", "export"),
    ("rename", "rename draft third"),
    ("delete", "delete third"),
    ("unassign", "unassign e u1"),
    ("store info", "store info"),
    ("store backup", "store backup --to copy.db"),
    ("store copy", "store copy --to other.db"),
    ("store migrate", "store migrate"),
    ("store checkpoint", "store checkpoint"),
    ("store restore", "store restore copy.db --yes"),
    ("store check", "store check"),
    ("store check", "store check --store damaged.db"),
    ("conclude", "conclude e control"),
    ("archive", "archive e"),
    ("history", "history"),
    ("demo", "demo somewhere"),
];

/// Commands that fail.
const FAILURES: &[(i32, &str)] = &[
    (1, "list --store nowhere.db"),
    (2, "list --no-such-option"),
    (2, "assign"),
    (2, "explain e"),
    (3, "status nobody"),
    (4, "assign draft u1"),
    (5, "set-weights e control=1"),
    (8, "create draft --variant a=1"),
    (8, "override draft u1 nothing"),
];

/// The commands that print one array.
const ARRAYS: [&str; 7] = [
    "actor show",
    "check",
    "export",
    "history",
    "list",
    "override",
    "store check",
];

/// The commands that print a document for each row.
const ROWS: [&str; 4] = ["assign", "assignments", "exposures", "outcomes"];

/// A place to run the session in.
fn prepared() -> Sandbox {
    let sandbox = Sandbox::new();
    let prepared = sandbox.bash(
        "printf 'u1\\nu2\\nu3\\n' > ids; printf 'v1\\n' > more
        printf 'actor,buy\\nu1,1\\nu2,0\\n' > outcomes.csv
        printf '[[experiment]]\\nname = \"more\"\\nvariants = [{ name = \"a\", weight = 0 }]\\n' > bad.toml
        printf '[[experiment]]\\nname = \"more\"\\nvariants = [{ name = \"a\", weight = 1 }, { name = \"b\", weight = 1 }]\\n' > more.toml
        printf '#!/bin/sh\\nsed -i \"s/more/more/; \\$a description = \\\\\"words\\\\\"\" \"$1\"\\n' > editor
        chmod +x editor
        exp create damaged --variant a=1 --store damaged.db --quiet",
    );
    assert!(prepared.status.success(), "{prepared:?}");
    let damaged = Connection::open(sandbox.home().join("damaged.db")).unwrap();
    damaged.execute("DELETE FROM changes", []).unwrap();
    sandbox
}

#[test]
fn every_document_is_as_its_schema_says() {
    let sandbox = prepared();
    let mut validators = BTreeMap::new();
    let (mut arrays, mut rows) = (BTreeSet::new(), BTreeSet::new());
    for (words, command) in SESSION {
        let line = format!("EDITOR=$HOME/editor exp {command} --format json");
        let output = sandbox.bash(&line);
        let documents = String::from_utf8(output.stdout).unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!documents.is_empty(), "{command} printed nothing: {told}");
        if documents.lines().count() > 1 {
            rows.insert(*words);
        }
        if documents.starts_with('[') {
            arrays.insert(*words);
        }
        let validator = validators
            .entry(*words)
            .or_insert_with(|| validator(&sandbox, words));
        for document in documents.lines() {
            let parsed: Value = serde_json::from_str(document).unwrap();
            let errors: Vec<String> = validator
                .iter_errors(&parsed)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{command}\n{document}\n{errors:#?}");
            let object = parsed.get(0).unwrap_or(&parsed);
            if object.is_object() {
                let mut surplus = parsed.clone();
                match surplus.get_mut(0) {
                    Some(first) => first["surplus"] = true.into(),
                    None => surplus["surplus"] = true.into(),
                }
                assert!(
                    !validator.is_valid(&surplus),
                    "{command} may print anything"
                );
            }
        }
    }
    let seen: BTreeSet<String> = validators.keys().map(|words| (*words).to_owned()).collect();
    assert_eq!(seen, commands_with_data(&sandbox));
    assert_eq!(
        (arrays, rows),
        (BTreeSet::from(ARRAYS), BTreeSet::from(ROWS))
    );
    let docs = include_str!("../../docs/scripts.md");
    for words in [&ARRAYS[..], &ROWS[..]].concat() {
        assert!(docs.contains(&format!("`exp {words}")), "{words}");
    }
}

/// What the help of a command calls the columns of its TSV, `--header` does; one that names none prints those of
/// `exp history`.
#[test]
fn every_header_is_what_the_help_says() {
    let sandbox = prepared();
    let of_history = "timestamp_secs, operator, mutation, before, after";
    for (words, command) in SESSION {
        let line = format!("EDITOR=$HOME/editor exp {command} --format tsv --header");
        let printed = String::from_utf8(sandbox.bash(&line).stdout).unwrap();
        // It has no TSV.
        if *words == "export" {
            continue;
        }
        let header = printed.lines().next().unwrap_or_default();
        let header = header.replace('\t', ", ");
        let help = sandbox.bash(&format!("exp {words} --help")).stdout;
        let mut named = columns(&String::from_utf8(help).unwrap());
        if named.is_empty() || *words == "override" {
            named.push(of_history.to_owned());
        }
        assert!(named.contains(&header), "{command}: {header}: {named:#?}");
    }
}

/// The lists of columns that a help names, each of one kind of call: `a, b (of c); with --d: e`.
fn columns(help: &str) -> Vec<String> {
    let paragraphs = help.split("\n\n").map(str::trim_start);
    let named = paragraphs.filter_map(|paragraph| {
        let (before, named) = paragraph.split_once(": ")?;
        let before = before.trim_end_matches(" of --list");
        ["Columns", "TSV columns"]
            .contains(&before)
            .then_some(named)
    });
    let lists = named.flat_map(|named| named.split("; "));
    let list = |list: &str| {
        let list = list.split_once(": ").map_or(list, |(_, list)| list);
        let mut words = String::new();
        let mut depth = 0;
        for c in list.chars() {
            depth += i32::from(c == '(');
            if depth == 0 {
                words.push(c);
            }
            depth -= i32::from(c == ')');
        }
        let list: Vec<&str> = words.split(',').map(str::trim).collect();
        list.join(", ")
    };
    lists.map(list).collect()
}

#[test]
fn an_error_is_a_document_too() {
    let sandbox = Sandbox::new();
    let prepared = sandbox.bash(
        "exp create e --variant control=1 && exp archive e && exp create draft --variant a=1",
    );
    assert!(prepared.status.success(), "{prepared:?}");
    let validator = validator(&sandbox, "error");
    for (exit_code, command) in FAILURES {
        for format in ["--format json", "--format=json"] {
            let output = sandbox.bash(&format!("exp {command} {format}"));
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(*exit_code), "{command}: {told}");
            let document: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
            assert!(validator.is_valid(&document), "{command}: {document}");
            assert_eq!(document["error"]["exit_code"], *exit_code, "{command}");
        }
    }
}

/// Every kind of change is made once, and told from the others.
#[test]
fn every_change_has_its_kind() {
    let sandbox = Sandbox::new();
    let changes = "set -e
        exp create e --variant a=1 --variant b=1 --value a=1 --value b=2 --metric m:mean
        exp start e
        exp set-weights e a=1 b=2
        exp set-coverage e 50%
        exp set-coverage e 100%
        exp close e
        exp open e
        exp override e qa:1 a
        exp override e qa:1 --clear
        exp assign e u1
        EXP_NOW=$((EXP_NOW + 9)) exp assign e u1
        EXP_NOW=$((EXP_NOW + 99)) exp exposures e --prune --before 10s
        exp unassign e u1
        EDITOR='sed -i s/value.=.2/value=3/' exp edit e --yes
        EDITOR='sed -i s/mean/conversion/' exp edit e --yes
        exp export e | sed 's/^name = \"e\"/&\\ndescription = \"d\"/' > e.toml
        exp apply e.toml --yes
        exp create f --variant a=1
        exp rename f g
        exp delete g
        exp assign e u2";
    let output = sandbox.bash(&format!("{{ {changes}; }} > /dev/null"));
    assert!(output.status.success(), "{output:?}");
    let store = Connection::open(sandbox.default_store()).unwrap();
    store
        .execute_batch("UPDATE assignment_counts SET assigned = assigned + 5")
        .unwrap();
    drop(store);
    let output = sandbox.bash(
        "exp store check --repair > /dev/null; exp conclude e a > /dev/null
        exp history --format json",
    );
    let history: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kind = |change: &Value| change["kind"].as_str().unwrap().to_owned();
    let seen: BTreeSet<String> = history.as_array().unwrap().iter().map(kind).collect();
    let schema = sandbox.bash("exp schema --of history").stdout;
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let kinds = schema["$defs"]["Change"]["oneOf"].as_array().unwrap();
    let kind = |schema: &Value| {
        schema["properties"]["kind"]["const"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let mut known: BTreeSet<String> = kinds.iter().map(kind).collect();
    assert!(known.remove("other"));
    assert_eq!(seen, known);
}

#[test]
fn every_kind_of_error_is_in_the_docs() {
    let codes = include_str!("../../src/bin/exp/exit/codes.rs");
    let docs = include_str!("../../docs/scripts.md");
    let words = codes.lines().filter_map(|line| {
        let word = line
            .split_once("(\"")
            .or_else(|| line.split_once("kind: \""))?
            .1;
        Some(word.split_once('"')?.0)
    });
    let words: BTreeSet<&str> = words.collect();
    assert!(words.len() > 40, "{words:?}");
    for word in words {
        assert!(docs.contains(&format!("`{word}`")), "{word}");
    }
}

/// The commands whose schema there is: all that have a manual page, but for those that print another format.
fn commands_with_data(sandbox: &Sandbox) -> BTreeSet<String> {
    let pages = sandbox.bash("exp man --out pages");
    assert!(pages.status.success());
    let names = fs::read_dir(sandbox.home().join("pages")).unwrap();
    let names = names.map(|page| page.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names
        .filter_map(|name| Some(name.strip_prefix("exp-")?.strip_suffix(".1")?.to_owned()))
        .collect();
    let has_schema = |words: &String| {
        sandbox
            .exp(&["schema", "--of", words])
            .output()
            .unwrap()
            .status
            .success()
    };
    let words = names
        .into_iter()
        .flat_map(|name| [name.replacen('-', " ", 1), name]);
    words.filter(has_schema).collect()
}

/// What accepts a document only if the schema knows every field of it.
fn validator(sandbox: &Sandbox, words: &str) -> Validator {
    let output = sandbox.bash(&format!("exp schema --of {words}"));
    assert!(output.status.success(), "{output:?}");
    let mut schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    close(&mut schema, false);
    jsonschema::draft202012::new(&schema).unwrap()
}

/// Forbids fields that the schema doesn't name. A part of an object leaves that to the whole.
fn close(schema: &mut Value, is_part: bool) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    let is_object = schema.contains_key("properties");
    if is_object && !is_part {
        schema.insert("unevaluatedProperties".to_owned(), false.into());
    }
    for (key, inner) in schema.iter_mut() {
        match key.as_str() {
            "properties" | "$defs" => {
                for inner in inner.as_object_mut().unwrap().values_mut() {
                    close(inner, false);
                }
            }
            "oneOf" | "anyOf" | "allOf" => {
                for inner in inner.as_array_mut().unwrap() {
                    close(inner, is_object || is_part);
                }
            }
            "items" | "additionalProperties" => close(inner, false),
            _ => {}
        }
    }
}
