//! The directory that the paths of a report are relative to.

use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;

use crate::exit::UsageError;

pub(super) struct Root {
    directory: PathBuf,
}

impl Root {
    /// The directory that was named, or else the nearest one with a repository in it from here upwards, or else
    /// this one.
    pub(super) fn find(named: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(named) = named {
            let directory = named.canonicalize().ok().filter(|path| path.is_dir());
            let message = || UsageError(format!("--root is not a directory: {}", named.display()));
            return Ok(Self {
                directory: directory.ok_or_else(message)?,
            });
        }
        let here = std::env::current_dir().and_then(|here| here.canonicalize());
        let here = here.context("cannot tell the current directory")?;
        let repository = here.ancestors().find(|above| above.join(".git").exists());
        Ok(Self {
            directory: repository.unwrap_or(&here).to_owned(),
        })
    }

    /// A path from the root, with slashes. What is outside is named from the top.
    pub(super) fn name(&self, path: &Path) -> String {
        let real = path.canonicalize();
        let real = real.as_deref().unwrap_or(path);
        if let Ok(inside) = real.strip_prefix(&self.directory) {
            return joined(inside);
        }
        // A link in the repository may lead out of it.
        let typed = std::path::absolute(path).unwrap_or_default();
        let goes_up = typed.components().any(|part| part == Component::ParentDir);
        match typed.strip_prefix(&self.directory) {
            Ok(inside) if !goes_up => joined(inside),
            _ => real.to_string_lossy().into_owned(),
        }
    }
}

fn joined(path: &Path) -> String {
    let parts = path.components();
    let parts: Vec<_> = parts
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}
