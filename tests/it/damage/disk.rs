//! A disk that loses at a power cut what it was not told to keep: of the writes to a file since its
//! last sync any part, sector by sector; of the names in a directory all after some moment since the
//! directory's last sync.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::random::Random;
use super::trace::Event;

const SECTOR: usize = 512;

#[derive(Default)]
pub(crate) struct Disk {
    /// By number, as a name may change.
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    kept_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<Naming>,
    /// Whether it takes no notice of syncs.
    ignores_syncs: bool,
}

#[derive(Default)]
struct File {
    kept: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Clone)]
enum Naming {
    Set(PathBuf, usize),
    Move(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Naming {
    fn is_in(&self, directory: &Path) -> bool {
        let (Self::Set(path, _) | Self::Move(_, path) | Self::Remove(path)) = self;
        path.parent() == Some(directory)
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Set(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Move(from, to) => {
                // It may not have been kept under the first name.
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>, mut keeps: impl FnMut() -> bool) {
        match self {
            Self::Truncate(length) => {
                if keeps() {
                    content.resize(*length, 0);
                }
            }
            Self::Write(offset, data) => {
                let mut at = *offset;
                let mut rest = &data[..];
                while !rest.is_empty() {
                    let (sector, later) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
                    if keeps() {
                        let end = at + sector.len();
                        content.resize(content.len().max(end), 0);
                        content[at..end].copy_from_slice(sector);
                    }
                    at += sector.len();
                    rest = later;
                }
            }
        }
    }
}

impl Disk {
    pub(crate) fn new(ignores_syncs: bool) -> Self {
        Self {
            ignores_syncs,
            ..Self::default()
        }
    }

    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Create(path) if !self.names.contains_key(path) => {
                self.files.push(File::default());
                self.name(Naming::Set(path.clone(), self.files.len() - 1));
            }
            Event::Write(path, offset, data) => {
                self.change(path, Change::Write(*offset, data.clone()));
            }
            Event::Truncate(path, length) => self.change(path, Change::Truncate(*length)),
            Event::Rename(from, to) => self.name(Naming::Move(from.clone(), to.clone())),
            Event::Unlink(path) => self.name(Naming::Remove(path.clone())),
            Event::Sync(path) if !self.ignores_syncs => self.sync(path),
            _ => {}
        }
    }

    fn change(&mut self, path: &Path, change: Change) {
        if let Some(file) = self.names.get(path) {
            self.files[*file].pending.push(change);
        }
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.pending_names.push(naming);
    }

    fn sync(&mut self, path: &Path) {
        if let Some(number) = self.names.get(path) {
            let file = &mut self.files[*number];
            for change in file.pending.drain(..) {
                change.apply(&mut file.kept, || true);
            }
            return;
        }
        let (kept, pending) = std::mem::take(&mut self.pending_names)
            .into_iter()
            .partition(|naming| naming.is_in(path));
        self.pending_names = pending;
        let kept: Vec<Naming> = kept;
        for naming in kept {
            naming.apply(&mut self.kept_names);
        }
    }

    /// Writes what a power cut at this moment leaves of the files in `from`.
    pub(crate) fn cut(&self, random: &mut Random, from: &Path, into: &Path) {
        let mut names = self.kept_names.clone();
        let moment = random.below(self.pending_names.len() + 1);
        for naming in &self.pending_names[..moment] {
            naming.apply(&mut names);
        }
        for (path, file) in names {
            let Ok(name) = path.strip_prefix(from) else {
                continue;
            };
            // Made anew by whoever opens the store first.
            if path.to_string_lossy().ends_with("-shm") {
                continue;
            }
            let file = &self.files[file];
            let mut content = file.kept.clone();
            // Nothing, something or all of what was not synced.
            let share = [0, 30, 70, 100][random.below(4)];
            for change in &file.pending {
                change.apply(&mut content, || random.below(100) < share);
            }
            let left = into.join(name);
            fs::create_dir_all(left.parent().unwrap()).unwrap();
            fs::write(left, content).unwrap();
        }
    }
}
