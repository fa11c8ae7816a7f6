use tidegate_listener::CloseReason;

use crate::fixture::{Fixture, config};

/// Each is a way to make two servers disagree about where a request ends, or just broken.
const BAD: [(&str, u16); 25] = [
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\nHost: a\n\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n", 400),
    ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
    ("GET /\r\n\r\n", 400),
    ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("\u{16}\u{3}\u{1}", 400),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
];

#[tokio::test]
async fn bad_heads_are_answered_and_closed_and_nobody_sees_them() {
    let fixture = Fixture::start(&config());
    for (request, status) in BAD {
        let mut client = fixture.connect().await;
        client.send(request).await;
        let response = client.response().await;
        assert_eq!(response.status, status, "{request:?}");
        assert_eq!(response.header("connection"), Some("close"), "{request:?}");
        assert!(response.text().contains(&format!("\"status\":{status}")), "{}", response.text());
        assert_eq!(client.rest().await, "", "{request:?}");
    }
    let state = fixture.seen.until("all are closed", |state| state.closed.len() == BAD.len()).await;
    assert!(state.closed.iter().all(|reason| *reason == CloseReason::Refused), "{:?}", state.closed);
    assert_eq!(state.refusals.len(), BAD.len());
    assert_eq!(fixture.requests(), 0);
}

#[tokio::test]
async fn a_bad_head_is_refused_on_a_connection_that_was_good_so_far() {
    let fixture = Fixture::start(&config());
    for (request, status) in BAD {
        let mut client = fixture.connect().await;
        assert_eq!(client.get("/hello").await.status, 200);
        client.send(request).await;
        assert_eq!(client.response().await.status, status, "{request:?}");
        assert_eq!(client.rest().await, "", "{request:?}");
    }
    assert_eq!(fixture.requests(), BAD.len());
}

/// What follows a request unasked for is not taken for another one: it was never checked.
#[tokio::test]
async fn a_request_hidden_behind_another_is_not_served() {
    let fixture = Fixture::start(&config());
    let mut client = fixture.connect().await;
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\nHost: b\n\n").await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    assert_eq!(client.rest().await, "");
    assert_eq!(fixture.requests(), 1);
}
