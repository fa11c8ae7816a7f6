//! The admin listener: `/metrics`, `/healthz`, `/readyz`, `/upstreams`, and what plugins show under their names.

mod upstreams;

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Method, Response, StatusCode, header};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;
use tidegate_core::prometheus::{Encoder, TextEncoder};
use tidegate_core::{AdminRequest, Body, Metrics, Reply};

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
        let own = match head.uri.path() {
            "/metrics" => Admin::metrics,
            // The process is alive if it can say so.
            "/healthz" => |_: &Admin| answer(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => Admin::readiness,
            path => {
                let rest = path.strip_prefix("/upstreams").filter(|rest| rest.is_empty() || rest.starts_with('/'));
                return match rest.map(|rest| rest.trim_start_matches('/').to_owned()) {
                    Some(rest) => self.upstreams(&rest, session).await,
                    None => self.plugin(head).await,
                };
            }
        };
        match head.method {
            Method::GET | Method::HEAD => own(self),
            _ => only("GET, HEAD"),
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

impl Admin {
    /// What a plugin answers to `/<plugin>/<path>`.
    async fn plugin(&self, head: &RequestHeader) -> Response<Vec<u8>> {
        if comes_from_a_page(head) {
            return from_a_page();
        }
        let generation = self.shared.current.load_full();
        let path = head.uri.path().trim_start_matches('/');
        let (name, path) = path.split_once('/').unwrap_or((path, ""));
        let admin = generation.admins.iter().find(|(plugin, _)| *plugin == name);
        let request = AdminRequest { method: &head.method, path, query: head.uri.query().unwrap_or_default() };
        let reply = match admin {
            Some((_, admin)) => admin.answer(&request).await,
            None => None,
        };
        reply.map_or_else(|| unknown(&generation.admins), write)
    }

    async fn upstreams(&self, rest: &str, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        if comes_from_a_page(head) {
            return from_a_page();
        }
        let method = head.method.clone();
        let generation = self.shared.current.load_full();
        upstreams::upstreams(&generation.upstreams, &method, rest, session).await
    }

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

/// A page in the browser of somebody who can reach this listener must not reset limits: browsers say where a request
/// comes from (the Fetch standard, section 3.2), and tools don't.
fn comes_from_a_page(head: &RequestHeader) -> bool {
    let site = head.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let foreign = site.is_some_and(|site| site != b"none" && site != b"same-origin");
    foreign || !matches!(head.method, Method::GET | Method::HEAD) && head.headers.contains_key(header::ORIGIN)
}

fn from_a_page() -> Response<Vec<u8>> {
    answer(StatusCode::FORBIDDEN, TEXT, "not from a web page\n")
}

fn unknown(plugins: &[(&'static str, Arc<dyn tidegate_core::Admin>)]) -> Response<Vec<u8>> {
    let mut text = "there are: /metrics /healthz /readyz /upstreams".to_owned();
    for (name, admin) in plugins {
        for path in admin.paths() {
            text.extend([" /", name, "/", path]);
        }
    }
    text.push('\n');
    answer(StatusCode::NOT_FOUND, TEXT, text)
}

/// A plugin's reply. Errors are for people who run the gateway: no problem details, just the text.
fn write(reply: Reply) -> Response<Vec<u8>> {
    let (status, headers, body) = reply.into_parts();
    let mut response = match body {
        Body::Empty => answer(status, TEXT, Vec::new()),
        Body::Bytes(bytes) => answer(status, TEXT, bytes),
        Body::Problem { detail, .. } => answer(status, TEXT, format!("{detail}\n")),
        Body::Stream(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "no streams here\n"),
    };
    for (name, value) in &headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

fn only(methods: &'static str) -> Response<Vec<u8>> {
    let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("{methods} only\n"));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}

fn answer(status: StatusCode, kind: &str, body: impl Into<Vec<u8>>) -> Response<Vec<u8>> {
    let body = body.into();
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(kind) = kind.parse() {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    *response.body_mut() = body;
    response
}
