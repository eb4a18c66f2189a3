//! What ends the process while a list is assigned: it says first how many are stored, and ends between two
//! transactions if the present one is soon over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use experiments::Keep;
use indicatif::ProgressBar;

use crate::exit::{self, Hint, Interrupted};
use crate::options::Format;

/// How long the present transaction is waited for, and whoever reads the lines. A second signal ends that.
const GRACE: Duration = Duration::from_secs(2);

/// As long as the process lives, signals that would end it are taken by this.
pub(super) struct Interruption(Arc<Mutex<State>>);

struct State {
    /// How many actors are answered, and that stored.
    stored: u64,
    /// How many there are, if that is known.
    total: Option<u64>,
    keep: Keep,
    format: Format,
    bar: ProgressBar,
    /// Whether a transaction may be under way, or lines of what is stored are still to be printed.
    is_working: bool,
    /// What is to end the process.
    signal: Option<i32>,
}

impl Interruption {
    pub(super) fn watch(keep: Keep, format: Format, bar: ProgressBar) -> Self {
        let state = Arc::new(Mutex::new(State {
            stored: 0,
            total: None,
            keep,
            format,
            bar,
            is_working: false,
            signal: None,
        }));
        let watched = Arc::clone(&state);
        signals::take(move |signal| end(&watched, signal));
        Self(state)
    }

    /// From here on it is waited for the end of what is begun.
    pub(super) fn begin_work(&self, total: Option<u64>) {
        let mut state = lock(&self.0);
        state.total = total;
        state.is_working = true;
    }

    /// So many more are stored. Whether no more should be begun.
    pub(super) fn store(&self, count: u64) -> bool {
        let mut state = lock(&self.0);
        state.stored += count;
        state.signal.is_some()
    }

    /// All that is stored is printed. This ends the process if it is to end.
    pub(super) fn end_work(&self) {
        let mut state = lock(&self.0);
        state.is_working = false;
        if let Some(signal) = state.signal {
            state.end_by(signal);
        }
    }
}

impl State {
    /// Says what is stored, and ends the process. As the state is locked meanwhile, nobody else says it or stores more.
    fn end_by(&self, signal: i32) {
        self.tell(signal);
        signals::end_by(signal);
    }

    fn tell(&self, signal: i32) {
        self.bar.finish_and_clear();
        let stored = self.stored;
        let message = match self.total {
            Some(total) => format!("stored {stored} of {total} actors"),
            None if stored == 1 => "stored 1 actor".to_owned(),
            None => format!("stored {stored} actors"),
        };
        let hint = match self.keep {
            Keep::AssignmentsAndExposures => {
                "run the same command again to resume; whoever is stored is exposed once more"
            }
            Keep::Nothing | Keep::Assignments => "run the same command again to resume",
        };
        let error = anyhow::Error::new(Interrupted { message, signal });
        let _ = exit::report(&error.context(Hint(hint.to_owned())), self.format, Vec::new);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a signal does.
fn end(state: &Arc<Mutex<State>>, signal: i32) {
    let mut locked = lock(state);
    let is_repeated = locked.signal.replace(signal).is_some();
    if is_repeated || !locked.is_working {
        locked.end_by(signal);
        return;
    }
    drop(locked);
    let state = Arc::clone(state);
    let give_up = move || {
        thread::sleep(GRACE);
        lock(&state).end_by(signal);
    };
    // Without a thread for that, the second signal is what ends it.
    let _ = thread::Builder::new().spawn(give_up);
}

#[cfg(unix)]
mod signals {
    use std::fs;
    use std::sync::mpsc;
    use std::thread;

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    /// Takes them in a thread of its own. Where none is to be had they end the process as they always do.
    pub(super) fn take(each: impl FnMut(i32) + Send + 'static) {
        let (ready, is_ready) = mpsc::channel();
        let take_all = move || {
            if let Ok(mut signals) = Signals::new(heeded()) {
                let _ = ready.send(());
                signals.forever().for_each(each);
            }
        };
        if thread::Builder::new().spawn(take_all).is_ok() {
            let _ = is_ready.recv();
        }
    }

    /// Those that the process was not started to ignore: what a script starts in the background is not to be ended
    /// from the keyboard.
    fn heeded() -> Vec<i32> {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mut lines = status.lines();
        let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        let is_heeded = |signal: &i32| ignored.unwrap_or(0) >> (signal - 1) & 1 == 0;
        [SIGINT, SIGTERM].into_iter().filter(is_heeded).collect()
    }

    /// So that a shell sees what ended it.
    pub(super) fn end_by(signal: i32) {
        let _ = emulate_default_handler(signal);
    }
}

/// Where there are no signals.
#[cfg(not(unix))]
mod signals {
    pub(super) fn take(_each: impl FnMut(i32) + Send + 'static) {}

    pub(super) fn end_by(_signal: i32) {}
}
