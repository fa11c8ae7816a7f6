//! Several ranges in one answer: `multipart/byteranges` (RFC 9110 section 14.6).

use std::collections::VecDeque;

use tidegate_core::{Bytes, HeaderValue};

use crate::body::Piece;
use crate::ranges::ByteRange;

/// The parts with what stands between them, and the answer's `Content-Type`.
pub(crate) fn multipart(ranges: &[ByteRange], length: u64, media: &HeaderValue) -> (VecDeque<Piece>, HeaderValue) {
    // Random: whoever wrote the file can't have put it in.
    let boundary = hex(rand::random());
    let mut pieces = VecDeque::with_capacity(2 * ranges.len() + 1);
    let mut before = Vec::new();
    for range in ranges {
        for text in [b"\r\n--", boundary.as_bytes(), b"\r\nContent-Type: ", media.as_bytes(), b"\r\nContent-Range: "] {
            before.extend_from_slice(text);
        }
        before.extend_from_slice(content_range(*range, length).as_bytes());
        before.extend_from_slice(b"\r\n\r\n");
        pieces.push_back(Piece::Text(Bytes::from(std::mem::take(&mut before))));
        pieces.push_back(Piece::File { at: range.first, left: range.length() });
    }
    pieces.push_back(Piece::Text(Bytes::from(["\r\n--", &boundary, "--\r\n"].concat())));
    let media = HeaderValue::try_from(["multipart/byteranges; boundary=", &boundary].concat());
    (pieces, media.unwrap_or_else(|_| unreachable!("digits")))
}

/// `Content-Range` of a part.
pub(crate) fn content_range(range: ByteRange, length: u64) -> String {
    ["bytes ", &range.first.to_string(), "-", &range.last.to_string(), "/", &length.to_string()].concat()
}

fn hex(number: u128) -> String {
    (0..32).filter_map(|at| char::from_digit((number >> (4 * at)) as u32 & 15, 16)).collect()
}
