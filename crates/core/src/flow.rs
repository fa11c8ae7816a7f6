//! What a hook decides, and how a request ended.

use std::time::Duration;

use crate::Reply;

/// What a request hook decides.
#[derive(Debug)]
pub enum Flow {
    /// On to the next plugin, and in the end to the upstream.
    Continue,
    /// Answer the client now. Plugins further in never see the request; every plugin of the route sees the answer.
    Respond(Reply),
}

/// Who made the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnsweredBy {
    /// An upstream.
    Upstream,
    /// The gateway: a refusal, an error, a redirect, an endpoint.
    Gateway,
    /// The cache.
    Cache,
    /// Nobody: the client went away before there was an answer.
    Nobody,
}

/// How a request ended; what [`Handler::finished`](crate::Handler::finished) and the access log see.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The status the client got; 499 when it left before there was one.
    pub status: u16,
    /// The stable name of the error that the gateway answered with ([`Reply::code`]); `None` for any other answer.
    pub code: Option<&'static str>,
    /// Who made the answer.
    pub answered_by: AnsweredBy,
    /// Bytes of body that came from the client.
    pub bytes_received: u64,
    /// Bytes of body that went to the client.
    pub bytes_sent: u64,
    /// From the end of the request head to the end of the answer.
    pub duration: Duration,
    /// Whether something failed on the way, in the gateway or the upstream.
    pub failed: bool,
}
