//! Reading a request head: ours to do, so that it is complete, in time, small enough and strict before Pingora sees it.

use std::task::{Context, Poll};

use bytes::BytesMut;

use crate::events::CloseReason;
use crate::listening::Listening;
use crate::stream::ClientStream;
use crate::strict::{Head, HeadScanner, Refusal, TOO_SLOW};

/// What comes next on a connection.
pub(crate) enum Next {
    /// A request.
    Request(Head),
    /// HTTP/2, by prior knowledge.
    Http2,
    /// Nothing: the client left, or has waited long enough.
    End,
}

/// What every HTTP/2 client sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads into `bytes` until there is a head. What follows it stays in `bytes`, too.
///
/// With `or_http2` the HTTP/2 preface is looked for. The first byte that differs decides: a request shorter than the
/// preface is a request.
pub(crate) async fn next(
    stream: &mut ClientStream,
    bytes: &mut BytesMut,
    listening: &Listening,
    or_http2: bool,
) -> Result<Next, Refusal> {
    let mut scanner = HeadScanner::new(listening.head);
    loop {
        match std::future::poll_fn(|cx| poll_more(stream, cx, bytes)).await {
            More::Bytes => {}
            More::Told(CloseReason::HeadTimeout) if !bytes.is_empty() => return Err(TOO_SLOW),
            More::Told(_) | More::Ended => return Ok(Next::End),
        }
        let may_be_http2 = or_http2 && PREFACE.iter().zip(&**bytes).all(|(preface, byte)| preface == byte);
        if may_be_http2 && bytes.len() >= PREFACE.len() {
            return Ok(Next::Http2);
        }
        if !may_be_http2 && let Some(head) = scanner.scan(bytes)? {
            return Ok(Next::Request(head));
        }
        stream.pulse().begin_head();
    }
}

enum More {
    Bytes,
    Ended,
    Told(CloseReason),
}

fn poll_more(stream: &mut ClientStream, cx: &mut Context<'_>, bytes: &mut BytesMut) -> Poll<More> {
    match stream.poll_head(cx, bytes) {
        Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(More::Ended),
        Poll::Ready(Ok(_)) => Poll::Ready(More::Bytes),
        Poll::Pending => stream.pulse().poll_told(cx).map(More::Told),
    }
}
