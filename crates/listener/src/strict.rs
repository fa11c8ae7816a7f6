//! Which HTTP/1 heads we accept: only those that every server would read the same way.
//!
//! Pingora's parser forgives what RFC 9112 lets a recipient forgive: bare line feeds, a `Content-Length` beside a
//! `Transfer-Encoding`, equal duplicates. Each of those is a way to make two servers disagree on where a request
//! ends (request smuggling), so a gateway refuses them instead. The checks run on the raw bytes, before Pingora or
//! any plugin sees the head.
//!
//! Pure, and safe to call on anything.

use memchr::{memchr, memrchr};
use tidegate_core::fields::is_token;

/// Why a request is refused before anybody looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The status the client gets.
    pub status: u16,
    /// What is wrong, in a few words from a fixed list: fit for the client, a log line and a metric label.
    pub reason: &'static str,
}

impl Refusal {
    /// The stable name of what went wrong, as in the gateway's own errors.
    pub const fn code(&self) -> &'static str {
        match self.status {
            408 => "request_timeout",
            431 => "head_too_large",
            501 => "not_implemented",
            503 => "overloaded",
            505 => "version_not_supported",
            _ => "bad_request",
        }
    }
}

const fn bad(reason: &'static str) -> Refusal {
    Refusal { status: 400, reason }
}

/// The head did not arrive in time.
pub(crate) const TOO_SLOW: Refusal = Refusal { status: 408, reason: "the request head took too long" };
const TOO_LARGE: Refusal = Refusal { status: 431, reason: "the request head is too large" };
const TOO_MANY_FIELDS: Refusal = Refusal { status: 431, reason: "too many header fields" };
const BAD_VERSION: Refusal = Refusal { status: 505, reason: "only HTTP/1.0 and HTTP/1.1 are spoken here" };
/// A gateway is no tunnel, and Pingora would answer with its own name on it.
const NO_TUNNELS: Refusal = Refusal { status: 501, reason: "CONNECT is not served here" };

/// How much head is too much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// Bytes up to and including the empty line.
    pub(crate) bytes: usize,
    /// Header fields.
    pub(crate) fields: usize,
}

/// A complete, acceptable head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Where it begins: after the empty line that a client may send first (RFC 9112 section 2.2).
    pub(crate) start: usize,
    /// Where it ends: after the empty line.
    pub(crate) end: usize,
    /// Whether a request body follows.
    pub(crate) body: bool,
    /// Whether the client asks for another protocol.
    pub(crate) upgrade: bool,
}

/// Whether `head`, a request line, its header fields and the empty line, is acceptable.
///
/// Refused are: line ends other than CRLF, control characters, folded lines, space around a name, a `Host` that is
/// missing (HTTP/1.1), repeated, malformed or another one than in the request target, a `Content-Length` that is repeated or not a number, any
/// `Transfer-Encoding` but `chunked`, and the two together (RFC 9112 sections 2.2, 3.2, 5, 6.1 and 6.3).
///
/// # Errors
///
/// The refusal that the client is to get.
pub fn check_head(head: &[u8]) -> Result<(), Refusal> {
    let limits = HeadLimits { bytes: usize::MAX, fields: usize::MAX };
    match HeadScanner::new(limits).scan(head)? {
        Some(_) => Ok(()),
        None => Err(bad("the request head is incomplete")),
    }
}

/// Checks a head while it arrives, looking at each byte once.
#[derive(Debug)]
pub(crate) struct HeadScanner {
    limits: HeadLimits,
    /// Where the line begins that is not complete yet.
    line: usize,
    /// Up to where no more line end is to be found.
    searched: usize,
    start: usize,
    version: Option<Version>,
    /// The host and port in a request target that is a whole URI, which is rare.
    authority: Option<Box<[u8]>>,
    fields: usize,
    hosts: usize,
    content_length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

impl HeadScanner {
    pub(crate) fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            line: 0,
            searched: 0,
            start: 0,
            version: None,
            authority: None,
            fields: 0,
            hosts: 0,
            content_length: None,
            chunked: false,
            upgrade: false,
        }
    }

    /// Looks at what is new in `bytes`, which is all that arrived so far. `None`: the head isn't complete yet.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<Option<Head>, Refusal> {
        while let Some(length) = bytes.get(self.searched..).and_then(|rest| memchr(b'\n', rest)) {
            let end = self.searched + length;
            let line = bytes.get(self.line..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").ok_or(bad("a line does not end in CRLF"))?;
            (self.searched, self.line) = (end + 1, end + 1);
            if self.line > self.limits.bytes {
                return Err(TOO_LARGE);
            }
            match self.version {
                None if line.is_empty() && self.start == 0 => self.start = self.line,
                None => self.request_line(line)?,
                Some(version) if line.is_empty() => return self.finish(version).map(Some),
                Some(_) => self.field(line)?,
            }
        }
        self.searched = bytes.len();
        if bytes.len() > self.limits.bytes {
            return Err(TOO_LARGE);
        }
        self.refuse_early(bytes)
    }

    /// What can't begin a request is refused at its first byte: TLS spoken to a plain port has no line end to wait for.
    fn refuse_early(&self, bytes: &[u8]) -> Result<Option<Head>, Refusal> {
        match bytes.get(self.line) {
            Some(&first) if self.version.is_none() && first != b'\r' && !is_token(first) => {
                Err(bad("this is not HTTP"))
            }
            _ => Ok(None),
        }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        const MALFORMED: Refusal = bad("the request line is malformed");
        let (method, rest) = split_at(line, memchr(b' ', line)).ok_or(MALFORMED)?;
        let (target, version) = split_at(rest, memrchr(b' ', rest)).ok_or(MALFORMED)?;
        if method.is_empty() || !method.iter().copied().all(is_token) {
            return Err(MALFORMED);
        }
        self.version = Some(http_version(version)?.ok_or(MALFORMED)?);
        self.authority = request_target(method, target)?.map(Into::into);
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > self.limits.fields {
            return Err(TOO_MANY_FIELDS);
        }
        if line.first().is_some_and(|first| matches!(first, b' ' | b'\t')) {
            return Err(bad("folded header lines are obsolete"));
        }
        let (name, value) = split_at(line, memchr(b':', line)).ok_or(bad("a header line has no colon"))?;
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(bad("a header name has a forbidden character"));
        }
        if has_control(value) {
            return Err(bad("a header value has a control character"));
        }
        // Without control characters this trims spaces and tabs only.
        self.framing(name, value.trim_ascii())
    }

    /// The fields that decide where the request goes and where it ends.
    fn framing(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.hosts += 1;
        if self.hosts > 1 {
            return Err(bad("more than one Host"));
        }
        if !is_authority(value) {
            return Err(bad("the Host is malformed"));
        }
        // Which of the two the next server believes is anybody's guess.
        if self.authority.as_deref().is_some_and(|authority| authority != value) {
            return Err(bad("the Host is not the one in the request target"));
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.content_length.is_some() {
            return Err(bad("more than one Content-Length"));
        }
        self.content_length = Some(digits(value).ok_or(bad("the Content-Length is not a number"))?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(bad("the Transfer-Encoding is not just chunked"));
        }
        self.chunked = true;
        Ok(())
    }

    fn finish(&self, version: Version) -> Result<Head, Refusal> {
        match version {
            Version::Http11 if self.hosts == 0 => return Err(bad("the Host is missing")),
            // RFC 9112 section 6.1: such a message must be taken as faultily framed.
            Version::Http10 if self.chunked => return Err(bad("HTTP/1.0 has no Transfer-Encoding")),
            Version::Http10 | Version::Http11 => {}
        }
        if self.chunked && self.content_length.is_some() {
            return Err(bad("both Content-Length and Transfer-Encoding"));
        }
        let body = self.chunked || self.content_length.is_some_and(|length| length > 0);
        Ok(Head { start: self.start, end: self.line, body, upgrade: self.upgrade })
    }
}

/// `None`: that is no version at all.
fn http_version(version: &[u8]) -> Result<Option<Version>, Refusal> {
    match version {
        b"HTTP/1.1" => Ok(Some(Version::Http11)),
        b"HTTP/1.0" => Ok(Some(Version::Http10)),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(BAD_VERSION)
        }
        _ => Ok(None),
    }
}

/// RFC 9112 section 3.2. Returns the host and port, if they are in there.
fn request_target<'a>(method: &[u8], target: &'a [u8]) -> Result<Option<&'a [u8]>, Refusal> {
    const MALFORMED: Refusal = bad("the request target is malformed");
    if !target.iter().all(|&byte| byte > b' ' && byte != 0x7f && byte != b'#') || !is_uri(target) {
        return Err(MALFORMED);
    }
    match target {
        _ if method == b"CONNECT" => Err(NO_TUNNELS),
        [b'/', ..] => Ok(None),
        b"*" if method == b"OPTIONS" => Ok(None),
        _ => {
            let schemes: [&[u8]; 2] = [b"http://", b"https://"];
            let rest = schemes.iter().find_map(|scheme| without_prefix(target, scheme)).ok_or(MALFORMED)?;
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
            rest.get(..end).filter(|authority| is_authority(authority)).map(Some).ok_or(MALFORMED)
        }
    }
}

/// Some characters that no URI may have are sent all the same. Those that `http::Uri` doesn't forgive, Pingora would
/// refuse with an answer of its own; the rest is the router's to encode.
fn is_uri(target: &[u8]) -> bool {
    let odd = |byte: &u8| matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
    let Ok(text) = std::str::from_utf8(target) else { return false };
    !target.iter().any(odd) || http::Uri::try_from(text).is_ok()
}

/// What follows `prefix`, in whatever case it is written.
fn without_prefix<'a>(bytes: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = bytes.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// What is before and what is behind the byte at `place`.
fn split_at(bytes: &[u8], place: Option<usize>) -> Option<(&[u8], &[u8])> {
    let place = place?;
    Some((bytes.get(..place)?, bytes.get(place + 1..)?))
}

/// A number as RFC 9110 section 8.6 has it: no sign, no list.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether there is a control character other than the tab (RFC 9110 section 5.5).
fn has_control(value: &[u8]) -> bool {
    // No early exit: the compiler makes vector code of this.
    value.iter().fold(false, |found, &byte| found | ((byte < b' ') & (byte != b'\t')) | (byte == 0x7f))
}

/// Whether this is a host, and maybe a port (RFC 3986 section 3.2), without user information.
///
/// An empty host is invalid: no http or https URI has one (RFC 9110 section 4.2.1).
fn is_authority(text: &[u8]) -> bool {
    let host_end = match text.first() {
        Some(b'[') => memchr(b']', text).map_or(0, |end| end + 1),
        _ => memchr(b':', text).unwrap_or(text.len()),
    };
    let Some((host, port)) = text.split_at_checked(host_end) else { return false };
    let inner = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
    let port_is_good = match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    // A colon is in the host only between brackets: elsewhere it began the port.
    !inner.is_empty() && inner.iter().copied().all(is_host) && port_is_good
}

fn is_host(byte: u8) -> bool {
    const HOST: [bool; 256] = table(b"-._~%!$&'()*+;=:");
    HOST.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Letters, digits and `more`.
const fn table(more: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut place = 0;
    while place < more.len() {
        table[more[place] as usize] = true;
        place += 1;
    }
    table
}

#[cfg(test)]
#[path = "strict_tests.rs"]
mod tests;
