//! Which fields of an answer are stored (RFC 9111 section 3.1).

use std::time::SystemTime;

use tidegate_core::fields::date;
use tidegate_core::{HeaderMap, HeaderName, HeaderValue, header};

/// About one connection, or one proxy, or one client (RFC 9110 section 7.6.1, RFC 9111 section 3.1).
const NEVER: [HeaderName; 13] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    header::SET_COOKIE,
    HeaderName::from_static("set-cookie2"),
    // It is counted from when the answer was made, and is written anew each time.
    header::AGE,
];

/// Whether it sets cookies. Few clients understand `Set-Cookie2`, which RFC 6265 has made obsolete.
pub(super) fn set_cookies(headers: &HeaderMap) -> bool {
    headers.contains_key(header::SET_COOKIE) || headers.contains_key("set-cookie2")
}

/// The fields to be stored, with the `Date` that an answer must have (RFC 9110 section 6.6.1).
pub(super) fn stored(headers: &HeaderMap, now: SystemTime) -> HeaderMap {
    let mut stored = headers.clone();
    remove(&mut stored, headers);
    date_it(&mut stored, now);
    stored
}

/// Takes out what is never stored, and what `connection` lists.
pub(super) fn remove(stored: &mut HeaderMap, connection: &HeaderMap) {
    listed(connection).for_each(|name| drop(stored.remove(name)));
    NEVER.iter().for_each(|name| drop(stored.remove(name)));
}

/// The names that `Connection` lists.
fn listed(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let lines = headers.get_all(header::CONNECTION).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    lines.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
}

/// What has no `Date`, or none that can be read, was made when it came.
pub(super) fn date_it(headers: &mut HeaderMap, now: SystemTime) {
    if headers.get(header::DATE).and_then(date).is_some() {
        return;
    }
    // `httpdate` knows the years from 1970 to 9999.
    let last = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(253_402_300_799);
    let text = httpdate::fmt_http_date(now.clamp(SystemTime::UNIX_EPOCH, last));
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(header::DATE, value);
    }
}
