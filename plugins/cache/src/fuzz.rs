//! What fuzz targets reach: nothing of it is for anybody else.

use std::net::IpAddr;
use std::sync::Arc;

use tidegate_core::{HeaderMap, HeaderValue, Method, RequestHead, Scheme, header};

use crate::config::{Key, QueryKey};
use crate::control::{Asks, Says};
use crate::key::{KeyRule, Whose};
use crate::vary;

/// Reads `value` as every field that speaks of caching. Panics where it says less than it must: what a whole `no-store`
/// forbids stays forbidden, whatever stands beside it.
pub fn cache_control(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let mut headers = HeaderMap::new();
    let names = [header::CACHE_CONTROL, header::EXPIRES, header::PRAGMA, header::AGE, header::VARY, header::DATE];
    for name in names {
        headers.append(name, value.clone());
    }
    headers.append(header::ACCEPT_ENCODING, value.clone());
    let before = (Says::of(&headers), Asks::of(&headers));
    headers.append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    assert!(Says::of(&headers).no_store && Asks::of(&headers).no_store, "{before:?}");
    headers.append("cdn-cache-control", value);
    let _ = (Says::of(&headers), vary::variant(&headers, &headers));
}

/// The bytes of the key for a request.
pub fn key(authority: &str, path: &str, query: Option<&str>, field: Option<&[u8]>, tls: bool) -> Option<Vec<u8>> {
    let config = Key { query: QueryKey::All, headers: vec!["x-a".to_owned()], ..Key::default() };
    let rule = KeyRule::build(&config, &Arc::from("app")).ok()?;
    let mut headers = HeaderMap::new();
    if let Some(field) = field {
        headers.insert("x-a", HeaderValue::from_bytes(field).ok()?);
    }
    let head = RequestHead {
        method: &Method::GET,
        authority,
        path,
        query,
        headers: &headers,
        client: IpAddr::from([127, 0, 0, 1]),
        scheme: if tls { Scheme::Https } else { Scheme::Http },
        listener: "main",
    };
    Some(rule.of(&head, Whose::Anyone).as_bytes().to_vec())
}

/// What tells the variant of a request with this `Accept-Encoding` from others.
pub fn variant(accept_encoding: &HeaderValue) -> Option<Vec<u8>> {
    let answer = HeaderMap::from_iter([(header::VARY, HeaderValue::from_static("accept-encoding"))]);
    vary::variant(&answer, &HeaderMap::from_iter([(header::ACCEPT_ENCODING, accept_encoding.clone())]))
}

/// Reads `file` as a stored answer's. The length of its body, if all of it is as it was written.
pub fn cache_file(file: &[u8]) -> Option<u64> {
    crate::store::disk::read_whole(file)
}
