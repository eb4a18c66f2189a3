//! TLS to a real server, as libpq's `sslmode` means it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

use experiments::{ExperimentStore as _, ExperimentStoreError, PgExperimentStore, PgOptions};
use macro_rules_attribute::apply;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::givens::eventually;
use crate::server::Server;

/// A new authority.
fn authority() -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), Issuer::new(params, key))
}

/// A server on a port of this machine that lets nobody in without TLS. Its certificate is for
/// `localhost` and of the authority in the file `authority.crt` of its directory; that in `other.crt`
/// is another one.
fn server() -> (Server, u16) {
    server_with(|directory: &Path| {
        let (pem, authority_of_server) = authority();
        fs::write(directory.join("authority.crt"), pem).unwrap();
        fs::write(directory.join("other.crt"), authority().0).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority_of_server).unwrap();
        fs::write(directory.join("server.crt"), certificate.pem()).unwrap();
        fs::write(directory.join("server.key"), key.serialize_pem()).unwrap();
    })
}

/// Ports that were tried before.
static TAKEN: AtomicU16 = AtomicU16::new(0);

fn server_with(prepare: impl FnOnce(&Path)) -> (Server, u16) {
    // Between now and its start the server makes its files. A port that the system gives away by itself might be
    // taken then.
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let own = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let taken = TAKEN.fetch_add(16, Ordering::Relaxed);
    let mut ports = own + taken..u16::MAX;
    let port = ports.find(is_free).unwrap();
    let settings = format!("-c fsync=off -c ssl=on -c port={port} -c listen_addresses=127.0.0.1");
    let server = Server::start_with(&settings, prepare);
    (server, port)
}

#[apply(needs_postgres!)]
fn each_mode_asks_for_as_much_as_it_says() {
    let (server, port) = server();
    let directory = server.directory().display().to_string();
    let open = |host: &str, parameters: &str| {
        let parameters = parameters.replace("DIR", &directory);
        let url = format!("postgres://admin@{host}:{port}/postgres?{parameters}");
        let store = PgExperimentStore::open_or_create(PgOptions::parse(&url).unwrap())?;
        Ok::<_, ExperimentStoreError>(store.list().unwrap().len())
    };
    let refused = |host: &str, parameters: &str| {
        let error = open(host, parameters).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        format!("{error}: {cause}").replace(&port.to_string(), "PORT")
    };

    // Nobody is let in without it, so who is let in has it.
    let plain = refused("localhost", "sslmode=disable");
    assert!(plain.contains("no pg_hba.conf entry"), "{plain}");
    for mode in ["allow", "prefer", "require"] {
        assert_eq!(open("127.0.0.1", &format!("sslmode={mode}")).unwrap(), 0);
    }
    assert_eq!(open("localhost", "").unwrap(), 0);

    let ours = "sslrootcert=DIR/authority.crt";
    for mode in ["require", "verify-ca", "verify-full"] {
        let parameters = format!("sslmode={mode}&{ours}");
        assert_eq!(open("localhost", &parameters).unwrap(), 0, "{mode}");
    }
    // Another name than the certificate's.
    assert_eq!(
        open("127.0.0.1", &format!("sslmode=verify-ca&{ours}")).unwrap(),
        0
    );
    let other_name = refused("127.0.0.1", &format!("sslmode=verify-full&{ours}"));
    assert_eq!(
        other_name,
        "store postgres://admin@127.0.0.1:PORT/postgres cannot be reached: invalid peer \
         certificate: certificate not valid for name \"127.0.0.1\"; certificate is only valid for \
         DnsName(\"localhost\")"
    );
    // Another authority, or those of the system, which don't know it.
    for parameters in [
        "sslmode=require&sslrootcert=DIR/other.crt",
        "sslmode=verify-ca&sslrootcert=DIR/other.crt",
        "sslmode=verify-full",
    ] {
        let stranger = refused("localhost", parameters);
        assert!(
            stranger.contains("cannot be reached: invalid peer certificate: ")
                || stranger.contains("no root certificate"),
            "{stranger}"
        );
    }
}

/// Where nobody is let in with it, `prefer` does without, and only that.
#[apply(needs_postgres!)]
fn what_is_only_preferred_is_done_without() {
    let (server, port) = server();
    let rules = server.directory().join("data/pg_hba.conf");
    fs::write(&rules, "hostnossl all all all trust\nlocal all all trust\n").unwrap();
    let socket = format!(
        "postgres://admin@:{port}/postgres?host={}",
        server.directory().display()
    );
    let mut admin = crate::server::client(&socket);
    admin.batch_execute("SELECT pg_reload_conf()").unwrap();
    let open = |mode: &str| {
        let url = format!("postgres://admin@localhost:{port}/postgres?sslmode={mode}");
        PgExperimentStore::open_or_create(PgOptions::parse(&url).unwrap())
    };
    // The server reads its rules anew when it gets to it.
    eventually("the rules are read", || open("require").is_err());
    for mode in ["prefer", "allow", "disable"] {
        open(mode).unwrap();
    }
}

/// As many are made: signed by itself, and named as its own root.
#[apply(needs_postgres!)]
fn a_certificate_may_be_its_own_root() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let (server, port) = server_with(|directory| {
        fs::write(directory.join("server.crt"), certificate.pem()).unwrap();
        fs::write(directory.join("server.key"), key.serialize_pem()).unwrap();
        fs::write(directory.join("other.crt"), authority().0).unwrap();
    });
    let open = |host: &str, mode: &str, root: &str| {
        let url = format!(
            "postgres://admin@{host}:{port}/postgres?sslmode={mode}&sslrootcert={}/{root}",
            server.directory().display()
        );
        PgExperimentStore::open_or_create(PgOptions::parse(&url).unwrap())
    };
    open("localhost", "verify-full", "server.crt").unwrap();
    open("127.0.0.1", "verify-ca", "server.crt").unwrap();
    assert!(open("127.0.0.1", "verify-full", "server.crt").is_err());
    assert!(open("localhost", "verify-ca", "other.crt").is_err());
}

/// It watches over a connection of its own.
#[apply(needs_postgres!)]
fn a_watched_store_is_encrypted_as_well() {
    let (_server, port) = server();
    let url = format!("postgres://admin@localhost:{port}/postgres?sslmode=require");
    let options = PgOptions::parse(&url).unwrap();
    let store = PgExperimentStore::open_or_create(options.clone()).unwrap();
    let store = store.watched().unwrap();
    let variants = vec![experiments::VariantConfig::new("a", 1)];
    let elsewhere = PgExperimentStore::open(options).unwrap();
    let config = experiments::ExperimentConfig::new("e", variants);
    elsewhere.insert(config).unwrap();
    eventually("it is heard of", || {
        assert_eq!(store.refresh_errors(), 0);
        !store.list().unwrap().is_empty()
    });
}
