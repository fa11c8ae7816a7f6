//! TLS: certificates by name, and the handshake.

mod client_auth;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{Acceptor, ClientHello, NoClientAuth, NoServerSessionStorage};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection, SupportedProtocolVersion};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tidegate_core::TlsInfo;
use tidegate_core::config::{ConfigError, ConfigErrors};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{CertificateConfig, Protocol, TlsConfig, TlsVersion};
use crate::io::SocketIo;

/// Makes aws-lc the process's TLS implementation, once; later calls change nothing.
///
/// Pingora's TLS towards upstreams takes the process's default. Two are linked, so without this call, made before
/// any TLS, that default is ambiguous.
pub fn install_crypto_provider() {
    // An error says that there is a provider already.
    _ = aws_lc_rs::default_provider().install_default();
}

/// A TLS listener's certificates.
#[derive(Debug)]
pub(crate) struct Tls {
    exact: HashMap<Box<str>, Arc<ServerConfig>>,
    /// By what follows the `*.`.
    wildcard: HashMap<Box<str>, Arc<ServerConfig>>,
    default: Arc<ServerConfig>,
}

impl Tls {
    pub(crate) fn new(config: &TlsConfig, protocols: &[Protocol]) -> Result<Self, ConfigErrors> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut errors = ConfigErrors::new();
        let verifier = match &config.client_auth {
            Some(auth) => client_auth::verifier(auth, &provider).map_err(|e| e.under(&"tls.client_auth".into())),
            None => Ok(Arc::new(NoClientAuth) as Arc<dyn ClientCertVerifier>),
        };
        let terms = errors.collect(verifier).map(|verifier| Terms { config, verifier, protocols, provider });
        let Some(terms) = terms else { return Err(errors) };
        let mut loaded = Vec::new();
        for (index, certificate) in config.certificates.iter().enumerate() {
            let read = read_certificate(certificate, &terms);
            let base = format!("tls.certificates[{index}]").as_str().into();
            loaded.extend(errors.collect(read.map_err(|error| error.under(&base))));
        }
        let mut names = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default: match loaded.first() {
                Some(first) => first.config.clone(),
                None if errors.is_empty() => return Err(no_certificate().into()),
                None => return Err(errors),
            },
        };
        for certificate in loaded {
            names.add(certificate);
        }
        errors.into_result(names)
    }

    /// The first certificate that holds a name keeps it.
    fn add(&mut self, certificate: Certificate) {
        for name in certificate.names {
            let (map, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcard, parent.into()),
                None => (&mut self.exact, name),
            };
            map.entry(name).or_insert_with(|| certificate.config.clone());
        }
    }

    fn pick(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let by_name = hello.server_name().map(str::to_ascii_lowercase).and_then(|name| self.find(&name));
        by_name.unwrap_or(&self.default).clone()
    }

    fn find(&self, name: &str) -> Option<&Arc<ServerConfig>> {
        let by_wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact.get(name).or_else(by_wildcard)
    }

    /// The handshake. The sweeper sees to it that it ends.
    pub(crate) async fn accept(&self, io: SocketIo) -> io::Result<TlsStream<SocketIo>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
        let config = self.pick(&start.client_hello());
        start.into_stream(config).await
    }
}

fn no_certificate() -> ConfigError {
    ConfigError::at("tls.certificates", "a TLS listener needs a certificate")
        .help("add { cert: site.pem, key: site.key }")
}

/// What all certificates of a listener are used with.
struct Terms<'a> {
    config: &'a TlsConfig,
    verifier: Arc<dyn ClientCertVerifier>,
    protocols: &'a [Protocol],
    provider: Arc<CryptoProvider>,
}

struct Certificate {
    names: Vec<Box<str>>,
    config: Arc<ServerConfig>,
}

fn read_certificate(files: &CertificateConfig, terms: &Terms<'_>) -> Result<Certificate, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let chain = errors.collect(read_chain(&files.cert));
    let key = errors.collect(read_key(&files.key));
    let (Some(chain), Some(key)) = (chain, key) else { return Err(errors) };
    let names = names(&chain, &files.cert)?;
    let config = server_config(chain, key, terms)
        .map_err(|error| ConfigError::at("key", format!("does not go with {}: {error}", files.cert.display())))?;
    Ok(Certificate { names, config: Arc::new(config) })
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    terms: &Terms<'_>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[&SupportedProtocolVersion] = match terms.config.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(terms.provider.clone())
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(terms.verifier.clone())
        .with_single_cert(chain, key)?;
    config.alpn_protocols = terms.protocols.iter().filter_map(|protocol| alpn(*protocol)).collect();
    if terms.config.client_auth.is_some() {
        // A resumed session would bring in a certificate that has expired or was revoked since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    } else {
        // One ticket key per certificate: a session of one name can't be resumed under another.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
    }
    Ok(config)
}

fn alpn(protocol: Protocol) -> Option<Vec<u8>> {
    match protocol {
        Protocol::Http1 => Some(b"http/1.1".to_vec()),
        Protocol::H2 => Some(b"h2".to_vec()),
        Protocol::H2c => None,
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let fault = |fault: String| ConfigError::at("cert", format!("{}: {fault}", path.display()));
    let chain = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match chain {
        Ok(chain) if chain.is_empty() => {
            Err(fault("there is no certificate in it".into())
                .help("it must have a PEM block -----BEGIN CERTIFICATE-----"))
        }
        Ok(chain) => Ok(chain),
        Err(error) => Err(fault(pem_fault(&error)).help("name a readable PEM file with the certificate and its chain")),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, ConfigError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        ConfigError::at("key", format!("{}: {}", path.display(), pem_fault(&error)))
            .help("name a readable PEM file with a private key that is not encrypted")
    })
}

fn pem_fault(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("can't be read: {error}"),
        pem::Error::NoItemsFound => "there is no private key in it".into(),
        // The other kinds may quote the file, which may be a key.
        _ => "is not valid PEM".into(),
    }
}

/// The DNS names in a certificate.
fn names(chain: &[CertificateDer<'_>], path: &Path) -> Result<Vec<Box<str>>, ConfigError> {
    let fault =
        |error: String| ConfigError::at("cert", format!("{}: not a valid certificate: {error}", path.display()));
    let first = chain.first().ok_or_else(|| fault("there is none".into()))?;
    let certificate = webpki::EndEntityCert::try_from(first).map_err(|error| fault(format!("{error:?}")))?;
    Ok(certificate.valid_dns_names().map(|name| name.to_ascii_lowercase().into()).collect())
}

/// What the handshake agreed on.
pub(crate) fn info(tls: &ServerConnection) -> TlsInfo {
    TlsInfo {
        sni: tls.server_name().map(|name| name.to_ascii_lowercase().into()),
        version: match tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        },
        cipher: tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown").into(),
        key_exchange: tls.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()).into()),
        alpn: tls.alpn_protocol().map(Into::into),
        client_certificate: tls.peer_certificates().and_then(|chain| chain.first()).map(|first| first.as_ref().into()),
        resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}
