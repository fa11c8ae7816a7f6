//! 304s, and what is stored after them.

use std::time::Duration;

use super::{DATE, DAY_AGO, Lines, case, fields};
use crate::admit::Refused;

/// RFC 9111 sections 3.2 and 4.3.4.
#[test]
fn section_3_2_a_304_updates_what_is_stored() {
    let stored = fields(&[
        ("cache-control", "max-age=1"),
        ("etag", "\"a\""),
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("date", DAY_AGO),
        ("x-a", "1"),
        ("x-a", "2"),
        ("x-b", "old"),
        ("vary", "accept"),
    ]);
    let fresh = fields(&[
        ("cache-control", "max-age=60"),
        ("etag", "\"a\""),
        ("content-type", "text/html"),
        ("content-length", "0"),
        ("content-encoding", "gzip"),
        ("connection", "x-b"),
        ("x-b", "new"),
        ("x-a", "3"),
        ("vary", "Accept"),
        ("age", "10"),
        ("set-cookie", "a=b"),
    ]);
    let admitted = case().admit(200, &stored, Some(&fresh)).expect("stored");
    let merged = admitted.meta.headers();
    for (name, value) in [
        ("cache-control", "max-age=60"),
        ("content-type", "text/html"),
        ("content-length", "5"),
        ("x-b", "old"),
        ("x-a", "3"),
        ("date", DATE),
    ] {
        assert_eq!(merged[name], value, "{name}");
    }
    assert_eq!(merged.get_all("x-a").iter().count(), 1);
    for name in ["content-encoding", "set-cookie", "age", "connection"] {
        assert!(!merged.contains_key(name), "{name}");
    }
    assert_eq!((admitted.ttl, admitted.age), (50, Some(Duration::from_secs(10))));
    assert_eq!(admitted.meta.response_header().status, 200);
}

#[test]
fn a_304_that_is_about_another_answer_updates_nothing() {
    let stored = fields(&[("cache-control", "max-age=1"), ("etag", "W/\"a\""), ("vary", "accept")]);
    let confirm = |lines: Lines<'_>| case().admit(200, &stored, Some(&fields(lines))).map(|admitted| admitted.meta);
    assert_eq!(confirm(&[("etag", "\"b\"")]).map(drop), Err(Refused::Validator));
    assert_eq!(confirm(&[("vary", "accept, cookie")]).map(drop), Err(Refused::Vary));
    assert_eq!(confirm(&[("cache-control", "no-store")]).map(drop), Err(Refused::NoStore));
    // The body was changed after the upstream gave it its tag, by a plugin: it must not get the strong one.
    assert_eq!(confirm(&[("etag", "\"a\"")]).expect("stored").headers()["etag"], "W/\"a\"");
    assert!(confirm(&[]).is_ok());
}
