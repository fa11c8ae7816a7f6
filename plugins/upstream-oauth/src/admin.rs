//! `/upstream_oauth/…` on the admin listener: how clients stand, and a new token by an operator's word.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_core::HeaderValue;
use tidegate_core::{Admin, AdminRequest, Method, Reply, StatusCode, async_trait, header};

use crate::client::Client;

/// The pages. No token and no secret is on them.
pub(crate) struct Pages {
    clients: Arc<[Arc<Client>]>,
}

impl Pages {
    pub(crate) fn new(clients: Arc<[Arc<Client>]>) -> Self {
        Self { clients }
    }
}

#[async_trait]
impl Admin for Pages {
    fn paths(&self) -> &'static [&'static str] {
        &["", "refetch"]
    }

    async fn answer(&self, request: &AdminRequest<'_>) -> Option<Reply> {
        match (request.path, request.method) {
            ("", &Method::GET) => {
                let clients: Vec<_> = self.clients.iter().map(|client| standing(client)).collect();
                Some(Reply::json(&json!({ "clients": clients })))
            }
            ("refetch", &Method::POST) => Some(self.refetch(request)),
            ("", _) => Some(not_this("GET")),
            ("refetch", _) => Some(not_this("POST")),
            _ => None,
        }
    }
}

impl Pages {
    fn refetch(&self, request: &AdminRequest<'_>) -> Reply {
        let name = request.query("client");
        let Some(client) = self.clients.iter().find(|client| name.as_deref() == Some(client.name())) else {
            return Reply::bad_request("bad_request", "say whose token: client=<name>");
        };
        client.slot().renew();
        log::info!(client = client.name(); "an operator has a token fetched");
        Reply::json(&json!({ "client": client.name(), "fetching": true }))
    }
}

fn standing(client: &Client) -> Value {
    let (now, standing) = (client.now(), client.slot().standing());
    let token = client.slot().token();
    let left = token.as_ref().map(|token| token.expires.saturating_duration_since(now).as_secs());
    let age = token.as_ref().map(|token| now.saturating_duration_since(token.fetched).as_secs());
    let retry = standing.retry.map(|retry| retry.saturating_duration_since(now).as_secs());
    json!({
        "client": client.name(),
        "from": client.question().host(),
        "client_id": client.config().client_id,
        "scopes": client.config().scopes,
        "token": token.as_ref().is_some_and(|token| token.is_valid(now)),
        "expires_in_seconds": left,
        "fetched_seconds_ago": age,
        "failures": standing.failures,
        "error": standing.error.as_deref(),
        "next_try_in_seconds": retry,
    })
}

fn not_this(allowed: &'static str) -> Reply {
    let reply = Reply::problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method");
    reply.header(header::ALLOW, HeaderValue::from_static(allowed))
}
