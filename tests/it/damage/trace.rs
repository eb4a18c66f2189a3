//! What a run of processes asked of the system, in order, as `strace` saw it.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// The calls that change a file or a directory, and those that say who is who.
const CALLS: &str = "execve,exit_group,openat,mkdir,pwrite64,write,ftruncate,fsync,fdatasync,\
    rename,renameat,renameat2,unlink,unlinkat";

#[derive(Debug)]
pub(crate) enum Event {
    Run(u32, Vec<String>),
    Exit(u32, i32),
    /// Written to standard output.
    Told(Vec<u8>),
    Create(PathBuf),
    Write(PathBuf, usize, Vec<u8>),
    Truncate(PathBuf, usize),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

/// `command`, watched; what was seen goes to the file.
pub(crate) fn watched(command: &Command, trace: &Path) -> Command {
    let mut strace = super::under_strace(command);
    let trace_set = format!("trace={CALLS}");
    // Paths of descriptors, and writes as long as they are.
    strace.args(["-y", "-s", "1000000", "-e", &trace_set, "-o"]);
    strace.arg(trace).arg(command.get_program());
    strace.args(command.get_args());
    strace
}

/// Reads the file; relative names are below `directory`.
pub(crate) fn read(trace: &str, directory: &Path) -> Vec<Event> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut events = Vec::new();
    for line in trace.lines() {
        let (pid, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let joined;
        let call = if let Some(first) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, first);
            continue;
        } else if let Some((_, rest)) = call.split_once(" resumed>")
            && call.starts_with("<... ")
        {
            joined = format!("{}{rest}", begun.remove(pid).unwrap());
            &joined
        } else {
            call
        };
        events.extend(event(pid.parse().unwrap(), call, directory));
    }
    events
}

fn event(pid: u32, call: &str, directory: &Path) -> Option<Event> {
    if let Some(code) = call.strip_prefix("+++ exited with ") {
        let code = code.strip_suffix(" +++").unwrap();
        return Some(Event::Exit(pid, code.parse().unwrap()));
    }
    let (name, rest) = call.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let texts = texts(arguments);
    let named = |nth: usize| clean(directory, &String::from_utf8_lossy(&texts[nth]));
    let described = || {
        Some(PathBuf::from(
            arguments.split_once('<')?.1.split_once('>')?.0,
        ))
    };
    let last_number = || {
        let numbers = arguments.trim_end_matches([')', ' ']);
        let number = numbers.rsplit([',', ' ']).next().unwrap();
        number.parse::<usize>().unwrap()
    };
    Some(match name {
        "execve" => {
            let words = texts.iter().skip(1);
            let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
            Event::Run(pid, words.collect())
        }
        "openat" if arguments.contains("O_CREAT") => Event::Create(named(0)),
        "pwrite64" => Event::Write(described()?, last_number(), texts.into_iter().next()?),
        "write" if arguments.starts_with("1<") => Event::Told(texts.into_iter().next()?),
        "ftruncate" => Event::Truncate(described()?, last_number()),
        "fsync" | "fdatasync" => Event::Sync(described()?),
        "rename" | "renameat" | "renameat2" => Event::Rename(named(0), named(1)),
        "unlink" | "unlinkat" => Event::Unlink(named(0)),
        _ => return None,
    })
}

/// The name without `.`, from the root on.
fn clean(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    let parts = path.components();
    parts.filter(|part| *part != Component::CurDir).collect()
}

/// The strings among the arguments, as C writes them.
fn texts(arguments: &str) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    let mut rest = arguments.bytes().peekable();
    while let Some(byte) = rest.next() {
        // Paths of descriptors may hold anything but this.
        if byte != b'"' {
            continue;
        }
        let mut text = Vec::new();
        loop {
            match rest.next().unwrap() {
                b'"' => break,
                b'\\' => {
                    let escaped = rest.next().unwrap();
                    text.push(match escaped {
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'r' => b'\r',
                        b'v' => 0x0b,
                        b'f' => 0x0c,
                        b'0'..=b'7' => {
                            let mut value = u32::from(escaped - b'0');
                            for _ in 0..2 {
                                let Some(digit) = rest.next_if(|b| (b'0'..=b'7').contains(b))
                                else {
                                    break;
                                };
                                value = value * 8 + u32::from(digit - b'0');
                            }
                            u8::try_from(value).unwrap()
                        }
                        other => other,
                    });
                }
                plain => text.push(plain),
            }
        }
        texts.push(text);
    }
    texts
}
