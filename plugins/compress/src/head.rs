//! What is said about an answer that is compressed, or could be.

use tidegate_core::{HeaderMap, HeaderName, HeaderValue, ResponseHeader, Result, header};

use crate::algorithm::Algorithm;
use crate::etag::{Weakened, weaken};

/// Said of the bytes as they were: their number, parts of them, and digests of them. RFC 9530 digests are of the content
/// with its coding.
const OF_THE_BYTES: [HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// The head of an answer whose content is now in this coding.
pub(crate) fn coded(head: &mut ResponseHeader, algorithm: Algorithm) -> Result<()> {
    forget_bytes(head);
    head.insert_header(header::CONTENT_ENCODING, algorithm.header_value())?;
    weaken_etag(head)
}

/// Takes away what was said of other bytes than those that are sent.
pub(crate) fn forget_bytes(head: &mut ResponseHeader) {
    for name in &OF_THE_BYTES {
        head.remove_header(name);
    }
}

/// The head of a request whose content is no longer in any coding.
pub(crate) fn decoded(head: &mut tidegate_core::RequestHeader) {
    for name in OF_THE_BYTES.iter().filter(|name| **name != header::ACCEPT_RANGES) {
        head.remove_header(name);
    }
    head.remove_header(&header::CONTENT_ENCODING);
}

/// A tag that the same content in another coding may have, too. What is no tag can't be weakened, and goes.
pub(crate) fn weaken_etag(head: &mut ResponseHeader) -> Result<()> {
    match head.headers.get(header::ETAG).map(weaken) {
        None | Some(Weakened::Already) => {}
        Some(Weakened::To(weak)) => head.insert_header(header::ETAG, weak)?,
        Some(Weakened::Nonsense) => drop(head.remove_header(&header::ETAG)),
    }
    Ok(())
}

/// Says that the answer depends on `Accept-Encoding`, unless that is said.
pub(crate) fn add_vary(head: &mut ResponseHeader) -> Result<()> {
    let name = header::ACCEPT_ENCODING.as_str().as_bytes();
    if !lists(&head.headers, &header::VARY, |listed| listed == b"*" || listed.eq_ignore_ascii_case(name)) {
        head.append_header(header::VARY, HeaderValue::from_static("Accept-Encoding"))?;
    }
    Ok(())
}

/// Whether somebody asks that nobody on the way changes the content (RFC 9111 sections 5.2.1.6 and 5.2.2.6).
pub(crate) fn forbids_transforming(headers: &HeaderMap) -> bool {
    lists(headers, &header::CACHE_CONTROL, |directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

/// Whether a field that is a list has such an element.
fn lists(headers: &HeaderMap, name: &HeaderName, is: impl Fn(&[u8]) -> bool) -> bool {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).any(|element| is(element.trim_ascii()))
}

/// How long the content is, if that is said.
pub(crate) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> ResponseHeader {
        let mut head = ResponseHeader::build_no_case(200, None).expect("a head");
        for (name, value) in fields {
            head.append_header(*name, *value).expect("a field");
        }
        head
    }

    fn all(head: &ResponseHeader, name: &str) -> Vec<String> {
        head.headers.get_all(name).iter().map(|value| value.to_str().expect("text").to_owned()).collect()
    }

    #[test]
    fn what_was_said_of_the_bytes_is_said_no_more() {
        let mut head = head(&[
            ("content-length", "5000"),
            ("accept-ranges", "bytes"),
            ("content-md5", "Q2hlY2sgSW50ZWdyaXR5IQ=="),
            ("digest", "sha-256=x"),
            ("content-digest", "sha-256=:x=:"),
            ("repr-digest", "sha-256=:x=:"),
            ("etag", "\"a\""),
            ("last-modified", "Sat, 21 Nov 2026 12:00:00 GMT"),
        ]);
        coded(&mut head, Algorithm::Br).expect("coded");
        let left: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left.len(), 3, "{left:?}");
        assert_eq!((all(&head, "content-encoding"), all(&head, "etag")), (vec!["br".into()], vec!["W/\"a\"".into()]));
        assert_eq!(all(&head, "last-modified").len(), 1);
    }

    #[test]
    fn what_is_no_tag_goes() {
        let mut head = head(&[("etag", "abc")]);
        weaken_etag(&mut head).expect("weakened");
        assert!(all(&head, "etag").is_empty());
    }

    #[test]
    fn vary_is_said_once() {
        for (before, after) in [
            (&[][..], &["Accept-Encoding"][..]),
            (&["Accept"], &["Accept", "Accept-Encoding"]),
            (&["Accept, accept-encoding"], &["Accept, accept-encoding"]),
            (&["Origin", "ACCEPT-ENCODING"], &["Origin", "ACCEPT-ENCODING"]),
            (&["*"], &["*"]),
            (&["X-Accept-Encoding"], &["X-Accept-Encoding", "Accept-Encoding"]),
        ] {
            let fields: Vec<_> = before.iter().map(|value| ("vary", *value)).collect();
            let mut head = head(&fields);
            add_vary(&mut head).expect("added");
            assert_eq!(all(&head, "vary"), after);
        }
    }

    #[test]
    fn no_transform_is_found_among_other_directives() {
        for (value, found) in [("no-transform", true), ("max-age=1 , NO-TRANSFORM", true), ("no-transformation", false)]
        {
            assert_eq!(forbids_transforming(&head(&[("cache-control", value)]).headers), found, "{value}");
        }
    }
}
