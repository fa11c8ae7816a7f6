//! Making a head fit for the version it is sent with.

use bytes::Bytes;
use http::{Version, header};
use pingora_http::RequestHeader;

/// Headers of one connection, which HTTP/2 has no place for (RFC 9113, section 8.2.2).
const OF_CONNECTIONS: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

pub(super) fn prepare(head: &mut RequestHeader, body: Option<&Bytes>, http2: bool) {
    // The body is sent at once: there is no point in being told to go on.
    head.remove_header(&header::EXPECT);
    match http2 {
        true => for_http2(head),
        false => for_http1(head, body),
    }
}

fn for_http2(head: &mut RequestHeader) {
    for name in OF_CONNECTIONS {
        head.remove_header(name);
    }
    if head.headers.get(header::TE).is_some_and(|te| te != "trailers") {
        head.remove_header(&header::TE);
    }
}

fn for_http1(head: &mut RequestHeader, body: Option<&Bytes>) {
    head.set_version(Version::HTTP_11);
    let authority = head.uri.authority().map(ToString::to_string);
    if let Some(authority) = authority.filter(|_| !head.headers.contains_key(header::HOST)) {
        // An authority is made of visible ASCII, so it is a value.
        let _ = head.insert_header(header::HOST, authority);
    }
    let framed = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(|name| head.headers.contains_key(name));
    if let Some(body) = body.filter(|_| !framed) {
        let _ = head.insert_header(header::CONTENT_LENGTH, body.len());
    }
}
