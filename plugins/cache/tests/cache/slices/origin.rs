//! An upstream that knows an object and serves parts of it, as it is told; it notes what it was asked for.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_core::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) fields: Vec<(String, String)>,
}

impl Asked {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// First and last byte of its `Range`.
    pub(super) fn range(&self) -> Option<(usize, usize)> {
        let (first, last) = self.field("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().unwrap_or(usize::MAX)))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// So much of the body is sent, and then the connection is closed.
    pub(super) until: Option<usize>,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, fields: Vec::new(), body: body.into(), until: None }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.fields.push((name.to_owned(), value.into()));
        self
    }
}

type Script = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

pub(super) struct Origin {
    addr: SocketAddr,
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Origin {
    pub(super) async fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Arc::new(script)));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (scripts, notes) = (script.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, scripts.clone(), notes.clone()));
            }
        });
        Self { addr, script, asked }
    }

    pub(super) fn target(&self) -> String {
        self.addr.to_string()
    }

    pub(super) fn now(&self, script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        *self.script.lock() = Arc::new(script);
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// The `Range` of each request since the last call, `-` for none.
    pub(super) fn ranges(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.asked.lock());
        asked.iter().map(|asked| asked.field("range").unwrap_or("-").to_owned()).collect()
    }
}

async fn serve(stream: TcpStream, script: Arc<Mutex<Script>>, notes: Arc<Mutex<Vec<Asked>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream).await {
        notes.lock().push(asked.clone());
        let script = script.lock().clone();
        let reply = script(&asked);
        let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
        if !reply.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding")) && reply.status != 304 {
            head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
        }
        reply.fields.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str("\r\n");
        let body = reply.body.slice(..reply.until.unwrap_or(reply.body.len()));
        let body = if asked.method == "HEAD" || reply.status == 304 { Bytes::new() } else { body };
        let written = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            stream.flush().await
        };
        if written.await.is_err() || reply.until.is_some() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let mut asked = Asked { method: words.next()?, path: words.next()?, fields: Vec::new() };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        asked.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length: usize = asked.field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(asked)
}

/// Serves `body` as RFC 9110 has it, with this tag, fresh for a minute.
pub(super) fn object(body: Bytes, tag: &'static str) -> impl Fn(&Asked) -> Reply + Send + Sync + Clone + 'static {
    move |asked| {
        let dress = |reply: Reply| {
            let reply = reply.with("ETag", tag).with("Cache-Control", "max-age=60").with("Content-Type", "video/mp4");
            reply.with("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
        };
        if asked.field("if-none-match") == Some(tag) {
            return dress(Reply::new(304, ""));
        }
        let total = body.len();
        match asked.range() {
            None => dress(Reply::new(200, body.clone())),
            Some((first, _)) if first >= total => {
                dress(Reply::new(416, "").with("Content-Range", format!("bytes */{total}")))
            }
            Some((first, last)) => {
                let end = last.saturating_add(1).min(total);
                let range = format!("bytes {first}-{}/{total}", end - 1);
                dress(Reply::new(206, body.slice(first..end)).with("Content-Range", range))
            }
        }
    }
}

/// Bytes by which each place in them can be told.
pub(super) fn bytes(length: usize, seed: u8) -> Bytes {
    (0..length).map(|at| (at.wrapping_mul(31) ^ (at / 251) ^ (at >> 16)) as u8 ^ seed).collect::<Vec<_>>().into()
}
