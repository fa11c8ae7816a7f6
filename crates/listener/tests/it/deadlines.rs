use std::time::Duration;

use tidegate_core::config::Duration as Configured;
use tidegate_listener::{CloseReason, ListenerConfig, Protocol};
use tokio::net::TcpSocket;

use crate::client::Client;
use crate::fixture::{Fixture, config, within};

/// Where nothing has to happen before it is over.
const SHORT: Configured = Configured::from_millis(300);
/// Where something has to, also on a busy machine.
const FAIR: Configured = Configured::from_secs(2);
/// How long a write may wait for a reader that reads all the time.
const REST: Configured = Configured::from_secs(5);
/// The parts in which it reads.
const PARTS: usize = 64;

fn short_heads() -> ListenerConfig {
    ListenerConfig { head_timeout: SHORT, ..config() }
}

fn fair_heads() -> ListenerConfig {
    ListenerConfig { head_timeout: FAIR, ..config() }
}

/// Keeps the head coming, a byte at a time, until the server has enough.
async fn trickle(client: &mut Client<tokio::net::TcpStream>) {
    client.0.set_nodelay(true).unwrap();
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\nX: ").await;
    while client.0.try_read(&mut []).is_ok() && client.try_send("x").await.is_ok() {
        let readable = client.0.readable();
        if tokio::time::timeout(Duration::from_millis(20), readable).await.is_ok() {
            return;
        }
    }
}

#[tokio::test]
async fn a_trickled_head_is_answered_with_408() {
    let fixture = Fixture::start(&fair_heads());
    let mut client = fixture.connect().await;
    within("the server has enough", trickle(&mut client)).await;
    let response = client.response().await;
    assert_eq!(response.status, 408);
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    assert_eq!(client.rest().await, "");
    fixture.seen.until_closed(CloseReason::HeadTimeout).await;
    assert_eq!(fixture.requests(), 0);
}

#[tokio::test]
async fn so_is_a_later_one_on_the_same_connection() {
    let fixture = Fixture::start(&fair_heads());
    let mut client = fixture.connect().await;
    assert_eq!(client.get("/hello").await.status, 200);
    within("the server has enough", trickle(&mut client)).await;
    assert_eq!(client.response().await.status, 408);
    fixture.seen.until_closed(CloseReason::HeadTimeout).await;
    assert_eq!(fixture.requests(), 1);
}

#[tokio::test]
async fn a_silent_connection_is_closed_without_a_word() {
    for protocols in [vec![Protocol::Http1], vec![Protocol::Http1, Protocol::H2c], vec![Protocol::H2c]] {
        let fixture = Fixture::start(&ListenerConfig { protocols: Some(protocols.clone()), ..short_heads() });
        let mut client = fixture.connect().await;
        client.gone().await;
        fixture.seen.until_closed(CloseReason::HeadTimeout).await;
        assert!(fixture.seen.now().refusals.is_empty(), "{protocols:?}");
    }
}

#[tokio::test]
async fn a_trickled_preface_is_ended() {
    let both = vec![Protocol::Http1, Protocol::H2c];
    for (protocols, sent) in [(both.clone(), "PRI * HT"), (vec![Protocol::H2c], "PRI * HT")] {
        let fixture = Fixture::start(&ListenerConfig { protocols: Some(protocols), ..short_heads() });
        let mut client = fixture.connect().await;
        client.send(sent).await;
        client.gone().await;
        fixture.seen.until_closed(CloseReason::HeadTimeout).await;
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_good_order() {
    let fixture = Fixture::start(&ListenerConfig { idle_timeout: SHORT, ..config() });
    let mut client = fixture.connect().await;
    assert_eq!(client.get("/hello").await.status, 200);
    assert_eq!(client.rest().await, "");
    fixture.seen.until_closed(CloseReason::Idle).await;
}

#[tokio::test]
async fn a_request_in_flight_is_not_idle() {
    let fixture = Fixture::start(&ListenerConfig { idle_timeout: SHORT, head_timeout: FAIR, ..config() });
    let mut client = fixture.connect().await;
    client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    fixture.until_waiting().await;
    // One that came later was swept: the deadlines have passed.
    fixture.connect().await.rest().await;
    fixture.open_gate();
    assert_eq!(client.response().await.text(), "waited");
}

#[tokio::test]
async fn a_request_body_that_stops_coming_ends_the_connection() {
    let fixture = Fixture::start(&ListenerConfig { body_timeout: SHORT, ..config() });
    let mut client = fixture.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    fixture.until_waiting().await;
    client.gone().await;
    fixture.seen.until("it is closed", |state| state.closed.len() == 1).await;
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut() {
    let fixture = Fixture::start(&ListenerConfig { write_timeout: SHORT, ..config() });
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = Client(socket.connect(fixture.addr()).await.unwrap());
    client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    fixture.seen.until_closed(CloseReason::WriteTimeout).await;
}

#[tokio::test]
async fn a_slow_reader_is_not_cut_as_long_as_it_reads() {
    let fixture = Fixture::start(&ListenerConfig { write_timeout: REST, ..config() });
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = Client(socket.connect(fixture.addr()).await.unwrap());
    client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // All of it takes longer than a write may wait, and no part of it nearly as long.
    for _ in 0..PARTS {
        client.read(crate::app::BIG / PARTS).await;
        tokio::time::sleep(REST.get() / 50).await;
    }
    assert!(fixture.seen.now().closed.is_empty());
}
