//! The answers that the listener gives by itself, each the last on its connection.

use std::io::IoSlice;
use std::time::SystemTime;

use tidegate_core::facts::RequestId;
use tokio::io::AsyncWriteExt;

use crate::events::CloseReason;
use crate::pulse::Phase;
use crate::server::Shared;
use crate::socket::Socket;
use crate::stream::ClientStream;
use crate::strict::{Refusal, TOO_SLOW};

const OVERLOADED: Refusal = Refusal { status: 503, reason: "too many connections" };

/// Answers a request that nobody is to see, and closes.
pub(crate) async fn request(shared: &Shared, mut stream: Box<ClientStream>, refusal: Refusal) {
    stream.pulse().enter(Phase::Closing);
    stream.pulse().ending(if refusal == TOO_SLOW { CloseReason::HeadTimeout } else { CloseReason::Refused });
    let id = new_id();
    shared.events.request_refused(stream.conn().connection(), refusal, id.as_str());
    stream.set_lingers(true);
    // If the client is gone there is nobody to tell.
    _ = stream.write_all(&answer(refusal, id.as_str())).await;
    _ = stream.finish().await;
}

/// Turns a connection away, as far as that goes without waiting.
pub(crate) fn overloaded(socket: &Socket) {
    _ = socket.try_write(&[IoSlice::new(&answer(OVERLOADED, new_id().as_str()))]);
}

fn new_id() -> RequestId {
    RequestId::uuid(rand::random(), 4)
}

/// The same shape as the gateway's own errors (RFC 9457).
fn answer(refusal: Refusal, id: &str) -> Vec<u8> {
    let Refusal { status, reason } = refusal;
    let (title, code) = (title(status), refusal.code());
    // The reasons are ours, and have nothing in them that JSON escapes.
    let body = format!(
        "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status},\"detail\":\"{reason}\",\
         \"code\":\"{code}\",\"request_id\":\"{id}\"}}\n"
    );
    let date = httpdate::fmt_http_date(SystemTime::now());
    let length = body.len();
    format!(
        "HTTP/1.1 {status} {title}\r\nDate: {date}\r\nContent-Type: application/problem+json\r\n\
         Content-Length: {length}\r\nCache-Control: no-store\r\nX-Request-ID: {id}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

fn title(status: u16) -> &'static str {
    match status {
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Bad Request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_uuids() {
        let (one, other) = (new_id().to_string(), new_id().to_string());
        assert_ne!(one, other);
        assert_eq!((one.len(), one.as_bytes()[14]), (36, b'4'), "{one}");
        assert!(matches!(one.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{one}");
    }

    #[test]
    fn the_answer_has_the_shape_of_the_gateways_errors() {
        let text = String::from_utf8(answer(TOO_SLOW, "id-1")).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a body");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{text}");
        assert!(head.contains("X-Request-ID: id-1"), "{text}");
        assert!(body.contains(r#""code":"request_timeout","request_id":"id-1""#), "{text}");
    }
}
