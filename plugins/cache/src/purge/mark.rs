//! What a purge is about.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::labels;

/// One purge.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    /// Which stored answers.
    pub(crate) target: Target,
    /// Whether they may still be used as stale ones.
    #[serde(default)]
    pub(crate) soft: bool,
}

/// Which stored answers a purge is about. Hosts are in lower case, and a port is there only if it isn't the scheme's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// All of the zone.
    All,
    /// All of one host, by every scheme and port.
    Host(Box<str>),
    /// All whose URL begins with this: `https://shop.example/img/`.
    Prefix(Box<str>),
    /// All variants of one URL. The order of its query doesn't matter. Of a long one its digest.
    Url(Box<str>),
    /// All that the upstream has given this tag (`Cache-Tag`, `Surrogate-Key`).
    Tag(Box<str>),
}

/// Longest URL that somebody may purge, in bytes: no request has a longer one.
const LONGEST_URL: usize = 1024 * 1024;

/// Longest prefix. It is kept as it is.
const LONGEST_PREFIX: usize = 8 * 1024;

impl Target {
    /// The kind in one letter, so that no two kinds share a text.
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::All => b'a',
            Self::Host(_) => b'h',
            Self::Prefix(_) => b'p',
            Self::Url(_) => b'u',
            Self::Tag(_) => b't',
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::All => "",
            Self::Host(text) | Self::Prefix(text) | Self::Url(text) | Self::Tag(text) => text,
        }
    }

    /// A URL's target; the error says what is wrong with it.
    pub(crate) fn url(url: &str) -> Result<Self, &'static str> {
        if url.len() > LONGEST_URL {
            return Err("a URL has at most 1 MiB");
        }
        let (origin, path) = split(url)?;
        Ok(Self::Url(labels::url(&origin, path).into()))
    }

    /// A prefix's.
    pub(crate) fn prefix(prefix: &str) -> Result<Self, &'static str> {
        if prefix.len() > LONGEST_PREFIX {
            return Err("a prefix has at most 8,192 bytes");
        }
        let (origin, path) = split(prefix)?;
        match path.contains('?') {
            true => Err("a prefix ends before the query"),
            false => Ok(Self::Prefix([&*origin, &*labels::spelled(path)].concat().into())),
        }
    }

    /// A host's.
    pub(crate) fn host(host: &str) -> Result<Self, &'static str> {
        let bracketed = host.parse::<std::net::Ipv6Addr>().map(|address| format!("[{address}]"));
        let host = bracketed.unwrap_or_else(|_| host.to_ascii_lowercase());
        let (name, port) = host_and_port(&host);
        match name.is_empty() || name.len() < host.len() || port.is_some() || host.len() > 255 || !is_host(name) {
            true => Err("a host is a name in ASCII (`xn--`) or an address, without scheme, port and path"),
            false => Ok(Self::Host(labels::host(name).into())),
        }
    }

    /// A tag's.
    pub(crate) fn tag(tag: &str) -> Result<Self, &'static str> {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b',';
        match !tag.is_empty() && tag.len() <= 1024 && tag.bytes().all(plain) {
            true => Ok(Self::Tag(tag.into())),
            false => Err("a tag is 1 to 1,024 visible characters, without commas"),
        }
    }
}

/// The origin, normalised, and the rest of a URL.
fn split(url: &str) -> Result<(String, &str), &'static str> {
    const SHAPE: &str = "a URL has a scheme, a host and a path: https://shop.example/a";
    let (scheme, rest) = url.split_once("://").ok_or(SHAPE)?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(&*scheme, "http" | "https") {
        return Err("a URL begins with http:// or https://");
    }
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let authority = authority.to_ascii_lowercase();
    let (host, port) = host_and_port(&authority);
    let port = port.unwrap_or("");
    if !is_host(host) || !port.bytes().all(|byte| byte.is_ascii_digit()) || path.contains(['#', ' ']) {
        return Err(SHAPE);
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok((labels::origin(&scheme, &labels::host(host), port), path))
}

/// `[::1]:80` is `[::1]` and `80`.
pub(super) fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let after_bracket = authority.rfind(']').map_or(0, |end| end + 1);
    match authority.get(after_bracket..).and_then(|rest| rest.rfind(':')) {
        Some(colon) => {
            (authority.get(..after_bracket + colon).unwrap_or(""), authority.get(after_bracket + colon + 1..))
        }
        None => (authority, None),
    }
}

/// Whether a request may be for it: other names never are, and a purge of them would only seem to be one.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@".contains(&byte))
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.target {
            Target::All => "all",
            Target::Host(_) => "host",
            Target::Prefix(_) => "prefix",
            Target::Url(_) => "url",
            Target::Tag(_) => "tag",
        };
        let (soft, text) = (if self.soft { "soft " } else { "" }, self.target.text());
        match text.is_empty() {
            true => write!(f, "{soft}{kind}"),
            false => write!(f, "{soft}{kind} {text}"),
        }
    }
}
