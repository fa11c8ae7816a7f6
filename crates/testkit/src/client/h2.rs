//! An HTTP/2 client on one connection.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Version};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::answer::Answer;
use crate::certs::Certs;
use crate::io::BoxIo;
use crate::{Call, Download, Fields, PatternCheck, call, within};

/// One HTTP/2 connection. Clones share it, and may send at the same time.
#[derive(Clone)]
pub struct H2Client {
    requests: SendRequest<Bytes>,
    scheme: &'static str,
    authority: String,
    _driver: std::sync::Arc<Driver>,
}

/// Moves the connection on; ends it when the last client is gone.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl H2Client {
    /// Connects by TCP with prior knowledge (RFC 9113 section 3.3).
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap_or_else(|error| panic!("{addr}: {error}"));
        stream.set_nodelay(true).expect("a connected socket");
        Self::over(Box::new(stream), "http", addr.to_string()).await
    }

    /// Connects by TLS, asks for `name`, and offers `h2` alone.
    pub async fn tls(addr: SocketAddr, name: &str, certs: &Certs) -> Self {
        let stream = super::tls::connect(addr, name, certs, b"h2").await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "the server does not speak h2");
        Self::over(Box::new(stream), "https", name.to_owned()).await
    }

    async fn over(stream: BoxIo, scheme: &'static str, authority: String) -> Self {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 22);
        let handshake = within("the HTTP/2 handshake", builder.handshake(stream)).await;
        let (requests, connection) = handshake.unwrap_or_else(|error| panic!("{authority}: {error}"));
        let driver = tokio::spawn(async move {
            // Its end shows in every exchange that it cuts.
            let _ = connection.await;
        });
        Self { requests, scheme, authority, _driver: std::sync::Arc::new(Driver(driver)) }
    }

    /// Sends a GET, and reads the answer.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(call(Method::GET, path)).await
    }

    /// Sends a request, and reads the answer. Panics when there is none.
    pub async fn send(&mut self, call: Call) -> Answer {
        self.try_send(call).await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Sends a request, and reads the answer; an error when the stream or the connection ends before it does.
    pub async fn try_send(&mut self, call: Call) -> Result<Answer, h2::Error> {
        Ok(self.exchange(call, true).await?.answer)
    }

    /// Sends a request, and checks the answer's body against the [`pattern`](crate::pattern()) without keeping it.
    pub async fn download(&mut self, call: Call) -> Download {
        self.exchange(call, false).await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    async fn exchange(&mut self, call: Call, keep: bool) -> Result<Download, h2::Error> {
        let Exchange { mut body, answer } = self.start(&call).await?;
        let read = async { read_all(within("the head of an answer", answer).await?, keep).await };
        let write = send_payload(&mut body, &call);
        tokio::pin!(read, write);
        let mut written = false;
        loop {
            tokio::select! {
                biased;
                answer = &mut read => return answer,
                // A server may refuse a body half-way: then there is an answer all the same.
                _ = &mut write, if !written => written = true,
            }
        }
    }

    /// Opens a stream with the head of `call`; what it carries is left to the test.
    pub async fn begin(&mut self, call: &Call) -> Exchange {
        self.try_begin(call).await.unwrap_or_else(|error| panic!("no stream: {error}"))
    }

    /// The same; an error when the server takes no more streams.
    pub async fn try_begin(&mut self, call: &Call) -> Result<Exchange, h2::Error> {
        let mut call = call.clone();
        if matches!(call.payload, crate::call::Payload::None) {
            call.payload = crate::call::Payload::Chunks(Vec::new());
        }
        self.start(&call).await
    }

    /// Sends a request that its head is all of, or the head of one that has a body; its answer is left to the test.
    pub async fn ask(&mut self, call: &Call) -> Exchange {
        self.start(call).await.unwrap_or_else(|error| panic!("no stream: {error}"))
    }

    async fn start(&mut self, call: &Call) -> Result<Exchange, h2::Error> {
        let bare = matches!(call.payload, crate::call::Payload::None);
        let requests = self.requests.clone();
        let mut ready = within("room for a stream", requests.ready()).await?;
        let (answer, body) = ready.send_request(call.h2_head(self.scheme, &self.authority), bare)?;
        Ok(Exchange { body, answer })
    }
}

impl std::fmt::Debug for H2Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "H2Client({})", self.authority)
    }
}

/// One stream: a request being sent, and its answer.
#[derive(Debug)]
pub struct Exchange {
    body: SendStream<Bytes>,
    answer: ResponseFuture,
}

impl Exchange {
    /// Sends a piece of the body.
    pub async fn send(&mut self, piece: impl Into<Bytes>) {
        send_piece(&mut self.body, piece.into(), false).await.expect("the piece is sent");
    }

    /// Sends a frame at once, be it empty; the server must have room for it.
    pub fn send_frame(&mut self, piece: impl Into<Bytes>) {
        self.body.send_data(piece.into(), false).expect("the frame is sent");
    }

    /// Ends the request.
    pub fn finish(&mut self) {
        self.body.send_data(Bytes::new(), true).expect("the end is sent");
    }

    /// Ends the request with trailers.
    pub fn finish_with(&mut self, trailers: HeaderMap) {
        self.body.send_trailers(trailers).expect("the trailers are sent");
    }

    /// Gives the request up (`RST_STREAM`).
    pub fn cancel(&mut self) {
        self.body.send_reset(h2::Reason::CANCEL);
    }

    /// The answer's head.
    pub async fn head(&mut self) -> Incoming {
        let head = within("the head of an answer", &mut self.answer).await;
        let (head, body) = head.unwrap_or_else(|error| panic!("no answer: {error}")).into_parts();
        Incoming { status: head.status.as_u16(), headers: Fields::from(&head.headers), body }
    }
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Incoming {
    /// The status code.
    pub status: u16,
    /// Header fields.
    pub headers: Fields,
    body: RecvStream,
}

impl Incoming {
    /// The next piece of the body; `None` at its end.
    pub async fn piece(&mut self) -> Option<Bytes> {
        self.try_piece().await.unwrap_or_else(|error| panic!("no more of the body: {error}"))
    }

    /// The same; an error when the stream ends before the body does.
    pub async fn try_piece(&mut self) -> Result<Option<Bytes>, h2::Error> {
        next(&mut self.body).await
    }

    /// The trailers, once the body has ended; none when there are none.
    pub async fn trailers(&mut self) -> Fields {
        let trailers = within("the trailers", self.body.trailers()).await.expect("trailers, or the end");
        trailers.as_ref().map(Fields::from).unwrap_or_default()
    }
}

/// An empty frame carries the end and nothing else, so it is no piece.
async fn next(body: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    while let Some(piece) = within("a piece of the answer", body.data()).await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        if !piece.is_empty() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

async fn read_all(response: http::Response<RecvStream>, keep: bool) -> Result<Download, h2::Error> {
    let (head, mut body) = response.into_parts();
    let mut kept = BytesMut::new();
    let mut check = PatternCheck::default();
    while let Some(piece) = next(&mut body).await? {
        match keep {
            true => kept.extend_from_slice(&piece),
            false => check.feed(&piece),
        }
    }
    let trailers = within("the trailers", body.trailers()).await?;
    let answer = Answer {
        status: head.status.as_u16(),
        version: Version::HTTP_2,
        headers: Fields::from(&head.headers),
        body: kept.freeze(),
        trailers: trailers.as_ref().map(Fields::from).unwrap_or_default(),
        interim: Vec::new(),
        raw_head: Bytes::new(),
    };
    Ok(Download { answer, check })
}

async fn send_payload(body: &mut SendStream<Bytes>, call: &Call) -> Result<(), h2::Error> {
    if matches!(call.payload, crate::call::Payload::None) {
        return Ok(());
    }
    let (mut index, mut offset) = (0, 0);
    while let Some(piece) = call.payload.piece(index, offset) {
        index += 1;
        offset += piece.len() as u64;
        send_piece(body, piece, false).await?;
    }
    body.send_data(Bytes::new(), true)
}

/// Sends no more than the other end has room for.
pub(crate) async fn send_piece(body: &mut SendStream<Bytes>, mut piece: Bytes, end: bool) -> Result<(), h2::Error> {
    while !piece.is_empty() {
        body.reserve_capacity(piece.len());
        let room = std::future::poll_fn(|cx| body.poll_capacity(cx));
        let room = match within("room for a piece", room).await {
            Some(room) => room?.min(piece.len()),
            None => return Err(h2::Reason::STREAM_CLOSED.into()),
        };
        let now = piece.split_to(room);
        body.send_data(now, end && piece.is_empty())?;
    }
    Ok(())
}
