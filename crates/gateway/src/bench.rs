//! The chain by itself, for benchmarks. Not part of the library's interface.

use pingora_http::{RequestHeader, ResponseHeader};
use tidegate_core::erased::Link;
use tidegate_core::{Cx, Flow, Metrics};

use crate::chain::{Chain, Failures, Step};

/// A route's chain without a gateway around it.
pub struct BareChain(Chain);

impl BareChain {
    /// These links, in this order.
    pub fn new(links: Vec<Box<dyn Link>>) -> Self {
        let metrics = Metrics::new();
        let step = |link| {
            let failures =
                Failures::new("bench", &metrics).unwrap_or_else(|error| unreachable!("a new registry: {error}"));
            Step { plugin: "bench", link, failures }
        };
        Self(Chain::new(links.into_iter().map(step).collect()))
    }

    /// Every hook of a small request and its answer, once; whether it was let through.
    pub async fn run(&self, cx: &mut Cx<'_>, request: &mut RequestHeader, response: &mut ResponseHeader) -> bool {
        let mut body = bytes::Bytes::new();
        matches!(self.0.request(cx).await, Ok(Flow::Continue))
            && self.0.upstream_request(cx, request).is_ok()
            && self.0.upstream_response(cx, response).is_ok()
            && self.0.response(cx, response).await.is_ok()
            && self.0.response_body(cx, &mut body, true).is_ok()
    }
}
