//! A server that sends what it was told to, byte for byte, and remembers the questions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::broadcast;
use tokio::task::{JoinHandle, JoinSet};

pub(crate) struct LittleServer {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    /// By the beginning of the path.
    answers: Mutex<BTreeMap<&'static str, Vec<u8>>>,
    heads: Mutex<Vec<String>>,
    /// What is sent on `/events`, to all who are connected.
    events: broadcast::Sender<String>,
}

impl LittleServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Shared::new();
        let task = tokio::spawn(accept(shared.clone(), async move || listener.accept().await.unwrap().0));
        Self { port, shared, task }
    }

    /// Its certificate is one that nobody knows.
    pub(crate) async fn over_tls(config: rustls::ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let shared = Shared::new();
        let accept_tls = async move || {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                if let Ok(tls) = acceptor.accept(tcp).await {
                    return tls;
                }
            }
        };
        let task = tokio::spawn(accept(shared.clone(), accept_tls));
        Self { port, shared, task }
    }

    pub(crate) fn on_socket(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let shared = Shared::new();
        let task = tokio::spawn(accept(shared.clone(), async move || listener.accept().await.unwrap().0));
        Self { port: 0, shared, task }
    }

    /// Sends this from now on to whoever asks for a path that begins so.
    pub(crate) fn says(&self, path: &'static str, answer: &[u8]) {
        self.shared.answers.lock().insert(path, answer.to_vec());
    }

    /// The same with a head of its own.
    pub(crate) fn says_body(&self, path: &'static str, fields: &str, body: &str) {
        self.says(path, format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    /// The heads of the questions for a path that begins so.
    pub(crate) fn asked(&self, path: &str) -> Vec<String> {
        let begins = format!("GET {path}");
        self.shared.heads.lock().iter().filter(|head| head.starts_with(&begins)).cloned().collect()
    }

    /// How many listen to `/events`.
    pub(crate) fn listeners(&self) -> usize {
        self.shared.events.receiver_count()
    }

    pub(crate) fn event(&self, event: &str) {
        self.shared.events.send(event.to_owned()).unwrap();
    }
}

impl Drop for LittleServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { answers: Mutex::default(), heads: Mutex::default(), events: broadcast::channel(16).0 })
    }
}

async fn accept<S>(shared: Arc<Shared>, accept: impl AsyncFn() -> S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let stream = accept().await;
        connections.spawn(answer(shared.clone(), stream));
    }
}

/// One question for each connection.
async fn answer(shared: Arc<Shared>, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let answer = shared.answers.lock().iter().find(|(begins, _)| path.starts_with(**begins)).map(|(_, a)| a.clone());
    let events = shared.events.subscribe();
    shared.heads.lock().push(head);
    // The client may have gone.
    match answer {
        Some(answer) => drop(stream.write_all(&answer).await),
        None if path.starts_with("/events") => send_events(stream, events).await,
        None => drop(stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await),
    }
}

async fn send_events(mut stream: impl AsyncWrite + Unpin, mut events: broadcast::Receiver<String>) {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut sent = stream.write_all(head).await;
    while sent.is_ok() {
        let Ok(event) = events.recv().await else { return };
        sent = stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await;
    }
}
