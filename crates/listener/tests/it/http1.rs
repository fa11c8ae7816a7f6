use tidegate_listener::{BoundAddr, CloseReason, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

use crate::app::BIG;
use crate::client::Client;
use crate::fixture::{Fixture, config, unix, within};

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let fixture = Fixture::start(&config());
    let mut client = fixture.connect().await;
    for _ in 0..3 {
        let response = client.get("/hello").await;
        assert_eq!((response.status, response.text()), (200, "hello"));
        assert_eq!(response.header("connection"), Some("keep-alive"));
    }
    assert_eq!(fixture.seen.now().opened, 1);
    assert_eq!(fixture.server.connections(), 1);
    drop(client);
    fixture.seen.until_closed(CloseReason::Done).await;
    assert_eq!(fixture.server.connections(), 0);
}

#[tokio::test]
async fn port_0_gives_a_real_port_and_the_name_is_the_address_asked_for() {
    let fixture = Fixture::start(&config());
    assert_ne!(fixture.addr().port(), 0);
    let mut client = fixture.connect().await;
    let about = client.get("/conn").await;
    let expected = format!("listener=127.0.0.1:0 peer=true local={} sni=none", fixture.addr());
    assert!(about.text().starts_with(&expected), "{}", about.text());
}

#[tokio::test]
async fn bodies_go_both_ways_whole() {
    let fixture = Fixture::start(&config());
    let mut client = fixture.connect().await;
    let body = "x".repeat(1 << 20);
    client.send(&format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    assert_eq!(client.response().await.text(), body.len().to_string());
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    client.send(chunked).await;
    assert_eq!(client.response().await.text(), "5");
    let big = client.get("/big").await;
    assert!(big.body.len() == BIG && big.body.iter().all(|byte| *byte == b'b'));
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let fixture = Fixture::start(&config());
    let mut client = fixture.connect().await;
    client.0.set_nodelay(true).unwrap();
    for byte in "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".chars() {
        client.send(&byte.to_string()).await;
    }
    assert_eq!(client.response().await.text(), "hello");
}

#[tokio::test]
async fn a_request_shorter_than_the_preface_is_answered_where_h2c_is_on() {
    let fixture = Fixture::start(&tidegate_listener::ListenerConfig {
        protocols: Some(vec![Protocol::Http1, Protocol::H2c]),
        ..config()
    });
    let mut client = fixture.connect().await;
    let request = "GET /hello HTTP/1.0\r\n\r\n";
    assert!(request.len() < 24);
    client.send(request).await;
    assert_eq!(client.response().await.text(), "hello");
}

#[tokio::test]
async fn a_request_that_begins_like_the_preface_is_a_request() {
    let fixture = Fixture::start(&tidegate_listener::ListenerConfig {
        protocols: Some(vec![Protocol::Http1, Protocol::H2c]),
        ..config()
    });
    let mut client = fixture.connect().await;
    client.send("PR").await;
    client.send("OPFIND /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test]
async fn a_unix_socket_serves() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = Fixture::start(&tidegate_listener::ListenerConfig { bind: unix(&dir), ..config() });
    let path = BoundAddr::unix(&fixture.bound).unwrap().to_owned();
    let mut client = Client(UnixStream::connect(&path).await.unwrap());
    assert_eq!(client.get("/hello").await.text(), "hello");
    let about = client.get("/conn").await;
    assert!(about.text().contains("peer=false local=none"), "{}", about.text());
    fixture.server.drain();
    fixture.drained().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_panic_costs_one_connection() {
    let fixture = Fixture::start(&config());
    let mut client = fixture.connect().await;
    client.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.gone().await;
    assert_eq!(fixture.connect().await.get("/hello").await.status, 200);
    drop(client);
    fixture.seen.until("the first is closed", |state| !state.closed.is_empty()).await;
}

/// A reset while it still uploads could take the answer from the client.
#[tokio::test]
async fn an_answer_before_the_body_was_read_does_not_reset_the_upload() {
    let fixture = Fixture::start(&config());
    let mut client = fixture.connect().await;
    let length = 4 << 20;
    client.send(&format!("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")).await;
    let (mut reader, mut writer) = client.0.into_split();
    let mut response = String::new();
    within("the answer", reader.read_to_string(&mut response)).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("hello"), "{response}");
    within("the upload ends", writer.write_all(&vec![b'x'; length])).await.unwrap();
}

/// Says 101 to everyone, then echoes.
async fn websocket_upstream() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut socket = Client(socket);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(socket.read(1).await);
        }
        socket.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
        let (mut reader, mut writer) = socket.0.into_split();
        _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    addr
}

#[tokio::test]
async fn an_upgraded_connection_outlives_every_deadline() {
    // The first request has to come in time, also on a busy machine.
    let short = tidegate_core::config::Duration::from_secs(2);
    let config =
        tidegate_listener::ListenerConfig { head_timeout: short, idle_timeout: short, body_timeout: short, ..config() };
    let fixture = Fixture::with_upstream(&config, Some(websocket_upstream().await));
    let mut client = fixture.connect().await;
    client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    assert_eq!(client.response().await.status, 101);
    // A connection that came later and was swept for being silent shows that the deadlines have passed.
    fixture.connect().await.rest().await;
    client.send("ping").await;
    assert_eq!(client.read(4).await, b"ping");
    // Raw bytes are nobody's head.
    let raw = "GET / HTTP/1.1\r\n X\0\n\n";
    client.send(raw).await;
    assert_eq!(client.read(raw.len()).await, raw.as_bytes());
    assert_eq!(fixture.server.connections(), 1);
    assert!(fixture.seen.now().refusals.is_empty());
}
