//! Where the database is and how to reach it: a URL as libpq reads it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{self, Host};

use super::url::{PgDefaults, completed, decode};
use crate::error::ExperimentStoreError;
use crate::location::StoreLocation;

/// How far TLS is asked for: libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    /// How the connection is tried first, and how once more if that way is not open.
    pub(super) fn attempts(self) -> (config::SslMode, Option<config::SslMode>) {
        match self {
            Self::Disable => (config::SslMode::Disable, None),
            Self::Allow => (config::SslMode::Disable, Some(config::SslMode::Require)),
            Self::Prefer => (config::SslMode::Prefer, Some(config::SslMode::Disable)),
            Self::Require | Self::VerifyCa | Self::VerifyFull => (config::SslMode::Require, None),
        }
    }
}

/// How a [`PgExperimentStore`](super::PgExperimentStore) reaches its database.
#[derive(Clone)]
pub struct PgOptions {
    pub(super) config: Config,
    pub(super) ssl_mode: SslMode,
    pub(super) root_cert: Option<PathBuf>,
    pub(super) address: String,
    pub(super) pool_size: usize,
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
    pub(super) lock_timeout: Duration,
    pub(super) refresh_interval: Duration,
    /// Why nothing can be opened by it.
    pub(super) problem: Option<String>,
}

/// Without the password.
impl std::fmt::Debug for PgOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgOptions")
            .field("address", &self.address)
            .field("ssl_mode", &self.ssl_mode)
            .field("pool_size", &self.pool_size)
            .field("connect_timeout", &self.connect_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("refresh_interval", &self.refresh_interval)
            .finish_non_exhaustive()
    }
}

impl PgOptions {
    /// Reads `postgres://user:password@host:port/database?parameter=value`. Besides the parameters of
    /// the `postgres` crate it knows libpq's `sslmode` (default `prefer`) and `sslrootcert`.
    ///
    /// # Errors
    /// [`Address`](ExperimentStoreError::Address) if it is no such URL. The message holds nothing of
    /// it, as it may hold a password.
    pub fn parse(url: &str) -> Result<Self, ExperimentStoreError> {
        Self::parse_or(url, &PgDefaults::default())
    }

    /// The same, with these defaults where the URL says nothing.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); also if a default cannot be read.
    pub fn parse_or(url: &str, defaults: &PgDefaults) -> Result<Self, ExperimentStoreError> {
        let invalid = |problem: &str| ExperimentStoreError::Address {
            problem: problem.to_owned(),
        };
        let schemes = ["postgres://", "postgresql://"];
        let Some(rest) = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)) else {
            return Err(invalid("it does not begin with postgres://"));
        };
        // Otherwise a part of a password would be taken for a host, a database or a parameter.
        if let Some(at) = rest.rfind('@')
            && rest[..at].contains(['@', '/', '?'])
        {
            return Err(invalid(
                "@, / and ? in a user, a password or a parameter are written as %40, %2F and %3F",
            ));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut ssl_mode = SslMode::Prefer;
        let mut root_cert = None;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", mode)) => {
                    ssl_mode = match mode {
                        "disable" => SslMode::Disable,
                        "allow" => SslMode::Allow,
                        "prefer" => SslMode::Prefer,
                        "require" => SslMode::Require,
                        "verify-ca" => SslMode::VerifyCa,
                        "verify-full" => SslMode::VerifyFull,
                        _ => {
                            return Err(invalid(
                                "sslmode is one of disable, allow, prefer, require, verify-ca, \
                                 verify-full",
                            ));
                        }
                    }
                }
                Some(("sslrootcert", "system")) => root_cert = None,
                Some(("sslrootcert", path)) => root_cert = Some(PathBuf::from(decode(path))),
                _ => rest.push(pair),
            }
        }
        // As libpq has it: with a root certificate at hand, `require` verifies against it.
        if ssl_mode == SslMode::Require && root_cert.is_some() {
            ssl_mode = SslMode::VerifyCa;
        }
        let plain = completed(base, &rest, defaults);
        let config = Config::from_str(&plain).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_default();
            // What is quoted there might be a part of a password, but for the names of parameters that
            // are known.
            if cause.starts_with("invalid value for option") {
                invalid(&cause)
            } else if cause.starts_with("unknown option") {
                invalid("it has an unknown parameter")
            } else {
                invalid("it cannot be read as a URL")
            }
        })?;
        if config.get_hosts().is_empty() {
            return Err(invalid(
                "it names no host; for a socket write postgres:///DATABASE?host=/DIRECTORY",
            ));
        }
        Ok(Self {
            address: address(&config),
            config,
            ssl_mode,
            root_cert,
            pool_size: 16,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_mins(1),
            lock_timeout: Duration::from_secs(10),
            refresh_interval: Duration::from_secs(1),
            problem: None,
        })
    }

    /// The same; what is wrong with it is found out by whoever would open something by it.
    pub(super) fn read(url: &str) -> Self {
        Self::parse(url).unwrap_or_else(|error| Self {
            problem: match error {
                ExperimentStoreError::Address { problem } => Some(problem),
                other => Some(other.to_string()),
            },
            config: Config::new(),
            ssl_mode: SslMode::Prefer,
            root_cert: None,
            address: "postgres://".to_owned(),
            pool_size: 1,
            connect_timeout: Duration::ZERO,
            statement_timeout: Duration::ZERO,
            lock_timeout: Duration::ZERO,
            refresh_interval: Duration::ZERO,
        })
    }

    /// Gives the password, unless the URL holds one.
    #[must_use]
    pub fn or_password(mut self, password: &str) -> Self {
        if self.config.get_password().is_none() {
            self.config.password(password);
        }
        self
    }

    /// Gives the user, unless the URL names one.
    #[must_use]
    pub fn or_user(mut self, user: &str) -> Self {
        if self.config.get_user().is_none() {
            self.config.user(user);
            self.address = address(&self.config);
        }
        self
    }

    /// At most this many connections are open at once; at least one. 16 unless said.
    #[must_use]
    pub fn pool_size(mut self, size: usize) -> Self {
        self.pool_size = size.max(1);
        self
    }

    /// How long opening a connection may take, and waiting for a free one. 10 s unless said.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server works on one statement. 60 s unless said.
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long a statement waits for a lock. 10 s unless said.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// After how long a [watched](super::PgExperimentStore::watched) store reads its experiments again
    /// without having been told of a change. 1 s unless said, at least 10 ms.
    #[must_use]
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Where the database is, for an error.
    pub(crate) fn location(&self) -> StoreLocation {
        StoreLocation::Database(self.address.clone())
    }

    /// The address without a password.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How far TLS is asked for on the way there: on a socket of this machine there is none, whatever
    /// the mode, as libpq has it.
    pub(super) fn effective_ssl_mode(&self) -> SslMode {
        #[cfg(unix)]
        {
            let is_socket = |host: &Host| matches!(host, Host::Unix(_));
            if self.config.get_hosts().iter().all(is_socket) {
                return SslMode::Disable;
            }
        }
        self.ssl_mode
    }

    /// How long one host may take to let us in.
    fn dial_timeout(&self) -> Duration {
        let given = self.config.get_connect_timeout().copied();
        given.unwrap_or(self.connect_timeout)
    }

    /// How long opening a connection may take, however many hosts there are to try.
    pub(super) fn opening_timeout(&self) -> Duration {
        let hosts = u32::try_from(self.config.get_hosts().len()).unwrap_or(u32::MAX);
        self.dial_timeout().saturating_mul(hosts)
    }

    /// Whether the URL's `options` set this parameter of a session; it is then the user's to set.
    pub(super) fn sets(&self, parameter: &str) -> bool {
        let options = self.config.get_options().unwrap_or_default();
        options.contains(parameter)
    }

    /// The configuration of a connection. Nothing of ours is in it that a pooler would refuse: isolation
    /// and timeouts are set in each transaction.
    pub(super) fn connection(&self, ssl_mode: config::SslMode) -> Config {
        let mut config = self.config.clone();
        config.ssl_mode(ssl_mode);
        config.connect_timeout(self.dial_timeout());
        // A server that is gone without a word is noticed, while it is waited for and in between.
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(self.dial_timeout());
        }
        if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
            config
                .keepalives_idle(Duration::from_secs(30))
                .keepalives_interval(Duration::from_secs(10))
                .keepalives_retries(3);
        }
        if config.get_application_name().is_none() {
            config.application_name("exp");
        }
        config
    }
}

fn address(config: &Config) -> String {
    let mut address = "postgres://".to_owned();
    if let Some(user) = config.get_user() {
        address.push_str(user);
        address.push('@');
    }
    let mut socket = None;
    for (index, host) in config.get_hosts().iter().enumerate() {
        match host {
            Host::Tcp(name) => {
                if index > 0 {
                    address.push(',');
                }
                // As an address of IPv6 is written before a port.
                if name.contains(':') {
                    let _ = write!(address, "[{name}]");
                } else {
                    address.push_str(name);
                }
            }
            #[cfg(unix)]
            Host::Unix(path) => socket = Some(path.display().to_string()),
        }
        let ports = config.get_ports();
        if let Some(port) = ports.get(index).or(ports.first())
            && *port != 5432
            && socket.is_none()
        {
            let _ = write!(address, ":{port}");
        }
    }
    address.push('/');
    address.push_str(config.get_dbname().unwrap_or_default());
    if let Some(socket) = socket {
        address.push_str("?host=");
        address.push_str(&socket);
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_can_be_given() {
        for url in [
            "postgres://ann@[::1]/app",
            "postgres://ann@[fe80::1]:5433/app",
            "postgres://ann@one,[::1],three:7/app",
            "postgres://db.example/app",
        ] {
            let shown = PgOptions::parse(url).unwrap().address().to_owned();
            assert_eq!(PgOptions::parse(&shown).unwrap().address(), shown);
            assert_eq!(shown, url);
        }
    }

    #[test]
    fn what_the_url_does_not_say_is_taken_from_the_defaults() {
        let defaults = PgDefaults {
            host: Some("/run/sockets".to_owned()),
            port: Some("6543".to_owned()),
            database: Some("own/shop".to_owned()),
        };
        let read = |url: &str| {
            let options = PgOptions::parse_or(url, &defaults).unwrap();
            let config = options.config;
            let ports = config.get_ports().to_vec();
            (
                config.get_hosts().to_vec(),
                ports,
                config.get_dbname().map(str::to_owned),
            )
        };
        let socket = vec![Host::Unix("/run/sockets".into())];
        let tcp = |names: &[&str]| -> Vec<Host> {
            let hosts = names.iter();
            hosts.map(|name| Host::Tcp((*name).to_owned())).collect()
        };
        let ours = Some("own/shop".to_owned());
        let theirs = Some("app".to_owned());
        for url in [
            "postgres://",
            "postgres:///",
            "postgresql://ann@/?connect_timeout=3",
        ] {
            assert_eq!(read(url), (socket.clone(), vec![6543], ours.clone()));
        }
        let one = || tcp(&["db"]);
        assert_eq!(read("postgres://db"), (one(), vec![6543], ours.clone()));
        assert_eq!(
            read("postgres://db/app"),
            (one(), vec![6543], theirs.clone())
        );
        assert_eq!(
            read("postgres://ann:p%40@db:7/app"),
            (one(), vec![7], theirs.clone())
        );
        assert_eq!(
            read("postgres://[::1]/"),
            (tcp(&["::1"]), vec![6543], ours.clone())
        );
        assert_eq!(
            read("postgres:///app?host=db&port=7"),
            (one(), vec![7], theirs.clone())
        );
        assert_eq!(
            read("postgres:///?host=db&dbname=app"),
            (one(), vec![6543], theirs.clone())
        );
        let several = read("postgres://one,two/app");
        assert_eq!(several, (tcp(&["one", "two"]), vec![5432, 5432], theirs));
        let hosts = PgDefaults {
            host: Some("one,two".to_owned()),
            port: Some("7,8".to_owned()),
            database: None,
        };
        let config = PgOptions::parse_or("postgres://", &hosts).unwrap().config;
        assert_eq!(config.get_hosts(), tcp(&["one", "two"]));
        assert_eq!(config.get_ports(), [7, 8]);
        assert_eq!(config.get_dbname(), None);
        let wrong = PgDefaults {
            port: Some("x".to_owned()),
            ..PgDefaults::default()
        };
        assert!(PgOptions::parse_or("postgres://db", &wrong).is_err());
        assert!(PgOptions::parse_or("postgres://", &PgDefaults::default()).is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = "postgres://ann:s3cret@db.example:5433/app?sslmode=verify-full";
        let options = PgOptions::parse(url).unwrap();
        assert_eq!(options.address(), "postgres://ann@db.example:5433/app");
        assert_eq!(options.ssl_mode, SslMode::VerifyFull);
        assert!(!format!("{options:?}").contains("s3cret"));
        for broken in [
            "postgres://ann:s3cret@db:s3cret/app",
            "postgres://ann:s3cret@db/app?sslmode=s3cret",
            "postgres://ann:s3cret@db/app?connect_timeout=s3cret",
            "postgres://ann:s3cret@db/app?s3cret=1",
            "mysql://ann:s3cret@db/app",
            "postgres://ann:p@s3cret@db/app",
            "postgres://ann:12/s3cret@db/app",
            "postgres://ann:p?s3cret@db/app",
            "postgres://ann:p?sslmode=disable&s3cret@db/app",
        ] {
            let error = PgOptions::parse(broken).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}
