//! Files of experiments, and files of ids: from paths to text.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use experiments::declare::Source;

use crate::exit::UsageError;

/// Reads files; of a directory, every `.toml` file in it and below, sorted. `-` is standard input.
pub(super) fn read_sources(paths: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    find_all(paths)?
        .iter()
        .map(|file| read_source(file))
        .collect()
}

/// The files that are named, each once.
fn find_all(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = files.len();
            add_directory(path, &mut files)?;
            if files.len() == found {
                let message = format!("no .toml file in {}", path.display());
                return Err(UsageError(message).into());
            }
        } else {
            files.push(path.clone());
        }
    }
    let mut seen = HashSet::new();
    files.retain(|file| {
        let whole = (file != Path::new("-")).then(|| file.canonicalize());
        seen.insert(whole.and_then(Result::ok).unwrap_or_else(|| file.clone()))
    });
    Ok(files)
}

fn add_directory(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let failed = || format!("cannot read {}", directory.display());
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).with_context(failed)? {
        entries.push(entry.with_context(failed)?.path());
    }
    entries.sort();
    for path in entries {
        // A link to a directory could lead back to where it is.
        if path.is_dir() && !path.is_symlink() {
            add_directory(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "toml") && !path.is_dir() {
            files.push(path);
        }
    }
    Ok(())
}

fn read_source(path: &Path) -> anyhow::Result<Source> {
    if path == Path::new("-") {
        return Ok(Source::from_bytes("<stdin>", read_bytes(path)?));
    }
    Ok(Source::from_bytes(
        path.to_string_lossy(),
        read_bytes(path)?,
    ))
}

/// Reads text.
pub(super) fn read_text(path: &Path) -> anyhow::Result<String> {
    let text = String::from_utf8(read_bytes(path)?);
    text.with_context(|| format!("cannot read {}", path.display()))
}

fn read_bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().read_to_end(&mut bytes).with_context(failed)?;
    } else {
        bytes = fs::read(path).with_context(failed)?;
    }
    Ok(bytes)
}

/// Reads ids, one a line; blank lines are skipped, and so is an id that was there before.
pub(super) fn read_ids(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = read_text(path)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut seen = HashSet::new();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let lines = lines.filter(|line| seen.insert(*line));
    Ok(lines.map(str::to_owned).collect())
}
