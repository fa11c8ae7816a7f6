//! Requests that two servers could read differently: refused, the connection closed, and nothing of them goes up.

use tidegate_testkit::{Script, upstream};

use crate::{all_to, tidegate};

/// What every one of them would smuggle.
const INNER: &str = "GET /smuggled HTTP/1.1\r\nHost: inner\r\n\r\n";

/// Name, head and body of each.
fn corpus() -> Vec<(&'static str, String)> {
    let post = |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let chunked = format!("0\r\n\r\n{INNER}");
    vec![
        ("CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", &chunked)),
        ("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", &chunked)),
        ("TE.TE", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", &chunked)),
        ("TE twice", post("Transfer-Encoding: chunked, chunked\r\n", &chunked)),
        ("TE not chunked", post("Transfer-Encoding: gzip\r\n", INNER)),
        ("TE chunked not last", post("Transfer-Encoding: chunked, gzip\r\n", &chunked)),
        ("TE unknown word", post("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", &chunked)),
        ("TE with a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", &chunked)),
        ("TE with space before the colon", post("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", &chunked)),
        ("TE with a folded value", post("Transfer-Encoding:\r\n chunked\r\n", &chunked)),
        ("TE quoted", post("Transfer-Encoding: \"chunked\"\r\n", &chunked)),
        ("TE empty", post("Transfer-Encoding:\r\nContent-Length: 5\r\n", &chunked)),
        ("CL twice, different", post("Content-Length: 5\r\nContent-Length: 43\r\n", INNER)),
        ("CL twice, equal", post("Content-Length: 5\r\nContent-Length: 5\r\n", INNER)),
        ("CL list", post("Content-Length: 5, 5\r\n", INNER)),
        ("CL with a plus", post("Content-Length: +5\r\n", INNER)),
        ("CL negative", post("Content-Length: -5\r\n", INNER)),
        ("CL hexadecimal", post("Content-Length: 0x5\r\n", INNER)),
        ("CL with a space inside", post("Content-Length: 1 0\r\n", INNER)),
        ("CL too large to count", post("Content-Length: 99999999999999999999999\r\n", INNER)),
        ("CL empty", post("Content-Length:\r\n", INNER)),
        ("CL with space before the colon", post("Content-Length : 5\r\n", INNER)),
        ("obs-fold", get("X-A: 1\r\n folded: 2\r\n")),
        ("obs-fold as the first line", "GET / HTTP/1.1\r\n Host: a\r\nX: 1\r\n\r\n".to_owned()),
        ("bare LF between fields", "GET / HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n".to_owned()),
        ("bare LF as the end", "GET / HTTP/1.1\r\nHost: a\r\n\n".to_owned()),
        ("bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n".to_owned()),
        ("bare CR in a value", get("X-A: 1\rX-B: 2\r\n")),
        ("NUL in a value", get("X-A: 1\0\r\n")),
        ("NUL in a name", get("X-\0A: 1\r\n")),
        ("space in a name", get("X A: 1\r\n")),
        ("a line without a colon", get("nonsense\r\n")),
        ("an empty name", get(": 1\r\n")),
        ("a name in brackets", get("X[A]: 1\r\n")),
        ("no Host", "GET / HTTP/1.1\r\nX: 1\r\n\r\n".to_owned()),
        ("Host twice", get("Host: b\r\n")),
        ("Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned()),
        ("Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned()),
        ("Host with user information", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n".to_owned()),
        ("space twice in the request line", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("tab in the request line", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("control character in the target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("no version", "GET /\r\n\r\n".to_owned()),
        ("version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("a method that is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("a relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("HTTP/1.0 with TE", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_ambiguous_goes_up() {
    let app = upstream().route("*", Script::echo()).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut faults = Vec::new();
    for (name, request) in corpus() {
        let answer = gateway.raw(&request).await;
        if answer.statuses() != [400] || !answer.closed {
            faults.push(format!("{name}: {:?}, closed: {}", answer.statuses(), answer.closed));
        }
        if !app.requests().is_empty() {
            faults.push(format!("{name}: went up as\n{}", String::from_utf8_lossy(&app.wire())));
            app.forget();
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(app.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_are_not_well_formed_end_the_connection_and_are_not_passed_on() {
    let app = upstream().route("*", Script::echo()).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    for body in [
        "x\r\n",
        "-1\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "3\r\nhello\r\n0\r\n\r\n",
    ] {
        app.forget();
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}{INNER}");
        let answer = gateway.raw(&request).await;
        assert!(answer.closed, "{body:?}: {answer:?}");
        assert!(!answer.text().contains("inner"), "{body:?}: {answer:?}");
        assert!(
            app.requests().iter().all(|request| !request.complete && request.target == "/"),
            "{body:?}: {:#?}",
            app.requests()
        );
    }
}

#[tokio::test]
async fn pipelined_requests_are_each_answered_in_order_or_not_at_all() {
    let app = upstream().reply("/1", "one").reply("/2", "two").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut client = gateway.connect().await;
    client.write("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let all = client.until_closed().await;
    let text = String::from_utf8_lossy(&all);
    assert!(text.contains("one"), "{text}");
    // The second may be dropped with its connection, as RFC 9112 section 9.3.2 has clients try again.
    if let Some(two) = text.find("two") {
        assert!(text.find("one") < Some(two), "{text}");
    }
}

#[tokio::test]
async fn fields_that_a_client_nominates_as_its_connection_s_do_not_take_others_away() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    // CVE-2026-105299: a client must not strip what the gateway adds by naming it in `Connection`.
    for name in ["X-Forwarded-For", "X-Request-ID", "X-Forwarded-Proto", "Host"] {
        app.forget();
        let request = gateway.post("/").header("Connection", name).header("X-Mine", "1").body("x");
        let answer = request.send().await;
        match answer.status {
            400 => assert!(app.requests().is_empty(), "{name} is refused and sent"),
            200 => assert!(app.request().headers.has(name), "{name} was stripped: {:#?}", app.request()),
            other => panic!("{name}: {other}"),
        }
    }
    app.forget();
    gateway.post("/").header("Connection", "Content-Length").body("framed anew").send().await;
    assert!(app.requests().iter().all(|request| request.text() == "framed anew"), "{:#?}", app.requests());
    app.forget();
    let own = gateway.post("/").header("Connection", "X-Mine").header("X-Mine", "hop by hop").body("x");
    own.send().await.expect(200);
    assert!(!app.request().headers.has("x-mine"), "{:#?}", app.request());
}
