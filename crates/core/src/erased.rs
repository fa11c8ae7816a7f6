//! A typed handler as one link of a chain. For the gateway; not part of the plugin API.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use pingora_http::{RequestHeader, ResponseHeader};

use crate::{Asked, CachePolicy, Cx, Flow, Handler, Outcome, Result};

pub use crate::cx::{head_and_facts, head_of};

/// A boxed hook; a default hook's has no size, so its box allocates nothing.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// [`Handler`] with its types forgotten.
#[allow(missing_docs)]
pub trait Link: Send + Sync {
    fn early_request<'a>(&'a self, cx: &'a mut Cx<'_>) -> Boxed<'a, Flow>;
    fn request<'a>(&'a self, cx: &'a mut Cx<'_>) -> Boxed<'a, Flow>;
    fn request_body<'a>(&'a self, cx: &'a mut Cx<'_>, body: &'a mut Bytes, end: bool) -> Boxed<'a, Flow>;
    fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()>;
    fn upstream_response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()>;
    fn upstream_response_body(&self, cx: &mut Cx<'_>, body: &mut Bytes, end: bool) -> Result<()>;
    fn response<'a>(&'a self, cx: &'a mut Cx<'_>, head: &'a mut ResponseHeader) -> Boxed<'a, ()>;
    fn response_body(&self, cx: &mut Cx<'_>, body: &mut Bytes, end: bool) -> Result<()>;
    fn cache(&self) -> Option<&dyn CachePolicy>;
    fn finished(&self, cx: &Cx<'_>, outcome: &Outcome);
    fn explain(&self, asked: &Asked<'_>) -> Vec<String>;
}

impl<H: Handler> Link for H {
    fn early_request<'a>(&'a self, cx: &'a mut Cx<'_>) -> Boxed<'a, Flow> {
        Box::pin(Handler::early_request(self, cx))
    }
    fn request<'a>(&'a self, cx: &'a mut Cx<'_>) -> Boxed<'a, Flow> {
        Box::pin(Handler::request(self, cx))
    }
    fn request_body<'a>(&'a self, cx: &'a mut Cx<'_>, body: &'a mut Bytes, end: bool) -> Boxed<'a, Flow> {
        Box::pin(Handler::request_body(self, cx, body, end))
    }
    fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        Handler::upstream_request(self, cx, head)
    }
    fn upstream_response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        Handler::upstream_response(self, cx, head)
    }
    fn upstream_response_body(&self, cx: &mut Cx<'_>, body: &mut Bytes, end: bool) -> Result<()> {
        Handler::upstream_response_body(self, cx, body, end)
    }
    fn response<'a>(&'a self, cx: &'a mut Cx<'_>, head: &'a mut ResponseHeader) -> Boxed<'a, ()> {
        Box::pin(Handler::response(self, cx, head))
    }
    fn response_body(&self, cx: &mut Cx<'_>, body: &mut Bytes, end: bool) -> Result<()> {
        Handler::response_body(self, cx, body, end)
    }
    fn cache(&self) -> Option<&dyn CachePolicy> {
        Handler::cache(self)
    }
    fn finished(&self, cx: &Cx<'_>, outcome: &Outcome) {
        Handler::finished(self, cx, outcome);
    }
    fn explain(&self, asked: &Asked<'_>) -> Vec<String> {
        Handler::explain(self, asked)
    }
}
