//! Nothing waits for a body to end: events, messages, sockets.

use http::Method;
use tidegate_testkit::{Http, Script, call, events, gate, pattern, upstream, wait_until_async};

use crate::{all_to, route_to, tidegate};

#[tokio::test]
async fn events_arrive_one_by_one() {
    let (first, to_first) = events();
    let (second, to_second) = events();
    let app = upstream().route("/events", first.then(second)).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;

    let mut h1 = gateway.connect().await;
    h1.begin(&call(Method::GET, "/events")).await;
    assert_eq!(h1.head().await.header("content-type"), Some("text/event-stream"));
    for event in ["one", "two", "three"] {
        to_first.send(event);
        assert_eq!(h1.piece().await.expect("an event"), format!("data: {event}\n\n"));
    }
    drop(to_first);
    assert_eq!(h1.piece().await, None);

    let mut h2 = gateway.connect_h2().await;
    let mut stream = h2.begin(&call(Method::GET, "/events")).await;
    stream.finish();
    let mut answer = stream.head().await;
    for event in ["one", "two", "three"] {
        to_second.send(event);
        assert_eq!(answer.piece().await.expect("an event"), format!("data: {event}\n\n"));
    }
    drop(to_second);
    assert_eq!(answer.piece().await, None);
}

#[tokio::test]
async fn an_event_stream_ends_at_the_upstream_when_the_client_leaves() {
    let (stream, events) = events();
    let app = upstream().route("/events", stream).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/events")).await;
    events.send("one");
    client.head().await;
    drop(client);
    wait_until_async("the upstream's connection to end", async || {
        events.send("more");
        app.open_connections() == 0
    })
    .await;
}

#[tokio::test]
async fn a_websocket_goes_through_and_bytes_follow_both_ways() {
    let app = upstream().route("/ws", Script::upgrade()).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut client = gateway.connect().await;
    client.begin(&websocket("/ws")).await;
    let answer = client.head().await;
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("websocket")));
    let text = b"\x81\x85\x01\x02\x03\x04hello";
    client.write(text).await;
    assert_eq!(client.bytes(text.len()).await, &text[..]);
    let big = pattern(200_000);
    client.write(&big).await;
    assert_eq!(client.bytes(big.len()).await, big);
    let seen = app.request();
    assert_eq!(seen.header("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(seen.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));
}

#[tokio::test]
async fn grpc_messages_and_trailers_go_end_to_end() {
    let script = || {
        Script::echo()
            .header("content-type", "application/grpc")
            .trailer("grpc-status", "0")
            .trailer("grpc-message", "ok")
    };
    let app = upstream().route("/svc.S/Chat", script()).h2().start().await;
    let yaml = route_to(&app.target(), "").replace("    targets:", "    protocol: h2\n    targets:");
    let gateway = tidegate().start(&yaml).await;
    let mut client = gateway.connect_h2().await;
    let grpc = call(Method::POST, "/svc.S/Chat").header("content-type", "application/grpc").header("te", "trailers");
    let mut stream = client.begin(&grpc).await;
    stream.send("\0\0\0\0\x03one").await;
    let mut answer = stream.head().await;
    assert_eq!((answer.status, answer.headers.get("content-type")), (200, Some("application/grpc")));
    assert_eq!(answer.piece().await.expect("the first message"), "\0\0\0\0\x03one");
    stream.send("\0\0\0\0\x03two").await;
    assert_eq!(answer.piece().await.expect("the second message"), "\0\0\0\0\x03two");
    stream.finish();
    assert_eq!(answer.piece().await, None);
    let trailers = answer.trailers().await;
    assert_eq!((trailers.get("grpc-status"), trailers.get("grpc-message")), (Some("0"), Some("ok")));
    let seen = app.wait_for(1).await.remove(0);
    assert_eq!((seen.version.as_str(), seen.header("te")), ("HTTP/2.0", Some("trailers")));
}

#[tokio::test]
async fn a_grpc_answer_of_trailers_only_keeps_its_status() {
    let script = Script::reply("").header("content-type", "application/grpc").trailer("grpc-status", "5");
    let app = upstream().route("*", script).h2().start().await;
    let yaml = route_to(&app.target(), "").replace("    targets:", "    protocol: h2\n    targets:");
    let gateway = tidegate().start(&yaml).await;
    let answer = gateway.post("/svc.S/Get").h2().header("te", "trailers").body("\0\0\0\0\0").send().await;
    assert_eq!((answer.status, answer.trailers.get("grpc-status")), (200, Some("5")));
}

#[tokio::test]
async fn interim_answers_reach_the_client_before_the_final_one() {
    let held = gate();
    let hints = Script::reply("page").interim(103, &[("Link", "</style.css>; rel=preload")]).wait(&held);
    let app = upstream().route("/page", hints).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/page")).await;
    let first = client.bytes("HTTP/1.1 103".len()).await;
    assert_eq!(first, "HTTP/1.1 103");
    held.open();
    let rest = client.bytes(1).await;
    assert!(!rest.is_empty());
    let answer = gateway.get("/page").await.expect(200);
    assert_eq!(answer.interim.len(), 1, "{answer:?}");
    assert_eq!(answer.interim[0].headers.get("link"), Some("</style.css>; rel=preload"));
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_it_and_its_body_goes_up() {
    let app = upstream().route("/up", Script::reply("thanks").interim(100, &[])).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut client = gateway.connect().await;
    client.write("PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.bytes("HTTP/1.1 100".len()).await, "HTTP/1.1 100");
    client.write("hello").await;
    let rest = client.bytes("HTTP/1.1 100 Continue\r\n\r\n".len() - "HTTP/1.1 100".len()).await;
    assert!(rest.ends_with(b"\r\n\r\n"), "{rest:?}");
    assert_eq!(client.answer().await.expect(200).text(), "thanks");
    assert_eq!(app.request().text(), "hello");
}

#[tokio::test]
async fn head_has_the_fields_of_get_and_no_body() {
    let app = upstream().route("/page", Script::generated(1000)).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        let head = client.send(call(Method::HEAD, "/page")).await.expect(200);
        assert_eq!((head.header("content-length"), head.body.len()), (Some("1000"), 0));
        assert_eq!(client.get("/page").await.body, pattern(1000));
    }
    let head = gateway.request(Method::HEAD, "/page").by(Http::Two).send().await.expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), (Some("1000"), 0));
}

/// The request of RFC 6455 section 1.3.
pub(crate) fn websocket(path: &str) -> tidegate_testkit::Call {
    call(Method::GET, path)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
}
