//! Opening a connection: which hosts are tried, in what order, with how much TLS, and for how long.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{SockAddr, SockRef, Socket, TcpKeepalive, Type};
use tokio_postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres::{Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{self, CallError};
use super::options::PgOptions;
use super::tls;
use super::wire::{self, Wire};
use crate::error::ExperimentStoreError;

/// How long to wait before a socket whose queue is full is tried again.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// Opens a connection, whatever is in the database.
pub(super) fn dial(options: &PgOptions) -> Result<Wire, ExperimentStoreError> {
    if let Some(problem) = options.problem.clone() {
        return Err(ExperimentStoreError::Address { problem });
    }
    let mut connector = tls::connector(options)?;
    let until = wire::deadline(options.opening_timeout());
    let mut attempt = |mode| try_hosts(&options.connection(mode), &mut connector, until);
    let (first, second) = options.effective_ssl_mode().attempts();
    let dialled = match (attempt(first), second) {
        (Err(CallError::Postgres(error)), Some(second)) if failure::is_closed_way(&error) => {
            attempt(second)
        }
        (dialled, _) => dialled,
    };
    let wire = dialled.map_err(|fault| failure::sort(options, failure::CONNECT, fault))?;
    match wire.parameter("server_encoding") {
        Some("UTF8") | None => Ok(wire),
        Some(encoding) => Err(ExperimentStoreError::Encoding {
            store: options.location(),
            encoding: encoding.to_owned(),
        }),
    }
}

/// Asks the server to give up what it does for a connection, if it can be reached. Nothing is answered.
pub(super) fn cancel(options: &PgOptions, wire: &Wire) {
    let until = wire::deadline(options.opening_timeout());
    let config = options.connection(options.effective_ssl_mode().attempts().0);
    let Ok(connector) = tls::connector(options) else {
        return;
    };
    let connected = wire.peer().and_then(|peer| connect(&peer, &config, until));
    if let Ok(socket) = connected {
        let _ = wire.cancel(socket, connector, until);
    }
}

/// The first host that lets us in; if none does, what the last one said.
fn try_hosts(
    config: &Config,
    tls: &mut MakeRustlsConnect,
    until: Instant,
) -> Result<Wire, CallError> {
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let count = hosts.len().max(addresses.len());
    let mut refusal = CallError::Io(io::Error::other("it names no host"));
    for index in in_order(config, count) {
        let ports = config.get_ports();
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        let host = hosts.get(index);
        let name = match host {
            Some(Host::Tcp(name)) => Some(&**name),
            _ => None,
        };
        let given = addresses.get(index).map(|ip| SocketAddr::new(*ip, port));
        let found = match (given, host) {
            (Some(address), _) => Ok(vec![address.into()]),
            (None, Some(host)) => addresses_of(host, port, until),
            (None, None) => Ok(Vec::new()),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                refusal = CallError::Io(error);
                continue;
            }
        };
        for at in in_order(config, found.len()) {
            match log_in(&found[at], name, config, tls, until) {
                Ok(wire) => return Ok(wire),
                Err(fault) => refusal = fault,
            }
        }
    }
    Err(refusal)
}

/// The places of some hosts in the order in which they are tried.
fn in_order(config: &Config, count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random && count > 1 {
        // Any will do for the first, as long as processes differ in it.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let nanos = now.map_or(0, |now| now.subsec_nanos());
        let seed = usize::try_from(nanos ^ std::process::id()).unwrap_or(0);
        places.rotate_left(seed % count);
    }
    places
}

fn addresses_of(host: &Host, port: u16, until: Instant) -> io::Result<Vec<SockAddr>> {
    match host {
        Host::Tcp(name) => Ok(resolve(name, port, until)?
            .into_iter()
            .map(SockAddr::from)
            .collect()),
        #[cfg(unix)]
        Host::Unix(directory) => Ok(vec![SockAddr::unix(
            directory.join(format!(".s.PGSQL.{port}")),
        )?]),
    }
}

/// The addresses of a host. The system's resolver knows no deadline, so it is given a thread that is
/// left behind if it takes too long.
fn resolve(name: &str, port: u16, until: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = name.parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let (sender, receiver) = mpsc::channel();
    let asked = name.to_owned();
    let look_up = move || (asked.as_str(), port).to_socket_addrs();
    let looking = thread::Builder::new().spawn({
        let look_up = look_up.clone();
        move || drop(sender.send(look_up()))
    });
    let found = match looking {
        Ok(_) => receiver
            .recv_timeout(until.saturating_duration_since(Instant::now()))
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?,
        // No thread is to be had; an answer that may be late is better than none.
        Err(_) => look_up(),
    };
    found.map(Iterator::collect)
}

fn log_in(
    address: &SockAddr,
    host: Option<&str>,
    config: &Config,
    tls: &mut MakeRustlsConnect,
    until: Instant,
) -> Result<Wire, CallError> {
    let patience = config.get_connect_timeout().copied();
    let until = patience.map_or(until, |patience| until.min(wire::deadline(patience)));
    let socket = connect(address, config, until).map_err(CallError::Io)?;
    let mut wire = Wire::log_in(socket, host, config, tls, until)??;
    let wanted = config.get_target_session_attrs();
    if wanted == TargetSessionAttrs::Any {
        return Ok(wire);
    }
    let asked = wire.run(until, async |client| {
        client.simple_query("SHOW transaction_read_only").await
    })??;
    let is_read_only = asked
        .iter()
        .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("on")));
    let refused = match wanted {
        TargetSessionAttrs::ReadWrite if is_read_only => "it does not allow writes",
        TargetSessionAttrs::ReadOnly if !is_read_only => "it is not read only",
        _ => return Ok(wire),
    };
    Err(CallError::Io(io::Error::other(refused)))
}

/// A connected socket.
fn connect(address: &SockAddr, config: &Config, until: Instant) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match socket.connect_timeout(address, left) {
            // A local socket whose queue is full says so at once.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(QUEUE_PAUSE),
            connected => break connected?,
        }
    }
    if address.as_socket().is_some() {
        socket.set_tcp_nodelay(true)?;
        look_after(&socket, config)?;
    }
    Ok(socket)
}

/// Has the system notice a server that is gone without a word.
fn look_after(socket: &Socket, config: &Config) -> io::Result<()> {
    let socket = SockRef::from(socket);
    #[cfg(target_os = "linux")]
    if let Some(timeout) = config.get_tcp_user_timeout() {
        socket.set_tcp_user_timeout(Some(*timeout))?;
    }
    if config.get_keepalives() {
        let mut keepalive = TcpKeepalive::new().with_time(config.get_keepalives_idle());
        if let Some(interval) = config.get_keepalives_interval() {
            keepalive = keepalive.with_interval(interval);
        }
        if let Some(retries) = config.get_keepalives_retries() {
            keepalive = keepalive.with_retries(retries);
        }
        socket.set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}
