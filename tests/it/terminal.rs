//! A terminal that a test types on.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, tcgetattr};

/// A program on a terminal of its own.
pub(crate) struct Terminal {
    screen: File,
    /// Kept open, so that it can be looked at when the program has ended.
    keyboard: File,
    pub(crate) program: Child,
    shown: String,
}

impl Terminal {
    pub(crate) fn new(command: &mut Command) -> Self {
        Self::with(command, |command, end| {
            command.stdin(end()).stdout(end()).stderr(end());
        })
    }

    /// With nothing but its standard error on the terminal.
    pub(crate) fn of_errors(command: &mut Command) -> Self {
        Self::with(command, |command, end| {
            command.stderr(end());
        })
    }

    fn with(command: &mut Command, connect: impl Fn(&mut Command, &dyn Fn() -> File)) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let name = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let keyboard = File::options().read(true).write(true).open(name).unwrap();
        connect(command, &|| keyboard.try_clone().unwrap());
        let program = command.spawn().unwrap();
        Self {
            screen: screen.into(),
            keyboard,
            program,
            shown: String::new(),
        }
    }

    /// Waits until this is shown.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_until(|shown| shown.contains(text));
    }

    /// Waits until what was shown so far is like this.
    pub(crate) fn wait_until(&mut self, is_so: impl Fn(&str) -> bool) {
        let mut bytes = [0; 1024];
        let begun = Instant::now();
        while !is_so(&self.shown) {
            let left = Duration::from_mins(1).saturating_sub(begun.elapsed());
            let mut ready = [PollFd::new(&self.screen, PollFlags::IN)];
            let timeout = Timespec::try_from(left).unwrap();
            let found = poll(&mut ready, Some(&timeout)).unwrap();
            assert!(found > 0, "nothing more is shown: {:?}", self.shown);
            let read = self.screen.read(&mut bytes).unwrap();
            self.shown += &String::from_utf8_lossy(&bytes[..read]);
        }
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.screen.write_all(text.as_bytes()).unwrap();
    }

    /// How the terminal behaves.
    pub(crate) fn settings(&self) -> Termios {
        tcgetattr(&self.keyboard).unwrap()
    }

    /// Waits for the end, and returns all that was shown.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        // What is shown after the end of the program is this.
        const END: &str = "\u{4}the end";
        let status = self.program.wait().unwrap();
        self.keyboard.write_all(END.as_bytes()).unwrap();
        self.wait_for(END);
        let shown = self.shown.replace(END, "");
        (status, shown.replace("\r\n", "\n"))
    }
}

/// Whether two terminals behave alike.
pub(crate) fn same(one: &Termios, other: &Termios) -> io::Result<()> {
    let modes = |t: &Termios| {
        (
            t.input_modes,
            t.output_modes,
            t.control_modes,
            t.local_modes,
        )
    };
    if modes(one) == modes(other) {
        return Ok(());
    }
    Err(io::Error::other(format!("{one:?} is not {other:?}")))
}
