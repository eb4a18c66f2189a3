//! Files of experiments, and files of ids: from paths to text.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use experiments::declare::SourceFile;

use crate::exit::UsageError;

/// The files of experiments that were named.
pub(super) struct Sources {
    pub(super) files: Vec<SourceFile>,
    /// Where each file is.
    pub(super) paths: Vec<PathBuf>,
    /// What a directory holds that may declare experiments, and was not read.
    pub(super) left_out: Vec<PathBuf>,
}

/// Reads files; of a directory, what [`Walk`] finds in it, sorted. `-` is standard input.
pub(super) fn read_sources(paths: &[PathBuf]) -> anyhow::Result<Sources> {
    let Walk {
        mut files,
        mut left_out,
        ..
    } = find_all(paths)?;
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(whole(file)));
    let named: HashSet<PathBuf> = paths.iter().map(|path| whole(path)).collect();
    left_out.retain(|path| !named.contains(&whole(path)));
    let sources: anyhow::Result<_> = files.iter().map(|file| read_source(file)).collect();
    Ok(Sources {
        files: sources?,
        paths: files,
        left_out,
    })
}

/// The same path for every way to name a file.
fn whole(path: &Path) -> PathBuf {
    let is_input = path == Path::new("-");
    let whole = (!is_input).then(|| path.canonicalize().ok()).flatten();
    whole.unwrap_or_else(|| path.to_owned())
}

fn find_all(paths: &[PathBuf]) -> anyhow::Result<Walk> {
    let mut walk = Walk::default();
    for path in paths {
        if path.is_dir() {
            let found = walk.files.len();
            walk.visited.clear();
            walk.directory(path)?;
            if walk.files.len() == found {
                let message = format!("no .toml file in {}", path.display());
                return Err(UsageError(message).into());
            }
        } else {
            walk.files.push(path.clone());
        }
    }
    Ok(walk)
}

/// Finds every `.toml` file in a directory and below, also through links. A name that begins with a dot is
/// left out: editors keep their own files under such names, and tools their directories.
#[derive(Default)]
struct Walk {
    files: Vec<PathBuf>,
    left_out: Vec<PathBuf>,
    /// The directories that were read, as a link may lead back to one of them.
    visited: HashSet<PathBuf>,
}

impl Walk {
    fn directory(&mut self, directory: &Path) -> anyhow::Result<()> {
        for path in self.entries(directory)? {
            let is_directory = path.is_dir();
            if is_hidden(&path) {
                if is_directory && self.has_definitions(&path) || has_extension(&path) {
                    self.left_out.push(path);
                }
            } else if is_directory {
                self.directory(&path)?;
            } else if has_extension(&path) {
                self.files.push(path);
            } else if path.is_symlink() && !path.exists() {
                // It may stand for a directory that is not there at the moment.
                self.left_out.push(path);
            }
        }
        Ok(())
    }

    /// What a directory holds, sorted; nothing if it was read before.
    fn entries(&mut self, directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let failed = || format!("cannot read {}", directory.display());
        let mut entries = Vec::new();
        if self
            .visited
            .insert(directory.canonicalize().with_context(failed)?)
        {
            for entry in fs::read_dir(directory).with_context(failed)? {
                entries.push(entry.with_context(failed)?.path());
            }
            entries.sort();
        }
        Ok(entries)
    }

    /// Whether there is a `.toml` file in a directory that is left out; also if there is no telling.
    fn has_definitions(&mut self, directory: &Path) -> bool {
        self.entries(directory).map_or(true, |entries| {
            entries.iter().any(|path| {
                let is_directory = path.is_dir() && !path.is_symlink();
                has_extension(path) || is_directory && self.has_definitions(path)
            })
        })
    }
}

fn has_extension(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
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
