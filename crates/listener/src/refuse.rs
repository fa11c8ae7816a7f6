//! The answers that the listener gives by itself, each the last on its connection.

use std::io::IoSlice;
use std::time::SystemTime;

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
    shared.events.request_refused(stream.conn().connection(), refusal);
    stream.set_lingers(true);
    // If the client is gone there is nobody to tell.
    _ = stream.write_all(&answer(refusal)).await;
    _ = stream.finish().await;
}

/// Turns a connection away, as far as that goes without waiting.
pub(crate) fn overloaded(socket: &Socket) {
    _ = socket.try_write(&[IoSlice::new(&answer(OVERLOADED))]);
}

/// The same shape as the gateway's own errors (RFC 9457).
fn answer(refusal: Refusal) -> Vec<u8> {
    let Refusal { status, reason } = refusal;
    let title = title(status);
    // The reasons are ours, and have nothing in them that JSON escapes.
    let body = format!(r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":"{reason}"}}"#);
    let date = httpdate::fmt_http_date(SystemTime::now());
    let length = body.len();
    format!(
        "HTTP/1.1 {status} {title}\r\nDate: {date}\r\nContent-Type: application/problem+json\r\n\
         Content-Length: {length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
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
