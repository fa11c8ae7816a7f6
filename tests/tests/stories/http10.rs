//! Clients that speak HTTP/1.0.

use tidegate_testkit::{Script, pattern, upstream};

use crate::{all_to, tidegate};

#[tokio::test]
async fn a_request_without_host_reaches_the_upstream_with_one() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let answer = gateway.raw("GET /old HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.statuses(), answer.closed), (vec![200], true));
    assert!(answer.text().ends_with("\r\n\r\nok"), "{}", answer.text());
    let seen = app.request();
    assert_eq!((seen.version.as_str(), seen.authority.as_str()), ("HTTP/1.1", app.target().as_str()));
}

#[tokio::test]
async fn a_chunked_answer_is_unchunked_and_ends_with_the_connection() {
    let app = upstream()
        .route("/chunks", Script::chunks(["one ", "two ", "three"]))
        .route("/big", Script::generated(300_000).chunked())
        .start()
        .await;
    let gateway = tidegate().start(&all_to(&app)).await;
    for keep in ["", "Connection: keep-alive\r\n"] {
        let answer = gateway.raw(format!("GET /chunks HTTP/1.0\r\nHost: a\r\n{keep}\r\n")).await;
        let text = answer.text();
        assert!(answer.closed, "{text}");
        assert!(text.ends_with("\r\n\r\none two three"), "{text}");
        assert!(!text.to_ascii_lowercase().contains("transfer-encoding"), "{text}");
    }
    let answer = gateway.raw("GET /big HTTP/1.0\r\n\r\n").await;
    assert!(answer.bytes.ends_with(&pattern(300_000)), "{} bytes", answer.bytes.len());
}

#[tokio::test]
async fn the_shortest_head_is_answered_at_once_where_h2c_is_on() {
    let gateway = tidegate().start("routing: { routes: [{ reply: { body: hi } }] }").await;
    let head = "GET / HTTP/1.0\r\n\r\n";
    assert!(head.len() < 24, "shorter than the preface of HTTP/2");
    let mut client = gateway.connect().await;
    client.write(head).await;
    assert_eq!(client.answer().await.expect(200).text(), "hi");
}

#[tokio::test]
async fn a_connection_is_kept_only_when_asked_for_and_the_length_is_known() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut client = gateway.connect().await;
    client.write("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    let answer = client.answer().await.expect(200);
    assert_eq!(answer.text(), "ok");
    if answer.headers.all("connection").any(|value| value.eq_ignore_ascii_case("keep-alive")) {
        client.write("GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(client.answer().await.expect(200).text(), "ok");
    }
    assert_eq!(client.until_closed().await, "");
}
