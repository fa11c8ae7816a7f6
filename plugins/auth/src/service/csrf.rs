//! Requests that other sites make browsers send: whoever uses a cookie of ours has to say what that site can't read
//! (signed double submit: the token is bound to the session, so that a planted cookie is of no use).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use tidegate_core::{HeaderName, Method, RequestHead};

use crate::id::Id;
use crate::keys::{KeyRing, NoKeys};

const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// The value of a session's CSRF cookie.
pub(super) fn token(keys: &KeyRing, session: Id) -> Result<String, NoKeys> {
    Ok(BASE64.encode(keys.mac("csrf", &session.0)?))
}

/// Whether a request may have been made by another site: it would change something, and doesn't repeat the cookie.
pub(super) fn is_forgeable(keys: &KeyRing, session: Id, head: &RequestHead<'_>) -> Result<bool, NoKeys> {
    // RFC 9110 section 9.2.1.
    if matches!(*head.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE) {
        return Ok(false);
    }
    let right = keys.mac("csrf", &session.0)?;
    let mut said = [0; 33];
    let read = head.headers.get(HEADER).and_then(|value| BASE64.decode_slice(value.as_bytes(), &mut said).ok());
    Ok(read != Some(32) || verify_slices_are_equal(&said[..32], &right).is_err())
}
