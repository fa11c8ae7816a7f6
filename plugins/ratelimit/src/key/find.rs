//! From a request to its key.

use std::io;

use serde_json::Value;
use smallvec::SmallVec;
use tidegate_core::facts::Identity;
use tidegate_core::{HeaderName, RequestHead, header};

use super::bytes::Kind;
use super::{Asker, Builder, Key};
use crate::config::{ClientPrefix, Joined, Missing, Per, Source};

/// By what one limit counts.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(super) per: Per,
    pub(super) missing: Missing,
    pub(super) prefix: ClientPrefix,
}

/// The key of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is counted by this.
    Key(Key),
    /// It has none, and is not counted.
    Skip,
    /// It has none, and is answered 400.
    Refuse,
}

impl Keys {
    pub(crate) fn new(per: Per, missing: Missing, prefix: ClientPrefix) -> Self {
        Self { per, missing, prefix }
    }

    /// The first key that the request has.
    pub(crate) fn find(&self, limit: u64, asker: &impl Asker) -> Found {
        let mut key = Builder::default();
        for joined in self.per.keys() {
            if self.push(joined, asker, &mut key).is_some() {
                return Found::Key(key.finish(limit));
            }
            key.clear();
        }
        match self.missing {
            Missing::Skip => Found::Skip,
            Missing::Refuse => Found::Refuse,
            Missing::Client => {
                key.client(asker.client(), self.prefix);
                Found::Key(key.finish(limit))
            }
        }
    }

    /// The sources, for people, the first choice first: `identity, client`.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.per.keys().iter().map(Joined::to_string).collect();
        names.join(", ")
    }

    fn push(&self, joined: &Joined, asker: &impl Asker, key: &mut Builder) -> Option<()> {
        let head = || asker.head();
        joined.sources().iter().try_for_each(|source| match source {
            Source::Client => {
                key.client(asker.client(), self.prefix);
                Some(())
            }
            Source::Identity => push_identity(asker.identity()?, key),
            Source::ApiKey => push(Kind::ApiKey, "", field(&head(), &API_KEY)?, key),
            Source::Header(name) => push(Kind::Header, name.as_str(), field(&head(), name)?, key),
            Source::Cookie(name) => push(Kind::Cookie, name, cookie(&head(), name)?, key),
            Source::Query(name) => push(Kind::Query, name, &query(head().query?, name)?, key),
            Source::Param(name) => push(Kind::Param, name, &decoded(asker.param(name)?, Plus::IsItself), key),
            Source::Claim(name) => push_claim(asker.identity()?, name, key),
            Source::Route => push(Kind::Route, "", asker.route().as_bytes(), key),
            Source::Host => push(Kind::Host, "", &host(&head()), key),
            Source::Country => push(Kind::Country, "", asker.country()?.as_str().as_bytes(), key),
        })
    }
}

/// What `api_key` stands for.
static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A value on its way into a key: on the stack, unless it is long.
pub(super) type Scratch = SmallVec<[u8; 128]>;

/// What is empty is not there.
pub(super) fn push(kind: Kind, name: &str, value: &[u8], key: &mut Builder) -> Option<()> {
    (!value.is_empty()).then(|| key.part(kind, name, value))
}

fn push_identity(identity: &Identity, key: &mut Builder) -> Option<()> {
    key.part(Kind::Provider, "", identity.provider().as_bytes());
    push(Kind::Subject, "", identity.subject().as_bytes(), key)
}

fn push_claim(identity: &Identity, name: &str, key: &mut Builder) -> Option<()> {
    match identity.claim(name)? {
        Value::Null => None,
        Value::String(text) => push(Kind::Claim, name, text.as_bytes(), key),
        other => {
            let mut json = Json(Scratch::new());
            serde_json::to_writer(&mut json, other).ok()?;
            push(Kind::ClaimJson, name, &json.0, key)
        }
    }
}

/// JSON is written where it costs no allocation.
struct Json(Scratch);

impl io::Write for Json {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The one value that all of these are. If two differ there is none: who sends `X-Tenant: a` and `X-Tenant: b` would be
/// counted as one and served as the other.
fn single<V: PartialEq>(mut values: impl Iterator<Item = V>) -> Option<V> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// Bytes, not text: a value that is no UTF-8 is a key like any other.
fn field<'a>(head: &RequestHead<'a>, name: &HeaderName) -> Option<&'a [u8]> {
    single(head.headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()))
}

/// RFC 6265 section 5.4, but in bytes. Quotes around a value are no part of it for many upstreams, so not here.
fn cookie<'a>(head: &RequestHead<'a>, name: &str) -> Option<&'a [u8]> {
    let lines = head.headers.get_all(header::COOKIE).iter().map(|line| line.as_bytes());
    let pairs = lines.flat_map(|line| line.split(|b| *b == b';')).filter_map(|pair| {
        let equals = pair.iter().position(|b| *b == b'=')?;
        Some((pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii()))
    });
    single(pairs.filter(|(key, _)| *key == name.as_bytes()).map(|(_, value)| unquoted(value)))
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// Decoded, name and value: `api%5Fkey=a%62c` is `api_key=abc` for the upstream.
fn query(query: &str, name: &str) -> Option<Scratch> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let is_name = |key: &str| match key.contains(['%', '+']) {
        true => *decoded(key, Plus::IsSpace) == *name.as_bytes(),
        false => key == name,
    };
    single(pairs.filter(|(key, _)| is_name(key)).map(|(_, value)| decoded(value, Plus::IsSpace)))
}

/// Names of hosts ignore case, and a dot at the end changes nothing (RFC 9110 section 4.2.3, RFC 1034 section 3.1).
fn host(head: &RequestHead<'_>) -> Scratch {
    let host = head.host();
    let mut host = Scratch::from_slice(host.strip_suffix('.').unwrap_or(host).as_bytes());
    host.make_ascii_lowercase();
    host
}

/// What a `+` stands for: a space in a query (the URL Standard's forms), itself in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    IsSpace,
    IsItself,
}

/// Without percent-encoding. One that is broken stays as it is.
fn decoded(text: &str, plus: Plus) -> Scratch {
    let mut bytes = Scratch::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', rest.get(1..).unwrap_or_default()),
            },
            (b'+', after) if plus == Plus::IsSpace => (b' ', after),
            (byte, after) => (byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    bytes
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).map(|digit| digit as u8)
}
