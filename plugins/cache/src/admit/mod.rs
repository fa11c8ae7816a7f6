//! Whether an answer is stored, and as what (RFC 9111 sections 3 and 4.2).

mod fields;
mod freshness;
mod merge;
mod refused;
mod slice;

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use tidegate_core::cache::Slice;
use tidegate_core::cache::engine::CacheMeta;
use tidegate_core::facts::Identity;
use tidegate_core::{HeaderMap, Method, RequestHead, ResponseHeader, StatusCode, header};

pub(crate) use self::refused::Refused;
use crate::config::SetCookie;
use crate::control::{Asks, Says};
use crate::key::{Has, Whose};
use crate::rules::build::may_be_stored;
use crate::rules::{Rules, is_stream};
use crate::vary;

/// An answer of the upstream, and all that decides about it.
pub(crate) struct Answer<'a> {
    pub(crate) request: RequestHead<'a>,
    pub(crate) who: Option<&'a Identity>,
    /// What the upstream got, where that is known.
    pub(crate) sent: Option<&'a HeaderMap>,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    /// The fields of a 304 that confirms it.
    pub(crate) not_modified: Option<&'a HeaderMap>,
    /// Which slice the upstream was asked for, if for one.
    pub(crate) slice: Option<Slice>,
    /// When the upstream was asked.
    pub(crate) asked: SystemTime,
    /// When it answered.
    pub(crate) now: SystemTime,
}

/// An answer to be stored.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) meta: Box<CacheMeta>,
    /// How old it was when it came, where another cache has said so.
    pub(crate) age: Option<Duration>,
    /// For how many seconds it is fresh yet.
    pub(crate) ttl: i64,
}

/// Decides.
pub(crate) fn admit(rules: &Rules, answer: &Answer<'_>) -> Result<Admitted, Refused> {
    let merged = answer.not_modified.map(|fresh| merge::merged(answer.headers, fresh, answer.now)).transpose()?;
    let headers = merged.as_ref().unwrap_or(answer.headers);
    let whose = rules.sharing.of(Has::of(answer.request.headers), answer.who).map_err(|_| Refused::Authorization)?;
    let shared = !rules.sharing.is_private(whose);
    let says = Says::of(headers);
    request_allows(rules, answer)?;
    let status = slice::status(answer, headers)?;
    answer_allows(rules, status, headers, &says)?;
    if shared {
        sharing_allows(&says, whose)?;
    }
    chosen_by_what_the_client_sent(rules, answer, headers, whose)?;
    store(rules, answer, (status, headers), &says, shared)
}

/// RFC 9111 section 3, and 5.2.1.5.
fn request_allows(rules: &Rules, answer: &Answer<'_>) -> Result<(), Refused> {
    if !matches!(*answer.request.method, Method::GET | Method::HEAD) {
        return Err(Refused::Method);
    }
    match rules.respect_client && Asks::of(answer.request.headers).no_store {
        true => Err(Refused::RequestNoStore),
        false => Ok(()),
    }
}

fn answer_allows(rules: &Rules, status: StatusCode, headers: &HeaderMap, says: &Says) -> Result<(), Refused> {
    let code = status.as_u16();
    if matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE) {
        return Err(Refused::Partial);
    }
    if !may_be_stored(code) || !rules.takes_status(code) || (says.must_understand && !is_understood(code)) {
        return Err(Refused::Status);
    }
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    if content_type.is_some_and(is_stream) {
        return Err(Refused::Stream);
    }
    if !rules.takes_type(content_type) {
        return Err(Refused::ContentType);
    }
    // Who understands the status does not mind a `no-store` for those who don't (RFC 9111 section 5.2.2.3).
    if says.no_store && !says.must_understand {
        return Err(Refused::NoStore);
    }
    match rules.set_cookie == SetCookie::Refuse && fields::set_cookies(headers) {
        true => Err(Refused::SetCookie),
        false => Ok(()),
    }
}

/// RFC 9111 sections 3.5 and 5.2.2.7.
fn sharing_allows(says: &Says, whose: Whose<'_>) -> Result<(), Refused> {
    if says.private {
        return Err(Refused::Private);
    }
    match whose {
        Whose::Known | Whose::Only(_) if !says.is_for_everybody() => Err(Refused::Authorization),
        _ => Ok(()),
    }
}

/// What `Vary` names must be what the client sent: an answer that was chosen by what the gateway added to the request
/// would be given to clients for whom it would have added something else.
fn chosen_by_what_the_client_sent(
    rules: &Rules,
    answer: &Answer<'_>,
    headers: &HeaderMap,
    whose: Whose<'_>,
) -> Result<(), Refused> {
    let fields = vary::fields(headers).ok_or(Refused::Vary)?;
    if fields.contains(&header::ACCEPT_ENCODING) {
        let mut codings =
            headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
        if !codings.all(vary::is_known_coding) {
            return Err(Refused::Coding);
        }
    }
    let Some(sent) = answer.sent else { return Ok(()) };
    let client = answer.request.headers;
    let covered = fields.iter().all(|name| {
        vary::same(name, client, sent)
            || rules.key.covers(name)
            // The same for all who accept the same.
            || *name == header::ACCEPT_ENCODING
            || follows_from_key(name, &answer.request, sent, whose)
    });
    if covered { Ok(()) } else { Err(Refused::Vary) }
}

/// Whether the gateway made the field of what is in the key: the scheme, the authority, the identity.
fn follows_from_key(
    name: &tidegate_core::HeaderName,
    request: &RequestHead<'_>,
    sent: &HeaderMap,
    whose: Whose<'_>,
) -> bool {
    let says = |expected: &str| vary::joined(sent, name).is_some_and(|value| *value == *expected.as_bytes());
    let identity = match whose {
        Whose::Only(identity) => says(identity.subject()) || *name == header::AUTHORIZATION,
        _ => false,
    };
    identity
        || (name.as_str() == "x-forwarded-proto" && says(request.scheme.as_str()))
        || (name.as_str() == "x-forwarded-host" && says(request.authority))
}

fn store(
    rules: &Rules,
    answer: &Answer<'_>,
    (status, headers): (StatusCode, &HeaderMap),
    says: &Says,
    shared: bool,
) -> Result<Admitted, Refused> {
    let times = rules.times(answer.request.path);
    let fresh = freshness::of(&freshness::Question {
        rules,
        times: &times,
        says,
        status: status.as_u16(),
        headers,
        shared,
        now: answer.now,
    })?;
    let sent_age = freshness::sent_age(answer.not_modified.unwrap_or(headers));
    let waited = answer.now.duration_since(answer.asked).unwrap_or_default();
    let initial_age = sent_age.unwrap_or_default() + waited;
    let born = answer.now.checked_sub(initial_age).unwrap_or(SystemTime::UNIX_EPOCH);
    let fresh_until = match fresh {
        freshness::Fresh::Until(lifetime) => born.checked_add(lifetime).unwrap_or(answer.now),
        freshness::Fresh::FromNow(lifetime) => answer.now.checked_add(lifetime).unwrap_or(answer.now),
    };
    let (while_revalidate, if_error) = freshness::stale(&times, says, shared);
    let useful = fresh_until > answer.now || while_revalidate > 0 || if_error > 0;
    if !useful && !has_validator(headers) {
        return Err(Refused::Expired);
    }
    let mut stored = fields::stored(headers, answer.now);
    slice::measure(answer, &mut stored);
    let head = head(answer.status, stored);
    let mut meta = CacheMeta::new(fresh_until, answer.asked, while_revalidate, if_error, head);
    meta.set_epoch_override(born);
    let age = sent_age.map(|_| initial_age);
    Ok(Admitted { meta: Box::new(meta), age, ttl: crate::judge::seconds_until(fresh_until, answer.now) })
}

fn head(status: StatusCode, headers: HeaderMap) -> ResponseHeader {
    let mut parts = http::Response::new(()).into_parts().0;
    (parts.status, parts.headers) = (status, headers);
    ResponseHeader::from(parts)
}

fn has_validator(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED)
}

/// The final statuses of RFC 9110 whose rules for caches are kept here.
fn is_understood(status: u16) -> bool {
    matches!(status, 200..=205 | 300..=303 | 305 | 307 | 308 | 400..=415 | 417 | 421 | 422 | 426 | 500..=505)
}
