//! A request that a test wants sent.

use bytes::Bytes;
use http::Method;

/// A request to be sent by one of the kit's clients. Nothing is added to it but `Host` (or `:authority`) and what
/// frames its body, unless it says so itself.
#[derive(Debug, Clone)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Payload,
}

/// What a request carries.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    None,
    Bytes(Bytes),
    Chunks(Vec<Bytes>),
    Pattern { length: u64, chunked: bool },
}

impl Payload {
    /// The piece at `index`, beginning at `offset` of the whole.
    pub(crate) fn piece(&self, index: usize, offset: u64) -> Option<Bytes> {
        match self {
            Payload::None => None,
            Payload::Bytes(bytes) => (index == 0).then(|| bytes.clone()),
            Payload::Chunks(chunks) => chunks.get(index).cloned(),
            Payload::Pattern { length, .. } => {
                (offset < *length).then(|| crate::pattern::piece(offset, length - offset))
            }
        }
    }

    fn length(&self) -> Option<u64> {
        match self {
            Payload::None | Payload::Chunks(_) | Payload::Pattern { chunked: true, .. } => None,
            Payload::Bytes(bytes) => Some(bytes.len() as u64),
            Payload::Pattern { length, chunked: false } => Some(*length),
        }
    }

    fn is_chunked(&self) -> bool {
        matches!(self, Payload::Chunks(_) | Payload::Pattern { chunked: true, .. })
    }
}

/// A request for `path`, which may have a query.
pub fn call(method: Method, path: impl Into<String>) -> Call {
    Call { method, path: path.into(), host: None, headers: Vec::new(), payload: Payload::None }
}

impl Call {
    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Asks for this host instead of the address connected to.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sends a body with its `Content-Length`.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.payload = Payload::Bytes(body.into());
        self
    }

    /// Sends a body in these chunks (HTTP/1) or frames (HTTP/2), its length unsaid.
    #[must_use]
    pub fn chunks<B: Into<Bytes>>(mut self, chunks: impl IntoIterator<Item = B>) -> Self {
        self.payload = Payload::Chunks(chunks.into_iter().map(Into::into).collect());
        self
    }

    /// Sends `length` bytes of the [`pattern`](crate::pattern()) with their `Content-Length`, made while they are sent.
    #[must_use]
    pub fn generated(mut self, length: u64) -> Self {
        self.payload = Payload::Pattern { length, chunked: false };
        self
    }

    /// Sends `length` bytes of the [`pattern`](crate::pattern()), their number unsaid.
    #[must_use]
    pub fn generated_chunked(mut self, length: u64) -> Self {
        self.payload = Payload::Pattern { length, chunked: true };
        self
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    /// The head as HTTP/1.1 has it.
    pub(crate) fn h1_head(&self, authority: &str) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !self.has("host") {
            push(&mut head, "Host", self.host.as_deref().unwrap_or(authority));
        }
        for (name, value) in &self.headers {
            push(&mut head, name, value);
        }
        let framed = self.has("content-length") || self.has("transfer-encoding");
        match self.payload.length() {
            Some(length) if !framed => push(&mut head, "Content-Length", &length.to_string()),
            None if !framed && self.payload.is_chunked() => push(&mut head, "Transfer-Encoding", "chunked"),
            _ => {}
        }
        head.push_str("\r\n");
        head
    }

    /// The head as HTTP/2 has it.
    pub(crate) fn h2_head(&self, scheme: &str, authority: &str) -> http::Request<()> {
        let authority = self.host.as_deref().unwrap_or(authority);
        let uri = format!("{scheme}://{authority}{}", self.path);
        let mut request = http::Request::builder().method(self.method.clone()).uri(uri).version(http::Version::HTTP_2);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(length) = self.payload.length().filter(|_| !self.has("content-length")) {
            request = request.header("content-length", length);
        }
        request.body(()).expect("a request that HTTP/2 can carry")
    }

    /// Whether chunks are written with their sizes.
    pub(crate) fn is_chunked(&self) -> bool {
        self.payload.is_chunked()
    }
}

fn push(head: &mut String, name: &str, value: &str) {
    head.push_str(name);
    head.push_str(": ");
    head.push_str(value);
    head.push_str("\r\n");
}
