//! The certificate of the TLS connection.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// The client's certificate, which the listener has verified. A connection without one carries nothing for this
/// provider, and one that has expired since the handshake is refused. `Client-Cert`, `Client-Cert-Chain` (RFC 9440) and
/// `X-Forwarded-Client-Cert` fields that a client sends are always removed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "ClientCertificateProvider")]
#[serde(deny_unknown_fields, default)]
pub struct ClientCertificate {
    /// What of the certificate says who: the first of these that it has. Default: `san_uri`, `san_dns`, `san_email`,
    /// `cn`.
    pub subject: Vec<NamePart>,
    /// Roles by subject. Default: none.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Scopes by subject. Default: none.
    pub scopes: BTreeMap<String, Vec<String>>,
    /// Takes only these subjects; a `*` at the end stands for the rest. Default: all.
    pub allow: Vec<String>,
    /// Tells the upstream with the field `Client-Cert` (RFC 9440). Default: false.
    pub forward: bool,
    /// Tells the upstream with the field `X-Forwarded-Client-Cert`, as Envoy writes it: `Hash` (SHA-256 of the
    /// certificate), `Subject`, and the `URI` and `DNS` names. A name that can't stand in a field is left out. Default:
    /// false.
    pub forward_xfcc: bool,
}

impl Default for ClientCertificate {
    fn default() -> Self {
        let subject = vec![NamePart::SanUri, NamePart::SanDns, NamePart::SanEmail, NamePart::Cn];
        Self {
            subject,
            roles: BTreeMap::new(),
            scopes: BTreeMap::new(),
            allow: Vec::new(),
            forward: false,
            forward_xfcc: false,
        }
    }
}

/// A name in a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamePart {
    /// A URI among the subject's alternative names, as SPIFFE has it.
    SanUri,
    /// A DNS name among them.
    SanDns,
    /// A mail address among them.
    SanEmail,
    /// The subject's common name.
    Cn,
    /// The whole subject, as RFC 4514 writes it.
    Dn,
}
