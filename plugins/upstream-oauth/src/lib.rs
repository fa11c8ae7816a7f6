#![doc = include_str!("../README.md")]

mod admin;
mod client;
pub mod config;
mod metrics;
mod question;
mod slot;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tidegate_core::prometheus::IntCounter;
use tidegate_core::{
    Admin, Asked, BuildCx, ConfigError, ConfigErrors, ConfigPath, Cx, Error, Flow, Handler, HeaderName, HeaderValue,
    Plugin, Reply, RequestHeader, ResponseHeader, Result, Route, StatusCode, header,
};

use admin::Pages;
use client::Client;
use config::{Config, OnFailure, Policy};
use metrics::RouteMetrics;
use token::Token;

/// The plugin; its section is `upstream_oauth`. See the crate's own page for what it does.
#[derive(Debug)]
pub struct UpstreamOauth {
    clients: Arc<[Arc<Client>]>,
    metrics: RouteMetrics,
}

impl Plugin for UpstreamOauth {
    const NAME: &'static str = "upstream_oauth";
    type Config = Config;
    type Policy = Policy;
    type Handler = UpstreamOauthRoute;

    fn build(config: Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let metrics = RouteMetrics::new(cx.metrics()).map_err(|error| ConfigError::at("", error.to_string()))?;
        let mut clients = Vec::new();
        for (name, config) in &config.clients {
            let client = Client::build(name, config, cx).map_err(|e| e.under(&ConfigPath::from("clients").key(name)));
            clients.extend(errors.collect(client));
        }
        errors.into_result(Self { clients: clients.into(), metrics })
    }

    fn handler(&self, policy: Policy, route: &Route) -> Result<UpstreamOauthRoute, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let client = self.clients.iter().find(|client| client.name() == policy.client);
        if client.is_none() {
            let known: Vec<_> = self.clients.iter().map(|client| client.name()).collect();
            errors.push(ConfigError::unknown("client", "client", &policy.client, &known));
        }
        let header = errors.collect(field(&policy.header));
        if HeaderValue::from_str(&policy.prefix).is_err() || policy.prefix.trim() != policy.prefix {
            errors.push(ConfigError::at("prefix", "can't stand in a header field, or has spaces around it"));
        }
        let (Some(client), Some(header), true) = (client, header, errors.is_empty()) else { return Err(errors) };
        client.use_it();
        Ok(UpstreamOauthRoute {
            client: client.clone(),
            header,
            prefix: policy.prefix.into(),
            missing: self.metrics.missing(route.name()),
        })
    }

    fn warnings(&self) -> ConfigErrors {
        self.clients.iter().flat_map(|client| warnings(client)).collect()
    }

    fn admin(&self) -> Option<Arc<dyn Admin>> {
        Some(Arc::new(Pages::new(self.clients.clone())))
    }
}

/// One route's share.
#[derive(Debug)]
pub struct UpstreamOauthRoute {
    client: Arc<Client>,
    header: HeaderName,
    prefix: Box<str>,
    missing: IntCounter,
}

impl Handler for UpstreamOauthRoute {
    /// After everybody who may refuse the request: only those that are let through wait for a token.
    async fn request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        match self.client.token().await {
            Ok(token) => {
                cx.extensions_mut().insert(Sent(token));
                Ok(Flow::Continue)
            }
            Err(wait) => {
                self.missing.inc();
                match self.client.config().on_failure {
                    OnFailure::Refuse => Ok(Flow::Respond(unavailable(wait))),
                    OnFailure::WithoutToken => Ok(Flow::Continue),
                }
            }
        }
    }

    fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        head.remove_header(&self.header);
        let Some(Sent(noted)) = cx.extensions().get::<Sent>().cloned() else { return Ok(()) };
        // A later try goes with a later token.
        let token = self.client.at_once().unwrap_or(noted);
        let value =
            token.value(&self.prefix).ok_or_else(|| Error::internal("a token can't stand in a header field"))?;
        cx.extensions_mut().insert(Sent(token));
        Ok(head.insert_header(self.header.clone(), value)?)
    }

    fn upstream_response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        if head.status == StatusCode::UNAUTHORIZED
            && let Some(Sent(token)) = cx.extensions().get::<Sent>()
        {
            self.client.rejected(token);
        }
        Ok(())
    }

    fn explain(&self, _: &Asked<'_>) -> Vec<String> {
        let (header, client) = (&self.header, self.client.name());
        vec![format!(
            "the upstream gets the token of the gateway's client `{client}` as `{header}`, never the client's own"
        )]
    }
}

/// The token that a request goes with.
#[derive(Debug, Clone)]
struct Sent(Arc<Token>);

fn unavailable(wait: Duration) -> Reply {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let reply =
        Reply::unavailable("upstream_token_unavailable", "the upstream can't be reached in the gateway's name now");
    reply.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}

/// A field that a token can stand in: none that says how a request is read, or where it goes.
fn field(name: &str) -> Result<HeaderName, ConfigError> {
    const TAKEN: [HeaderName; 8] = [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::TRANSFER_ENCODING,
        header::TE,
        header::UPGRADE,
        header::EXPECT,
    ];
    let wrong = |why| ConfigError::at("header", why);
    let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("no name of a header field"))?;
    if TAKEN.contains(&field) { Err(wrong("this field means something else")) } else { Ok(field) }
}

fn warnings(client: &Client) -> ConfigErrors {
    let at = ConfigPath::from("clients").key(client.name());
    let mut warnings = ConfigErrors::new();
    if client.question().is_readable() {
        let warning = ConfigError::at("token_url", "the secret and the tokens go over the network in the clear");
        warnings.push(warning.help("use https").under(&at));
    }
    if !client.is_used() {
        let warning = ConfigError::at("", "no route uses this client").help("name it in a route, or remove it");
        warnings.push(warning.under(&at));
    }
    warnings
}
