//! Where a listener listens: what the configuration asks for, and what it got.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The address to listen on: `0.0.0.0:8080`, `[::]:8080`, `127.0.0.1:0` (any free port) or `unix:/run/tidegate.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum BindAddr {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// A text that isn't an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an address to listen on\nhelp: write an IP address and a port, as 0.0.0.0:8080 or [::]:8080, or unix:/path"
)]
pub struct BadBindAddr(String);

impl FromStr for BindAddr {
    type Err = BadBindAddr;

    fn from_str(text: &str) -> Result<Self, BadBindAddr> {
        let bad = || BadBindAddr(text.chars().take(80).flat_map(char::escape_default).collect());
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(bad()),
            None => text.parse().map(Self::Tcp).map_err(|_| bad()),
        }
    }
}

impl TryFrom<String> for BindAddr {
    type Error = BadBindAddr;

    fn try_from(text: String) -> Result<Self, BadBindAddr> {
        text.parse()
    }
}

impl From<BindAddr> for String {
    fn from(address: BindAddr) -> Self {
        address.to_string()
    }
}

impl From<SocketAddr> for BindAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for BindAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl JsonSchema for BindAddr {
    fn schema_name() -> Cow<'static, str> {
        "BindAddr".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An IP address and a port, or `unix:` and the path of a socket.",
            "examples": ["0.0.0.0:8080", "[::]:8443", "127.0.0.1:0", "unix:/run/tidegate.sock"],
        })
    }
}

/// The address a listener is bound to: the one asked for, with the real port in place of port 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BoundAddr(pub(crate) BindAddr);

impl BoundAddr {
    /// The IP address and port; `None` for a unix socket.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match &self.0 {
            BindAddr::Tcp(address) => Some(*address),
            BindAddr::Unix(_) => None,
        }
    }

    /// The path of the unix socket; `None` for an IP address.
    pub fn unix(&self) -> Option<&Path> {
        match &self.0 {
            BindAddr::Tcp(_) => None,
            BindAddr::Unix(path) => Some(path),
        }
    }
}

impl fmt::Display for BoundAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for text in ["0.0.0.0:8080", "[::1]:0", "unix:/run/a b.sock"] {
            assert_eq!(text.parse::<BindAddr>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "8080", ":8080", "localhost:8080", "1.2.3.4", "1.2.3.4:99999", "unix:", "unix:relative"] {
            assert!(text.parse::<BindAddr>().is_err(), "{text}");
        }
    }
}
