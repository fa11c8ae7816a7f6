//! The small client: what it sends, what it makes of answers, and what becomes of its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{Request, Response, Version};
use parking_lot::Mutex;
use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use tidegate_upstream::{Answer, Client, ClientError, Failure};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::{ByHand, Does, kept_port, until};

const LONG: Duration = Duration::from_secs(20);

fn peer(address: SocketAddr) -> HttpPeer {
    HttpPeer::new(address, false, String::new())
}

fn peer_h2(address: SocketAddr) -> HttpPeer {
    let mut peer = peer(address);
    peer.options.alpn = ALPN::H2;
    peer.options.max_h2_streams = 10;
    peer
}

fn head(method: &str) -> Box<RequestHeader> {
    let mut head = RequestHeader::build(method, b"/path?query", None).unwrap();
    head.insert_header("host", "app.test").unwrap();
    Box::new(head)
}

async fn get(client: &Client, peer: &HttpPeer) -> Result<Answer, ClientError> {
    client.send(peer, head("GET"), None, LONG).await
}

#[tokio::test]
async fn a_connection_whose_answer_was_read_serves_the_next_request() {
    let server = ByHand::start(Does::body("hello")).await;
    let (client, peer) = (Client::new(), peer(server.address));
    for reused in [false, true, true] {
        let answer = get(&client, &peer).await.unwrap();
        assert_eq!((answer.head.status.as_u16(), answer.reused()), (200, reused));
        assert_eq!(answer.whole(5, LONG).await.unwrap(), "hello");
    }
    // The server sends the body all the same, which is not to be taken for the next answer.
    client.send(&peer, head("HEAD"), None, LONG).await.unwrap().done().await;
    assert!(!get(&client, &peer).await.unwrap().reused());
}

#[tokio::test]
async fn a_client_without_reuse_makes_a_connection_for_each_request() {
    let server = ByHand::start(Does::body("hello")).await;
    let client = Client::without_reuse();
    for _ in 0..2 {
        let answer = get(&client, &peer(server.address)).await.unwrap();
        assert!(!answer.reused());
        answer.whole(5, LONG).await.unwrap();
        until("it is closed", || server.open() == 0).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_dropped_closes_its_connection() {
    let server = ByHand::start(Does::Holds(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".into())).await;
    let (client, peer) = (Client::new(), peer(server.address));
    let mut answer = get(&client, &peer).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "hello");
    drop(answer);
    until("the connection is closed", || server.open() == 0).await;

    get(&client, &peer).await.unwrap().done().await;
    until("the connection is closed, as the body was not read", || server.open() == 0).await;
}

#[tokio::test]
async fn a_request_that_is_given_up_closes_its_connection() {
    let server = ByHand::start(Does::nothing()).await;
    let (client, peer) = (Client::new(), peer(server.address));
    let sending = tokio::spawn(async move { get(&client, &peer).await.map(drop) });
    until("the request is there", || server.count() == 1).await;
    sending.abort();
    until("the connection is closed", || server.open() == 0).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_its_connection_closed() {
    let server = ByHand::start(Does::Endless(b"HTTP/1.1 200 OK\r\n\r\n".into(), vec![b'x'; 8192])).await;
    let answer = get(&Client::new(), &peer(server.address)).await.unwrap();
    let error = answer.whole(100_000, LONG).await.unwrap_err();
    assert_eq!(error, ClientError::TooLarge("body larger than 100000 bytes".into()));
    until("the connection is closed", || server.open() == 0).await;
}

#[tokio::test]
async fn what_is_discarded_is_read_only_so_far() {
    let server = ByHand::start(Does::body("hello")).await;
    let (client, peer) = (Client::new(), peer(server.address));
    get(&client, &peer).await.unwrap().discard(5, LONG).await;
    assert!(get(&client, &peer).await.unwrap().reused(), "it was all there was");
    let fresh = Client::new();
    get(&fresh, &peer).await.unwrap().discard(4, LONG).await;
    assert!(!get(&fresh, &peer).await.unwrap().reused(), "there was more");
}

#[tokio::test]
async fn an_answer_that_stalls_is_given_up() {
    let server = ByHand::start(Does::Holds(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".into())).await;
    let (client, peer) = (Client::new(), peer(server.address));
    let mut answer = get(&client, &peer).await.unwrap();
    answer.set_idle(Duration::from_millis(50));
    answer.chunk().await.unwrap();
    let error = answer.chunk().await.unwrap_err();
    assert_eq!(error, ClientError::Timeout("answer stalled for 50ms".into()));
    until("the connection is closed", || server.open() == 0).await;
    assert!(answer.chunk().await.is_err(), "nothing more comes");

    let answer = get(&client, &peer).await.unwrap();
    let error = answer.whole(100, Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error, ClientError::Timeout("answer not over within 50ms".into()));
}

#[tokio::test]
async fn failures_are_told_apart() {
    let (address, _kept) = kept_port();
    let server = ByHand::start_at(&address.to_string(), Does::text("")).await;
    let (client, peer) = (Client::new(), peer(address));
    let failure_within = async |within, does| {
        server.now_does(does);
        let sent = client.send(&peer, head("GET"), None, within).await;
        sent.err().unwrap().failure()
    };
    let failure = async |answer| failure_within(LONG, Does::text(answer)).await;
    assert_eq!(failure("").await, Failure::Reset);
    assert_eq!(failure("HTTP/1.1 200 OK\r\n").await, Failure::Reset);
    assert_eq!(failure("what?\r\n\r\n").await, Failure::Protocol);
    assert_eq!(failure_within(Duration::from_secs(2), Does::nothing()).await, Failure::Timeout);
    drop(server);
    until("the port is closed", || std::net::TcpStream::connect(address).is_err()).await;
    assert_eq!(get(&client, &peer).await.err().unwrap().failure(), Failure::Connect);
}

#[tokio::test]
async fn nothing_is_sent_on_a_connection_that_is_not_fit() {
    let server = ByHand::start(Does::body("hello")).await;
    let client = Client::new();
    let unfit = ClientError::Connect("not this one".into());
    let refused = unfit.clone();
    let fit = move |connected: tidegate_upstream::Connected<'_>| {
        assert!(!connected.reused && !connected.http2 && connected.digest.is_some());
        Err(refused)
    };
    let sent = client.send_if(&peer(server.address), head("GET"), None, LONG, fit).await;
    assert_eq!(sent.err().unwrap(), unfit);
    until("the connection is closed", || server.most_open() == 1 && server.open() == 0).await;
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_head_is_made_fit_for_http1() {
    let server = ByHand::start(Does::body("")).await;
    let client = Client::new();
    let peer = peer(server.address);
    let from_h2 = Request::post("https://app.test/path").version(Version::HTTP_2).body(()).unwrap().into_parts().0;
    let mut from_h2 = Box::new(RequestHeader::from(from_h2));
    from_h2.insert_header("expect", "100-continue").unwrap();
    client.send(&peer, from_h2, Some(Bytes::from_static(b"body")), LONG).await.unwrap();
    client.send(&peer, head("GET"), None, LONG).await.unwrap();

    let asked = server.asked();
    assert!(asked[0].starts_with("post /path http/1.1\r\n"), "{}", asked[0]);
    assert!(asked[0].contains("host: app.test\r\n") && asked[0].contains("content-length: 4\r\n"));
    assert!(!asked[0].contains("expect"));
    assert!(!asked[1].contains("content-length"));
}

#[tokio::test]
async fn a_unix_socket_is_a_peer_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let _server = ByHand::start_unix(&path, Does::body("hello"));
    let peer = HttpPeer::new_uds(path.to_str().unwrap(), false, String::new()).unwrap();
    let answer = get(&Client::new(), &peer).await.unwrap();
    assert_eq!(answer.whole(5, LONG).await.unwrap(), "hello");
}

/// What a server of HTTP/2 does with a request.
#[derive(Clone, Copy)]
enum Does2 {
    Echoes,
    /// Begins an answer, and says when the client has reset it.
    Stalls,
    Resets(h2::Reason),
}

struct Server2 {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Request<()>>>>,
    resets: mpsc::UnboundedReceiver<h2::Reason>,
    task: JoinHandle<()>,
}

impl Server2 {
    async fn start(does: Does2) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (tell, resets) = mpsc::unbounded_channel();
        let seen = asked.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, tell) = (seen.clone(), tell.clone());
                tokio::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok((request, answer))) = connection.accept().await {
                        let (head, body) = request.into_parts();
                        asked.lock().push(Request::from_parts(head, ()));
                        tokio::spawn(respond(does, body, answer, tell.clone()));
                    }
                });
            }
        });
        Self { address, asked, resets, task }
    }
}

impl Drop for Server2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn respond(
    does: Does2,
    mut body: h2::RecvStream,
    mut answer: SendResponse<Bytes>,
    tell: mpsc::UnboundedSender<h2::Reason>,
) {
    match does {
        Does2::Resets(reason) => answer.send_reset(reason),
        Does2::Echoes => {
            let mut stream = answer.send_response(Response::new(()), false).unwrap();
            while let Some(Ok(chunk)) = body.data().await {
                stream.send_data(chunk, false).unwrap();
            }
            stream.send_data(Bytes::new(), true).unwrap();
        }
        Does2::Stalls => {
            let mut stream = answer.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
            if let Ok(reason) = std::future::poll_fn(|cx| stream.poll_reset(cx)).await {
                tell.send(reason).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn http2_carries_bodies_and_no_fields_of_connections() {
    let server = Server2::start(Does2::Echoes).await;
    let client = Client::new();
    let mut request = head("POST");
    for (name, value) in [("connection", "close"), ("transfer-encoding", "chunked"), ("te", "gzip"), ("x-own", "1")] {
        request.insert_header(name, value).unwrap();
    }
    let answer =
        client.send(&peer_h2(server.address), request, Some(Bytes::from_static(b"hello")), LONG).await.unwrap();
    assert_eq!(answer.whole(5, LONG).await.unwrap(), "hello");

    let asked = &server.asked.lock()[0];
    assert_eq!((asked.uri().path(), asked.uri().authority().unwrap().as_str()), ("/path", "app.test"));
    let names: Vec<_> = asked.headers().keys().map(http::HeaderName::as_str).collect();
    assert!(
        names.contains(&"x-own") && !names.iter().any(|name| ["connection", "transfer-encoding", "te"].contains(name))
    );
}

#[tokio::test]
async fn an_http2_answer_that_is_dropped_resets_its_stream_and_leaves_the_connection_to_others() {
    let mut server = Server2::start(Does2::Stalls).await;
    let (client, peer) = (Client::new(), peer_h2(server.address));
    for reused in [false, true, true] {
        let mut answer = get(&client, &peer).await.unwrap();
        assert_eq!(answer.reused(), reused);
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "hello");
        drop(answer);
        assert_eq!(server.resets.recv().await, Some(h2::Reason::CANCEL));
    }
}

#[tokio::test]
async fn a_refused_stream_is_told_from_a_reset_one() {
    for (reason, failure) in [
        (h2::Reason::REFUSED_STREAM, Failure::RefusedStream),
        (h2::Reason::INTERNAL_ERROR, Failure::Reset),
        (h2::Reason::ENHANCE_YOUR_CALM, Failure::Reset),
    ] {
        let server = Server2::start(Does2::Resets(reason)).await;
        let error = get(&Client::new(), &peer_h2(server.address)).await.err().unwrap();
        assert_eq!(error.failure(), failure, "{error}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_http2_gives_an_error_and_no_connection() {
    let server = ByHand::start(Does::text("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")).await;
    let sent = client_error(&peer_h2(server.address)).await;
    assert!(matches!(sent.failure(), Failure::Connect | Failure::Reset | Failure::Protocol), "{sent}");
    until("the connection is closed", || server.open() == 0).await;
}

async fn client_error(peer: &HttpPeer) -> ClientError {
    get(&Client::new(), peer).await.err().unwrap()
}
