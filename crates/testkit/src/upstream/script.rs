//! What an upstream does with a request.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::events::Source;

const PIECE: usize = 4096;

/// What an upstream does with a request: an answer, and how it goes wrong.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) framing: Framed,
    pub(super) trailers: Vec<(String, String)>,
    pub(super) interim: Vec<(u16, Vec<(String, String)>)>,
    pub(super) before: Option<Act>,
    pub(super) at: Option<(u64, Act)>,
    pub(super) pace: Option<(usize, Duration)>,
    pub(super) early: bool,
    pub(super) close: bool,
    pub(super) then: Option<Box<Script>>,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Bytes(Bytes),
    Chunks(Vec<Bytes>),
    Pattern(u64),
    Echo,
    Events(Source),
    /// Not HTTP: these bytes, and what follows them.
    Raw(Bytes, Rest),
    /// 101, and then every byte back.
    Upgrade,
}

/// What follows raw bytes.
#[derive(Debug, Clone)]
pub(super) enum Rest {
    End,
    Silence,
    /// These, again and again.
    Endless(Bytes),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framed {
    /// As the body is: its length, or chunks.
    ByBody,
    Chunked,
    UntilClose,
    Claim(u64),
}

#[derive(Debug, Clone)]
pub(super) enum Act {
    Stall,
    Close,
    Reset,
    Wait(Gate),
    Delay(Duration),
}

/// Holds answers back until the test opens it. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<bool>);

/// A gate, closed.
pub fn gate() -> Gate {
    Gate(watch::Sender::new(false))
}

impl Gate {
    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        // The sender lives in `self`.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

impl Script {
    /// 200 with this body and its length.
    pub fn reply(body: impl Into<Bytes>) -> Self {
        Self::new(200, Body::Bytes(body.into()))
    }

    /// This status and an empty body.
    pub fn status(status: u16) -> Self {
        Self::new(status, Body::Bytes(Bytes::new()))
    }

    /// 200, and the body in these chunks (HTTP/1) or frames (HTTP/2).
    pub fn chunks<B: Into<Bytes>>(chunks: impl IntoIterator<Item = B>) -> Self {
        Self::new(200, Body::Chunks(chunks.into_iter().map(Into::into).collect()))
    }

    /// 200 with `length` bytes of the [`pattern`](crate::pattern()), made while they are sent.
    pub fn generated(length: u64) -> Self {
        Self::new(200, Body::Pattern(length))
    }

    /// 200 with the request's body, piece by piece as it comes: chunked if the request was, else by length.
    pub fn echo() -> Self {
        Self { early: true, ..Self::new(200, Body::Echo) }
    }

    /// These bytes, whether they are HTTP or not, and the end of the connection.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(0, Body::Raw(bytes.into(), Rest::End))
    }

    /// These bytes, whether they are HTTP or not, and then silence on an open connection: half a head, for one.
    pub fn raw_then_silence(bytes: impl Into<Bytes>) -> Self {
        Self::new(0, Body::Raw(bytes.into(), Rest::Silence))
    }

    /// These bytes, and then `again` as long as anybody takes it: a head without an end, or
    /// `HTTP/1.1 103 Early Hints\r\n\r\n` for ever.
    pub fn raw_without_end(bytes: impl Into<Bytes>, again: impl Into<Bytes>) -> Self {
        let again = again.into();
        assert!(!again.is_empty(), "nothing, again and again, is silence");
        // In pieces of a fair size: it is the reader that shall be busy.
        let again = again.repeat(1 + PIECE / again.len());
        Self::new(0, Body::Raw(bytes.into(), Rest::Endless(again.into())))
    }

    /// `101 Switching Protocols` to what the request asked for, and then every byte that comes, back.
    ///
    /// The 101 comes a moment later, as over a network. Pingora 0.9.1 has a race: where the 101 is there before its
    /// upstream half has looked for the end of the request's body, it takes that end for the end of the WebSocket, and
    /// closes both sides (`proxy_h1.rs`, `proxy_handle_upstream`).
    pub fn upgrade() -> Self {
        Self::new(101, Body::Upgrade).delay(Duration::from_millis(500))
    }

    /// No answer: the connection is closed when the request is there.
    pub fn close() -> Self {
        Self::reply("").acting(Act::Close)
    }

    /// No answer: the connection is reset when the request is there.
    pub fn reset() -> Self {
        Self::reply("").acting(Act::Reset)
    }

    /// No answer, ever.
    pub fn stall() -> Self {
        Self::reply("").acting(Act::Stall)
    }

    pub(super) fn new(status: u16, body: Body) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            framing: Framed::ByBody,
            trailers: Vec::new(),
            interim: Vec::new(),
            before: None,
            at: None,
            pace: None,
            early: false,
            close: false,
            then: None,
        }
    }

    fn acting(self, act: Act) -> Self {
        Self { before: Some(act), ..self }
    }

    /// The same with this status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Adds a header field, as it is. One called `Content-Length` or `Transfer-Encoding` replaces the script's own.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends the body chunked.
    #[must_use]
    pub fn chunked(self) -> Self {
        Self { framing: Framed::Chunked, ..self }
    }

    /// Sends the body without its length, and closes the connection after it.
    #[must_use]
    pub fn until_close(self) -> Self {
        Self { framing: Framed::UntilClose, ..self }
    }

    /// Says that the body has `length` bytes, whether it has or not; then closes.
    #[must_use]
    pub fn claiming(self, length: u64) -> Self {
        Self { framing: Framed::Claim(length), close: true, ..self }
    }

    /// Adds a field after the body.
    #[must_use]
    pub fn trailer(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }

    /// Sends a 1xx answer first.
    #[must_use]
    pub fn interim(mut self, status: u16, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.interim.push((status, headers.collect()));
        self
    }

    /// Holds the answer back until the gate opens.
    #[must_use]
    pub fn wait(self, gate: &Gate) -> Self {
        self.acting(Act::Wait(gate.clone()))
    }

    /// Sends the answer this much later. A test that needs an order rather than a time takes a [`gate`].
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        self.acting(Act::Delay(delay))
    }

    /// Holds the body back after `count` bytes, until the gate opens.
    #[must_use]
    pub fn wait_after(self, count: u64, gate: &Gate) -> Self {
        Self { at: Some((count, Act::Wait(gate.clone()))), ..self }
    }

    /// Sends `count` bytes of the body, and then nothing more, ever.
    #[must_use]
    pub fn stall_after(self, count: u64) -> Self {
        Self { at: Some((count, Act::Stall)), ..self }
    }

    /// Closes the connection after `count` bytes of the body.
    #[must_use]
    pub fn close_after(self, count: u64) -> Self {
        Self { at: Some((count, Act::Close)), ..self }
    }

    /// Resets the connection (HTTP/2: the stream) after `count` bytes of the body.
    #[must_use]
    pub fn reset_after(self, count: u64) -> Self {
        Self { at: Some((count, Act::Reset)), ..self }
    }

    /// Sends the body `size` bytes at a time, with a pause after each.
    #[must_use]
    pub fn trickle(self, size: usize, pause: Duration) -> Self {
        Self { pace: Some((size.max(1), pause)), ..self }
    }

    /// Answers before the request's body is read, and never reads it.
    #[must_use]
    pub fn early(self) -> Self {
        Self { early: true, close: true, ..self }
    }

    /// Closes the connection after the answer, without saying so first.
    #[must_use]
    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// The next request to the same path gets `next`; the last script stays for all that follow.
    #[must_use]
    pub fn then(mut self, next: Script) -> Self {
        self.then = Some(Box::new(match self.then.take() {
            Some(then) => then.then(next),
            None => next,
        }));
        self
    }

    /// Whether the request's body is read before the answer begins.
    pub(super) fn reads_first(&self) -> bool {
        !self.early
    }

    /// The place where something happens in the body, if it is within the next `length` bytes from `offset`.
    pub(super) fn act_within(&self, offset: u64, length: u64) -> Option<(u64, &Act)> {
        let (at, act) = self.at.as_ref()?;
        (*at >= offset && *at < offset + length).then(|| (*at - offset, act))
    }
}

/// A text as a body.
impl From<&'static str> for Script {
    fn from(body: &'static str) -> Self {
        Self::reply(body)
    }
}
