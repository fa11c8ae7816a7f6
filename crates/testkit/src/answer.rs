//! An answer, as a client got it.

use bytes::Bytes;
use http::Version;

use crate::Fields;

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The protocol.
    pub version: Version,
    /// Header fields, in order and with doubles.
    pub headers: Fields,
    /// The body, without its framing.
    pub body: Bytes,
    /// Fields after the body.
    pub trailers: Fields,
    /// The 1xx answers that came before.
    pub interim: Vec<Interim>,
    /// The head as it was on the wire; empty for HTTP/2.
    pub raw_head: Bytes,
}

/// A 1xx answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interim {
    /// The status code.
    pub status: u16,
    /// Its fields.
    pub headers: Fields,
}

impl Answer {
    /// The body as text; what isn't UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics with the body when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// The first value of a header field, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The same answer, if its status is `status`; panics with the answer when it isn't.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }
}

/// A head as HTTP/1 has it, read.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) headers: Fields,
    pub(crate) raw: Bytes,
}

impl Head {
    /// Panics on what is no answer: a gateway that sends such a thing has failed the test.
    pub(crate) fn parse(raw: Bytes) -> Self {
        let end = crate::io::find(&raw, b"\r\n").expect("a head has a first line");
        let first = String::from_utf8_lossy(&raw[..end]).into_owned();
        let mut words = first.split(' ');
        let version = match words.next() {
            Some("HTTP/1.1") => Version::HTTP_11,
            Some("HTTP/1.0") => Version::HTTP_10,
            _ => panic!("not an HTTP/1 answer: {first:?}"),
        };
        let status = words.next().and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {first:?}"));
        Self { status, version, headers: Fields::parse(&raw[end + 2..]), raw }
    }
}
