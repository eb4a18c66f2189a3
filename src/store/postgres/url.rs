//! The text of a URL: what it says, and what is taken where it says nothing.

use std::fmt::Write as _;

/// What is taken where a URL says nothing, in the form that libpq reads from `PGHOST`, `PGPORT` and
/// `PGDATABASE`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PgDefaults {
    /// The host: a name, an address, or the directory of a socket; or several, separated by commas.
    pub host: Option<String>,
    /// The port; or one for each host, separated by commas. It also counts where the URL names one
    /// host without a port.
    pub port: Option<String>,
    /// The database.
    pub database: Option<String>,
}

/// The URL of what stands before the `?` and of the parameters after it, with what is in neither. libpq gives
/// a URL of several hosts its default port, whatever `PGPORT` says.
pub(super) fn completed(base: &str, given: &[&str], defaults: &PgDefaults) -> String {
    let (scheme, rest) = base.split_once("://").unwrap_or(("", base));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts = authority
        .rsplit_once('@')
        .map_or(authority, |(_, hosts)| hosts);
    let says = |key: &str| {
        let mut keys = given.iter().filter_map(|pair| pair.split_once('='));
        keys.any(|(found, _)| found == key)
    };
    let mut authority = authority.to_owned();
    let mut parameters: Vec<String> = given.iter().map(ToString::to_string).collect();
    let mut add = |key: &str, value: &str| parameters.push(format!("{key}={}", encode(value)));
    let default_hosts = defaults.host.as_deref();
    let default_hosts =
        default_hosts.filter(|_| hosts.is_empty() && !says("host") && !says("hostaddr"));
    if let Some(several) = default_hosts.filter(|hosts| hosts.contains(',')) {
        // As a parameter they would be one.
        let ports = defaults.port.as_deref().filter(|_| !says("port"));
        authority.push_str(&paired(several, ports.unwrap_or_default()));
    } else if let Some(port) = &defaults.port
        && !says("port")
    {
        let address_ends = hosts.rfind(']').map_or(0, |end| end + 1);
        if hosts.is_empty() {
            add("port", port);
        } else if !hosts.contains(',') && !hosts[address_ends..].contains(':') {
            authority.push(':');
            authority.push_str(&encode(port));
        }
    }
    if let Some(host) = default_hosts.filter(|hosts| !hosts.contains(',')) {
        add("host", host);
    }
    if let Some(name) = &defaults.database
        && database.is_empty()
        && !says("dbname")
    {
        add("dbname", name);
    }
    let parameters = parameters.join("&");
    let question_mark = if parameters.is_empty() { "" } else { "?" };
    format!("{scheme}://{authority}/{database}{question_mark}{parameters}")
}

/// Hosts with their ports, as they stand in a URL: one port for each, or one for all.
fn paired(hosts: &str, ports: &str) -> String {
    let ports: Vec<&str> = ports.split(',').collect();
    let paired = hosts.split(',').enumerate().map(|(number, host)| {
        let port = ports
            .get(number)
            .or(ports.first().filter(|_| ports.len() == 1));
        match port {
            Some(port) if !port.is_empty() => format!("{}:{}", encode(host), encode(port)),
            _ => encode(host),
        }
    });
    paired.collect::<Vec<_>>().join(",")
}

/// Every byte that means something in a URL as `%41` and the like.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// `%41` and the like.
pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code) if first == b'%' => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
