//! The router's own share in the requests of a route.

use tidegate_core::{Cx, Handler, RequestHeader, ResponseHeader, Result};

use crate::deprecation::Deprecation;
use crate::rewrite::Rewrite;

/// Of a route that only rewrites: its answers pass untouched, and cost nothing.
pub(crate) struct Rewrites(pub(crate) Rewrite);

impl Handler for Rewrites {
    fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        self.0.apply(cx, head)
    }
}

/// Of a route that will go.
pub(crate) struct Deprecates {
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) deprecation: Deprecation,
}

impl Handler for Deprecates {
    fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        self.rewrite.as_ref().map_or(Ok(()), |rewrite| rewrite.apply(cx, head))
    }

    async fn response(&self, _: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        self.deprecation.apply(head)
    }
}
