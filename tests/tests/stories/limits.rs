//! How much a client may send, and how long it may take.

use http::Method;
use tidegate_testkit::{Client, Http, Script, call, upstream, wait_until};

use crate::{all_to, all_to_with, tidegate};

const KIB: u64 = 1024;

fn listener(more: &str) -> String {
    format!("listeners: [{{ name: main, bind: \"127.0.0.1:0\", protocols: [http1, h2c], {more} }}]\n")
}

#[tokio::test]
async fn a_body_that_is_announced_too_long_is_413_and_never_goes_up() {
    let app = upstream().route("*", Script::echo()).start().await;
    let gateway = tidegate().start(&all_to_with(&app, "limits: { body: 64KiB }")).await;
    for http in Http::BOTH {
        let answer = gateway.post("/").generated(64 * KIB).by(http).send().await;
        assert_eq!((answer.status, answer.body.len()), (200, 64 * 1024), "{http:?}");
        app.forget();
        let answer = gateway.post("/").generated(64 * KIB + 1).by(http).send().await.expect(413);
        assert_eq!(answer.json()["code"], "body_too_large");
        assert!(app.requests().is_empty(), "{http:?}");
    }
}

#[tokio::test]
async fn a_body_that_turns_out_too_long_is_413_and_the_upstream_sees_no_whole_request() {
    let app = upstream().reply("*", "done").start().await;
    let gateway = tidegate().start(&all_to_with(&app, "limits: { body: 64KiB }")).await;
    for http in Http::BOTH {
        let answer = gateway.post("/").generated_chunked(64 * KIB).by(http).send().await;
        assert_eq!(answer.status, 200, "{http:?}: {answer:?}");
        app.forget();
        let answer = gateway.post("/").generated_chunked(1024 * KIB).by(http).send().await;
        assert_eq!(answer.status, 413, "{http:?}: {answer:?}");
        assert_eq!(answer.json()["code"], "body_too_large");
        wait_until("the upstream's connection to end", || app.requests().iter().all(|request| !request.complete)).await;
        for request in app.requests() {
            assert!(request.check.length() <= 64 * KIB, "{} bytes went up by {http:?}", request.check.length());
        }
    }
}

#[tokio::test]
async fn a_request_that_is_refused_half_way_does_not_become_the_next_one() {
    let app = upstream().route("*", Script::echo()).start().await;
    let gateway = tidegate().start(&all_to_with(&app, "limits: { body: 1KiB }")).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200);
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", smuggled.len());
    let answer = gateway.raw(format!("{head}{smuggled}")).await;
    assert_eq!((answer.statuses(), answer.closed), (vec![413], true));
    assert!(app.requests().is_empty());
}

#[tokio::test]
async fn too_many_fields_and_too_large_heads_are_431() {
    let app = upstream().reply("*", "ok").start().await;
    let yaml = format!("{}{}", all_to(&app), listener("max_headers: 20, max_header_bytes: 8KiB"));
    let gateway = tidegate().start(&yaml).await;
    let many = |count: usize| {
        let request = gateway.request(Method::GET, "/");
        (0..count).fold(request, |request, field| request.header(format!("x-{field}"), "1"))
    };
    many(15).send().await.expect(200);
    many(30).send().await.expect(431);
    many(30).by(Http::Two).send().await.expect(431);
    let large = |http| gateway.request(Method::GET, "/").by(http).header("x-large", "x".repeat(9000)).try_send();
    large(Http::One).await.expect("an answer").expect(431);
    // The HTTP/2 engine may also refuse the stream (RFC 9113 section 10.5.1).
    if let Ok(answer) = large(Http::Two).await {
        answer.expect(431);
    }
    let target = gateway.request(Method::GET, &format!("/{}", "x".repeat(9000))).send().await;
    assert!([414, 431].contains(&target.status), "{target:?}");
    assert_eq!(app.requests().len(), 1);
}

#[tokio::test]
async fn a_head_that_never_ends_is_408_and_silence_is_closed() {
    let app = upstream().reply("*", "ok").start().await;
    let start = async |more| tidegate().start(&format!("{}{}", all_to(&app), listener(more))).await;
    // What is sent has to be there in time, on a busy machine as well: only what is never sent has little time.
    let patient = start("head_timeout: 5s, idle_timeout: 60s").await;
    let mut half = patient.connect().await;
    half.write("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
    let mut second = patient.connect().await;
    second.get("/").await.expect(200);
    second.write("GET / HT").await;

    half.answer().await.expect(408);
    assert_eq!(half.until_closed().await, "");
    second.answer().await.expect(408);

    let gateway = start("head_timeout: 5s, idle_timeout: 300ms").await;
    let mut idle = gateway.connect().await;
    idle.get("/").await.expect(200);
    assert_eq!(idle.until_closed().await, "", "a kept connection that stays idle is closed without a word");

    let gateway = start("head_timeout: 300ms, idle_timeout: 60s").await;
    let mut silent = gateway.connect().await;
    assert_eq!(silent.until_closed().await, "");

    // A head that trickles does not start its time anew with each byte.
    let mut trickle = gateway.connect().await;
    let slow = async {
        for byte in "GET / HTTP/1.1\r\nX-Slow: ".bytes().chain(std::iter::repeat(b'x')) {
            if trickle.try_write([byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(tidegate_testkit::DEADLINE, slow).await.expect("the connection is closed");
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up_and_the_upstream_let_go() {
    let app = upstream().reply("*", "ok").start().await;
    let yaml = format!("{}{}", all_to(&app), listener("body_timeout: 3s"));
    let gateway = tidegate().start(&yaml).await;

    let mut h1 = gateway.connect().await;
    h1.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345").await;
    let answer = h1.until_closed().await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");

    let mut h2 = gateway.connect_h2().await;
    let mut stream = h2.begin(&call(Method::POST, "/")).await;
    stream.send("12345").await;
    app.wait_for_heads(2).await;
    wait_until("the upstream to be let go", || app.open_connections() == 0).await;
    assert!(app.requests().iter().all(|request| !request.complete));
}

#[tokio::test]
async fn connections_above_the_limit_are_turned_away_until_one_ends() {
    let gateway = tidegate()
        .start(&format!("{}routing: {{ routes: [{{ reply: {{ body: hi }} }}] }}\n", listener("max_connections: 3")))
        .await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut client = gateway.connect().await;
        client.get("/").await.expect(200);
        kept.push(client);
    }
    let mut fourth = gateway.connect().await;
    let refused = fourth.try_send(call(Method::GET, "/")).await;
    assert!(refused.as_ref().map_or(true, |answer| answer.status == 503), "{refused:?}");
    assert_eq!(gateway.metric("tidegate_connections_refused_total", &[("listener", "main")]).await, 1.0);
    kept.pop();
    tidegate_testkit::wait_until_async("a place to be free", async || {
        let answer = Client::connect(gateway.addr()).await.try_send(call(Method::GET, "/")).await;
        answer.is_ok_and(|answer| answer.status == 200)
    })
    .await;
}

#[tokio::test]
async fn a_connection_serves_only_so_many_requests_and_says_when_it_is_over() {
    let gateway = tidegate()
        .start(&format!(
            "{}routing: {{ routes: [{{ reply: {{ body: hi }} }}] }}\n",
            listener("max_requests_per_connection: 3")
        ))
        .await;
    let mut client = gateway.connect().await;
    for turn in 1..=3 {
        let closes = client.get("/").await.expect(200).header("connection").is_some_and(|value| value == "close");
        assert_eq!(closes, turn == 3, "request {turn}");
    }
    assert_eq!(client.until_closed().await, "");
}
