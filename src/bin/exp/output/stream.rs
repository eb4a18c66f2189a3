//! The two streams. Everything that is written goes through here, and no [secret](crate::secrets) goes
//! to standard error.
//!
//! Processes may share a standard error. Each line goes there in one write, so that lines don't mix.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::ColorChoice;
use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use experiments::text::{escape, is_unsafe};

use crate::secrets::mask;

/// Whether anything was written to standard output.
static HAS_PRINTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn has_printed() -> bool {
    HAS_PRINTED.load(Ordering::Relaxed)
}

/// Writes to standard output in one piece.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    HAS_PRINTED.store(true, Ordering::Relaxed);
    let mut stdout = anstream::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("cannot write to standard output")
}

/// Writes text from outside to standard output, every byte as it is; but on a terminal nothing that would drive it.
pub(crate) fn print_as_it_is(text: &str) -> anyhow::Result<()> {
    if io::stdout().is_terminal() {
        let is_kept = |c: char| !is_unsafe(c) || matches!(c, '\n' | '\t');
        let escaped = text.chars().map(|c| {
            if is_kept(c) {
                c.to_string()
            } else {
                c.escape_default().to_string()
            }
        });
        return print(&escaped.collect::<String>());
    }
    HAS_PRINTED.store(true, Ordering::Relaxed);
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("cannot write to standard output")
}

/// Writes a line to standard error. If that is closed too, nobody can be told.
pub(crate) fn tell(message: impl Display) {
    let message = mask(&message.to_string());
    write_error(&format!("{}\n", escape(&message)));
}

/// Writes a line that is safe and holds no secret to standard error.
pub(crate) fn tell_line(line: &str) {
    write_error(line);
}

/// Writes text that was made for a terminal, colours and all, to standard error.
pub(crate) fn tell_styled(text: impl Display) {
    write_error(&mask(&text.to_string()));
}

/// Whether somebody sees a question and can answer it.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on standard error; only a yes from standard input is one.
pub(crate) fn confirm(question: &str) -> anyhow::Result<bool> {
    write_error(&format!("{question} [y/N] "));
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// What a line on standard error is.
#[derive(Clone, Copy)]
pub(crate) enum Label {
    Error,
    Hint,
    Warning,
}

impl Label {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Hint => " hint",
            Self::Warning => "warning",
        }
    }

    fn style(self) -> Style {
        let colour = match self {
            Self::Error => AnsiColor::Red,
            Self::Hint => AnsiColor::Cyan,
            Self::Warning => AnsiColor::Yellow,
        };
        colour.on_default().bold()
    }
}

/// Writes a line to standard error that says what it is.
pub(crate) fn tell_as(label: Label, message: impl Display) {
    let (word, style, message) = (label.word(), label.style(), mask(&message.to_string()));
    write_error(&format!("{style}{word}{style:#}: {}\n", escape(&message)));
}

/// Writes to standard error in one piece: a stream that takes the colours out would write one piece for each
/// stretch between them.
fn write_error(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = if stderr.current_choice() == ColorChoice::Never {
        let plain = strip_str(text).to_string();
        stderr.into_inner().write_all(plain.as_bytes())
    } else {
        stderr.write_all(text.as_bytes())
    };
}
