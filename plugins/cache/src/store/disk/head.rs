//! A stored answer's head as bytes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_core::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::store::Head;

/// As it is written.
pub(super) fn encode(head: &Head) -> Vec<u8> {
    // All of its fields: one more is one more to be written.
    let Head { status, headers, asked, born, fresh_until, while_revalidate, if_error, variance } = head;
    let mut to = Vec::with_capacity(128 + headers.len() * 48);
    to.extend_from_slice(&status.as_u16().to_le_bytes());
    [asked, born, fresh_until].into_iter().for_each(|time| put_time(&mut to, *time));
    to.extend_from_slice(&while_revalidate.to_le_bytes());
    to.extend_from_slice(&if_error.to_le_bytes());
    to.push(u8::from(variance.is_some()));
    to.extend_from_slice(variance.as_ref().map_or(&[], |variance| variance.as_slice()));
    to.extend_from_slice(&(headers.len() as u32).to_le_bytes());
    for (name, value) in headers {
        to.extend_from_slice(&(name.as_str().len() as u32).to_le_bytes());
        to.extend_from_slice(name.as_str().as_bytes());
        to.extend_from_slice(&(value.len() as u32).to_le_bytes());
        to.extend_from_slice(value.as_bytes());
    }
    to
}

/// What was written; `None` if it can't have been.
pub(super) fn decode(bytes: &[u8]) -> Option<Head> {
    let mut from = bytes;
    let from = &mut from;
    let head = Head {
        status: StatusCode::from_u16(u16::from_le_bytes(take(from)?)).ok()?,
        asked: take_time(from)?,
        born: take_time(from)?,
        fresh_until: take_time(from)?,
        while_revalidate: u32::from_le_bytes(take(from)?),
        if_error: u32::from_le_bytes(take(from)?),
        variance: match take(from)? {
            [0] => None,
            [1] => Some(take(from)?),
            _ => return None,
        },
        headers: take_fields(from)?,
    };
    from.is_empty().then_some(head)
}

fn take_fields(from: &mut &[u8]) -> Option<HeaderMap> {
    let count = take_length(from)?;
    // A field takes eight bytes at least: no more room than there can be fields.
    let mut fields = HeaderMap::try_with_capacity(count.min(from.len() / 8)).ok()?;
    for _ in 0..count {
        let name = HeaderName::from_bytes(take_text(from)?).ok()?;
        fields.try_append(name, HeaderValue::from_bytes(take_text(from)?).ok()?).ok()?;
    }
    Some(fields)
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn take_length(from: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(take(from)?)).ok()
}

fn take_text<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(from)?;
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

/// Seconds since 1970, which an answer's age can lie before, and nanoseconds.
fn put_time(to: &mut Vec<u8>, time: SystemTime) {
    let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_nanos()),
        // Whole seconds do for what is older than the protocol.
        Err(before) => (i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds), 0),
    };
    to.extend_from_slice(&seconds.to_le_bytes());
    to.extend_from_slice(&nanos.to_le_bytes());
}

fn take_time(from: &mut &[u8]) -> Option<SystemTime> {
    let (seconds, nanos) = (i64::from_le_bytes(take(from)?), u32::from_le_bytes(take(from)?));
    let distance = Duration::new(seconds.unsigned_abs(), nanos.min(999_999_999));
    match seconds >= 0 {
        true => UNIX_EPOCH.checked_add(distance),
        false => UNIX_EPOCH.checked_sub(distance),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn a_head() -> Head {
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let mut headers = HeaderMap::new();
        headers.append("content-type", HeaderValue::from_static("text/plain"));
        headers.append("etag", HeaderValue::from_static("\"one\""));
        headers.append("link", HeaderValue::from_static("<a>"));
        headers.append("link", HeaderValue::from_bytes(b"<b\xff>").expect("a value"));
        Head {
            status: StatusCode::OK,
            headers,
            asked: now,
            born: UNIX_EPOCH - Duration::from_secs(77),
            fresh_until: now + Duration::from_secs(60),
            while_revalidate: 7,
            if_error: u32::MAX,
            variance: Some([9; 16]),
        }
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        for variance in [None, Some([9; 16])] {
            let head = Head { variance, ..a_head() };
            let read = decode(&encode(&head)).expect("a head");
            assert_eq!(format!("{read:?}"), format!("{head:?}"));
        }
    }

    #[test]
    fn half_a_head_is_none() {
        let bytes = encode(&a_head());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_none(), "{length}");
        }
        assert!(decode(&[bytes.as_slice(), b"!"].concat()).is_none());
    }
}
