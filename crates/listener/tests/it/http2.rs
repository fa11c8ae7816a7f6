use std::num::NonZeroU32;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response};
use tidegate_core::config::{ByteSize, Duration};
use tidegate_listener::{CloseReason, ListenerConfig, Protocol};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::fixture::{Fixture, config, within};

/// Where a request has to come before it is over, also on a busy machine.
const FAIR: Duration = Duration::from_secs(2);

fn h2c() -> ListenerConfig {
    ListenerConfig { protocols: Some(vec![Protocol::Http1, Protocol::H2c]), ..config() }
}

pub(crate) struct Http2 {
    pub(crate) requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    pub(crate) async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, connection) = within("the handshake", h2::client::handshake(io)).await.unwrap();
        Self { requests, connection: tokio::spawn(connection) }
    }

    async fn connect(fixture: &Fixture) -> Self {
        Self::over(TcpStream::connect(fixture.addr()).await.unwrap()).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> (u16, Bytes) {
        let request = Request::get(format!("http://a.test{path}")).body(()).unwrap();
        let mut ready = within("ready", self.requests.clone().ready()).await.unwrap();
        let (response, _) = ready.send_request(request, true).unwrap();
        body(within("the response", response).await.unwrap()).await
    }

    /// Waits until the server has closed.
    async fn closed(self) {
        drop(self.requests);
        // How it was closed does not matter here.
        _ = within("the connection ends", self.connection).await.unwrap();
    }
}

async fn body(response: Response<h2::RecvStream>) -> (u16, Bytes) {
    let (head, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = within("data", stream.data()).await {
        let chunk = chunk.unwrap();
        stream.flow_control().release_capacity(chunk.len()).unwrap();
        body.extend(chunk);
    }
    (head.status.as_u16(), body.into())
}

#[tokio::test]
async fn h2c_by_prior_knowledge_serves() {
    for protocols in [vec![Protocol::Http1, Protocol::H2c], vec![Protocol::H2c]] {
        let fixture = Fixture::start(&ListenerConfig { protocols: Some(protocols), ..config() });
        let mut client = Http2::connect(&fixture).await;
        assert_eq!(client.get("/hello").await, (200, "hello".into()));
        assert_eq!(client.get("/big").await.1.len(), crate::app::BIG);
        let (_, about) = client.get("/conn").await;
        assert!(about.starts_with(b"listener=127.0.0.1:0 peer=true"), "{about:?}");
        assert_eq!(fixture.seen.now().opened, 1);
    }
}

#[tokio::test]
async fn http_2_is_not_spoken_where_it_is_off() {
    let fixture = Fixture::start(&config());
    let io = TcpStream::connect(fixture.addr()).await.unwrap();
    if let Ok((_requests, connection)) = h2::client::handshake(io).await {
        let _requests: SendRequest<Bytes> = _requests;
        assert!(within("the connection ends", connection).await.is_err());
    }
    assert_eq!(fixture.requests(), 0);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_with_431() {
    let fixture = Fixture::start(&ListenerConfig { max_header_bytes: ByteSize::kib(2), ..h2c() });
    let mut client = Http2::connect(&fixture).await;
    let request = Request::get("http://a.test/hello").header("x", "x".repeat(4000)).body(()).unwrap();
    let mut ready = client.requests.clone().ready().await.unwrap();
    let (response, _) = ready.send_request(request, true).unwrap();
    assert_eq!(within("the answer", response).await.unwrap().status(), 431);
    assert_eq!(client.get("/hello").await.0, 200);
    assert_eq!(fixture.requests(), 1);
}

#[tokio::test]
async fn a_panic_costs_one_stream() {
    let fixture = Fixture::start(&ListenerConfig { idle_timeout: FAIR, ..h2c() });
    let mut client = Http2::connect(&fixture).await;
    let request = Request::get("http://a.test/panic").body(()).unwrap();
    let (response, _) = client.requests.clone().ready().await.unwrap().send_request(request, true).unwrap();
    assert!(within("the end of the stream", response).await.is_err());
    assert_eq!(client.get("/hello").await.0, 200);
    // It isn't counted as in flight for ever.
    fixture.seen.until_closed(CloseReason::Idle).await;
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go_away() {
    let fixture = Fixture::start(&ListenerConfig { idle_timeout: FAIR, ..h2c() });
    let mut client = Http2::connect(&fixture).await;
    assert_eq!(client.get("/hello").await.0, 200);
    let requests = client.requests.clone();
    client.closed().await;
    drop(requests);
    fixture.seen.until_closed(CloseReason::Idle).await;
}

#[tokio::test]
async fn a_stream_in_flight_is_not_idle() {
    let fixture = Fixture::start(&ListenerConfig { idle_timeout: FAIR, head_timeout: FAIR, ..h2c() });
    let mut client = Http2::connect(&fixture).await;
    let waiting = tokio::spawn(async move { client.get("/wait").await });
    fixture.until_waiting().await;
    // One that came later was swept: the deadlines have passed.
    fixture.connect().await.rest().await;
    let mut later = fixture.connect().await;
    assert_eq!(later.get("/hello").await.status, 200);
    assert_eq!(later.rest().await, "");
    fixture.open_gate();
    assert_eq!(within("the answer", waiting).await.unwrap(), (200, "waited".into()));
}

#[tokio::test]
async fn a_request_body_that_stops_coming_ends_the_connection() {
    let fixture = Fixture::start(&ListenerConfig { body_timeout: Duration::from_millis(300), ..h2c() });
    let client = Http2::connect(&fixture).await;
    let request = Request::post("http://a.test/echo").body(()).unwrap();
    let mut ready = client.requests.clone().ready().await.unwrap();
    let (response, mut upload) = ready.send_request(request, false).unwrap();
    upload.send_data("half".into(), false).unwrap();
    assert!(within("the end", response).await.is_err());
    fixture.seen.until_closed(CloseReason::BodyTimeout).await;
}

#[tokio::test]
async fn a_stream_without_a_body_may_wait_longer_than_a_body() {
    let short = Duration::from_millis(100);
    let fixture = Fixture::start(&ListenerConfig { body_timeout: short, head_timeout: FAIR, ..h2c() });
    let mut client = Http2::connect(&fixture).await;
    let waiting = tokio::spawn(async move { client.get("/wait").await });
    fixture.until_waiting().await;
    // One that came later was swept: the time of a body has passed many times.
    fixture.connect().await.rest().await;
    fixture.open_gate();
    assert_eq!(within("the answer", waiting).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_connection_ends_after_its_last_request() {
    let fixture = Fixture::start(&ListenerConfig { max_requests_per_connection: NonZeroU32::new(2).unwrap(), ..h2c() });
    let mut client = Http2::connect(&fixture).await;
    assert_eq!(client.get("/hello").await.0, 200);
    assert_eq!(client.get("/hello").await.0, 200);
    client.closed().await;
    fixture.seen.until_closed(CloseReason::Done).await;
}

#[tokio::test]
async fn what_is_in_flight_ends_and_then_the_server_is_drained() {
    let fixture = Fixture::start(&h2c());
    let mut client = Http2::connect(&fixture).await;
    let requests = client.requests.clone();
    let waiting = tokio::spawn(async move { client.get("/wait").await });
    fixture.until_waiting().await;
    fixture.server.drain();
    within("no more requests", async {
        while let Ok(mut ready) = requests.clone().ready().await {
            if ready.send_request(Request::get("http://a.test/hello").body(()).unwrap(), true).is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    fixture.open_gate();
    assert_eq!(within("the answer", waiting).await.unwrap(), (200, "waited".into()));
    drop(requests);
    fixture.drained().await;
}

#[tokio::test]
async fn an_idle_connection_ends_with_the_server() {
    let fixture = Fixture::start(&h2c());
    let mut client = Http2::connect(&fixture).await;
    assert_eq!(client.get("/hello").await.0, 200);
    fixture.server.drain();
    fixture.drained().await;
    assert_eq!(fixture.seen.now().closed, [CloseReason::Drained]);
}

/// It answers neither GOAWAY nor PING.
#[tokio::test]
async fn a_client_that_is_dead_is_cut() {
    let fixture = Fixture::start(&h2c());
    let mut client = fixture.connect().await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0").await;
    client.read(9).await;
    fixture.server.drain();
    fixture.drained().await;
    assert_eq!(fixture.seen.now().closed, [CloseReason::Drained]);
}
