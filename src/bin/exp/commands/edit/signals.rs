//! What would end the process while an editor is open: the editor is ended first, so that no file is left behind and
//! the terminal is as it was.

#[cfg(not(unix))]
pub(super) use self::elsewhere::Watch;
#[cfg(unix)]
pub(super) use self::unix::Watch;

#[cfg(unix)]
mod unix {
    use std::io;
    use std::process::Child;
    use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
    use std::thread;

    use rustix::process::{Pid, Signal, kill_process};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    /// As long as it lives, signals wait for the editor. Those that it has waited for are taken when it is dropped.
    pub(in super::super) struct Watch(());

    #[derive(Default)]
    struct Watched {
        is_watching: bool,
        editor: Option<Pid>,
        /// What is to end the process.
        ended_by: Option<i32>,
    }

    static WATCHED: Mutex<Watched> = Mutex::new(Watched {
        is_watching: false,
        editor: None,
        ended_by: None,
    });

    fn watched() -> MutexGuard<'static, Watched> {
        WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Watch {
        pub(in super::super) fn begin() -> io::Result<Self> {
            static LISTENER: OnceLock<()> = OnceLock::new();
            if LISTENER.get().is_none() {
                let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
                thread::Builder::new().spawn(move || signals.forever().for_each(take))?;
                let _ = LISTENER.set(());
            }
            watched().is_watching = true;
            Ok(Self(()))
        }

        /// The editor that runs, or that none runs any more.
        #[expect(clippy::unused_self, reason = "there is one only during a watch")]
        pub(in super::super) fn set_editor(&self, editor: Option<&Child>) {
            let mut watched = watched();
            let id = editor.and_then(|editor| i32::try_from(editor.id()).ok());
            watched.editor = id.and_then(Pid::from_raw);
            watched.end_editor();
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            let ended_by = std::mem::take(&mut *watched()).ended_by;
            if let Some(signal) = ended_by {
                let _ = emulate_default_handler(signal);
            }
        }
    }

    impl Watched {
        fn end_editor(&self) {
            if let (Some(editor), Some(signal)) = (self.editor, self.ended_by) {
                let signal = if signal == SIGHUP {
                    Signal::HUP
                } else {
                    Signal::TERM
                };
                let _ = kill_process(editor, signal);
            }
        }
    }

    fn take(signal: i32) {
        let mut watched = watched();
        if !watched.is_watching {
            drop(watched);
            let _ = emulate_default_handler(signal);
        } else if [SIGHUP, SIGTERM].contains(&signal) {
            watched.ended_by = Some(signal);
            watched.end_editor();
        }
        // What the keyboard sends goes to the editor as well, for which it may mean something else.
    }
}

/// Where there are no signals.
#[cfg(not(unix))]
mod elsewhere {
    use std::io;
    use std::process::Child;

    pub(in super::super) struct Watch(());

    impl Watch {
        pub(in super::super) fn begin() -> io::Result<Self> {
            Ok(Self(()))
        }

        #[expect(clippy::unused_self, reason = "there are no signals")]
        pub(in super::super) fn set_editor(&self, _editor: Option<&Child>) {}
    }
}
