//! Whether all that the migrations and the functions' file make is there. They are read for it, so that there
//! is no second list.

use std::collections::{BTreeMap, HashSet};

use super::super::connection::Connection;
use super::super::failure::Failure;
use super::super::migrations;
use super::super::version::MIGRATIONS;
use crate::store::survey::{StoreFault, StoreFinding, Surveyed};

/// A part of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Table,
    Column,
    Key,
    Index,
    Function,
    Trigger,
    View,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Column => "column",
            Self::Key => "unique key",
            Self::Index => "index",
            Self::Function => "function",
            Self::Trigger => "trigger",
            Self::View => "view",
        }
    }
}

/// What makes a part anew without a guess: nothing, for one that held data.
type Remedy = Option<String>;

/// What is in the database of what could be ours.
const PRESENT: &str = "
    WITH ours AS (
        SELECT oid, relname, relkind FROM pg_class
        WHERE pg_table_is_visible(oid) AND relname ~ '^(autumn_experiment|exp_|idx_autumn_exp)'
    )
    SELECT 'table', relname::text, NULL FROM ours WHERE relkind IN ('r', 'p')
    UNION ALL
    SELECT 'view', relname::text, NULL FROM ours WHERE relkind = 'v'
    UNION ALL
    SELECT 'index', relname::text, NULL FROM ours JOIN pg_index i ON i.indexrelid = ours.oid
        WHERE i.indisvalid
    UNION ALL
    SELECT 'unique key', relname || ' (' || string_agg(attname, ', ' ORDER BY attname COLLATE \"C\") || ')', NULL
        FROM ours JOIN pg_index i ON i.indrelid = ours.oid
        JOIN pg_attribute a ON a.attrelid = ours.oid AND a.attnum = ANY (i.indkey)
        WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
        GROUP BY i.indexrelid, relname
    UNION ALL
    SELECT 'column', relname || '.' || attname, NULL FROM ours JOIN pg_attribute a ON a.attrelid = ours.oid
        WHERE relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'trigger', tgname::text, NULL FROM ours JOIN pg_trigger t ON t.tgrelid = ours.oid
        WHERE NOT tgisinternal AND tgenabled <> 'D'
    UNION ALL
    SELECT 'function', proname::text, prosrc FROM pg_proc
        WHERE pg_function_is_visible(oid) AND proname LIKE 'exp\\_%'
    UNION ALL
    SELECT 'trigger', 'autumn_experiment_change_notify', NULL FROM ours JOIN pg_trigger t ON t.tgrelid = ours.oid
        JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE relname = 'autumn_experiment_changes' AND NOT tgisinternal AND tgenabled <> 'D'
            AND p.prosrc ~* 'notify.*autumn_experiments'";

/// The trigger that tells of changes, which an application may have under another name. It is made by a
/// statement that looks for that first.
const NOTIFIES: &str = "autumn_experiment_change_notify";

pub(super) fn examine(db: &mut Connection, found: &mut Surveyed) -> Result<(), Failure> {
    for ((kind, name), remedy) in missing(db)? {
        let message = match kind {
            Kind::Function => format!("the function {name} is missing or does something else"),
            _ => format!("the {} {name} is missing", kind.as_str()),
        };
        let finding = StoreFinding::new(StoreFault::Schema, name, message);
        found.push(finding.repairable(remedy.is_some()));
    }
    Ok(())
}

/// Makes what is missing anew, columns before the functions that use them.
pub(super) fn restore(db: &mut Connection) -> Result<(), Failure> {
    db.batch(migrations::OWN_SEARCH_PATH)?;
    for remedy in missing(db)?.into_values().flatten() {
        db.batch(&remedy)?;
    }
    Ok(())
}

fn missing(db: &mut Connection) -> Result<BTreeMap<(Kind, String), Remedy>, Failure> {
    let mut present: HashSet<(String, String, Option<String>)> = HashSet::new();
    for row in db.rows(PRESENT, &[])? {
        present.insert((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }
    let mut missing = expected();
    missing.retain(|(kind, name), remedy| {
        let body = match (kind, remedy) {
            (Kind::Function, Some(statement)) => body(statement).map(str::to_owned),
            _ => None,
        };
        !present.contains(&(kind.as_str().to_owned(), name.clone(), body))
    });
    let tables: Vec<String> = missing
        .keys()
        .filter(|(kind, _)| *kind == Kind::Table)
        .map(|(_, name)| name.clone())
        .collect();
    for remedy in missing.values_mut() {
        // What belongs to a table that is missing can't be made.
        let is_of_missing = |statement: &mut String| {
            let words: Vec<&str> = words(statement).collect();
            words.windows(2).any(|pair| {
                ["ON", "TABLE"].contains(&pair[0]) && tables.iter().any(|table| table == pair[1])
            })
        };
        remedy.take_if(is_of_missing);
    }
    Ok(missing)
}

/// All that they make, tables first.
fn expected() -> BTreeMap<(Kind, String), Remedy> {
    let mut made = BTreeMap::new();
    let functions = migrations::functions();
    let files = MIGRATIONS.iter().copied().chain([&*functions]);
    for statement in files.flat_map(statements) {
        let words: Vec<&str> = words(&statement).collect();
        match words[..] {
            ["CREATE", "TABLE", "IF", "NOT", "EXISTS", name, ..]
            | ["CREATE", "TABLE", name, ..] => {
                for column in columns(&statement) {
                    made.insert((Kind::Column, format!("{name}.{column}")), None);
                }
                for mut key in keys(&statement) {
                    key.sort_unstable();
                    made.insert((Kind::Key, format!("{name} ({})", key.join(", "))), None);
                }
                made.insert((Kind::Table, name.to_owned()), None);
            }
            [
                "ALTER",
                "TABLE",
                table,
                "ADD",
                "COLUMN",
                "IF",
                "NOT",
                "EXISTS",
                name,
                ..,
            ]
            | ["ALTER", "TABLE", table, "ADD", "COLUMN", name, ..] => {
                // Only what is calculated from the other columns comes back as it was. The period of an
                // assignment is told by its time.
                let is_derived = words.contains(&"STORED")
                    || (table, name) == ("autumn_experiment_assignments", "weight_period");
                let remedy = is_derived.then(|| statement.clone());
                made.insert((Kind::Column, format!("{table}.{name}")), remedy);
            }
            ["CREATE", "INDEX", "IF", "NOT", "EXISTS", name, ..]
            | ["CREATE", "INDEX", name, ..]
            | ["CREATE", "UNIQUE", "INDEX", "IF", "NOT", "EXISTS", name, ..]
            | ["CREATE", "UNIQUE", "INDEX", name, ..] => {
                let remedy = format!("DROP INDEX IF EXISTS {name}; {statement}");
                made.insert((Kind::Index, name.to_owned()), Some(remedy));
            }
            ["CREATE", "FUNCTION", name, ..]
            | ["CREATE", "OR", "REPLACE", "FUNCTION", name, ..] => {
                made.insert((Kind::Function, name.to_owned()), Some(statement.clone()));
            }
            ["CREATE", "OR", "REPLACE", "VIEW", name, ..] => {
                made.insert((Kind::View, name.to_owned()), Some(statement.clone()));
            }
            ["CREATE", "TRIGGER", name, ..] => {
                let table = words.iter().skip_while(|word| **word != "ON").nth(1);
                let remedy = table
                    .map(|table| format!("DROP TRIGGER IF EXISTS {name} ON {table}; {statement}"));
                made.insert((Kind::Trigger, name.to_owned()), remedy);
            }
            ["DROP", what, "IF", "EXISTS", name, ..] | ["DROP", what, name, ..] => {
                made.retain(|(kind, other), _| {
                    !kind.as_str().eq_ignore_ascii_case(what) || other != name
                });
            }
            ["DO", ..] if statement.contains("pg_notify") => {
                made.insert(
                    (Kind::Trigger, NOTIFIES.to_owned()),
                    Some(statement.clone()),
                );
            }
            _ => {}
        }
    }
    made
}

/// The words and names of a statement.
fn words(statement: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    statement
        .split(move |c| !is_part(c))
        .filter(|word| !word.is_empty())
}

const CONSTRAINTS: [&str; 6] = [
    "PRIMARY",
    "UNIQUE",
    "CONSTRAINT",
    "CHECK",
    "FOREIGN",
    "EXCLUDE",
];

/// The names of the columns of a `CREATE TABLE`.
fn columns(statement: &str) -> Vec<&str> {
    let names = definitions(statement).into_iter();
    let names = names.filter_map(|part| words(part).next());
    names.filter(|name| !CONSTRAINTS.contains(name)).collect()
}

/// The columns of each unique key of a `CREATE TABLE`.
fn keys(statement: &str) -> Vec<Vec<&str>> {
    let definitions = definitions(statement).into_iter();
    let key = |part| match words(part).collect::<Vec<_>>()[..] {
        ["UNIQUE", ref columns @ ..] | ["PRIMARY", "KEY", ref columns @ ..] => {
            Some(columns.to_vec())
        }
        [name, ref rest @ ..]
            if !CONSTRAINTS.contains(&name)
                && rest.iter().any(|word| ["UNIQUE", "PRIMARY"].contains(word)) =>
        {
            Some(vec![name])
        }
        _ => None,
    };
    definitions.filter_map(key).collect()
}

/// What stands between the commas of a `CREATE TABLE`.
fn definitions(statement: &str) -> Vec<&str> {
    let Some((_, list)) = statement.split_once('(') else {
        return Vec::new();
    };
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
                if c == ')' {
                    break;
                }
            }
            _ => {}
        }
    }
    parts
}

/// What a function does, as it was written.
fn body(statement: &str) -> Option<&str> {
    let (at, _) = statement.match_indices('$').next()?;
    let tag = dollar_tag(&statement[at..])?;
    let body = &statement[at + tag.len()..];
    Some(&body[..body.find(tag)?])
}

/// The statements of a file, without the comments between them.
fn statements(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let (mut statement, mut rest) = (String::new(), text);
    while let Some(c) = rest.chars().next() {
        // What is quoted is taken whole: a comment outside, a body, a text.
        let length = if rest.starts_with("--") {
            let length = rest.find('\n').unwrap_or(rest.len());
            rest = &rest[length..];
            continue;
        } else if let Some(tag) = dollar_tag(rest) {
            let body = &rest[tag.len()..];
            body.find(tag).map_or(rest.len(), |end| end + 2 * tag.len())
        } else if c == '\'' {
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else {
            c.len_utf8()
        };
        let (taken, after) = rest.split_at(length);
        rest = after;
        if taken == ";" {
            statements.push(std::mem::take(&mut statement));
        } else {
            statement.push_str(taken);
        }
    }
    statements.push(statement);
    statements.retain(|statement| !statement.trim().is_empty());
    statements
}

/// What opens, and closes, a body quoted by dollars: `$$`, `$f$`.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text.strip_prefix('$')?.find('$')? + 2;
    let name = &text[1..end - 1];
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_name.then_some(&text[..end])
}

#[cfg(test)]
mod tests {
    use super::super::super::version::schema_version;
    use super::*;

    #[test]
    fn the_migrations_are_understood() {
        let made = expected();
        let is_made = |kind, name: &str| made.contains_key(&(kind, name.to_owned()));
        for (kind, name) in [
            (Kind::Table, "exp_exposures"),
            (Kind::Column, "autumn_experiments.name"),
            (Kind::Column, "autumn_experiments.exp_version"),
            (Kind::Column, "exp_exposures.exposed_at"),
            (Kind::Key, "autumn_experiments (name)"),
            (
                Kind::Key,
                "autumn_experiment_assignments (actor, experiment)",
            ),
            (Kind::Index, "exp_changes_by_experiment"),
            (Kind::Function, concat!("exp_situation_", schema_version!())),
            (Kind::Trigger, "exp_close_gate"),
            (Kind::Trigger, NOTIFIES),
            (Kind::View, "exp_view_assignments"),
        ] {
            assert!(is_made(kind, name), "{kind:?} {name} in {made:#?}");
        }
        assert!(!is_made(
            Kind::Column,
            "autumn_experiment_assignments.UNIQUE"
        ));
        let of_version = &made[&(Kind::Column, "autumn_experiments.exp_version".to_owned())];
        assert!(of_version.is_some());
        assert!(made[&(Kind::Column, "autumn_experiment_changes.detail".to_owned())].is_none());
    }
}
