//! The one place that writes an answer of the gateway's own.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use pingora_error::{Error, ErrorType};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use tidegate_core::{AnsweredBy, Body, BodyStream, Reply};

use crate::chain::HookFailed;
use crate::exchange::Exchange;
use crate::problem::Said;

/// Writes `reply`: through the chain like a proxied answer, errors in their one shape, the connection kept where
/// it may be.
pub(crate) async fn respond(session: &mut Session, exchange: &mut Exchange, reply: Reply) -> pingora_error::Result<()> {
    exchange.answered_by = AnsweredBy::Gateway;
    exchange.code = exchange.code.or(reply.code());
    let closes = reply.closes();
    let (head, body) = match prepare(session, exchange, reply).await {
        Ok(prepared) => prepared,
        Err(failed) => {
            // The chain has failed on the answer: what goes out now has not been through it.
            exchange.failed(failed.to_string());
            let bare = Reply::problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the gateway failed");
            render(exchange, bare, session)
        }
    };
    exchange.status = head.status.as_u16();
    if closes || exchange.draining() {
        session.set_keepalive(None);
    }
    write(session, exchange, head, body).await
}

/// What is sent as the body of an answer.
enum Payload {
    Whole(Bytes),
    Stream(BodyStream),
}

async fn prepare(
    session: &mut Session,
    exchange: &mut Exchange,
    reply: Reply,
) -> Result<(ResponseHeader, Payload), HookFailed> {
    let (mut head, mut body) = render(exchange, reply, session);
    if exchange.response_seen {
        return Ok((head, body));
    }
    exchange.response_seen = true;
    let (route, mut cx) = exchange.hooks(session);
    route.chain.response(&mut cx, &mut head).await?;
    match &mut body {
        Payload::Whole(bytes) => {
            route.chain.response_body(&mut cx, bytes, true)?;
            // A plugin may have changed the length; we know it now, whatever the head says.
            if !bodiless(head.status) {
                let _ = head.insert_header(header::CONTENT_LENGTH, bytes.len());
            }
        }
        // And here it may have taken it away.
        Payload::Stream(_) => frame(session, &mut head),
    }
    Ok((head, body))
}

/// Answers that never have a body (RFC 9110 section 6.4.1).
pub(crate) fn bodiless(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// The reply as a head and a body, with what every answer of ours has.
fn render(exchange: &Exchange, reply: Reply, session: &mut Session) -> (ResponseHeader, Payload) {
    let (status, headers, body) = reply.into_parts();
    let mut head = new_head(status, headers.len() + 3);
    copy(&headers, &mut head);
    let payload = match body {
        Body::Empty => Payload::Whole(Bytes::new()),
        Body::Bytes(bytes) => Payload::Whole(bytes),
        Body::Stream(stream) => Payload::Stream(stream),
        Body::Problem { code, detail, kind } => {
            let id = &exchange.request.facts.request_id;
            let pages = &exchange.generation.error_pages;
            let accept = session.req_header().headers.get(header::ACCEPT);
            let (kind, bytes) = pages.render(status, Said { code, detail: &detail, kind: kind.as_deref() }, id, accept);
            if pages.varies(status) {
                let _ = head.append_header(header::VARY, HeaderValue::from_static("Accept"));
            }
            let _ = head.insert_header(header::CONTENT_TYPE, kind);
            // Errors are about this request: no cache may keep one.
            let _ = head.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Payload::Whole(bytes)
        }
    };
    match &payload {
        Payload::Whole(bytes) if !bodiless(status) => {
            let _ = head.insert_header(header::CONTENT_LENGTH, bytes.len());
        }
        Payload::Stream(_) => frame(session, &mut head),
        _ => {}
    }
    let _ = head.insert_header(exchange.generation.request_ids.header(), request_id(exchange));
    (head, payload)
}

pub(crate) fn request_id(exchange: &Exchange) -> HeaderValue {
    exchange.request.facts.request_id.as_header().clone()
}

/// A body without a length comes in chunks. HTTP/1.0 knows none (RFC 9112 section 6.1): there it ends with the connection.
/// HTTP/2 has its own framing.
pub(crate) fn frame(session: &mut Session, head: &mut ResponseHeader) {
    if head.headers.contains_key(header::CONTENT_LENGTH) || session.is_http2() {
        return;
    }
    match session.req_header().version < Version::HTTP_11 {
        true => session.set_keepalive(None),
        false => drop(head.insert_header(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))),
    }
}

fn new_head(status: StatusCode, size: usize) -> ResponseHeader {
    // Only an invalid status can fail, and a StatusCode is a valid one.
    ResponseHeader::build_no_case(status, Some(size)).unwrap_or_else(|_| unreachable!("a StatusCode is valid"))
}

fn copy(headers: &HeaderMap, head: &mut ResponseHeader) {
    for (name, value) in headers {
        let _ = head.append_header(name, value);
    }
}

async fn write(
    session: &mut Session,
    exchange: &mut Exchange,
    head: ResponseHeader,
    body: Payload,
) -> pingora_error::Result<()> {
    let without_body = session.req_header().method == Method::HEAD || bodiless(head.status);
    let empty = without_body || matches!(&body, Payload::Whole(bytes) if bytes.is_empty());
    session.write_response_header(Box::new(head), empty).await?;
    if empty {
        return Ok(());
    }
    match body {
        Payload::Whole(bytes) => session.write_response_body(Some(bytes), true).await,
        Payload::Stream(stream) => write_stream(session, exchange, stream).await,
    }
}

/// Each piece goes through the chain; a failure can only cut the connection, for the head has gone out.
async fn write_stream(
    session: &mut Session,
    exchange: &mut Exchange,
    mut stream: BodyStream,
) -> pingora_error::Result<()> {
    loop {
        let next = stream.next().await.transpose();
        let next = next.map_err(|error| Error::because(ErrorType::InternalError, "the answer's body failed", error))?;
        let end = next.is_none();
        let mut piece = next.unwrap_or_default();
        let (route, mut cx) = exchange.hooks(session);
        let seen = route.chain.response_body(&mut cx, &mut piece, end);
        seen.map_err(|failed| Error::explain(ErrorType::InternalError, failed.to_string()))?;
        if end || !piece.is_empty() {
            session.write_response_body((!piece.is_empty()).then_some(piece), end).await?;
        }
        if end {
            return Ok(());
        }
    }
}
