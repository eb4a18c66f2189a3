//! A panic is a fault of the program, and still ends as any other failure: a line that begins with
//! `error:`, exit status 1, and in place of an assignment the default that was named. The release build
//! aborts on a panic, so it is done in the hook, before that.

use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::output::stream::{self, Label};

/// What is printed in place of the answer.
static DEFAULT: Mutex<Option<String>> = Mutex::new(None);

/// Whether a thread is reporting its panic already.
static IS_REPORTING: AtomicBool = AtomicBool::new(false);

/// Has every panic, of whatever thread, reported and end the process.
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(|panic| {
        if IS_REPORTING.swap(true, Ordering::SeqCst) {
            loop {
                std::thread::park();
            }
        }
        let code = report(panic);
        #[expect(clippy::disallowed_methods, reason = "a panic does not return to main")]
        std::process::exit(code)
    }));
}

/// Has this printed if the answer can't be had for a panic.
pub(crate) fn set_default(answer: String) {
    *DEFAULT.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
}

fn report(panic: &PanicHookInfo<'_>) -> i32 {
    let reason = reason(panic);
    // Not waited for: the thread that panics may hold it.
    let default = DEFAULT
        .try_lock()
        .ok()
        .and_then(|mut default| default.take());
    if let Some(default) = default {
        stream::tell_as(
            Label::Warning,
            format_args!("{reason}; the default was used"),
        );
        // An answer that has been printed stands.
        if stream::has_printed() || stream::print(&default).is_ok() {
            return 0;
        }
        return 1;
    }
    stream::tell_as(Label::Error, reason);
    stream::tell_as(
        Label::Hint,
        "unless the system has run out of threads, files or memory, this is a bug in exp: please \
         report it with this message",
    );
    1
}

fn reason(panic: &PanicHookInfo<'_>) -> String {
    let message = panic.payload_as_str().unwrap_or("without a reason");
    let place = panic.location();
    let place = place.map_or_else(String::new, |place| {
        // Of the path, what is the same on every machine.
        let file = place.file().rsplit(['/', '\\']).next().unwrap_or_default();
        format!(" ({file}:{})", place.line())
    });
    format!("exp failed unexpectedly: {message}{place}")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::*;

    /// Runs one of the tests below, each of which ends its process.
    fn run(name: &str) -> Output {
        let tests = std::env::current_exe().unwrap();
        let name = format!("panics::tests::{name}");
        let words = ["--exact", &name, "--ignored", "--nocapture"];
        Command::new(tests).args(words).output().unwrap()
    }

    #[test]
    #[ignore = "ends the process"]
    fn end_with_an_error() {
        install_hook();
        panic!("no way to postgres://ann:s3cret@db");
    }

    #[test]
    #[ignore = "ends the process"]
    fn end_with_the_default() {
        install_hook();
        set_default("safe\n".to_owned());
        std::thread::spawn(|| panic!("no way")).join().unwrap();
    }

    #[test]
    fn a_panic_is_an_error_without_secrets() {
        let output = run("end_with_an_error");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        let expected =
            "error: exp failed unexpectedly: no way to postgres://ann:...@db (panics.rs:";
        assert!(told.starts_with(expected), "{told}");
    }

    #[test]
    fn a_panic_prints_the_default() {
        let output = run("end_with_the_default");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(
            told.starts_with("warning: exp failed unexpectedly: no way"),
            "{told}"
        );
        assert!(output.stdout.ends_with(b"safe\n"));
    }
}
