//! A URL, taken apart: where to connect, and what to ask for.

use std::net::IpAddr;

use http::uri::Scheme;
use http::{HeaderValue, Uri};

use crate::address::Address;

/// The server that a URL names, and what is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) tls: bool,
    pub(crate) address: Address,
    pub(crate) port: u16,
    /// For `Host`.
    pub(crate) host: HeaderValue,
    /// Path and query.
    pub(crate) path: String,
}

impl Site {
    /// `None` for what is no absolute URL of `http` or `https`.
    pub(crate) fn new(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme()?;
        let tls = *scheme == Scheme::HTTPS;
        if !tls && *scheme != Scheme::HTTP {
            return None;
        }
        let (host, authority) = (uri.host()?, uri.authority()?);
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let address: Address = format!("{host}:{port}").parse().ok()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        // A user's name and password in a URL are not the server's name.
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        Some(Self { tls, address, port, host: HeaderValue::try_from(host).ok()?, path })
    }

    /// The name on its certificate. Never empty: Pingora takes an empty name as an order not to verify.
    pub(crate) fn sni(&self, ip: IpAddr) -> String {
        match &self.address {
            Address::Name(host) => host.host.clone(),
            Address::Inet(_) | Address::Unix(_) => ip.to_string(),
        }
    }
}
