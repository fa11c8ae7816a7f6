//! The admin listener: `/metrics`, `/healthz`, `/readyz`.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use tidegate_core::Metrics;
use tidegate_core::prometheus::{Encoder, TextEncoder};

use crate::shared::Shared;

/// Answers on the admin listener.
pub(crate) struct Admin {
    pub shared: Arc<Shared>,
    pub metrics: Metrics,
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET and HEAD only\n");
            response.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match head.uri.path() {
            "/metrics" => self.metrics(),
            // The process is alive if it can say so.
            "/healthz" => answer(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => self.readiness(),
            _ => answer(StatusCode::NOT_FOUND, TEXT, "there are: /metrics /healthz /readyz\n"),
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

impl Admin {
    fn metrics(&self) -> Response<Vec<u8>> {
        let encoder = TextEncoder::new();
        let mut text = Vec::with_capacity(16 * 1024);
        match encoder.encode(&self.metrics.registry().gather(), &mut text) {
            Ok(()) => answer(StatusCode::OK, encoder.format_type(), text),
            Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("metrics: {error}\n")),
        }
    }

    /// Ready means: a configuration is loaded, listeners are bound, and nobody has asked the gateway to stop.
    fn readiness(&self) -> Response<Vec<u8>> {
        match self.shared.is_draining() {
            false => answer(StatusCode::OK, TEXT, "ready\n"),
            true => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n"),
        }
    }
}

fn answer(status: StatusCode, kind: &str, body: impl Into<Vec<u8>>) -> Response<Vec<u8>> {
    let body = body.into();
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    if let Ok(kind) = kind.parse() {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    *response.body_mut() = body;
    response
}
