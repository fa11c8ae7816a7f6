//! A small application on Pingora: what it answers depends on the path.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::ResponseHeader;
use pingora_proxy::{ProxyHttp, Session};
use tidegate_listener::Conn;
use tokio::sync::Semaphore;

/// `/hello` answers at once, `/wait` when the gate is opened, `/echo` with the length of the body, `/big` with 4 MiB,
/// `/conn` with what it knows about the connection, `/panic` never, and everything else is the upstream's.
pub(crate) struct App {
    pub(crate) requests: Arc<AtomicUsize>,
    pub(crate) waiting: Arc<Semaphore>,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) upstream: Option<SocketAddr>,
}

pub(crate) const BIG: usize = 4 << 20;

#[async_trait]
impl ProxyHttp for App {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, (): &mut ()) -> pingora_core::Result<bool> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let body = match session.req_header().uri.path() {
            "/hello" => Bytes::from_static(b"hello"),
            "/big" => Bytes::from(vec![b'b'; BIG]),
            "/conn" => about(session).into(),
            "/panic" => panic!("as asked for"),
            "/wait" => {
                self.waiting.add_permits(1);
                self.gate.acquire().await.expect("the gate is never closed").forget();
                Bytes::from_static(b"waited")
            }
            "/echo" => {
                let conn = Conn::of(session.digest()).cloned();
                let _body = conn.as_ref().map(|conn| conn.expect_body());
                self.waiting.add_permits(1);
                let mut length = 0;
                while let Some(chunk) = session.read_request_body().await? {
                    length += chunk.len();
                }
                length.to_string().into()
            }
            _ => return Ok(false),
        };
        let mut head = ResponseHeader::build(200, None)?;
        head.insert_header("content-length", body.len())?;
        session.write_response_header(Box::new(head), false).await?;
        session.write_response_body(Some(body), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora_core::Result<Box<HttpPeer>> {
        let upstream = self.upstream.expect("a test that proxies has an upstream");
        Ok(Box::new(HttpPeer::new(upstream, false, String::new())))
    }
}

fn about(session: &Session) -> String {
    let conn = Conn::of(session.digest()).expect("every connection is ours");
    let connection = conn.connection();
    let tls = connection.tls.as_ref();
    format!(
        "listener={} peer={} local={} sni={} version={} resumed={}",
        connection.listener,
        connection.peer.is_some_and(|peer| session.client_addr().and_then(|addr| addr.as_inet()) == Some(&peer)),
        connection.local.map_or_else(|| "none".into(), |local| local.to_string()),
        tls.and_then(|tls| tls.sni.as_deref()).unwrap_or("none"),
        tls.map_or("none", |tls| tls.version),
        tls.is_some_and(|tls| tls.resumed),
    )
}
