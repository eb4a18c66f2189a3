//! No cycles between modules.
//!
//! A file *uses* another one of its crate if it names something that is defined there. A path that leads
//! through a re-export counts for the file in which it ends. A `mod` line is no use, and neither is `pub use`:
//! a module may list what is in it. What is called on a value (`store.list()`) names no file, so that an `impl`
//! may be spread over several. Code for tests only does not count.
//!
//! Two rules follow, and one test holds each:
//! - No file uses itself through others.
//! - No room uses itself through others. A room is a file or a directory directly in `src`, in `src/store` or
//!   in `src/bin/exp`.
//!
//! To break a cycle, move what both sides need into a file of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

/// A module, as the names that lead to it from the root of its crate; the root itself is empty.
type Name = Vec<String>;

/// The modules of one crate.
type Modules = BTreeMap<Name, Module>;

/// What a file says of others.
#[derive(Default)]
struct Module {
    /// Each name that a `use` line brings in, and the path that it stands for.
    imports: BTreeMap<String, Name>,
    /// The paths in it, from the root of the crate.
    paths: Vec<Name>,
}

/// Which files use which, or which rooms.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Reads the crate with this root file, and all files beside and below it but for `apart`.
fn read_crate(root: &Path, apart: Option<&Path>) -> Modules {
    let mut names = BTreeMap::new();
    let directory = root.parent().unwrap();
    name_files(root, directory, apart, &mut Name::new(), &mut names);
    let all: BTreeSet<&Name> = names.keys().collect();
    let read = names.iter().map(|(name, text)| {
        let is_child = |child: &str| all.contains(&join(name, &[child.to_owned()]));
        (name.clone(), read(&tokens(text), name, is_child))
    });
    read.collect()
}

fn name_files(
    root: &Path,
    directory: &Path,
    apart: Option<&Path>,
    name: &mut Name,
    names: &mut BTreeMap<Name, String>,
) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if apart == Some(&*path) {
            continue;
        }
        if path.is_dir() {
            name.push(stem);
            name_files(root, &path, apart, name, names);
            name.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let is_own = path == root || stem == "mod";
            let own = if is_own {
                name.clone()
            } else {
                join(name, &[stem])
            };
            names.insert(own, fs::read_to_string(&path).unwrap());
        }
    }
}

fn join(name: &[String], more: &[String]) -> Name {
    [name, more].concat()
}

/// The words and signs of a file, without comments and literals, nor what is compiled for tests only.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").unwrap() + 2
        } else if first == '"' {
            string(rest)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '\'' {
            character(rest)
        } else if is_word(first) {
            let word = rest.split(|c| !is_word(c)).next().unwrap();
            tokens.push(word.to_owned());
            word.len()
        } else {
            let sign = if rest.starts_with("::") {
                "::"
            } else {
                &rest[..first.len_utf8()]
            };
            if !first.is_whitespace() {
                tokens.push(sign.to_owned());
            }
            sign.len()
        };
        rest = &rest[length..];
    }
    without_tests(&tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.unwrap().0 + 1
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix("r")?;
    let inside = hashes.trim_start_matches('#');
    let hashes = &hashes[..hashes.len() - inside.len()];
    let inside = inside.strip_prefix('"')?;
    let end = format!("\"{hashes}");
    Some(text.len() - inside.len() + inside.find(&end).unwrap() + end.len())
}

/// A character's literal, or the mark of a lifetime.
fn character(text: &str) -> usize {
    let inside = &text[1..];
    let length = if inside.starts_with('\\') {
        2 + inside[2..].find('\'').unwrap()
    } else {
        inside.chars().next().unwrap().len_utf8()
    };
    if inside[length..].starts_with('\'') {
        length + 2
    } else {
        1
    }
}

/// Leaves out every item with the attribute `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some(first) = rest.first() {
        if rest.len() < ATTRIBUTE.len() || rest[..ATTRIBUTE.len()] != ATTRIBUTE {
            kept.push(first.clone());
            rest = &rest[1..];
            continue;
        }
        let mut depth = 0;
        let end = rest.iter().position(|token| {
            match &**token {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            depth == 0 && (token == ";" || token == "}")
        });
        rest = &rest[end.unwrap() + 1..];
    }
    kept
}

fn read(tokens: &[String], name: &Name, is_child: impl Fn(&str) -> bool) -> Module {
    let mut module = Module::default();
    let from_root = |path: &[String]| -> Option<Name> {
        let supers = path.iter().take_while(|word| *word == "super").count();
        match &*path[0] {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some(join(name, &path[1..])),
            "super" => Some(join(
                &name[..name.len().checked_sub(supers)?],
                &path[supers..],
            )),
            first if is_child(first) => Some(join(name, path)),
            _ => None,
        }
    };
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map_or("", |before| &*tokens[before]);
        if tokens[at] == "use" {
            let is_listed = before == "pub" || before == ")";
            let end = at + tokens[at..].iter().position(|token| token == ";").unwrap();
            for (path, alias) in leaves(&tokens[at + 1..end]) {
                if let Some(path) = from_root(&path) {
                    module.imports.insert(alias, path.clone());
                    if !is_listed {
                        module.paths.push(path);
                    }
                }
            }
            at = end;
        } else if before != "::" {
            let mut end = at + 1;
            while tokens.get(end).is_some_and(|token| token == "::")
                && tokens
                    .get(end + 1)
                    .is_some_and(|token| token.starts_with(is_word))
            {
                end += 2;
            }
            let path: Vec<String> = tokens[at..end].iter().step_by(2).cloned().collect();
            // In `pub(crate)` and the like the path has no more than a word.
            if path.len() > 1 {
                module.paths.extend(from_root(&path));
            }
            at = end - 1;
        }
        at += 1;
    }
    module
}

/// The paths of a `use` line, each with the name that it brings in.
fn leaves(tree: &[String]) -> Vec<(Name, String)> {
    let Some(open) = tree.iter().position(|token| token == "{") else {
        let words = tree.iter().filter(|token| *token != "::").cloned();
        let mut path: Vec<String> = words.collect();
        let alias = path.last().unwrap().clone();
        if let Some(renamed) = path.iter().position(|word| word == "as") {
            path.truncate(renamed);
        }
        return vec![(path, alias)];
    };
    let prefix = tree[..open].iter().filter(|token| *token != "::");
    let prefix: Vec<String> = prefix.cloned().collect();
    let inside = &tree[open + 1..tree.len() - 1];
    let mut depth = 0;
    let parts = inside.split(|token| {
        match &**token {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0 && token == ","
    });
    let leaves = parts.filter(|part| !part.is_empty()).flat_map(leaves);
    let joined = leaves.map(|(path, alias)| {
        if path == ["self"] {
            return (prefix.clone(), prefix.last().unwrap().clone());
        }
        (join(&prefix, &path), alias)
    });
    joined.collect()
}

/// The module in which that which the path names is defined.
fn definition(modules: &Modules, path: &[String]) -> Name {
    let mut module = Name::new();
    for (index, word) in path.iter().enumerate() {
        let child = join(&module, &path[index..=index]);
        let is_last = index + 1 == path.len();
        let imported = modules[&module].imports.get(word);
        let imported = imported.filter(|path| **path != child);
        match imported {
            // A function may have the name of a module.
            Some(imported) if is_last || !modules.contains_key(&child) => {
                return definition(modules, &join(imported, &path[index + 1..]));
            }
            _ if modules.contains_key(&child) => module = child,
            _ => break,
        }
    }
    module
}

/// Which files use which.
fn files(modules: &Modules) -> Graph {
    let mut graph = Graph::new();
    for (name, module) in modules {
        let used = module.paths.iter().map(|path| definition(modules, path));
        let used = used.filter(|used| used != name).map(|used| used.join("/"));
        graph.insert(name.join("/"), used.collect());
    }
    graph
}

/// The room that a file is in.
fn room(file: &str) -> String {
    let depth = if file.starts_with("store/") { 2 } else { 1 };
    let words: Vec<_> = file.split('/').take(depth).collect();
    words.join("/")
}

/// Which rooms use which.
fn rooms(files: &Graph) -> Graph {
    let mut graph = Graph::new();
    for (file, used) in files {
        let of = room(file);
        let used: Vec<_> = used.iter().map(|used| room(used)).collect();
        let others = used.into_iter().filter(|used| *used != of);
        graph.entry(of.clone()).or_default().extend(others);
    }
    graph
}

/// The shortest way over at least one step.
fn way(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([vec![from.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in graph.get(way.last()?).into_iter().flatten() {
            let longer = [&way[..], std::slice::from_ref(next)].concat();
            if next == to {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

/// A shortest cycle through each file or room that is in one, each cycle once.
fn cycles(graph: &Graph) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut cycles = Vec::new();
    for start in graph.keys() {
        if let Some(cycle) = way(graph, start, start)
            && seen.insert(cycle.iter().cloned().collect::<BTreeSet<_>>())
        {
            cycles.push(cycle.join(" uses "));
        }
    }
    cycles
}

fn library() -> Graph {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let command = source.join("bin");
    files(&read_crate(&source.join("lib.rs"), Some(&command)))
}

fn command() -> Graph {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/exp");
    files(&read_crate(&source.join("main.rs"), None))
}

#[test]
fn no_file_uses_itself_through_others() {
    let found = [cycles(&library()), cycles(&command())].concat();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_room_uses_itself_through_others() {
    let found = [cycles(&rooms(&library())), cycles(&rooms(&command()))].concat();
    assert!(found.is_empty(), "{found:#?}");
}

/// Every way to name another file is found, and nothing else is taken for one.
#[test]
fn cycles_are_found() {
    let files = [
        (
            "lib.rs",
            "mod a; mod b; mod c; pub use a::A; pub use b::{self, inner::Deep as Renamed};",
        ),
        (
            "a.rs",
            "use crate::{c::C as Other, b::{self, B}}; pub struct A;",
        ),
        (
            "b/mod.rs",
            "pub mod inner; pub struct B; fn f() { inner::g::<u8>() }",
        ),
        (
            "b/inner.rs",
            "fn g() -> super::super::A { r#\"crate::c::\"#; 'c'; /* crate::c::C */ } struct Deep;",
        ),
        (
            "c.rs",
            "// crate::a::A\nfn f<'a>(x: &'a crate::Renamed) {}\n#[cfg(test)]\nmod tests { use super::super::a::A; }",
        ),
    ];
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let graph = self::files(&read_crate(&directory.path().join("lib.rs"), None));
    let uses = |file: &str| graph[file].iter().map(|used| &**used).collect::<Vec<_>>();
    assert_eq!(uses("a"), ["b", "c"]);
    assert_eq!(uses("b"), ["b/inner"]);
    assert_eq!(uses("b/inner"), ["a"]);
    assert_eq!(uses("c"), ["b/inner"]);
    assert_eq!(uses(""), [""; 0]);
    let found = [
        "a uses b uses b/inner uses a",
        "c uses b/inner uses a uses c",
    ];
    assert_eq!(cycles(&graph), found);
    let found = ["a uses b uses a", "c uses b uses a uses c"];
    assert_eq!(cycles(&rooms(&graph)), found);
}
