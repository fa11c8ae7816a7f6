//! By what one answer is told from another.

mod claims;
mod has;
mod names;
mod query;
mod whose;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use smallvec::SmallVec;
use tidegate_core::cache::CacheKey;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, HeaderMap, HeaderName, RequestHead, Scheme, header};

use self::claims::Claims;
pub(crate) use self::has::Has;
pub(crate) use self::names::Names;
pub(crate) use self::query::Query;
pub(crate) use self::whose::{Sharing, Whose};
use crate::config;

/// Which parts of a request are in its key. The first seven are those that purging reads: see `purge::labels`.
#[derive(Debug)]
pub(crate) struct KeyRule {
    pub(crate) query: Query,
    headers: Box<[HeaderName]>,
    cookies: Box<[String]>,
    claims: Claims,
    /// Routes may lead to different upstreams for the same URL (by header, by method, by chance).
    route: Arc<str>,
}

/// The layout. Another one must not read what this one has left on a disk.
const VERSION: &[u8] = b"1";
/// The same with a `?` that nothing follows: `/a?` is not `/a` (RFC 3986 section 6.2.3).
const VERSION_EMPTY_QUERY: &[u8] = b"1?";

impl KeyRule {
    /// Errors have paths from `key`.
    pub(crate) fn build(config: &config::Key, route: &Arc<str>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let query = errors.collect(Query::build(&config.query, config.sort_query));
        let mut headers = Vec::new();
        for (index, name) in config.headers.iter().enumerate() {
            let at = ConfigPath::from("headers").index(index);
            headers.extend(errors.collect(field(name, &at)));
        }
        for (index, name) in config.cookies.iter().enumerate().filter(|(_, name)| !names::is_token(name)) {
            let at = ConfigPath::from("cookies").index(index);
            errors.push(ConfigError::at(at, format!("`{name}` is not the name of a cookie")));
        }
        let claims = errors.collect(Claims::build(&config.claims)).unwrap_or_default();
        let query = query.unwrap_or_default();
        let cookies = config.cookies.clone().into();
        errors.into_result(Self { query, headers: headers.into(), cookies, claims, route: route.clone() })
    }

    /// The key, without its hash.
    pub(crate) fn of(&self, head: &RequestHead<'_>, whose: Whose<'_>) -> CacheKey {
        let query = self.query.of(head.query);
        let empty_query = query.as_deref() == Some("");
        let query = query.as_deref().unwrap_or("");
        let mut key = CacheKey::with_capacity(160 + head.authority.len() + head.path.len() + query.len());
        let (host, port) = place(head);
        key.push(if empty_query { VERSION_EMPTY_QUERY } else { VERSION });
        key.push(head.scheme.as_str().as_bytes());
        push_lowercase(&mut key, host);
        key.push(port.as_bytes());
        // HEAD is answered from what GET got.
        key.push(b"GET");
        key.push(head.path.as_bytes());
        key.push(query.as_bytes());
        key.push(b"r");
        key.push(self.route.as_bytes());
        self.headers.iter().for_each(|name| push_field(&mut key, name, head.headers));
        self.cookies.iter().for_each(|name| push_cookie(&mut key, name, head));
        push_whose(&mut key, whose, &self.claims);
        key
    }

    /// Whether requests that differ in this field have different keys anyway.
    pub(crate) fn covers(&self, name: &HeaderName) -> bool {
        *name == header::HOST || self.headers.contains(name)
    }
}

/// The host, and the port where it isn't the scheme's own.
pub(crate) fn place<'a>(head: &RequestHead<'a>) -> (&'a str, &'a str) {
    let host = head.host();
    let port = head.authority.get(host.len()..).and_then(|rest| rest.strip_prefix(':')).unwrap_or("");
    let default = match head.scheme {
        Scheme::Http => "80",
        Scheme::Https => "443",
    };
    (host, if port == default { "" } else { port })
}

fn push_lowercase(key: &mut CacheKey, text: &str) {
    if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return key.push(text.as_bytes());
    }
    let lower: SmallVec<[u8; 64]> = text.bytes().map(|byte| byte.to_ascii_lowercase()).collect();
    key.push(&lower);
}

fn push_field(key: &mut CacheKey, name: &HeaderName, headers: &HeaderMap) {
    key.push(b"h");
    key.push(name.as_str().as_bytes());
    match crate::vary::joined(headers, name) {
        Some(value) => {
            key.push(b"1");
            key.push(&value);
        }
        None => key.push(b"0"),
    }
}

fn push_cookie(key: &mut CacheKey, name: &str, head: &RequestHead<'_>) {
    key.push(b"c");
    key.push(name.as_bytes());
    match head.cookie(name) {
        Some(value) => {
            key.push(b"1");
            key.push(value.as_bytes());
        }
        None => key.push(b"0"),
    }
}

/// With roles, scopes and claims: a token of the same person that was granted less, or for another tenant, must not get
/// what was made for more.
fn push_whose(key: &mut CacheKey, whose: Whose<'_>, claims: &Claims) {
    match whose {
        Whose::Anyone => key.push(b"n"),
        Whose::Known => key.push(b"a"),
        Whose::Only(identity) => {
            key.push(b"i");
            key.push(identity.provider().as_bytes());
            key.push(identity.subject().as_bytes());
            key.push(identity.proof().as_str().as_bytes());
            push_all(key, identity.roles());
            push_all(key, identity.scopes());
            key.push(&claims.digest(identity.claims()));
        }
    }
}

fn push_all(key: &mut CacheKey, words: &[Box<str>]) {
    let mut sorted: SmallVec<[&str; 16]> = words.iter().map(|word| &**word).collect();
    sorted.sort_unstable();
    sorted.dedup();
    key.push(&(sorted.len() as u64).to_be_bytes());
    sorted.iter().for_each(|word| key.push(word.as_bytes()));
}

/// A field whose value is part of a key, and so of what is kept on disks.
fn field(name: &str, at: &ConfigPath) -> Result<HeaderName, ConfigError> {
    let parsed: HeaderName =
        name.parse().map_err(|_| ConfigError::at(at.clone(), format!("`{name}` is not the name of a header field")))?;
    match parsed {
        header::AUTHORIZATION | header::PROXY_AUTHORIZATION | header::COOKIE => {
            let error = ConfigError::at(at.clone(), format!("`{name}` has secrets, which don't belong in keys"));
            Err(error.help("tell people apart by `identity: true`, and cookies by `cookies`"))
        }
        header::RANGE | header::CONNECTION | header::TRANSFER_ENCODING | header::CONTENT_LENGTH => {
            Err(ConfigError::at(at.clone(), format!("`{name}` can't tell answers apart")))
        }
        _ => Ok(parsed),
    }
}
