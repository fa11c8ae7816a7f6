use proptest::prelude::*;

use super::*;

fn status(head: &str) -> u16 {
    check_head(head.as_bytes()).map_or_else(|refusal| refusal.status, |()| 200)
}

#[test]
fn ordinary_heads_pass() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /a?b=c%20d HTTP/1.1\r\nhost: [::1]:8080\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING:  Chunked \r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET HTTPS://a:443?b HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "GET http://a/b HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Tab: a\tb\r\nX-Latin: \u{e9}\r\n\r\n",
        "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(status(head), 200, "{head:?}");
    }
}

/// Pingora would refuse it, too, with an answer that has no id and is in no log.
#[test]
fn a_target_that_is_no_text_is_refused() {
    for target in [&b"/a\xff"[..], b"/a?b\xc3", b"http://a/\xe9"] {
        let head = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        assert_eq!(check_head(&head).map_err(|refusal| refusal.status), Err(400), "{target:?}");
    }
}

#[test]
fn ambiguous_heads_are_refused() {
    let with = |field: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
    for field in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Content-Length : 5",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "X: a\r\n folded",
        "X: a\r\n\tfolded",
        "X: a\0b",
        "X: a\rb",
        "X: a\r",
        "X:\r a",
        "X: a\u{c}",
        "X: a\u{7f}",
        "X\0: a",
        "X\r: a",
        ": a",
        "no colon",
        "Host: b",
        "X: a\nY: b",
    ] {
        assert_eq!(status(&with(field)), 400, "{field:?}");
    }
}

#[test]
fn malformed_request_lines_are_refused() {
    for (line, expected) in [
        ("GET /", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET / a HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET\t/\tHTTP/1.1", 400),
        (" GET / HTTP/1.1", 400),
        ("G\0T / HTTP/1.1", 400),
        ("GET /a\0b HTTP/1.1", 400),
        ("GET /a#b HTTP/1.1", 400),
        ("GET a HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET ftp://a/ HTTP/1.1", 400),
        ("GET http:///b HTTP/1.1", 400),
        ("GET http://u@a/ HTTP/1.1", 400),
        ("GET http://b/ HTTP/1.1", 400),
        ("GET http:/\\a/ HTTP/1.1", 400),
        ("CONNECT a:443 HTTP/1.1", 501),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1.1x", 400),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/0.9", 505),
    ] {
        assert_eq!(status(&format!("{line}\r\nHost: a\r\n\r\n")), expected, "{line:?}");
    }
}

#[test]
fn a_request_needs_one_good_host() {
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(status("GET http://a/ HTTP/1.1\r\n\r\n"), 400);
    let with = |host: &str| status(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    for host in [
        "", ":80", "a b", "a,b", "a/b", "u@a", "a?", "a\\b", "\u{e9}", "a:b", "a:80:90", "::1", "[::1", "[]", "[::1]a",
        "a]",
    ] {
        assert_eq!(with(host), 400, "{host:?}");
    }
    for host in ["a", "a.b:80", "a:", "127.0.0.1:8080", "[::1]", "[::1]:80", "a_b"] {
        assert_eq!(with(host), 200, "{host:?}");
    }
}

#[test]
fn http_1_0_cannot_be_chunked() {
    assert_eq!(status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

#[test]
fn bare_line_feeds_are_refused() {
    assert_eq!(status("GET / HTTP/1.1\nHost: a\n\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400);
    assert_eq!(status("\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

#[test]
fn too_much_head_is_431() {
    let mut scanner = HeadScanner::new(HeadLimits { bytes: 40, fields: 9 });
    assert_eq!(scanner.scan(b"GET / HTTP/1.1\r\nHost: a\r\nX: aaaaaaaaaaaaaaaaaaaa"), Err(TOO_LARGE));
    let mut scanner = HeadScanner::new(HeadLimits { bytes: 900, fields: 1 });
    assert_eq!(scanner.scan(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\r\n"), Err(TOO_MANY_FIELDS));
    let mut scanner = HeadScanner::new(HeadLimits { bytes: 30, fields: 1 });
    let body_is_not_head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    assert!(scanner.scan(body_is_not_head).is_ok_and(|head| head.is_some()));
}

#[test]
fn a_body_and_an_upgrade_are_noticed() {
    let scan = |head: &str| {
        let mut scanner = HeadScanner::new(HeadLimits { bytes: 900, fields: 9 });
        scanner.scan(head.as_bytes()).unwrap().unwrap()
    };
    let get = scan("\r\nGET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(get, Head { start: 2, end: 48, body: false, upgrade: false });
    let post = scan("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
    assert_eq!(post, Head { start: 0, end: 47, body: true, upgrade: false });
    let upgrade = scan("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(upgrade, Head { start: 0, end: 47, body: false, upgrade: true });
}

#[test]
fn what_is_not_http_is_refused_at_its_first_byte() {
    let mut scanner = HeadScanner::new(HeadLimits { bytes: 900, fields: 9 });
    assert_eq!(scanner.scan(b"\x16\x03\x01").unwrap_err().status, 400);
}

proptest! {
    /// Smuggling by split reads: where the packets end must not matter.
    #[test]
    fn pieces_are_judged_like_the_whole(head in "[ -~\r\n]{0,60}", prefix in 0usize..3, cut in 0usize..120) {
        let prefix = ["", "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: a\r\n"][prefix];
        let bytes = format!("{prefix}{head}\r\n\r\n").into_bytes();
        let limits = HeadLimits { bytes: 100, fields: 5 };
        let whole = HeadScanner::new(limits).scan(&bytes);
        let mut scanner = HeadScanner::new(limits);
        let cut = cut.min(bytes.len());
        let pieces = match scanner.scan(&bytes[..cut]) {
            Ok(None) => scanner.scan(&bytes),
            done => done,
        };
        prop_assert_eq!(whole.is_ok(), pieces.is_ok());
    }

    #[test]
    fn anything_may_be_checked(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = check_head(&bytes);
    }

    /// What passes has nothing in it that ends a line anywhere but where we saw it end.
    #[test]
    fn what_passes_has_only_whole_line_ends(tail in "[ -~\r\n\0]{0,40}") {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {tail}\r\n\r\n");
        if check_head(head.as_bytes()).is_ok() {
            let head = head.split("\r\n\r\n").next().unwrap_or_default();
            prop_assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']));
        }
    }
}
