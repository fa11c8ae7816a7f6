use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::by_hand::{ByHand, Does};
use super::{Subject, subject, until};

/// What the Health service answers.
#[derive(Clone)]
enum Says {
    /// A message, and a status after it.
    Message(&'static [u8], &'static str),
    /// A status in the head.
    Status(&'static str),
    Plain(Response<()>),
    /// A message, and nothing after it.
    NoTrailers(&'static [u8]),
    Reset(h2::Reason),
    Nothing,
}

const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

/// The requests so far, with their messages.
type Asked = Arc<Mutex<Vec<(Request<()>, Vec<u8>)>>>;

struct Server {
    address: SocketAddr,
    asked: Asked,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(says: Says) -> Self {
        Self::start_with(says, None).await
    }

    async fn start_with(says: Says, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Asked::default();
        let keep = asked.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (says, asked, tls) = (says.clone(), keep.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        // A client that turns away is part of the stories.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, says, asked).await;
                            }
                        }
                        None => serve(stream, says, asked).await,
                    }
                });
            }
        });
        Self { address, asked, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, says: Says, asked: Asked) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, answer))) = connection.accept().await {
        let (says, asked) = (says.clone(), asked.clone());
        tokio::spawn(async move {
            let (head, mut body) = request.into_parts();
            let mut message = Vec::new();
            while let Some(Ok(chunk)) = body.data().await {
                message.extend(chunk);
            }
            asked.lock().push((Request::from_parts(head, ()), message));
            // As above.
            let _ = respond(answer, says).await;
        });
    }
}

async fn respond(mut to: SendResponse<Bytes>, says: Says) -> Result<(), h2::Error> {
    let head = || Response::builder().header("content-type", "application/grpc");
    match says {
        Says::Message(message, status) => {
            let mut body = to.send_response(head().body(()).unwrap(), false)?;
            body.send_data(Bytes::from_static(message), false)?;
            body.send_trailers(HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                HeaderValue::from_static(status),
            )]))
        }
        Says::Status(status) => {
            to.send_response(head().header("grpc-status", status).body(()).unwrap(), true).map(drop)
        }
        Says::Plain(head) => to.send_response(head, true).map(drop),
        Says::NoTrailers(message) => {
            let mut body = to.send_response(head().body(()).unwrap(), false)?;
            body.send_data(Bytes::from_static(message), true)
        }
        Says::Reset(reason) => {
            to.send_reset(reason);
            Ok(())
        }
        Says::Nothing => std::future::poll_fn(|cx| to.poll_reset(cx)).await.map(drop),
    }
}

fn checked(address: SocketAddr, more: &str) -> Subject {
    subject(address, &format!("protocol: h2, health: {{ type: grpc, {more} }}"))
}

async fn verdict(says: Says) -> String {
    verdict_within("20s", says).await
}

async fn verdict_within(timeout: &str, says: Says) -> String {
    let server = Server::start(says).await;
    checked(server.address, &format!("timeout: {timeout}")).check().await.err().unwrap_or_default()
}

#[tokio::test]
async fn the_health_service_is_asked() {
    let server = Server::start(Says::Message(SERVING, "0")).await;
    checked(server.address, "").check().await.unwrap();
    checked(server.address, "service: shop.Cart").check().await.unwrap();
    let asked = server.asked.lock();
    let (head, message) = &asked[0];
    assert_eq!((head.method().as_str(), head.uri().path()), ("POST", "/grpc.health.v1.Health/Check"));
    assert_eq!(
        (&head.headers()["content-type"], &head.headers()["te"]),
        (&"application/grpc".parse().unwrap(), &"trailers".parse().unwrap())
    );
    assert_eq!(message, &[0, 0, 0, 0, 0]);
    assert_eq!(asked[1].1, b"\0\0\0\0\x0b\x0a\x09shop.Cart");
}

#[tokio::test]
async fn only_serving_is_good() {
    assert_eq!(verdict(Says::Message(SERVING, "0")).await, "");
    assert_eq!(verdict(Says::Message(&[0, 0, 0, 0, 2, 8, 2], "0")).await, "NOT_SERVING");
    assert_eq!(verdict(Says::Message(&[0, 0, 0, 0, 0], "0")).await, "UNKNOWN");
    assert_eq!(verdict(Says::Message(&[0, 0, 0, 0, 2, 8, 3], "0")).await, "SERVICE_UNKNOWN");
    assert_eq!(verdict(Says::Message(&[0, 0, 0, 0, 2, 8, 9], "0")).await, "serving status 9");
}

#[tokio::test]
async fn a_status_other_than_ok_is_a_failure_that_says_which() {
    let unknown = "the server does not know the service (NOT_FOUND)";
    assert_eq!(verdict(Says::Status("5")).await, unknown);
    assert_eq!(verdict(Says::Message(&[], "5")).await, unknown);
    assert_eq!(verdict(Says::Status("12")).await, "the server has no health service (UNIMPLEMENTED)");
    assert_eq!(verdict(Says::Message(SERVING, "14")).await, "grpc-status 14");
    assert_eq!(verdict(Says::NoTrailers(SERVING)).await, "no grpc-status");
}

#[tokio::test]
async fn what_is_no_answer_of_a_health_service_is_a_failure() {
    let plain = |status: u16, kind: &str| {
        Says::Plain(Response::builder().status(status).header("content-type", kind).body(()).unwrap())
    };
    assert_eq!(verdict(plain(503, "text/plain")).await, "status 503");
    assert_eq!(verdict(plain(200, "text/html")).await, "the answer is not gRPC");
    let other = "the answer is not that of a health service";
    assert_eq!(verdict(Says::Message(b"hello", "0")).await, other);
    assert_eq!(verdict(Says::Message(&[7; 20_000], "0")).await, other);
    assert_eq!(verdict(Says::Reset(h2::Reason::REFUSED_STREAM)).await, "stream refused");
    assert!(verdict(Says::Reset(h2::Reason::INTERNAL_ERROR)).await.starts_with("stream reset"));
    assert_eq!(verdict_within("2s", Says::Nothing).await, "no answer within 2s");
}

#[tokio::test]
async fn a_server_of_http1_is_a_failure() {
    let server = ByHand::start(Does::text("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")).await;
    let reason = checked(server.address, "timeout: 300ms").check().await.unwrap_err();
    assert!(!reason.is_empty());
    until("the connection is closed", || server.open() == 0).await;
}

fn tls(protocols: &[&[u8]]) -> TlsAcceptor {
    let pair = rcgen::generate_simple_self_signed(["app.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(pair.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(vec![pair.cert.der().clone()], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_check_of_http_speaks_http2_where_requests_do() {
    let server = Server::start(Says::Plain(Response::new(()))).await;
    subject(server.address, "protocol: h2, health: {}").check().await.unwrap();
    let old = ByHand::start(Does::text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    subject(old.address, "protocol: h2, health: { timeout: 300ms }").check().await.unwrap_err();
}

/// Whatever requests speak, gRPC is HTTP/2.
#[tokio::test]
async fn over_tls_http2_is_agreed_on_or_it_is_a_failure() {
    for protocol in ["http1", "h2", "auto"] {
        let more = format!("protocol: {protocol}, tls: {{ verify: none }}, health: {{ type: grpc }}");
        let server = Server::start_with(Says::Message(SERVING, "0"), Some(tls(&[b"h2", b"http/1.1"]))).await;
        subject(server.address, &more).check().await.unwrap();
        let old = Server::start_with(Says::Nothing, Some(tls(&[]))).await;
        assert_eq!(subject(old.address, &more).check().await.unwrap_err(), "does not speak HTTP/2");
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_a_failure() {
    let server = Server::start_with(Says::Message(SERVING, "0"), Some(tls(&[b"h2"]))).await;
    let with = |tls: &str| format!("tls: {tls}, health: {{ type: grpc }}");
    subject(server.address, &with("{ verify: none, min_version: \"1.3\" }")).check().await.unwrap();
    let reason = subject(server.address, &with("{}")).check().await.unwrap_err();
    assert!(reason.starts_with("TLS handshake failed: "), "{reason}");
}
