//! What of a large answer is stored by itself.

use tidegate_core::{HeaderMap, HeaderValue, StatusCode, header};

use super::{Answer, Refused};

/// The status by which the other rules go. A slice is a piece of a 200, and what holds for that holds for it. Where the
/// upstream sends all there is instead, that has a place where the first slice would be, and nowhere else.
pub(super) fn status(answer: &Answer<'_>, headers: &HeaderMap) -> Result<StatusCode, Refused> {
    let Some(slice) = answer.slice else { return Ok(answer.status) };
    if slice.total(answer.status, headers).is_some() {
        return Ok(StatusCode::OK);
    }
    match answer.status {
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => Err(Refused::Slice),
        StatusCode::OK if slice.number() > 0 => Err(Refused::Slice),
        status => Ok(status),
    }
}

/// Says how long a slice is where the upstream has not: the store keeps no body that is shorter.
pub(super) fn measure(answer: &Answer<'_>, stored: &mut HeaderMap) {
    let total = answer.slice.and_then(|slice| Some((slice, slice.total(answer.status, stored)?)));
    if let Some((slice, total)) = total.filter(|_| !stored.contains_key(header::CONTENT_LENGTH)) {
        stored.insert(header::CONTENT_LENGTH, HeaderValue::from(slice.end(total) - slice.start()));
    }
}
