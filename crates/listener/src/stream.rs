//! The connection as Pingora's `IO`: plain or TLS, with what it needs to know about itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf, BufMut, BytesMut};
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID,
};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::conn::Conn;
use crate::digest;
use crate::io::SocketIo;
use crate::linger;
use crate::pulse::Pulse;
use crate::registration::{Registration, Slot};
use crate::write::Outbox;

/// Bytes as HTTP sees them.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(SocketIo),
    Tls(Box<TlsStream<SocketIo>>),
}

impl Transport {
    pub(crate) fn socket(&self) -> &SocketIo {
        match self {
            Self::Plain(io) => io,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    pub(crate) fn write(&mut self) -> Pin<&mut (dyn AsyncWrite + Send + Unpin)> {
        match self {
            Self::Plain(io) => Pin::new(io),
            Self::Tls(tls) => Pin::new(&mut **tls),
        }
    }

    fn read(&mut self) -> Pin<&mut (dyn AsyncRead + Send + Unpin)> {
        match self {
            Self::Plain(io) => Pin::new(io),
            Self::Tls(tls) => Pin::new(&mut **tls),
        }
    }
}

/// A client's connection. Dropping it gives back everything it took up.
#[derive(Debug)]
pub(crate) struct ClientStream {
    transport: Transport,
    /// Read already, to be read first.
    unread: BytesMut,
    outbox: Outbox,
    /// HTTP/2, by ALPN or prior knowledge.
    http2: bool,
    /// Whether the client may still be sending when we close: it must get to read what we said (RFC 9112 section 9.6).
    lingers: bool,
    conn: Arc<Conn>,
    proxy_digest: Arc<ProxyDigest>,
    socket_digest: Arc<SocketDigest>,
    ssl_digest: Option<Arc<SslDigest>>,
    slot: Option<Slot>,
    _registration: Registration,
}

/// How much is read at once while a head is awaited; most heads are smaller.
const READ: usize = 4096;

impl ClientStream {
    pub(crate) fn new(transport: Transport, conn: Arc<Conn>, slot: Slot, registration: Registration) -> Self {
        let http2 = conn.connection().tls.as_ref().is_some_and(|tls| tls.alpn.as_deref() == Some(b"h2"));
        Self {
            unread: BytesMut::new(),
            outbox: Outbox::default(),
            http2,
            lingers: false,
            proxy_digest: Arc::new(digest::proxy(&conn)),
            socket_digest: Arc::new(digest::socket(conn.connection(), transport.socket().socket())),
            ssl_digest: conn.connection().tls.as_ref().map(|tls| Arc::new(digest::ssl(tls))),
            transport,
            conn,
            slot: Some(slot),
            _registration: registration,
        }
    }

    pub(crate) fn conn(&self) -> &Arc<Conn> {
        &self.conn
    }

    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        self.conn.pulse()
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http2
    }

    /// The client speaks HTTP/2, as these first bytes of it show.
    pub(crate) fn begin_http2(&mut self, read: BytesMut) {
        self.http2 = true;
        self.unread = read;
        // HTTP/2 has a buffer of its own.
        self.outbox.pass_through();
    }

    /// Whether the client may still be sending something when this is closed.
    pub(crate) fn set_lingers(&mut self, lingers: bool) {
        self.lingers = lingers;
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest {
            ssl_digest: self.ssl_digest.clone(),
            timing_digest: Vec::new(),
            proxy_digest: Some(self.proxy_digest.clone()),
            socket_digest: Some(self.socket_digest.clone()),
        }
    }

    /// Appends what there is to `head`, which takes up no memory as long as there is nothing.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>, head: &mut BytesMut) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(io) => {
                ready!(io.socket().poll_read_ready(cx))?;
                if head.capacity() - head.len() < READ / 4 {
                    head.reserve(READ);
                }
                let read = ready!(io.socket().poll_read(cx, head))?;
                io.has_read(read);
                Poll::Ready(Ok(read))
            }
            Transport::Tls(tls) => {
                let mut tls = Pin::new(&mut **tls);
                let data = ready!(tls.as_mut().poll_fill_buf(cx))?;
                let read = data.len();
                head.put_slice(data);
                tls.consume(read);
                Poll::Ready(Ok(read))
            }
        }
    }

    /// Sends what is left, and says that this was all.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        AsyncWriteExt::shutdown(self).await
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        let io = self.transport.socket();
        if let (true, false, Some(slot)) = (self.lingers, io.ended(), self.slot.take()) {
            linger::spawn(io.socket().clone(), slot);
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unread.is_empty() {
            return this.transport.read().poll_read(cx, buf);
        }
        let length = this.unread.len().min(buf.remaining());
        buf.put_slice(&this.unread.split_to(length));
        if !this.unread.has_remaining() {
            this.unread = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.outbox.poll_write(&mut this.transport, cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.outbox.poll_write(&mut this.transport, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.outbox.poll_empty(&mut this.transport, cx))?;
        this.transport.write().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.outbox.poll_empty(&mut this.transport, cx))?;
        this.transport.write().poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        // The client may be gone, which is as well.
        _ = self.finish().await;
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> i32 {
        use std::os::fd::AsRawFd;
        self.transport.socket().socket().as_raw_fd()
    }
}

impl Ssl for ClientStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.ssl_digest.clone()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(if self.http2 { ALPN::H2 } else { ALPN::H1 })
    }
}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.proxy_digest.clone())
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.socket_digest.clone())
    }
}

/// We look for the HTTP/2 preface ourselves.
impl Peek for ClientStream {}
