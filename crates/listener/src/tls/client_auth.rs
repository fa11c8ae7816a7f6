//! Certificates of clients: whose are taken, and that they still hold.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use tidegate_core::config::{ConfigError, ConfigErrors, ConfigPath};

use super::pem_fault;
use crate::config::{ClientAuthConfig, ClientAuthMode};

/// What checks the certificates of a listener's clients. Errors are relative to `client_auth`.
pub(super) fn verifier(
    config: &ClientAuthConfig,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let roots = errors.collect(read_roots(&config.ca));
    let mut lists = Vec::new();
    for (index, path) in config.crl.iter().enumerate() {
        let at = ConfigPath::from("crl").index(index);
        lists.extend(errors.collect(read_lists(path).map_err(|error| error.under(&at))).unwrap_or_default());
    }
    let Some(roots) = roots else { return Err(errors) };
    let checks_lists = !lists.is_empty();
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).with_crls(lists);
    if checks_lists {
        builder = builder.enforce_revocation_expiration();
    }
    if config.mode == ClientAuthMode::Optional {
        builder = builder.allow_unauthenticated();
    }
    match builder.build() {
        Ok(verifier) => errors.into_result(verifier),
        Err(error) => {
            errors.push(ConfigError::at("", format!("can't be used: {error}")));
            Err(errors)
        }
    }
}

fn read_roots(path: &Path) -> Result<RootCertStore, ConfigError> {
    let fault = |fault: String| {
        ConfigError::at("ca", format!("{}: {fault}", path.display()))
            .help("name a readable PEM file with the certificates of the authorities that sign clients'")
    };
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut roots = RootCertStore::empty();
    for certificate in certificates.map_err(|error| fault(pem_fault(&error)))? {
        roots.add(certificate).map_err(|error| fault(format!("not an authority: {error}")))?;
    }
    if roots.is_empty() { Err(fault("there is no certificate in it".into())) } else { Ok(roots) }
}

fn read_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, ConfigError> {
    let fault = |fault: String| {
        ConfigError::at("", format!("{}: {fault}", path.display()))
            .help("name a readable PEM file with -----BEGIN X509 CRL-----")
    };
    let lists = CertificateRevocationListDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let lists = lists.map_err(|error| fault(pem_fault(&error)))?;
    if lists.is_empty() { Err(fault("there is no revocation list in it".into())) } else { Ok(lists) }
}
