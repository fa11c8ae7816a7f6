//! An HTTP/1 client on one connection.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use http::Method;
use tokio::net::{TcpStream, UnixStream};

use crate::answer::{Answer, Head, Interim};
use crate::certs::Certs;
use crate::io::{BodyState, BoxIo, Framing, Reader, Writer, join, split};
use crate::{Call, Fields, PatternCheck, call, within};

/// One connection to a server, over which requests go one after the other.
pub struct Client {
    reader: Reader,
    writer: Writer,
    authority: String,
    body: Option<BodyState>,
}

/// A body that was checked and thrown away while it came in.
#[derive(Debug, Clone)]
pub struct Download {
    /// The answer, its body left out.
    pub answer: Answer,
    /// The body's length, and whether it was the kit's [`pattern`](crate::pattern()).
    pub check: PatternCheck,
}

impl Client {
    /// Connects by TCP.
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap_or_else(|error| panic!("{addr}: {error}"));
        stream.set_nodelay(true).expect("a connected socket");
        Self::over(Box::new(stream), addr.to_string())
    }

    /// Connects by TLS, and asks for `name`.
    pub async fn tls(addr: SocketAddr, name: &str, certs: &Certs) -> Self {
        let stream = super::tls::connect(addr, name, certs, b"http/1.1").await;
        Self::over(Box::new(stream), name.to_owned())
    }

    /// Connects to a unix socket.
    pub async fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).await.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::over(Box::new(stream), "localhost".to_owned())
    }

    /// Talks over a connection that is there; `authority` is what `Host` says.
    pub fn over(stream: BoxIo, authority: impl Into<String>) -> Self {
        let (reader, writer) = split(stream);
        Self { reader, writer, authority: authority.into(), body: None }
    }

    /// Sends a GET, and reads the answer.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(call(Method::GET, path)).await
    }

    /// Sends a request, and reads the answer. Panics when there is none.
    pub async fn send(&mut self, call: Call) -> Answer {
        self.try_send(call).await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Sends a request, and reads the answer; an error when the connection ends before the answer does.
    ///
    /// The answer is read while the request is still being sent, as a server may refuse a body half-way.
    pub async fn try_send(&mut self, call: Call) -> io::Result<Answer> {
        let download = self.exchange(call, true).await?;
        Ok(download.answer)
    }

    /// Sends a request, and checks the answer's body against the [`pattern`](crate::pattern()) without keeping it.
    pub async fn download(&mut self, call: Call) -> Download {
        self.exchange(call, false).await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    async fn exchange(&mut self, call: Call, keep: bool) -> io::Result<Download> {
        let Self { reader, writer, authority, .. } = self;
        let read = read_answer(reader, &call.method, keep);
        let write = write_call(writer, &call, authority);
        tokio::pin!(read, write);
        let mut written = None;
        loop {
            tokio::select! {
                biased;
                answer = &mut read => return answer.map_err(|error| written.take().unwrap_or(error)),
                result = &mut write, if written.is_none() => match result {
                    Ok(()) => return read.await,
                    Err(error) => written = Some(error),
                },
            }
        }
    }

    /// Sends a request and nothing more; read the answer with [`Client::answer`] or [`Client::head`].
    pub async fn begin(&mut self, call: &Call) {
        let Self { writer, authority, .. } = self;
        write_call(writer, call, authority).await.expect("the request is sent");
    }

    /// Writes these bytes as they are.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        within("bytes to be sent", self.writer.write(bytes.as_ref())).await.expect("the bytes are sent");
    }

    /// Writes these bytes as they are; an error when the other end is gone.
    pub async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within("bytes to be sent", self.writer.write(bytes.as_ref())).await
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        self.writer.shutdown().await.expect("the end is sent");
    }

    /// Reads the answer to a request that was not a HEAD.
    pub async fn answer(&mut self) -> Answer {
        self.try_answer().await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// The same; an error when the connection ends before the answer does.
    pub async fn try_answer(&mut self) -> io::Result<Answer> {
        Ok(read_answer(&mut self.reader, &Method::GET, true).await?.answer)
    }

    /// Reads the head of an answer; its body is left for [`Client::piece`].
    pub async fn head(&mut self) -> Answer {
        let (head, interim) = read_head(&mut self.reader).await.unwrap_or_else(|error| panic!("no answer: {error}"));
        self.body = framing(&head, &Method::GET).map(|framing| self.reader.body(framing).state());
        answer(head, interim, Bytes::new(), Bytes::new())
    }

    /// The next piece of the body whose head was read by [`Client::head`]; `None` at its end.
    pub async fn piece(&mut self) -> Option<Bytes> {
        self.try_piece().await.unwrap_or_else(|error| panic!("no more of the body: {error}"))
    }

    /// The same; an error when the connection ends before the body does.
    pub async fn try_piece(&mut self) -> io::Result<Option<Bytes>> {
        let Some(state) = self.body else { return Ok(None) };
        let mut body = self.reader.resume(state);
        let piece = within("a piece of the body", body.next()).await;
        self.body = Some(body.state());
        piece
    }

    /// Everything that comes until the connection ends, however it ends.
    pub async fn until_closed(&mut self) -> Bytes {
        let mut all = BytesMut::new();
        while let Ok(piece) = within("the connection to end", self.reader.some(u64::MAX)).await {
            if piece.is_empty() {
                break;
            }
            all.extend_from_slice(&piece);
        }
        all.freeze()
    }

    /// At least `count` bytes of what comes, as it is; fewer only when the connection ends.
    pub async fn bytes(&mut self, count: usize) -> Bytes {
        let mut all = BytesMut::new();
        while all.len() < count {
            let left = (count - all.len()) as u64;
            match within("bytes", self.reader.some(left)).await {
                Ok(piece) if !piece.is_empty() => all.extend_from_slice(&piece),
                _ => break,
            }
        }
        all.freeze()
    }

    /// The bare connection, with what was read of it and not used.
    pub fn into_stream(self) -> (Bytes, BoxIo) {
        join(self.reader, self.writer)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.authority)
    }
}

async fn write_call(writer: &mut Writer, call: &Call, authority: &str) -> io::Result<()> {
    let mut bytes = call.h1_head(authority).into_bytes();
    let (mut index, mut offset) = (0, 0);
    while let Some(piece) = call.payload.piece(index, offset) {
        index += 1;
        offset += piece.len() as u64;
        if call.is_chunked() {
            bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        }
        bytes.extend_from_slice(&piece);
        if call.is_chunked() {
            bytes.extend_from_slice(b"\r\n");
        }
        within("a piece of the request to be sent", writer.write(&bytes)).await?;
        bytes.clear();
    }
    if call.is_chunked() {
        bytes.extend_from_slice(b"0\r\n\r\n");
    }
    within("the request to be sent", writer.write(&bytes)).await
}

async fn read_head(reader: &mut Reader) -> io::Result<(Head, Vec<Interim>)> {
    let mut interim = Vec::new();
    loop {
        let raw = within("the head of an answer", reader.head()).await?;
        let raw = raw.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"))?;
        let head = Head::parse(raw);
        if (100..200).contains(&head.status) && head.status != 101 {
            interim.push(Interim { status: head.status, headers: head.headers });
            continue;
        }
        return Ok((head, interim));
    }
}

async fn read_answer(reader: &mut Reader, method: &Method, keep: bool) -> io::Result<Download> {
    let (head, interim) = read_head(reader).await?;
    let mut kept = BytesMut::new();
    let mut check = PatternCheck::default();
    let mut trailers = Bytes::new();
    if let Some(framing) = framing(&head, method) {
        let mut body = reader.body(framing);
        while let Some(piece) = within("a piece of the answer", body.next()).await? {
            match keep {
                true => kept.extend_from_slice(&piece),
                false => check.feed(&piece),
            }
        }
        trailers = body.trailers;
    }
    Ok(Download { answer: answer(head, interim, kept.freeze(), trailers), check })
}

fn answer(head: Head, interim: Vec<Interim>, body: Bytes, trailers: Bytes) -> Answer {
    let Head { status, version, headers, raw } = head;
    Answer { status, version, headers, body, trailers: Fields::parse(&trailers), interim, raw_head: raw }
}

/// How an answer's body ends; `None` when it has none (RFC 9112 section 6.3).
fn framing(head: &Head, method: &Method) -> Option<Framing> {
    if method == Method::HEAD || head.status < 200 || head.status == 204 || head.status == 304 {
        return None;
    }
    if head.headers.all("transfer-encoding").any(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return Some(Framing::Chunked);
    }
    match head.headers.get("content-length") {
        Some(length) => Some(Framing::Length(length.parse().expect("a length"))),
        None => Some(Framing::UntilClose),
    }
}
