//! A line between a store and the server that can be listened in on, and cut.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::givens::eventually;
use crate::server::Server;

/// What a [`Proxy`] does to the next message.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Cut {
    /// Cuts the line before this request (counted from 0, from when it was told) reaches the server.
    Request(usize),
    /// Cuts the line before the answer to this request reaches the client.
    Answer(usize),
}

/// Stands between a store and the server, counts the round trips, and can cut the line.
pub(crate) struct Proxy {
    directory: tempfile::TempDir,
    round_trips: Arc<AtomicUsize>,
    /// One for each line.
    owed: Lines,
    cut: Arc<Mutex<Option<Cut>>>,
}

type Lines = Arc<Mutex<Vec<Arc<Mutex<Owed>>>>>;

impl Proxy {
    pub(crate) fn new(server: &Server) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
        let proxy = Self {
            directory,
            round_trips: Arc::default(),
            owed: Arc::default(),
            cut: Arc::default(),
        };
        let target = server.directory().join(".s.PGSQL.5432");
        let (round_trips, cut) = (Arc::clone(&proxy.round_trips), Arc::clone(&proxy.cut));
        let lines = Arc::clone(&proxy.owed);
        thread::spawn(move || {
            for client in listener.incoming() {
                let server = UnixStream::connect(&target).unwrap();
                let owed = Arc::default();
                lines.lock().unwrap().push(Arc::clone(&owed));
                relay(&client.unwrap(), &server, &round_trips, &owed, &cut);
            }
        });
        proxy
    }

    pub(crate) fn url(&self, url: &str) -> String {
        let (base, _) = url.split_once("?host=").unwrap();
        format!("{base}?host={}", self.directory.path().display())
    }

    pub(crate) fn cut(&self, cut: Cut) {
        let so_far = self.so_far();
        *self.cut.lock().unwrap() = Some(match cut {
            Cut::Request(n) => Cut::Request(so_far + n),
            Cut::Answer(n) => Cut::Answer(so_far + n),
        });
    }

    /// How many round trips a step took.
    pub(crate) fn count<T>(&self, step: impl FnOnce() -> T) -> (usize, T) {
        let before = self.so_far();
        let done = step();
        (self.so_far() - before, done)
    }

    /// How many round trips there were, once none is under way: a store does not wait for the answer to what it
    /// prepares beside.
    fn so_far(&self) -> usize {
        eventually("nothing is owed", || {
            let lines = self.owed.lock().unwrap();
            lines.iter().all(|owed| owed.lock().unwrap().is_settled())
        });
        self.round_trips.load(Ordering::SeqCst)
    }
}

/// How many answers the server still owes: one to each query or synchronisation that was sent.
#[derive(Default)]
struct Owed {
    /// What was sent and is not a whole message yet.
    begun: Vec<u8>,
    has_logged_in: bool,
    answers: usize,
    is_line_cut: bool,
}

impl Owed {
    fn is_settled(&self) -> bool {
        self.answers == 0 || self.is_line_cut
    }

    fn sent(&mut self, bytes: &[u8]) {
        self.begun.extend(bytes);
        loop {
            // The first message has no type.
            let start = usize::from(self.has_logged_in);
            let Some(length) = self.begun.get(start..start + 4) else {
                return;
            };
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if self.begun.len() < start + length {
                return;
            }
            let message: Vec<u8> = self.begun.drain(..start + length).collect();
            if !self.has_logged_in || [b'Q', b'S'].contains(&message[0]) {
                self.answers += 1;
            }
            self.has_logged_in = true;
        }
    }
}

fn relay(
    client: &UnixStream,
    server: &UnixStream,
    round_trips: &Arc<AtomicUsize>,
    owed: &Arc<Mutex<Owed>>,
    cut: &Arc<Mutex<Option<Cut>>>,
) {
    let is_cut = {
        let (round_trips, cut) = (Arc::clone(round_trips), Arc::clone(cut));
        move |cut_now: fn(usize) -> Cut| {
            let mut cut = cut.lock().unwrap();
            let is_cut = *cut == Some(cut_now(round_trips.load(Ordering::SeqCst)));
            if is_cut {
                *cut = None;
            }
            is_cut
        }
    };
    let hang_up = |client: &UnixStream, server: &UnixStream| {
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    };
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (is_request_cut, owing) = (is_cut.clone(), Arc::clone(owed));
    thread::spawn(move || {
        let mut bytes = [0; 8192];
        while let Ok(read @ 1..) = from_client.read(&mut bytes) {
            owing.lock().unwrap().sent(&bytes[..read]);
            if is_request_cut(Cut::Request) || to_server.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        owing.lock().unwrap().is_line_cut = true;
        hang_up(&from_client, &to_server);
    });
    let (mut from_server, mut to_client) =
        (server.try_clone().unwrap(), client.try_clone().unwrap());
    let (round_trips, owed) = (Arc::clone(round_trips), Arc::clone(owed));
    thread::spawn(move || {
        let mut head = [0; 5];
        while from_server.read_exact(&mut head).is_ok() {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let mut message = head.to_vec();
            message.resize(length + 1, 0);
            if from_server.read_exact(&mut message[5..]).is_err() {
                break;
            }
            // `Z`: the server is ready for the next query. What is sent together is answered together,
            // and its last answer ends the round trip.
            let is_cut_here = head[0] == b'Z' && {
                let mut owed = owed.lock().unwrap();
                owed.answers -= 1;
                let is_last = owed.answers == 0;
                let is_cut = is_last && is_cut(Cut::Answer);
                // Before anybody sees that nothing is owed.
                if is_last && !is_cut {
                    round_trips.fetch_add(1, Ordering::SeqCst);
                }
                is_cut
            };
            if is_cut_here {
                break;
            }
            if to_client.write_all(&message).is_err() {
                break;
            }
        }
        owed.lock().unwrap().is_line_cut = true;
        hang_up(&to_client, &from_server);
    });
}
