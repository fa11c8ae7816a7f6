//! What operators see.

use tidegate_core::Method;
use tidegate_testkit::{Script, call, events, upstream, wait_until_async};

use crate::kit::{before, builder, into_coding, json, route_to, text};

#[tokio::test]
async fn every_answer_is_counted_by_what_became_of_it() {
    let html = |length: usize| Script::reply(text(length)).header("Content-Type", "text/html");
    let app = upstream()
        .route("/compressed", json())
        .route("/type", Script::reply(text(5_000)).header("Content-Type", "image/png"))
        .route("/too_small", html(10))
        .route("/already_encoded", html(5_000).header("Content-Encoding", "x"))
        .route("/no_transform", html(5_000).header("Cache-Control", "no-transform"))
        .route("/trailers", html(5_000).header("Trailer", "X-A"))
        .route("/status", html(5_000).with_status(404))
        .route("/skipped", html(5_000).header("Set-Cookie", "a=b"))
        .start()
        .await;
    let gateway = before(&app, "{ algorithms: [br], skip_when: [set_cookie] }").await;
    let outcomes =
        ["compressed", "type", "too_small", "already_encoded", "no_transform", "trailers", "status", "skipped"];
    for outcome in outcomes {
        gateway.request(Method::GET, &format!("/{outcome}")).header("Accept-Encoding", "br").send().await;
    }
    gateway.request(Method::GET, "/compressed").send().await.expect(200);
    for outcome in outcomes.into_iter().chain(["not_accepted"]) {
        let labels = [("route", "app"), ("outcome", outcome)];
        assert_eq!(gateway.metric("tidegate_compress_answers_total", &labels).await, 1.0, "{outcome}");
    }
    let bytes = async |direction| {
        gateway.metric("tidegate_compress_bytes_total", &[("algorithm", "br"), ("direction", direction)]).await
    };
    assert_eq!(bytes("in").await, 10_000.0);
    assert!((1.0..5_000.0).contains(&bytes("out").await), "{}", bytes("out").await);
}

#[tokio::test]
async fn requests_are_counted_too() {
    let app = upstream().reply("/*", "ok").start().await;
    let gateway = before(&app, "{ request: { max_size: 64KiB } }").await;
    for (coding, body) in [
        ("gzip", into_coding("gzip", b"hello")),
        ("deflate", "x".into()),
        ("gzip", "x".into()),
        ("gzip", into_coding("gzip", &text(100_000))),
    ] {
        gateway.post("/").header("Content-Encoding", coding).body(body).send().await;
    }
    for outcome in ["decoded", "unsupported", "broken", "too_large"] {
        let labels = [("route", "app"), ("outcome", outcome)];
        assert_eq!(gateway.metric("tidegate_compress_requests_total", &labels).await, 1.0, "{outcome}");
    }
}

#[tokio::test]
async fn past_max_streams_answers_go_out_as_they_are_until_one_ends() {
    let (script, sender) = events();
    let app =
        upstream().route("/events", script).route("/page", json()).route("/post", Script::reply("ok")).start().await;
    let policy = "{ types: [default, text/event-stream], request: {} }";
    let yaml = format!("compress: {{ max_streams: 1 }}\n{}", route_to(&app.target(), policy));
    let gateway = builder().start(&yaml).await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/events").header("Accept-Encoding", "gzip")).await;
    assert_eq!(client.head().await.header("content-encoding"), Some("gzip"));

    let page =
        async || gateway.request(Method::GET, "/page").header("Accept-Encoding", "gzip").send().await.expect(200);
    let busy = page().await;
    assert_eq!((busy.header("content-encoding"), busy.header("vary")), (None, Some("Accept-Encoding")));
    let refused = gateway.post("/post").header("Content-Encoding", "gzip").body("x").send().await.expect(503);
    assert_eq!((refused.json()["code"].as_str(), refused.header("retry-after")), (Some("busy"), Some("1")));
    // The count outlives a reload, as the stream does.
    gateway.reload(&yaml).await.expect("reloaded");
    assert_eq!(page().await.header("content-encoding"), None);

    drop((sender, client));
    wait_until_async("the place to be free", async || page().await.header("content-encoding") == Some("gzip")).await;
    assert!(gateway.metric("tidegate_compress_answers_total", &[("outcome", "busy")]).await >= 2.0);
}
