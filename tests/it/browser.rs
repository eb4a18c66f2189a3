//! A web server on this machine for one application, and a visitor with a cookie jar. The client is by
//! hand, so that what crosses the socket is what the test wrote.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use axum::Router;
use tokio::sync::oneshot;

/// How long a test waits for what must happen. It is reached only when the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An application, served until this is dropped by a runtime with a single thread: whoever blocks that,
/// blocks everybody.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _running: oneshot::Sender<()>,
}

impl Server {
    pub(crate) fn new(app: Router) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (running, ended) = oneshot::channel::<()>();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = async { axum::serve(listener, app).await } => served.unwrap(),
                    _ = ended => {}
                }
            });
        });
        Self {
            address,
            _running: running,
        }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor {
            address: self.address,
            cookies: BTreeMap::new(),
        }
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A browser's memory: the cookies of one address.
#[derive(Debug)]
pub(crate) struct Visitor {
    address: SocketAddr,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Visitor {
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, b"", "")
    }

    pub(crate) fn get_with(&mut self, path: &str, header: &[u8]) -> Answer {
        self.send("GET", path, &[header, b"\r\n"].concat(), "")
    }

    pub(crate) fn post(&mut self, path: &str, form: &str) -> Answer {
        let header = b"content-type: application/x-www-form-urlencoded\r\n";
        self.send("POST", path, header, form)
    }

    pub(crate) fn post_json(&mut self, path: &str, json: &str) -> Answer {
        let header = b"content-type: application/json\r\n";
        self.send("POST", path, header, json)
    }

    fn send(&mut self, method: &str, path: &str, headers: &[u8], body: &str) -> Answer {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n",
            self.address,
            body.len(),
        )
        .into_bytes();
        if !cookies.is_empty() {
            request.extend(format!("cookie: {}\r\n", cookies.join("; ")).as_bytes());
        }
        request.extend_from_slice(headers);
        request.extend(format!("\r\n{body}").as_bytes());

        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&request).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let answer = parsed(&response);
        for (_, cookie) in answer
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
        {
            self.keep(cookie);
        }
        answer
    }

    fn keep(&mut self, cookie: &str) {
        let mut parts = cookie.split("; ");
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        if parts.any(|part| part == "Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn parsed(response: &str) -> Answer {
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers: Vec<_> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer {
        status: status.parse().unwrap(),
        headers,
        body: body.to_owned(),
    }
}
