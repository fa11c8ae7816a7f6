//! Certificates made for one test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, date_time_ymd,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;

/// A certificate authority and what it signs, as PEM files in a directory that goes with it.
pub struct Certs {
    dir: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    serial: Vec<u8>,
}

/// A new authority that nobody trusts but the kit's clients, and what a test tells to.
pub fn certs() -> Certs {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Tidegate test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().expect("a key");
    let ca = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("ca.pem"), ca.pem()).expect("the authority is written");
    Certs { dir, ca }
}

impl Certs {
    /// The authority's certificate, PEM.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Where all of it is.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A certificate for these DNS names and IP addresses, good for servers and clients. A new one each time,
    /// written over the one before of the same first name.
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        self.sign(names, params(names))
    }

    /// The same, but it expired in 2020.
    pub fn expired(&self, names: &[&str]) -> Leaf {
        let mut params = params(names);
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(names, params)
    }

    /// A list of the certificates that are revoked, PEM, good until 2100. To be asked for again after each one more.
    pub fn revoked(&self, leaves: &[&Leaf]) -> PathBuf {
        let revoked = leaves.iter().map(|leaf| RevokedCertParams {
            serial_number: leaf.serial.clone().into(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&*self.ca).expect("a list");
        let path = self.dir.path().join("revoked.pem");
        std::fs::write(&path, list.pem().expect("PEM")).expect("the list is written");
        path
    }

    fn sign(&self, names: &[&str], mut params: CertificateParams) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let serial = serial_of(&key);
        params.serial_number = Some(serial.clone().into());
        let cert = params.signed_by(&key, &*self.ca).expect("a certificate");
        let stem = names.first().expect("a name").replace(['*', ':'], "_");
        let file = |extension: &str| self.dir.path().join(format!("{stem}.{extension}"));
        let leaf = Leaf { cert: file("pem"), key: file("key"), serial };
        std::fs::write(&leaf.cert, cert.pem()).expect("the certificate is written");
        std::fs::write(&leaf.key, key.serialize_pem()).expect("the key is written");
        leaf
    }

    /// A client's configuration that trusts this authority alone.
    pub fn client_config(&self, alpn: &[&[u8]]) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let mut config =
            builder.expect("the default versions").with_root_certificates(self.roots()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }

    /// The same, and it shows `leaf` to a server that asks.
    pub fn client_config_with(&self, leaf: &Leaf, alpn: &[&[u8]]) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.expect("the default versions").with_root_certificates(self.roots());
        let mut config = builder.with_client_auth_cert(leaf.chain(), leaf.private_key()).expect("a fitting key");
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).expect("the authority");
        roots
    }
}

impl Leaf {
    /// A server's configuration that shows this certificate.
    pub fn server_config(&self, alpn: &[&[u8]]) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.expect("the default versions").with_no_client_auth();
        let mut config = builder.with_single_cert(self.chain(), self.private_key()).expect("a fitting key");
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }

    /// How a listener's `tls:` or an upstream's names it: `{ cert: …, key: … }`.
    pub fn yaml(&self) -> String {
        format!("{{ cert: {:?}, key: {:?} }}", self.cert, self.key)
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        let chain = CertificateDer::pem_file_iter(&self.cert).expect("a PEM file");
        chain.collect::<Result<_, _>>().expect("certificates")
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(&self.key).expect("a key")
    }
}

impl std::fmt::Debug for Certs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certs({})", self.dir.path().display())
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let common = names.first().expect("a name").clone();
    let mut params = CertificateParams::new(names).expect("names of a certificate");
    params.distinguished_name = named(&common);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

/// Positive, and unlike any other, as the key is.
fn serial_of(key: &KeyPair) -> Vec<u8> {
    let raw = key.public_key_raw();
    let mut serial = raw[raw.len() - 16..].to_vec();
    serial[0] = serial[0] & 0x7f | 1;
    serial
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
