use std::num::NonZeroU32;

use tidegate_core::config::ByteSize;
use tidegate_listener::{CloseReason, ListenerConfig};

use crate::fixture::{Fixture, config};

#[tokio::test]
async fn one_connection_too_many_is_turned_away_until_one_closes() {
    let fixture = Fixture::start(&ListenerConfig { max_connections: NonZeroU32::new(2).unwrap(), ..config() });
    let mut first = fixture.connect().await;
    let mut second = fixture.connect().await;
    assert_eq!(first.get("/hello").await.status, 200);
    assert_eq!(second.get("/hello").await.status, 200);

    let mut third = fixture.connect().await;
    let answer = third.rest().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(fixture.seen.now().refused, 1);

    drop(first);
    fixture.seen.until_closed(CloseReason::Done).await;
    assert_eq!(fixture.connect().await.get("/hello").await.status, 200);
    assert_eq!(second.get("/hello").await.status, 200);
}

#[tokio::test]
async fn a_connection_ends_after_its_last_request() {
    let config = ListenerConfig { max_requests_per_connection: NonZeroU32::new(2).unwrap(), ..config() };
    let fixture = Fixture::start(&config);
    let mut client = fixture.connect().await;
    assert_eq!(client.get("/hello").await.header("connection"), Some("keep-alive"));
    assert_eq!(client.get("/hello").await.header("connection"), Some("close"));
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_with_431() {
    let fixture = Fixture::start(&ListenerConfig { max_header_bytes: ByteSize::kib(2), ..config() });
    for field in ["X: ".to_owned() + &"x".repeat(4000), "X: x\r\n".repeat(400)] {
        let mut client = fixture.connect().await;
        client.send(&format!("GET /hello HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n")).await;
        assert_eq!(client.response().await.status, 431);
        assert_eq!(client.rest().await, "");
    }
    assert_eq!(fixture.requests(), 0);
    let state = fixture.seen.until("both are closed", |state| state.closed.len() == 2).await;
    assert_eq!(state.closed, [CloseReason::Refused; 2]);
    assert!(state.refusals.iter().all(|refusal| refusal.status == 431));
}

#[tokio::test]
async fn a_large_head_within_the_limit_passes() {
    let fixture = Fixture::start(&config());
    let mut client = fixture.connect().await;
    client.send(&format!("GET /hello HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(30_000))).await;
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test]
async fn too_many_fields_are_answered_with_431() {
    let fixture = Fixture::start(&ListenerConfig { max_headers: 5, ..config() });
    let mut client = fixture.connect().await;
    client.send(&format!("GET /hello HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: x\r\n".repeat(5))).await;
    assert_eq!(client.response().await.status, 431);
}
