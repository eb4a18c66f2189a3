//! Whether the server's session belongs to this connection alone, or to a pooler that lends it out, and what it
//! is set to.
//!
//! At the login a server gives the number of its process, with which a query can be cancelled. A pooler
//! gives a number of its own. So where the number is that of the process which answers, nobody is in
//! between, and what is set or prepared in the session stays ours.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{CancelToken, Client};

use super::options::PgOptions;
use super::pace::{Pace, set_timeouts, statement_timeout};

/// What is known of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// It has not answered yet.
    Unknown,
    /// It is this connection's, and still as the server begins one.
    New,
    /// It is this connection's, and set up.
    Ours,
    /// It may be another's after each transaction.
    Lent,
}

/// Asks the session whose it is.
pub(super) async fn find_out(client: &Client) -> Result<Session, tokio_postgres::Error> {
    let asked = client
        .query_typed_one("SELECT pg_backend_pid()", &[])
        .await?;
    let process: i32 = asked.try_get(0)?;
    let at_login = process_at_login(client.cancel_token()).await;
    Ok(if at_login == Some(process) {
        Session::New
    } else {
        Session::Lent
    })
}

/// The number of the server's process as it was given at the login; `None` if it can't be found out.
async fn process_at_login(token: CancelToken) -> Option<i32> {
    let mut request = Vec::new();
    let end = Recorder(&mut request);
    token.cancel_query_raw(end, Unencrypted).await.ok()?;
    // Length and code of the request, the number, the key; before it, there may be a request for TLS.
    let number = request.len().checked_sub(8)?;
    let number = request.get(number..number + 4)?;
    Some(i32::from_be_bytes(number.try_into().ok()?))
}

/// What is told to a caller survives a crash of the server, whatever the database is set to, now or
/// later: what is set to the value that it has does not follow a change of the server's settings.
pub(super) fn have_commits_wait(is_local: bool) -> String {
    let now = "current_setting('synchronous_commit')";
    format!(
        "SELECT set_config('synchronous_commit', \
         CASE {now} WHEN 'off' THEN 'on' ELSE {now} END, {is_local})"
    )
}

/// What a session of our own is set to, once.
pub(super) fn set_up_statement(options: &PgOptions) -> String {
    let mut set_up =
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned();
    let statement_timeout = statement_timeout(options, Pace::Quick);
    set_timeouts(&mut set_up, "SET", options, statement_timeout);
    set_up.push_str("; ");
    set_up.push_str(&have_commits_wait(false));
    set_up
}

/// An end that keeps what is sent, and agrees to TLS if it is asked for it.
struct Recorder<'a>(&'a mut Vec<u8>);

impl AsyncRead for Recorder<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buffer.put_slice(b"S");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recorder<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().0.extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl TlsStream for Recorder<'_> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// Takes the stream as it is: nothing leaves this process.
struct Unencrypted;

impl<S: TlsStream + Unpin> TlsConnect<S> for Unencrypted {
    type Stream = S;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<S>>;

    fn connect(self, stream: S) -> Self::Future {
        std::future::ready(Ok(stream))
    }
}
