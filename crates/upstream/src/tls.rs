//! The TLS side of a pool: its files read and checked once, at load.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use pingora_core::protocols::tls::CaType;
use pingora_core::utils::tls::{CertKey, WrappedX509, parse_x509};
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tidegate_core::config::{ConfigError, ConfigErrors, ConfigPath};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::{ClientCertificate, TlsConfig, TlsVersion, Verify};

/// What every connection of a pool to its targets is secured with.
pub(crate) struct TlsProfile {
    pub(crate) sni: Option<String>,
    pub(crate) verify: Verify,
    pub(crate) min_version: TlsVersion,
    pub(crate) ca: Option<Arc<CaType>>,
    pub(crate) certificate: Option<Arc<CertKey>>,
    /// Of the files' contents.
    digest: u64,
}

/// Two profiles with the same hash may share connections. What is hashed is what the files hold, not their names: a
/// renewed certificate gets connections of its own, and the same one under another name doesn't.
impl Hash for TlsProfile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.sni, self.verify, self.min_version).hash(state);
        (self.ca.is_some(), self.certificate.is_some(), self.digest).hash(state);
    }
}

impl TlsProfile {
    /// Reads what `config` names; errors are relative to the upstream.
    pub(crate) fn load(config: &TlsConfig) -> Result<Self, ConfigErrors> {
        let at = ConfigPath::from("tls");
        let mut errors = ConfigErrors::new();
        let mut contents = DefaultHasher::new();
        if let Some(sni) = &config.sni {
            errors.collect(check_name(sni, &at.key("sni")));
        }
        let ca = config.ca.as_ref().and_then(|path| errors.collect(load_ca(path, &at.key("ca"), &mut contents)));
        let certificate = config
            .certificate
            .as_ref()
            .and_then(|files| errors.collect(load_certificate(files, &at.key("certificate"), &mut contents)));
        errors.into_result(Self {
            sni: config.sni.clone(),
            verify: config.verify,
            min_version: config.min_version,
            ca,
            certificate,
            digest: contents.finish(),
        })
    }
}

fn check_name(name: &str, at: &ConfigPath) -> Result<(), ConfigError> {
    match ServerName::try_from(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(ConfigError::at(at, format!("`{name}` is not a server name"))
            .help("write the name on the target's certificate, without a port")),
    }
}

pub(crate) fn load_ca(path: &Path, at: &ConfigPath, contents: &mut DefaultHasher) -> Result<Arc<CaType>, ConfigError> {
    let certificates = read_certificates(path, at)?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in &certificates {
        let fault = |error: rustls::Error| ConfigError::at(at, format!("{}: not a CA: {error}", path.display()));
        roots.add(certificate.clone()).map_err(fault)?;
    }
    certificates.hash(contents);
    Ok(certificates.iter().map(|der| WrappedX509::new(der.to_vec(), parse_x509)).collect::<Vec<_>>().into())
}

fn load_certificate(
    files: &ClientCertificate,
    at: &ConfigPath,
    contents: &mut DefaultHasher,
) -> Result<Arc<CertKey>, ConfigError> {
    let chain = read_certificates(&files.cert, &at.key("cert"))?;
    let key = read_key(&files.key, &at.key("key"))?;
    CertifiedKey::from_der(chain.clone(), key.clone_key(), &aws_lc_rs::default_provider()).map_err(|error| {
        ConfigError::at(at, format!("certificate and key cannot be used together: {error}"))
            .help("give the key that the first certificate of `cert` was made for")
    })?;
    (&chain, key.secret_der()).hash(contents);
    let chain = chain.iter().map(|der| der.to_vec()).collect();
    Ok(Arc::new(CertKey::new(chain, key.secret_der().to_vec())))
}

/// Certificates that both rustls and Pingora can read: Pingora panics on those it can't.
fn read_certificates(path: &Path, at: &ConfigPath) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let pem = read(path, at)?;
    let bad = || {
        ConfigError::at(at, format!("{}: no certificate that can be read", path.display()))
            .help("give a PEM file, with -----BEGIN CERTIFICATE-----")
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| bad())?;
    let readable = |der: &CertificateDer<'_>| X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty());
    match !certificates.is_empty() && certificates.iter().all(readable) {
        true => Ok(certificates),
        false => Err(bad()),
    }
}

fn read_key(path: &Path, at: &ConfigPath) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let pem = read(path, at)?;
    let bad = || {
        ConfigError::at(at, format!("{}: no private key that can be read", path.display()))
            .help("give an unencrypted PEM file, with -----BEGIN PRIVATE KEY-----")
    };
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| bad())?;
    // Pingora guesses the kind of key from its bytes, on each connection, and panics if it can't.
    match PrivateKeyDer::try_from(key.secret_der()) {
        Ok(_) => Ok(key),
        Err(_) => Err(bad()),
    }
}

/// More than any chain or bundle has; the system's own is a fifth of it.
const LARGEST_FILE: u64 = 1 << 20;

fn read(path: &Path, at: &ConfigPath) -> Result<Vec<u8>, ConfigError> {
    let fault = |error: std::io::Error| {
        ConfigError::at(at, format!("{}: {error}", path.display())).help("give a file that the gateway may read")
    };
    if fs::metadata(path).map_err(fault)?.len() > LARGEST_FILE {
        return Err(ConfigError::at(at, format!("{}: larger than 1 MiB", path.display())));
    }
    fs::read(path).map_err(fault)
}
