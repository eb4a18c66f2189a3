//! One connection's protocol, driven by the thread that calls.
//!
//! `tokio-postgres` speaks the protocol and wants to be polled; here the caller polls it, and waits for
//! the socket in between. So a call works on any thread, the worker of an async runtime included, it
//! needs no other thread, it ends at its deadline whatever the server does, and dropping a connection
//! waits for nothing.

use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{SockAddr, Socket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How many bytes a server may send before it has let us in. The longest greeting, with a chain of
/// certificates, is a small part of it; whoever sends more is no database server.
const GREETING: usize = 1 << 20;

/// How many bytes are read before the deadline is looked at again: a server that sends without end, or
/// one endless message, is left at it.
const AT_ONCE: usize = 1 << 20;

/// A year. To wait for longer is to wait for ever, and no clock counts up to the longest duration.
const LONGEST_WAIT: Duration = Duration::from_hours(365 * 24);

/// The moment at which a wait that begins now is over.
pub(super) fn deadline(patience: Duration) -> Instant {
    Instant::now() + patience.min(LONGEST_WAIT)
}

/// A socket that is read and written without waiting. It keeps what it would have waited for.
#[derive(Clone)]
struct Line(Arc<Shared>);

impl Line {
    fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self(Arc::new(Shared {
            socket,
            awaits_writing: AtomicBool::new(false),
            allowance: AtomicUsize::new(GREETING),
            at_once: AtomicUsize::new(0),
        })))
    }
}

struct Shared {
    socket: Socket,
    awaits_writing: AtomicBool,
    /// How many bytes more the server may send.
    allowance: AtomicUsize,
    /// How many of them are read before the deadline is looked at.
    at_once: AtomicUsize,
}

impl Shared {
    fn take(&self, bytes: usize) -> io::Result<()> {
        let left = self.allowance.load(Ordering::Relaxed);
        if left == usize::MAX {
            return Ok(());
        }
        let left = left.checked_sub(bytes).ok_or_else(|| {
            let limit = GREETING >> 20;
            io::Error::other(format!("it sent more than {limit} MiB before the login"))
        })?;
        self.allowance.store(left, Ordering::Relaxed);
        Ok(())
    }
}

/// `Pending` where the socket is not ready.
fn attempt<T>(mut io: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
    loop {
        match io() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return Poll::Ready(done),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let shared = &*self.0;
        let at_once = shared.at_once.load(Ordering::Relaxed);
        if at_once == 0 {
            return Poll::Pending;
        }
        let room = at_once.min(buffer.remaining());
        let unfilled = buffer.initialize_unfilled_to(room);
        let read = attempt(|| (&shared.socket).read(unfilled));
        read.map(|read| {
            let read = read?;
            shared.take(read)?;
            shared.at_once.store(at_once - read, Ordering::Relaxed);
            buffer.advance(read);
            Ok(())
        })
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let shared = &*self.0;
        let written = attempt(|| (&shared.socket).write(bytes));
        if written.is_pending() {
            shared.awaits_writing.store(true, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The other end may have closed it already.
        let _ = self.0.socket.shutdown(std::net::Shutdown::Write);
        Poll::Ready(Ok(()))
    }
}

/// Whether something within the process has made progress possible.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why something was not done to its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// The server has not answered for as long as that.
    Silent(Duration),
    /// The connection is closed; why, where that is known.
    Closed(Option<tokio_postgres::Error>),
    /// The wait itself failed.
    Io(io::Error),
}

/// What ended a wait for a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// A notification.
    Notification,
    /// The time is over.
    Nothing,
    /// The descriptor that was watched as well is ready or closed.
    Other,
}

type Stream = <MakeRustlsConnect as MakeTlsConnect<Line>>::Stream;

pub(super) struct Wire {
    host: String,
    /// `None` only while it is dropped.
    client: Option<Client>,
    connection: tokio_postgres::Connection<Line, Stream>,
    line: Line,
    flag: Arc<Flag>,
    has_heard: bool,
    is_closed: bool,
}

impl Wire {
    /// Logs in over a socket that is connected.
    pub(super) fn log_in(
        socket: Socket,
        host: Option<&str>,
        config: &Config,
        tls: &mut MakeRustlsConnect,
        until: Instant,
    ) -> Result<Result<Self, tokio_postgres::Error>, Halt> {
        let connector = <MakeRustlsConnect as MakeTlsConnect<Line>>::make_tls_connect(
            tls,
            host.unwrap_or_default(),
        );
        let connector = connector.map_err(|error| Halt::Io(io::Error::other(error)))?;
        let line = Line::new(socket).map_err(Halt::Io)?;
        let flag = Arc::new(Flag::default());
        let logging_in = config.connect_raw(line.clone(), connector);
        let connected = drive(&line, &flag, until, logging_in, |_| Ok(()))?;
        line.0.allowance.store(usize::MAX, Ordering::Relaxed);
        Ok(connected.map(|(client, connection)| Self {
            host: host.unwrap_or_default().to_owned(),
            client: Some(client),
            connection,
            line,
            flag,
            has_heard: false,
            is_closed: false,
        }))
    }

    /// What the server has reported of itself.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.connection.parameter(name)
    }

    /// Where the server is.
    pub(super) fn peer(&self) -> io::Result<SockAddr> {
        self.line.0.socket.peer_addr()
    }

    /// Asks the server, over another socket that is connected to it, to give up what it does for this one.
    pub(super) fn cancel(
        &self,
        socket: Socket,
        mut tls: MakeRustlsConnect,
        until: Instant,
    ) -> Result<(), Halt> {
        type Connects = MakeRustlsConnect;
        let connector = <Connects as MakeTlsConnect<Line>>::make_tls_connect(&mut tls, &self.host);
        let connector = connector.map_err(|error| Halt::Io(io::Error::other(error)))?;
        let Some(client) = &self.client else {
            return Err(Halt::Closed(None));
        };
        let line = Line::new(socket).map_err(Halt::Io)?;
        let token = client.cancel_token();
        let asked = token.cancel_query_raw(line.clone(), connector);
        drive(&line, &Arc::default(), until, asked, |_| Ok(()))?
            .map_err(|error| Halt::Closed(Some(error)))
    }

    /// Waits for what the server is asked for, until the deadline at the latest.
    pub(super) fn run<T>(
        &mut self,
        until: Instant,
        ask: impl AsyncFnOnce(&Client) -> T,
    ) -> Result<T, Halt> {
        let Self {
            client,
            connection,
            line,
            flag,
            has_heard,
            is_closed,
            ..
        } = self;
        let (Some(client), false) = (&*client, *is_closed) else {
            return Err(Halt::Closed(None));
        };
        drive(line, flag, until, ask(client), |context| {
            progress(connection, context, has_heard).inspect_err(|_| *is_closed = true)
        })
    }

    /// Reads what has arrived meanwhile. Whether the connection is still open, as far as can be known
    /// without asking the server.
    pub(super) fn is_open(&mut self) -> bool {
        let now = Instant::now();
        !matches!(
            self.run(now, async |_| std::future::pending::<()>().await),
            Err(Halt::Closed(_) | Halt::Io(_))
        )
    }

    /// Waits for a notification, for the time given at the most, or until `other` is ready.
    pub(super) fn listen(
        &mut self,
        patience: Duration,
        other: BorrowedFd<'_>,
    ) -> Result<Heard, Halt> {
        let until = deadline(patience);
        loop {
            // It may have come while something else was asked.
            if std::mem::take(&mut self.has_heard) {
                return Ok(Heard::Notification);
            }
            let ready = await_socket(&self.line.0, Some(other), until)?;
            if ready == Ready::Other {
                return Ok(Heard::Other);
            }
            let looked = self.run(Instant::now(), async |_| std::future::pending::<()>().await);
            if let Err(halt @ (Halt::Closed(_) | Halt::Io(_))) = looked {
                return Err(halt);
            }
            if ready == Ready::Nothing && !self.has_heard {
                return Ok(Heard::Nothing);
            }
        }
    }
}

/// Tells the server that nothing more comes, if that can be done without waiting.
impl Drop for Wire {
    fn drop(&mut self) {
        drop(self.client.take());
        let waker = Waker::from(Arc::clone(&self.flag));
        let mut context = Context::from_waker(&waker);
        self.line.0.at_once.store(AT_ONCE, Ordering::Relaxed);
        while !self.is_closed {
            self.is_closed = match self.connection.poll_message(&mut context) {
                Poll::Ready(Some(Ok(_))) => false,
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => true,
            };
        }
    }
}

/// Reads and writes what can be without waiting.
fn progress(
    connection: &mut tokio_postgres::Connection<Line, Stream>,
    context: &mut Context<'_>,
    has_heard: &mut bool,
) -> Result<(), Halt> {
    loop {
        match connection.poll_message(context) {
            Poll::Ready(Some(Ok(AsyncMessage::Notification(_)))) => *has_heard = true,
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(error))) => return Err(Halt::Closed(Some(error))),
            Poll::Ready(None) => return Err(Halt::Closed(None)),
            Poll::Pending => return Ok(()),
        }
    }
}

/// Polls a future to its end, and in between whatever moves it on.
fn drive<T>(
    line: &Line,
    flag: &Arc<Flag>,
    until: Instant,
    future: impl Future<Output = T>,
    mut progress: impl FnMut(&mut Context<'_>) -> Result<(), Halt>,
) -> Result<T, Halt> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::clone(flag));
    let mut context = Context::from_waker(&waker);
    let begun = Instant::now();
    loop {
        flag.0.store(false, Ordering::Relaxed);
        line.0.at_once.store(AT_ONCE, Ordering::Relaxed);
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Ok(done);
        }
        let moved = progress(&mut context);
        // What arrived before the connection was closed may be all that is waited for.
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Ok(done);
        }
        moved?;
        let is_over = Instant::now() >= until;
        if is_over
            || !flag.0.load(Ordering::Relaxed)
                && await_socket(&line.0, None, until)? == Ready::Nothing
        {
            return Err(Halt::Silent(until.saturating_duration_since(begun)));
        }
    }
}

/// Whether a descriptor is ready, or closed at its other end, within that time.
pub(super) fn is_ready_within(other: BorrowedFd<'_>, patience: Duration) -> bool {
    let until = deadline(patience);
    let mut watched = [PollFd::from_borrowed_fd(other, PollFlags::IN)];
    await_any(&mut watched, until).is_ok_and(|ready| ready > 0)
}

/// What a wait ended with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    Socket,
    Other,
    Nothing,
}

/// Waits until the socket can be used for what could not be done with it, or until `other` is ready.
fn await_socket(
    shared: &Shared,
    other: Option<BorrowedFd<'_>>,
    until: Instant,
) -> Result<Ready, Halt> {
    // There is always something that the server may send, if only that it goes away.
    let mut events = PollFlags::IN;
    if shared.awaits_writing.swap(false, Ordering::Relaxed) {
        events |= PollFlags::OUT;
    }
    let socket = PollFd::from_borrowed_fd(shared.socket.as_fd(), events);
    let other = other.map(|other| PollFd::from_borrowed_fd(other, PollFlags::IN));
    let mut watched: Vec<PollFd<'_>> = std::iter::once(socket).chain(other).collect();
    let ready = await_any(&mut watched, until).map_err(Halt::Io)?;
    let is_other = |watched: &[PollFd<'_>]| watched.iter().any(|fd| !fd.revents().is_empty());
    Ok(match ready {
        0 => Ready::Nothing,
        _ if is_other(&watched[1..]) => Ready::Other,
        _ => Ready::Socket,
    })
}

/// How many of the descriptors are ready, at the latest when the time is over.
fn await_any(watched: &mut [PollFd<'_>], until: Instant) -> io::Result<usize> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(watched, Some(&timeout)) {
            Err(Errno::INTR) => {}
            polled => return Ok(polled?),
        }
    }
}
