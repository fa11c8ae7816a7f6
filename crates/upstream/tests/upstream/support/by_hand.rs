//! A server whose answers are written by hand, byte for byte. It keeps what it was asked.
#![allow(dead_code, reason = "who includes this uses what it needs")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

/// What it does when it was asked.
#[derive(Clone)]
pub(crate) enum Does {
    /// Answers, and closes.
    Says(Vec<u8>),
    /// Answers, and waits for the client to close.
    Holds(Vec<u8>),
    /// Answers, and repeats the second without end.
    Endless(Vec<u8>, Vec<u8>),
}

impl Does {
    pub(crate) fn text(answer: &str) -> Self {
        Self::Says(answer.into())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Holds(format!("HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n").into())
    }

    pub(crate) fn body(body: &str) -> Self {
        Self::Holds(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into())
    }

    pub(crate) fn nothing() -> Self {
        Self::Holds(Vec::new())
    }
}

pub(crate) struct ByHand {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

struct Seen {
    does: Mutex<Does>,
    asked: Mutex<Vec<String>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
    written: AtomicUsize,
}

impl ByHand {
    pub(crate) async fn start(does: Does) -> Self {
        Self::start_at("127.0.0.1:0", does).await
    }

    pub(crate) async fn start_at(address: &str, does: Does) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::new(does);
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, seen.clone()));
                }
            }
        });
        Self { address, seen, task }
    }

    pub(crate) fn start_unix(path: &std::path::Path, does: Does) -> Self {
        let listener = tokio::net::UnixListener::bind(path).unwrap();
        let seen = Seen::new(does);
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, seen.clone()));
                }
            }
        });
        Self { address: ([127, 0, 0, 1], 0).into(), seen, task }
    }

    pub(crate) fn now_does(&self, does: Does) {
        *self.seen.does.lock() = does;
    }

    /// The heads of all requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen.asked.lock().clone()
    }

    /// How many requests so far.
    pub(crate) fn count(&self) -> usize {
        self.seen.asked.lock().len()
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// How many were open at a time.
    pub(crate) fn most_open(&self) -> usize {
        self.seen.most_open.load(Ordering::SeqCst)
    }

    /// How many bytes the clients, or the system for them, have taken.
    pub(crate) fn written(&self) -> usize {
        self.seen.written.load(Ordering::SeqCst)
    }
}

/// A port at which nobody listens but who is told of it: while the socket lives, no other test is given it.
pub(crate) fn kept_port() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    // Without this a server of this test could not listen there, either.
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    (socket.local_addr().unwrap(), socket)
}

impl Drop for ByHand {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn new(does: Does) -> Arc<Self> {
        Arc::new(Self {
            does: Mutex::new(does),
            asked: Mutex::default(),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
        })
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite, seen: Arc<Seen>) {
    let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most_open.fetch_max(open, Ordering::SeqCst);
    // A client that turns away is part of the stories.
    let _ = answer(stream, &seen).await;
    seen.open.fetch_sub(1, Ordering::SeqCst);
}

async fn answer(stream: impl AsyncRead + AsyncWrite, seen: &Seen) -> std::io::Result<()> {
    let mut stream = std::pin::pin!(stream);
    while let Some(head) = read_head(&mut stream).await? {
        seen.asked.lock().push(head);
        let does = seen.does.lock().clone();
        match does {
            Does::Says(answer) => return stream.write_all(&answer).await,
            Does::Holds(answer) => stream.write_all(&answer).await?,
            Does::Endless(start, again) => {
                stream.write_all(&start).await?;
                loop {
                    stream.write_all(&again).await?;
                    seen.written.fetch_add(again.len(), Ordering::SeqCst);
                }
            }
        }
    }
    Ok(())
}

/// `None`: there is no further request.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.extend(byte);
    }
    Ok(Some(String::from_utf8(head).unwrap().to_ascii_lowercase()))
}
