//! `type: grpc`: the Health service of gRPC, `grpc.health.v1`.
//!
//! Its two messages have one field each, so they are written and read here by hand. See the gRPC Health Checking
//! Protocol, and "gRPC over HTTP2" for the frame around a message.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::probe::{client, head, peer};
use crate::client::{Answer, ClientError, Connected, Deadline, clip};
use crate::config::Health;
use crate::target::LiveTarget;

const PATH: &str = "/grpc.health.v1.Health/Check";

/// Far more than an answer has.
const LARGEST_ANSWER: usize = 16 * 1024;

pub(super) async fn probe(target: &LiveTarget, health: &Health) -> Result<(), String> {
    let head = head(target, health, "POST", PATH).and_then(|mut head| {
        head.insert_header("content-type", "application/grpc")?;
        head.insert_header("te", "trailers")?;
        Ok(head)
    });
    let head = head.map_err(|_| "the check is no valid request".to_owned())?;
    let client = client();
    let deadline = Deadline::after(health.timeout.into());
    let fit = |connected: Connected<'_>| match connected.http2 {
        true => Ok(target.check_tls(connected.ssl())?),
        false => Err(ClientError::Connect("does not speak HTTP/2".into())),
    };
    let body = Some(request(&health.service));
    let answer = client.send_if(&peer(target, health), head, body, health.timeout.into(), fit).await;
    let mut answer = answer.map_err(|error| error.to_string())?;
    // The deadline is over all pieces together.
    answer.set_idle(Duration::MAX);
    let judged = deadline.bound(judge(&mut answer)).await;
    judged.ok_or_else(|| deadline.passed("answer not over").to_string())?
}

async fn judge(answer: &mut Answer) -> Result<(), String> {
    if answer.head.status != StatusCode::OK {
        return Err(format!("status {}", answer.head.status.as_u16()));
    }
    let kind = answer.head.headers.get(http::header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return Err("the answer is not gRPC".to_owned());
    }
    // An answer without a message has its status in the head.
    if let Some(status) = status(&answer.head.headers) {
        status?;
    }
    let message = read(answer).await?;
    let trailers = answer.trailers().await.map_err(|error| error.to_string())?.unwrap_or_default();
    status(&trailers).unwrap_or_else(|| Err("no grpc-status".to_owned()))?;
    match serving(&message).ok_or("the answer is not that of a health service")? {
        1 => Ok(()),
        other => Err(name(other)),
    }
}

async fn read(answer: &mut Answer) -> Result<Vec<u8>, String> {
    let mut message = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        if message.len().saturating_add(chunk.len()) > LARGEST_ANSWER {
            return Err("the answer is not that of a health service".to_owned());
        }
        message.extend_from_slice(&chunk);
    }
    Ok(message)
}

/// What `grpc-status` says, if it is there.
fn status(fields: &HeaderMap) -> Option<Result<(), String>> {
    let status = fields.get("grpc-status")?;
    Some(match status.as_bytes() {
        b"0" => Ok(()),
        b"5" => Err("the server does not know the service (NOT_FOUND)".to_owned()),
        b"12" => Err("the server has no health service (UNIMPLEMENTED)".to_owned()),
        other => Err(format!("grpc-status {}", clip(&String::from_utf8_lossy(other), 16))),
    })
}

fn name(serving: u64) -> String {
    match serving {
        0 => "UNKNOWN".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => format!("serving status {other}"),
    }
}

/// `HealthCheckRequest { string service = 1; }`, in a frame.
fn request(service: &str) -> Bytes {
    let mut message = Vec::with_capacity(service.len().saturating_add(16));
    if !service.is_empty() {
        message.push(0x0a);
        push_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    // Not compressed; and a service's name is far from 4 GiB.
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&message);
    frame.into()
}

fn push_varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// The status in `HealthCheckResponse { ServingStatus status = 1; }`, out of its frame; `None` if that is not what
/// it is.
fn serving(frame: &[u8]) -> Option<u64> {
    let (prefix, mut message) = frame.split_at_checked(5)?;
    let [0, length @ ..] = prefix else { return None };
    if u32::from_be_bytes(length.try_into().ok()?) as usize != message.len() {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = take_varint(&mut message)?,
            (0, _) => return None,
            (_, kind) => skip(&mut message, kind)?,
        }
    }
    Some(status)
}

/// Passes over a field of a later version of the message.
fn skip(message: &mut &[u8], kind: u64) -> Option<()> {
    let length = match kind {
        0 => return take_varint(message).map(drop),
        1 => 8,
        2 => usize::try_from(take_varint(message)?).ok()?,
        5 => 4,
        _ => return None,
    };
    *message = message.get(length..)?;
    Some(())
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_request_is_the_service_in_a_frame() {
        assert_eq!(request("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(request("a.B")[..], [0, 0, 0, 0, 5, 0x0a, 3, b'a', b'.', b'B']);
        let long = request(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn the_status_is_read_from_the_answer() {
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 2]), Some(2));
        assert_eq!(serving(&[0, 0, 0, 0, 0]), Some(0), "what is 0 is left out");
        assert_eq!(serving(&[0, 0, 0, 0, 6, 0x12, 2, 8, 2, 8, 1]), Some(1), "a field of later versions");
    }

    #[test]
    fn what_is_not_such_an_answer_is_none() {
        for frame in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 3, 8, 1],
            &[0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 2, 8, 0x80],
            &[0, 0, 0, 0, 2, 0, 1],
            &[0, 0, 0, 0, 2, 0x12, 9],
            &[0, 0, 0, 0, 2, 0x0b, 1],
            b"HTTP/1.1 200 OK",
        ] {
            assert_eq!(serving(frame), None, "{frame:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much_for_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut frame = vec![0, 0, 0, 0, bytes.len() as u8];
            frame.extend(&bytes);
            let _ = serving(&frame);
            let _ = serving(&bytes);
        }

        #[test]
        fn a_varint_is_read_as_it_was_written(number: u64) {
            let mut bytes = Vec::new();
            push_varint(&mut bytes, number);
            prop_assert_eq!(take_varint(&mut &bytes[..]), Some(number));
        }
    }
}
