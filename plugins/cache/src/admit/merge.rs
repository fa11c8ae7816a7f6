//! A stored answer that the upstream says is still good (RFC 9111 sections 3.2 and 4.3.4).

use std::time::SystemTime;

use tidegate_core::fields::Tag;
use tidegate_core::{HeaderMap, HeaderName, header};

use super::Refused;
use super::fields::{date_it, remove};
use crate::vary;

/// How the stored body is coded and framed, which a 304 has no body to say of. Its type is not among them: nothing here
/// depends on it (RFC 9111 section 3.2).
const OF_THE_BODY: [HeaderName; 3] = [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_RANGE];

/// The stored fields with those of the 304 in their places.
pub(super) fn merged(stored: &HeaderMap, fresh: &HeaderMap, now: SystemTime) -> Result<HeaderMap, Refused> {
    if !confirms(stored, fresh) {
        return Err(Refused::Validator);
    }
    if fresh.contains_key(header::VARY) && vary::fields(stored) != vary::fields(fresh) {
        // The stored answer is in the place of a variant that there is no longer.
        return Err(Refused::Vary);
    }
    let mut update = fresh.clone();
    remove(&mut update, fresh);
    OF_THE_BODY.iter().for_each(|name| drop(update.remove(name)));
    if is_weak(stored) {
        // The body was changed after the upstream named it: it is not the one that a strong tag names.
        update.remove(header::ETAG);
    }
    date_it(&mut update, now);
    let mut merged = stored.clone();
    for name in update.keys() {
        merged.remove(name);
    }
    for (name, value) in &update {
        merged.append(name.clone(), value.clone());
    }
    Ok(merged)
}

/// Whether a 304 is about this answer: another tag is another answer's (RFC 9111 section 4.3.4).
pub(super) fn confirms(stored: &HeaderMap, fresh: &HeaderMap) -> bool {
    match (stored.get(header::ETAG), fresh.get(header::ETAG)) {
        (Some(stored), Some(fresh)) => Tag(stored.as_bytes()).opaque() == Tag(fresh.as_bytes()).opaque(),
        _ => true,
    }
}

fn is_weak(headers: &HeaderMap) -> bool {
    headers.get(header::ETAG).is_some_and(|tag| Tag(tag.as_bytes()).is_weak())
}
