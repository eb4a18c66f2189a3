//! Lines of actors, in batches: as much as has arrived, and no more than memory should hold.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use experiments::{ConfigProblem, MAX_ACTOR_BYTES, actor_problem};

use super::super::actor_list;
use crate::context::Context;
use crate::exit::{Failed, Hint};

/// A batch is complete at this size, in bytes, or at [`MAX_LINES`].
const MAX_BYTES: usize = 48 << 20;
const MAX_LINES: usize = 1_000_000;
/// What some editors begin a file of UTF-8 with.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// What one read asks for, in bytes.
const READ: usize = 1 << 18;
/// Input that brings nothing for this long has paused.
const PAUSE: Duration = Duration::from_millis(1);
/// A batch of input that trickles without pausing is complete at this age.
const MAX_AGE: Duration = Duration::from_millis(250);

/// How many bad lines are reported one by one.
const BAD_LINES_TOLD: u64 = 20;

pub(in crate::commands) struct Input {
    source: File,
    /// What was read and not yet handed out.
    buffer: Vec<u8>,
    at_end: bool,
    /// Lines that were handed out.
    lines: u64,
    /// Within a line that is too long, of which the beginning is forgotten already.
    in_long_line: bool,
    /// Whether every line is an actor, whatever it looks like.
    raw: bool,
    /// Its size in bytes, if it is a file.
    pub(super) size: Option<u64>,
    /// How many bytes were read.
    taken: u64,
}

/// Some lines of the input.
pub(in crate::commands) struct Batch {
    text: Vec<u8>,
    actors: Vec<Range<u32>>,
    pub(super) blank: u64,
    bad: Vec<BadLine>,
    /// Whether a line is bad for a blank at its edge.
    has_blank_edges: bool,
}

/// A line that is no actor.
struct BadLine {
    number: u64,
    problem: String,
}

/// The lines that were no actors.
#[derive(Default)]
pub(in crate::commands) struct BadLines {
    count: u64,
    /// The number of the first.
    first: u64,
    have_blank_edges: bool,
}

impl BadLines {
    /// Counts those of a batch, and warns of the first of all.
    pub(in crate::commands) fn take(&mut self, batch: &Batch, context: &Context) {
        self.have_blank_edges |= batch.has_blank_edges;
        for line in &batch.bad {
            self.count += 1;
            if self.count == 1 {
                self.first = line.number;
            }
            if self.count <= BAD_LINES_TOLD {
                context.warn(format_args!("line {}: {}", line.number, line.problem));
            }
            if self.count == BAD_LINES_TOLD + 1 {
                context.warn("further lines that are not actors are only counted");
            }
        }
    }

    /// Fails if there were any.
    pub(in crate::commands) fn into_result(self) -> anyhow::Result<()> {
        let first = self.first;
        let message = match self.count {
            0 => return Ok(()),
            1 => format!("line {first} is not an actor and was left out"),
            count => {
                format!("{count} lines are not actors and were left out; the first is line {first}")
            }
        };
        let error = anyhow::Error::new(Failed(message));
        if !self.have_blank_edges {
            return Err(error);
        }
        let hint = "remove the blanks, or keep them with --raw";
        Err(error.context(Hint(hint.to_owned())))
    }
}

impl Batch {
    /// How many actors there are.
    pub(super) fn len(&self) -> u64 {
        self.actors.len() as u64
    }

    /// How many bytes of the input the line of that actor takes.
    pub(super) fn bytes(&self, place: u32) -> u64 {
        self.actors[place as usize].len() as u64 + 1
    }

    /// The actors, in order.
    pub(in crate::commands) fn actors(&self) -> Vec<&str> {
        let place = |range: &Range<u32>| range.start as usize..range.end as usize;
        // Checked at once when all is well, and line by line otherwise.
        if let Ok(text) = std::str::from_utf8(&self.text) {
            return self
                .actors
                .iter()
                .map(|range| &text[place(range)])
                .collect();
        }
        let actor = |range| std::str::from_utf8(&self.text[place(range)]);
        let actors = self.actors.iter();
        actors
            .map(|range| actor(range).unwrap_or_default())
            .collect()
    }
}

impl Input {
    pub(in crate::commands) fn open(path: &Path, raw: bool) -> anyhow::Result<Self> {
        let opened = if path == Path::new("-") {
            standard_input()
        } else {
            File::open(path)
        };
        let failed = || format!("cannot read {}", path.display());
        let source = opened.with_context(failed)?;
        let metadata = source.metadata().with_context(failed)?;
        anyhow::ensure!(
            !metadata.is_dir(),
            "cannot read {}: it is a directory",
            path.display()
        );
        Ok(Self {
            source,
            buffer: Vec::new(),
            at_end: false,
            lines: 0,
            in_long_line: false,
            raw,
            size: metadata.is_file().then_some(metadata.len()),
            taken: 0,
        })
    }

    /// Whether all of it was read.
    pub(super) fn is_read(&self) -> bool {
        self.at_end
    }

    /// How many bytes were handed out.
    pub(super) fn handed_out(&self) -> u64 {
        self.taken - self.buffer.len() as u64
    }

    /// Waits for input and gives what has arrived; `None` at the end.
    pub(in crate::commands) fn next_batch(&mut self) -> anyhow::Result<Option<Batch>> {
        let mut lines = memchr::memchr_iter(b'\n', &self.buffer).count();
        let mut begun = None;
        while !self.at_end {
            let full = self.buffer.len() >= MAX_BYTES || lines >= MAX_LINES;
            // What is in a file has arrived, however slowly it is read.
            let may_trickle = self.size.is_none();
            let old = may_trickle && begun.is_some_and(|begun: Instant| begun.elapsed() > MAX_AGE);
            if full || (lines > 0 && (old || !has_more(&self.source)?)) {
                break;
            }
            let start = self.buffer.len();
            self.buffer.resize(start + READ, 0);
            let read = retry(|| self.source.read(&mut self.buffer[start..]));
            self.buffer.truncate(start + *read.as_ref().unwrap_or(&0));
            let read = read.context("cannot read the actors")?;
            lines += memchr::memchr_iter(b'\n', &self.buffer[start..]).count();
            self.at_end = read == 0;
            self.taken += read as u64;
            begun.get_or_insert_with(Instant::now);
            if lines == 0 && self.buffer.len() > READ {
                self.require_list()?;
                self.forget_long_line();
            }
        }
        self.require_list()?;
        Ok((!self.buffer.is_empty() || self.in_long_line).then(|| self.split()))
    }

    /// Refuses input that does not begin like a list of actors.
    fn require_list(&self) -> anyhow::Result<()> {
        if self.raw || self.lines > 0 || self.in_long_line {
            return Ok(());
        }
        let text = self.buffer.strip_prefix(BYTE_ORDER_MARK);
        actor_list::require_list(text.unwrap_or(&self.buffer))
    }

    /// Keeps of a line that is longer than any actor only that it is.
    fn forget_long_line(&mut self) {
        self.in_long_line = true;
        self.buffer.clear();
    }

    /// Takes the whole lines out of the buffer; at the end of the input also the last one, whole or not.
    fn split(&mut self) -> Batch {
        let mut text = std::mem::take(&mut self.buffer);
        if !self.at_end {
            let end = memchr::memrchr(b'\n', &text).map_or(0, |last| last + 1);
            self.buffer = text.split_off(end);
        }
        let mut batch = Batch {
            text: Vec::new(),
            actors: Vec::new(),
            blank: 0,
            bad: Vec::new(),
            has_blank_edges: false,
        };
        let all_utf8 = std::str::from_utf8(&text).is_ok();
        let any_nul = memchr::memchr(0, &text).is_some();
        // A byte order mark is no part of the first actor.
        let begins_with_mark = self.lines == 0 && text.starts_with(BYTE_ORDER_MARK);
        let mut start = if begins_with_mark {
            BYTE_ORDER_MARK.len()
        } else {
            0
        };
        if self.in_long_line {
            self.in_long_line = false;
            start = memchr::memchr(b'\n', &text).map_or(text.len(), |at| at + 1);
            self.lines += 1;
            batch.refuse(self.lines, &too_long());
        }
        while start < text.len() {
            let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |at| start + at);
            self.lines += 1;
            let line = text[start..end]
                .strip_suffix(b"\r")
                .unwrap_or(&text[start..end]);
            let utf8 = if all_utf8 {
                Ok(())
            } else {
                std::str::from_utf8(line).map(drop)
            };
            if line.iter().all(u8::is_ascii_whitespace) {
                batch.blank += 1;
            } else if utf8.is_err() {
                batch.refuse(self.lines, "it is not UTF-8");
            } else if line.len() > MAX_ACTOR_BYTES {
                batch.refuse(self.lines, &too_long());
            } else if (any_nul || !line[0].is_ascii_graphic())
                && let Some(problem) = problem(line)
            {
                batch.refuse(self.lines, &problem.to_string());
            } else if !self.raw && actor_list::has_blank_at_edge(line) {
                batch.has_blank_edges = true;
                batch.refuse(self.lines, "it has a blank at its edge");
            } else {
                batch.actors.push(range(start, start + line.len()));
            }
            start = end + 1;
        }
        text.shrink_to(text.len());
        batch.text = text;
        batch
    }
}

impl Batch {
    fn refuse(&mut self, number: u64, problem: &str) {
        let problem = problem.to_owned();
        self.bad.push(BadLine { number, problem });
    }
}

fn problem(line: &[u8]) -> Option<ConfigProblem> {
    actor_problem(std::str::from_utf8(line).unwrap_or_default())
}

fn too_long() -> String {
    format!("it is longer than {MAX_ACTOR_BYTES} bytes")
}

/// A batch is far smaller than 4 GiB.
fn range(start: usize, end: usize) -> Range<u32> {
    let place = |at| u32::try_from(at).unwrap_or(u32::MAX);
    place(start)..place(end)
}

fn retry(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Standard input without the buffer of the standard library, which would hide what has arrived.
#[cfg(unix)]
fn standard_input() -> io::Result<File> {
    use std::os::fd::AsFd as _;
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn standard_input() -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;
    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

/// Whether input, or its end, is there or comes at once.
#[cfg(unix)]
fn has_more(source: &File) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec::try_from(PAUSE).map_err(io::Error::other)?;
    let mut watched = [PollFd::new(source, PollFlags::IN)];
    match poll(&mut watched, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// There is no telling here: every read is a batch.
#[cfg(windows)]
fn has_more(_source: &File) -> io::Result<bool> {
    Ok(false)
}
