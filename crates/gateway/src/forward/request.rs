//! The head that the upstream gets.

use http::{HeaderValue, Uri, header, request};
use pingora_error::{Error, ErrorType};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use tidegate_core::erased::head_of;

use super::{ADDED_FIELDS, Fallible};
use crate::cache;
use crate::client;
use crate::exchange::Exchange;
use crate::mirror;
use crate::proxy::{hook_failed, refuse};

/// The head the upstream gets.
pub(crate) fn upstream_request(
    session: &mut Session,
    exchange: &mut Exchange,
    head: &mut RequestHeader,
) -> Fallible<()> {
    let mut parts = request_parts(head);
    normalise_target(exchange, &mut parts)?;
    let authority = head_of(session, &exchange.request).authority;
    let peer = exchange.connection().peer.map(|peer| peer.ip());
    client::forward(exchange.trusted, peer, authority, exchange.request.scheme, &mut parts.headers)
        .map_err(|error| Error::because(ErrorType::InternalError, "X-Forwarded-Host", error))?;
    let id = exchange.request.facts.request_id.as_header().clone();
    parts.headers.insert(exchange.generation.request_ids.header(), id);
    host(exchange, &mut parts);
    if let Some(range) = exchange.cache.range() {
        // Pingora has taken the client's away, as it wants to store the whole.
        parts.headers.insert(header::RANGE, range);
    }
    *head = RequestHeader::from(parts);
    let (route, mut cx) = exchange.hooks(session);
    if let Err(failed) = route.chain.upstream_request(&mut cx, head) {
        let reply = hook_failed(exchange, &failed);
        return Err(refuse(exchange, reply));
    }
    cache::sent(exchange, head);
    mirror::head(session, exchange, head);
    // From here on it is on its way.
    exchange.tries.sent = true;
    Ok(())
}

/// Takes the head without the spelling of its field names, which Pingora keeps in a second map that doubles the cost
/// of each field added. The upstream gets them in lower case, as it does with HTTP/2; they mean the same
/// (RFC 9110 section 5.1).
fn request_parts(head: &mut RequestHeader) -> request::Parts {
    let nothing = http::Request::new(()).into_parts().0;
    let mut parts: request::Parts = std::mem::replace(head, RequestHeader::from(nothing)).into();
    parts.headers.reserve(ADDED_FIELDS);
    parts
}

/// What was matched is what is sent: an upstream never sees a path that another route would have been for.
fn normalise_target(exchange: &Exchange, parts: &mut request::Parts) -> Fallible<()> {
    let Some(path) = &exchange.request.path else { return Ok(()) };
    let target = match parts.uri.query() {
        Some(query) => [path, "?", query].concat(),
        None => path.to_string(),
    };
    let uri = Uri::builder().path_and_query(target).build();
    parts.uri = uri.map_err(|error| Error::because(ErrorType::InternalError, "normalised path", error))?;
    Ok(())
}

/// `Host` as the pool wants it; HTTP/1.0 may have come without one, and HTTP/1.1 must not go without.
fn host(exchange: &Exchange, parts: &mut request::Parts) {
    let Some(picked) = &exchange.tries.picked else { return };
    let authority = parts.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    let host = match (picked.host(), authority) {
        (Some(host), _) => host.clone(),
        // An absolute-form target (RFC 9112 section 3.2.2), or HTTP/2: the authority is what Host must say.
        (None, Some(Ok(authority))) => authority,
        (None, _) if parts.headers.contains_key(header::HOST) => return,
        (None, _) => HeaderValue::from_str(picked.target()).unwrap_or(NO_HOST),
    };
    parts.headers.insert(header::HOST, host);
}

const NO_HOST: HeaderValue = HeaderValue::from_static("upstream");
