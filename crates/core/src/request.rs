//! What the gateway keeps for one request while it is being served.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::facts::Facts;
use crate::{Connection, Params, Scheme};

/// One request's state. The gateway makes and owns it; plugins see it through [`Cx`](crate::Cx).
#[derive(Debug)]
pub struct Request {
    /// What is known of the request.
    pub facts: Facts,
    /// What the route's path template captured.
    pub params: Params,
    /// The normalised path, where it differs from the one sent.
    pub path: Option<Box<str>>,
    /// The connection it came in by.
    pub connection: Arc<Connection>,
    /// As the client sees it: what a trusted proxy said, else the connection's own.
    pub scheme: Scheme,
    /// When its head was read.
    pub started: Instant,
    /// The body, where a plugin has read it before the upstream did.
    pub body: Option<Bytes>,
}
