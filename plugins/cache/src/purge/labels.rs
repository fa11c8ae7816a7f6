//! By what a stored answer can be purged: its URL, its host, its tags.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use aws_lc_rs::digest::{SHA256, digest};
use tidegate_core::HeaderMap;

/// What the parts of a cache key say of its URL. The key's order is that of `crate::key`.
pub(crate) struct Place<'a> {
    pub(crate) scheme: &'a str,
    /// In lower case.
    pub(crate) host: &'a str,
    /// Nothing for the scheme's own.
    pub(crate) port: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
}

impl<'a> Place<'a> {
    /// `None` for bytes that aren't a key of ours.
    pub(super) fn of(key: &'a [u8]) -> Option<Self> {
        let mut parts = Parts(key);
        let mut text = || std::str::from_utf8(parts.next()?).ok();
        let (_tag, scheme, host, port) = (text()?, text()?, text()?, text()?);
        let (_method, path, query) = (text()?, text()?, text()?);
        Some(Self { scheme, host, port, path, query })
    }

    /// `https://shop.example:8443`
    pub(super) fn origin(&self) -> String {
        origin(self.scheme, &host(self.host), self.port)
    }

    /// `https://shop.example/a`
    pub(super) fn without_query(&self) -> String {
        [&*self.origin(), &*spelled(self.path)].concat()
    }

    /// By which it is purged.
    pub(crate) fn url(&self) -> String {
        let rest = match self.query.is_empty() {
            true => self.path.to_owned(),
            false => [self.path, "?", self.query].concat(),
        };
        url(&self.origin(), &rest)
    }
}

/// The scheme's own port is left out, however it is written.
pub(super) fn origin(scheme: &str, host: &str, port: &str) -> String {
    match (scheme, port.trim_start_matches('0')) {
        (_, "") | ("http", "80") | ("https", "443") => [scheme, "://", host].concat(),
        (_, port) => [scheme, "://", host, ":", port].concat(),
    }
}

/// One spelling for all that name the same host: without the dot of the root, an address as it is printed. In lower case
/// it is already.
pub(super) fn host(host: &str) -> Cow<'_, str> {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inside.and_then(|address| address.parse::<Ipv6Addr>().ok()) {
        Some(address) => format!("[{address}]").into(),
        None => host.strip_suffix('.').unwrap_or(host).into(),
    }
}

/// One spelling for all that RFC 3986 section 6.2.2 takes for the same: what needs no escape has none, and the others are
/// in capitals. What may not stand in a URL as it is, is escaped.
pub(super) fn spelled(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || !byte.is_ascii_graphic()) {
        return Cow::Borrowed(text);
    }
    let mut spelled = String::with_capacity(text.len() + 16);
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        match escaped {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => spelled.push(char::from(byte)),
            Some(byte) => escape(&mut spelled, byte),
            None if first.is_ascii_graphic() => spelled.push(char::from(*first)),
            None => escape(&mut spelled, *first),
        }
        rest = if escaped.is_some() { tail.get(2..).unwrap_or(&[]) } else { tail };
    }
    Cow::Owned(spelled)
}

fn escape(text: &mut String, byte: u8) {
    text.push('%');
    text.extend([byte >> 4, byte & 15].map(|half| char::from(b"0123456789ABCDEF"[usize::from(half)])));
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The URL of a cache key, its query in order. `None` for one that is too long to be kept as it is.
pub(crate) fn url_of(key: &[u8]) -> Option<String> {
    Place::of(key).map(|place| place.url()).filter(|url| !url.starts_with(DIGEST))
}

struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
        let (part, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }
}

/// Longest URL that is kept as it is, in bytes.
const LONGEST: usize = 8 * 1024;

/// What stands for a longer one begins so, as no URL does.
const DIGEST: &str = "sha256:";

/// A URL with its query in order; of a long one its digest, so that it can be purged as any other, and a list of such
/// takes no more room.
pub(super) fn url(origin: &str, path_and_query: &str) -> String {
    let url = in_order(origin, path_and_query);
    if url.len() <= LONGEST {
        return url;
    }
    let digest = digest(&SHA256, url.as_bytes());
    digest.as_ref().iter().fold(DIGEST.to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn in_order(origin: &str, path_and_query: &str) -> String {
    let path_and_query = &*spelled(path_and_query);
    match path_and_query.split_once('?') {
        None | Some((_, "")) => [origin, path_and_query.trim_end_matches('?')].concat(),
        Some((path, query)) => {
            let mut pieces: Vec<&str> = query.split('&').collect();
            pieces.sort_unstable();
            [origin, path, "?", &pieces.join("&")].concat()
        }
    }
}

/// Tags are separated by commas in `Cache-Tag`, by spaces in `Surrogate-Key`; here by both, for no tag has one.
pub(super) fn tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = ["cache-tag", "surrogate-key"].into_iter().flat_map(|name| headers.get_all(name));
    let texts = fields.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split([',', ' ', '\t'])).filter(|tag| !tag.is_empty()).take(MOST_TAGS)
}

/// How many tags of one answer are looked at. An upstream that gives more is told so by the documentation.
const MOST_TAGS: usize = 1_000;
