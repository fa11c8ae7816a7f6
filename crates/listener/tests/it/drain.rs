use tidegate_listener::CloseReason;
use tokio::net::TcpStream;

use crate::client::Client;
use crate::fixture::{Fixture, config, within};

#[tokio::test]
async fn a_server_without_connections_drains_at_once() {
    let fixture = Fixture::start(&config());
    assert!(!fixture.server.is_draining());
    fixture.server.drain();
    assert!(fixture.server.is_draining());
    fixture.drained().await;
    within("the loop ends", fixture.accepting).await.unwrap();
    assert!(TcpStream::connect(fixture.bound.tcp().unwrap()).await.is_err());
}

#[tokio::test]
async fn what_is_in_flight_ends_and_then_the_server_is_drained() {
    let mut fixture = Fixture::start(&config());
    let mut client = fixture.connect().await;
    client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    fixture.until_waiting().await;
    fixture.server.drain();
    within("the loop ends", &mut fixture.accepting).await.unwrap();
    assert!(TcpStream::connect(fixture.addr()).await.is_err());
    assert_eq!(fixture.server.connections(), 1);
    fixture.open_gate();
    assert_eq!(client.response().await.text(), "waited");
    assert_eq!(client.rest().await, "");
    fixture.drained().await;
}

/// For the client the connection stands, though the server has not heard of it.
#[tokio::test]
async fn a_connection_that_waits_to_be_accepted_is_served() {
    let fixture = Fixture::start(&config());
    let socket = std::net::TcpStream::connect(fixture.addr()).unwrap();
    fixture.server.drain();
    socket.set_nonblocking(true).unwrap();
    let mut client = Client(TcpStream::from_std(socket).unwrap());
    assert_eq!(client.get("/hello").await.header("connection"), Some("close"));
    fixture.drained().await;
}

#[tokio::test]
async fn a_request_on_its_way_is_served_as_the_last() {
    let fixture = Fixture::start(&config());
    let mut client = fixture.connect().await;
    assert_eq!(client.get("/hello").await.header("connection"), Some("keep-alive"));
    fixture.server.drain();
    let last = client.get("/hello").await;
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    assert_eq!(client.rest().await, "");
    fixture.drained().await;
}

#[tokio::test]
async fn idle_and_silent_connections_are_closed() {
    let fixture = Fixture::start(&config());
    let mut idle = fixture.connect().await;
    assert_eq!(idle.get("/hello").await.status, 200);
    let mut silent = fixture.connect().await;
    fixture.seen.until("both are open", |state| state.opened == 2).await;
    fixture.server.drain();
    assert_eq!(idle.rest().await, "");
    assert_eq!(silent.rest().await, "");
    fixture.drained().await;
    assert_eq!(fixture.seen.now().closed, [CloseReason::Drained; 2]);
}

#[tokio::test]
async fn abort_waits_for_nobody() {
    let fixture = Fixture::start(&config());
    let mut client = fixture.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    fixture.until_waiting().await;
    fixture.server.abort();
    client.gone().await;
    fixture.drained().await;
    assert_eq!(fixture.seen.now().closed, [CloseReason::Aborted]);
}

#[tokio::test]
async fn the_watch_turns_when_the_drain_begins() {
    let fixture = Fixture::start(&config());
    let mut watch = fixture.server.shutdown_watch();
    assert!(!*watch.borrow_and_update());
    fixture.server.drain();
    within("the watch", watch.changed()).await.unwrap();
    assert!(*watch.borrow());
}
