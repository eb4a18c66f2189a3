//! How far it is, in bytes of input whose actors are answered, where standard error is a terminal.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::context::Context;

pub(super) struct Progress {
    bar: ProgressBar,
    position: u64,
}

impl Progress {
    /// `size` is that of the input, if it is known.
    pub(super) fn begin(size: Option<u64>, context: &Context) -> Self {
        let bar = visible(size, context).unwrap_or_else(ProgressBar::hidden);
        // It moves with what is stored, not by a thread of its own, which may not be to be had.
        bar.tick();
        Self { bar, position: 0 }
    }

    pub(super) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    pub(super) fn advance(&mut self, bytes: u64) {
        self.reach(self.position + bytes);
    }

    pub(super) fn reach(&mut self, position: u64) {
        self.position = position;
        self.bar.set_position(position);
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    /// Also where the command fails.
    fn drop(&mut self) {
        self.end();
    }
}

fn visible(size: Option<u64>, context: &Context) -> Option<ProgressBar> {
    // On a terminal the lines themselves show how it goes.
    if context.is_quiet() || io::stdout().is_terminal() {
        return None;
    }
    let (bar, template) = match size {
        Some(size) => {
            let template = "{wide_bar} {percent}% {bytes_per_sec} {eta}";
            (ProgressBar::new(size), template)
        }
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {bytes} {bytes_per_sec}",
        ),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    Some(match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    })
}
