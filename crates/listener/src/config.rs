//! The `listeners:` section: one entry per address.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use tidegate_core::config::{ByteSize, ConfigError, ConfigErrors, Duration};

use crate::address::BindAddr;

/// One address on which the gateway accepts connections.
///
/// ```yaml
/// listeners:
///   - { bind: "0.0.0.0:8080", redirect_https: 308 }
///   - { bind: "0.0.0.0:8443", tls: { certificates: [{ cert: site.pem, key: site.key }] } }
/// ```
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// The name in logs and metrics. Default: the address.
    #[serde(default)]
    pub name: Option<String>,
    /// The address: an IP address and a port, or `unix:` and an absolute path. Port 0 takes any free port.
    pub bind: BindAddr,
    /// Makes this a TLS listener. Default: plain.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// The HTTP versions spoken: `http1`, and `h2` over TLS or `h2c` (prior knowledge) without.
    /// Default: `[h2, http1]` with TLS, `[http1]` without.
    #[serde(default)]
    pub protocols: Option<Vec<Protocol>>,
    /// Answers every request with a redirect to https that has this status. Default: no redirect.
    #[serde(default)]
    pub redirect_https: Option<RedirectStatus>,
    /// Whether another process may listen on the same address, the kernel sharing the connections out (`SO_REUSEPORT`).
    /// Default: `exclusive`.
    #[serde(default)]
    pub port: PortSharing,
    /// The most connections open at once, counting all of their states. One more is closed as soon as it is accepted,
    /// with a 503 on a plain listener. Default: 10000.
    #[serde(default = "max_connections")]
    pub max_connections: NonZeroU32,
    /// The most requests on one connection; it is then closed after the response, or told to go away on HTTP/2.
    /// Default: 1000.
    #[serde(default = "max_requests")]
    pub max_requests_per_connection: NonZeroU32,
    /// The most bytes a request head may have, as sent on HTTP/1 and as a decoded list on HTTP/2. A larger one is
    /// answered with 431. Default: 32KiB.
    #[serde(default = "max_header_bytes")]
    pub max_header_bytes: ByteSize,
    /// The most header fields a request may have, from 1 to 256. More are answered with 431. Default: 100.
    #[serde(default = "max_headers")]
    pub max_headers: u16,
    /// How long a request head may take from its first byte, or from the connection's start for the first one.
    /// A client that sent a part gets a 408; a silent one is disconnected. Default: 10s.
    #[serde(default = "head_timeout")]
    pub head_timeout: Duration,
    /// How long a connection without a request stays open, on HTTP/1 and HTTP/2. Default: 60s.
    #[serde(default = "sixty_seconds")]
    pub idle_timeout: Duration,
    /// How long to wait for more of a request body. The connection is then closed. Default: 60s.
    #[serde(default = "sixty_seconds")]
    pub body_timeout: Duration,
    /// How long a client may leave what we sent untaken. The connection is then closed. Default: 60s.
    #[serde(default = "sixty_seconds")]
    pub write_timeout: Duration,
}

/// How TLS connections are made.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificates. A client gets the one that holds the name it asks for (SNI), exactly or by wildcard, else the
    /// first.
    pub certificates: Vec<CertificateConfig>,
    /// The lowest TLS version accepted: `"1.2"` or `"1.3"`, in quotes. Default: `"1.2"`.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// How long a TLS handshake may take. Default: 10s.
    #[serde(default = "head_timeout")]
    pub handshake_timeout: Duration,
    /// Whether clients show certificates of their own. Default: they aren't asked.
    #[serde(default)]
    pub client_auth: Option<ClientAuthConfig>,
}

/// Certificates of clients, checked in the handshake. Sessions are not resumed on such a listener, so that a
/// certificate is checked for each connection. Files are read at the start.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientAuthConfig {
    /// `require`: a client without one doesn't get in. `optional`: it does, and is nobody; one that doesn't hold ends the
    /// handshake all the same. Default: `require`.
    #[serde(default)]
    pub mode: ClientAuthMode,
    /// The PEM file with the authorities whose certificates are taken.
    pub ca: PathBuf,
    /// PEM files with revocation lists (RFC 5280 section 5) of all authorities on the way from a client's certificate to
    /// `ca`: what is on one, or on none that could be known, is refused, and so is everything once a list has expired.
    /// Default: none, and nothing is revoked.
    #[serde(default)]
    pub crl: Vec<PathBuf>,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthMode {
    /// It must.
    #[default]
    Require,
    /// It may.
    Optional,
}

/// A certificate and its key.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// The PEM file with the certificate and its chain, the certificate first.
    pub cert: PathBuf,
    /// The PEM file with the private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: PathBuf,
}

/// An HTTP version that a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/1.0.
    Http1,
    /// HTTP/2 over TLS, chosen by ALPN.
    H2,
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113 section 3.3).
    H2c,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    Tls13,
}

/// Who may listen on the same address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PortSharing {
    /// Nobody else.
    #[default]
    Exclusive,
    /// Other processes of the same user that share it, too.
    Shared,
}

/// The status of a redirect to https.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(into = "u16", try_from = "u16")]
pub enum RedirectStatus {
    /// 301: a client may turn a POST into a GET.
    MovedPermanently,
    /// 308: the method stays.
    PermanentRedirect,
}

impl RedirectStatus {
    /// The status code.
    pub const fn code(self) -> u16 {
        match self {
            Self::MovedPermanently => 301,
            Self::PermanentRedirect => 308,
        }
    }
}

impl From<RedirectStatus> for u16 {
    fn from(status: RedirectStatus) -> Self {
        status.code()
    }
}

impl TryFrom<u16> for RedirectStatus {
    type Error = &'static str;

    fn try_from(code: u16) -> Result<Self, &'static str> {
        match code {
            301 => Ok(Self::MovedPermanently),
            308 => Ok(Self::PermanentRedirect),
            _ => Err("a redirect to https has the status 308 or 301\nhelp: write 308"),
        }
    }
}

impl JsonSchema for RedirectStatus {
    fn schema_name() -> Cow<'static, str> {
        "RedirectStatus".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [308, 301], "description": "The status of a redirect to https." })
    }
}

impl ListenerConfig {
    /// A plain listener with every default.
    pub fn new(bind: impl Into<BindAddr>) -> Self {
        Self {
            name: None,
            bind: bind.into(),
            tls: None,
            protocols: None,
            redirect_https: None,
            port: PortSharing::default(),
            max_connections: max_connections(),
            max_requests_per_connection: max_requests(),
            max_header_bytes: max_header_bytes(),
            max_headers: max_headers(),
            head_timeout: head_timeout(),
            idle_timeout: sixty_seconds(),
            body_timeout: sixty_seconds(),
            write_timeout: sixty_seconds(),
        }
    }

    /// The name in logs and metrics.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.bind.to_string())
    }

    /// The protocols spoken, in order of preference.
    pub(crate) fn protocols(&self) -> &[Protocol] {
        match (&self.protocols, &self.tls) {
            (Some(protocols), _) => protocols,
            (None, Some(_)) => &[Protocol::H2, Protocol::Http1],
            (None, None) => &[Protocol::Http1],
        }
    }

    /// What serde can't see, with paths from this entry on.
    pub(crate) fn faults(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        self.protocol_faults(&mut errors);
        let times = [
            ("head_timeout", self.head_timeout),
            ("idle_timeout", self.idle_timeout),
            ("body_timeout", self.body_timeout),
            ("write_timeout", self.write_timeout),
        ];
        let handshake = self.tls.as_ref().map(|tls| ("tls.handshake_timeout", tls.handshake_timeout));
        for (path, time) in times.into_iter().chain(handshake) {
            if time < SHORTEST || time > LONGEST {
                errors.push(ConfigError::at(path, format!("must be from {SHORTEST} to {LONGEST}, is {time}")));
            }
        }
        if !(HEAD_AT_LEAST..=HEAD_AT_MOST).contains(&self.max_header_bytes) {
            let message = format!("must be from {HEAD_AT_LEAST} to {HEAD_AT_MOST}, is {}", self.max_header_bytes);
            errors.push(ConfigError::at("max_header_bytes", message));
        }
        if !(1..=256).contains(&self.max_headers) {
            errors.push(ConfigError::at("max_headers", format!("must be from 1 to 256, is {}", self.max_headers)));
        }
        errors
    }

    fn protocol_faults(&self, errors: &mut ConfigErrors) {
        let protocols = self.protocols();
        let mut fault = |message: &str, help: &str| errors.push(ConfigError::at("protocols", message).help(help));
        if protocols.is_empty() {
            fault("a listener must speak something", "leave it out, or write [http1]");
        }
        match self.tls {
            Some(_) if protocols.contains(&Protocol::H2c) => fault("h2c is HTTP/2 without TLS", "write h2"),
            None if protocols.contains(&Protocol::H2) => fault("h2 is HTTP/2 over TLS", "write h2c, or add `tls`"),
            _ => {}
        }
    }
}

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const HEAD_AT_LEAST: ByteSize = ByteSize::kib(1);
/// Pingora takes no head above 1 MiB, and what came with the head counts.
const HEAD_AT_MOST: ByteSize = ByteSize::kib(256);

const fn nonzero(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

fn max_connections() -> NonZeroU32 {
    const { nonzero(10_000) }
}

fn max_requests() -> NonZeroU32 {
    const { nonzero(1000) }
}

fn max_header_bytes() -> ByteSize {
    ByteSize::kib(32)
}

fn max_headers() -> u16 {
    100
}

fn head_timeout() -> Duration {
    Duration::from_secs(10)
}

fn sixty_seconds() -> Duration {
    Duration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use tidegate_core::config::{RawConfig, Value};

    use super::*;

    fn read(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Result<ListenerConfig, ConfigErrors> {
        let bind = ("bind", Value::from("127.0.0.1:0"));
        RawConfig::new(Value::map([bind].into_iter().chain(entries)), "").read()
    }

    #[test]
    fn an_address_is_all_it_takes() {
        let config = read([]).unwrap();
        assert_eq!(config.name(), "127.0.0.1:0");
        assert_eq!(config.protocols(), [Protocol::Http1]);
        assert!(config.faults().is_empty());
    }

    #[test]
    fn an_unknown_key_and_a_wrong_address_are_refused() {
        let errors = read([("timeout", Value::from("1s"))]).unwrap_err().to_string();
        assert!(errors.contains("unknown key `timeout`"), "{errors}");
        let bind = Value::map([("bind", Value::from("localhost:80"))]);
        let errors = RawConfig::new(bind, "").read::<ListenerConfig>().unwrap_err().to_string();
        assert!(errors.contains("`localhost:80` is not an address to listen on"), "{errors}");
    }

    #[test]
    fn what_cannot_work_is_refused_all_at_once() {
        let mut config = read([]).unwrap();
        config.protocols = Some(vec![Protocol::H2]);
        config.head_timeout = Duration::ZERO;
        config.idle_timeout = Duration::from_secs(1 << 40);
        config.max_header_bytes = ByteSize::new(10);
        config.max_headers = 0;
        let errors = config.faults();
        let paths: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
        assert_eq!(paths, ["protocols", "head_timeout", "idle_timeout", "max_header_bytes", "max_headers"]);
        config.protocols = Some(Vec::new());
        assert!(config.faults().to_string().contains("a listener must speak something"));
    }
}
