//! TLS as libpq's `sslmode` means it, with rustls and the system's roots.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::options::{PgOptions, SslMode};
use crate::error::ExperimentStoreError;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What encrypts a connection of these options.
pub(super) fn connector(options: &PgOptions) -> Result<MakeRustlsConnect, ExperimentStoreError> {
    configure(options).map_err(|source| ExperimentStoreError::Backend {
        store: options.location(),
        doing: "set up TLS",
        source,
    })
}

fn configure(options: &PgOptions) -> Result<MakeRustlsConnect, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mode = options.effective_ssl_mode();
    let checks_chain = matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull);
    let mut given = Vec::new();
    let chain = if checks_chain {
        let roots = Arc::new(roots(options, &mut given)?);
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()?;
        Some(verifier)
    } else {
        None
    };
    let verifier = Arc::new(Verifier {
        provider: provider.clone(),
        chain,
        given,
        checks_name: mode == SslMode::VerifyFull,
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn roots(
    options: &PgOptions,
    given: &mut Vec<CertificateDer<'static>>,
) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &options.root_cert {
        for certificate in CertificateDer::pem_file_iter(path)? {
            let certificate = certificate?;
            given.push(certificate.clone());
            roots.add(certificate)?;
        }
    } else {
        // Those that can't be read are as good as not there.
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
    }
    if roots.is_empty() {
        return Err("there is no root certificate to verify the server's with".into());
    }
    Ok(roots)
}

/// Checks as much of the server's certificate as the mode asks for. Where it may be anybody's, the
/// signature of the handshake is not checked either, as it would tell nothing.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// `None`: whoever it is, as long as it is encrypted.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// The roots that were named.
    given: Vec<CertificateDer<'static>>,
    checks_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The chain has been found good before the name is looked at.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            // An authority's certificate that is a server's as well, as a self-signed one often is. Its
            // dates have been found good before this.
            Err(Error::InvalidCertificate(CertificateError::Other(why)))
                if why.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
                    && self.given.contains(end_entity) =>
            {
                if self.checks_name {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.chain.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.chain.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
