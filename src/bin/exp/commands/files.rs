//! Files of experiments, and files of ids: from paths to text.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use experiments::declare::SourceFile;

use crate::exit::UsageError;

/// Reads files; of a directory, every `.toml` file in it and below, sorted. `-` is standard input.
pub(super) fn read_sources(paths: &[PathBuf]) -> anyhow::Result<Vec<SourceFile>> {
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

fn read_source(path: &Path) -> anyhow::Result<SourceFile> {
    let name = if path == Path::new("-") {
        "<stdin>".into()
    } else {
        path.to_string_lossy()
    };
    Ok(SourceFile::from_bytes(name, read_bytes(path)?))
}

/// The largest file of definitions, in bytes: a hundred thousand experiments take less, and checking it
/// takes 60 times as much memory. What is larger is not what it was taken for, and may have no end.
const MAX_BYTES: u64 = 16 << 20;
/// The same for a plan, which is JSON and says more of each.
const MAX_BYTES_OF_PLAN: u64 = 64 << 20;
/// How much of a file of ids is read, in bytes, and how many ids are taken from it: more would make no
/// measure of independence any better.
const MAX_BYTES_OF_IDS: u64 = 256 << 20;
pub(super) const MAX_IDS: usize = 1 << 18;

fn open(path: &Path) -> io::Result<Box<dyn io::Read>> {
    Ok(if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(fs::File::open(path)?)
    })
}

fn read_bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    // Where there is too little memory this fails, and does not abort.
    open(path)
        .and_then(|source| source.take(MAX_BYTES_OF_PLAN + 1).read_to_end(&mut bytes))
        .with_context(failed)?;
    let limit = if bytes.trim_ascii_start().starts_with(b"{") {
        MAX_BYTES_OF_PLAN
    } else {
        MAX_BYTES
    };
    anyhow::ensure!(
        bytes.len() as u64 <= limit,
        "cannot read {}: it is larger than {} MiB",
        path.display(),
        limit >> 20
    );
    Ok(bytes)
}

/// Ids, one a line; blank lines are skipped, and so is an id that was there before. Of a long file these
/// are the first [`MAX_IDS`].
pub(super) fn read_ids(path: &Path) -> anyhow::Result<Vec<String>> {
    let failed = || format!("cannot read {}", path.display());
    let mut source = open(path)
        .map(|source| BufReader::new(source.take(MAX_BYTES_OF_IDS)))
        .with_context(failed)?;
    let (mut seen, mut ids) = (HashSet::new(), Vec::new());
    let mut line = String::new();
    while ids.len() < MAX_IDS && source.read_line(&mut line).with_context(failed)? > 0 {
        let id = line.strip_prefix('\u{feff}').unwrap_or(&line);
        let id = id.strip_suffix('\n').unwrap_or(id);
        let id = id.strip_suffix('\r').unwrap_or(id);
        if !id.trim().is_empty() && seen.insert(id.to_owned()) {
            ids.push(id.to_owned());
        }
        line.clear();
    }
    Ok(ids)
}
