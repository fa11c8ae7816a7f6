#![doc = include_str!("../README.md")]

pub mod config;
mod cookie;
mod cors;
mod edit;
mod editable;
mod field;
mod hosts;
mod location;
mod names;
mod origin;
mod preflight;
mod privacy;
mod security;

#[cfg(test)]
mod cost_tests;

use tidegate_core::facts::CacheStatus;
use tidegate_core::{
    BuildCx, ConfigErrors, ConfigPath, Cx, Flow, Handler, HeaderValue, NoConfig, Plugin, RequestHeader, ResponseHeader,
    Result, Route, header,
};

use config::Policy;
use cookie::Cookies;
use cors::Cors;
use edit::{Builder, Edits};
use editable::Side;
use hosts::Hosts;
use location::{Locations, Place};
use preflight::{Preflights, RouteCors};
use privacy::Privacy;
use security::Security;

/// The plugin; its section is `headers`. See the crate's own page for what it does.
#[derive(Debug)]
pub struct Headers {
    preflights: Preflights,
}

impl Plugin for Headers {
    const NAME: &'static str = "headers";
    type Config = NoConfig;
    type Policy = Policy;
    type Handler = RouteHeaders;

    fn build(_: NoConfig, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Self { preflights: Preflights::new(cx.metrics())? })
    }

    fn handler(&self, policy: Policy, route: &Route) -> Result<RouteHeaders, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let request = errors.at("request", Builder::new(Side::Request, route).build(&policy.request));
        let response = errors.at("response", Builder::new(Side::Response, route).build(&policy.response));
        let security = errors.at("security", Security::build(&policy.security));
        let cors = errors.at("cors", policy.cors.as_ref().map(Cors::build).transpose());
        let privacy = errors.at("privacy", Privacy::build(&policy.privacy).map_err(ConfigErrors::from));
        let internal = errors.at("privacy", Hosts::build(&policy.privacy.internal_hosts));
        let cookies = errors.at("cookies", Cookies::build(&policy.cookies));
        if policy.cors.is_some() {
            errors.extend(Cors::conflicts(&policy.response));
        }
        let (Some(request), Some(response), Some(security), Some(cors), Some(privacy), Some(internal), Some(cookies)) =
            (request, response, security, cors, privacy, internal, cookies)
        else {
            return Err(errors);
        };
        errors.into_result(RouteHeaders {
            request,
            response,
            security,
            cors: cors.map(|cors| self.preflights.counted(cors, route)),
            privacy,
            internal,
            locations: (policy.privacy.locations == config::Locations::Rewrite).then(Locations::new),
            cookies,
        })
    }
}

/// What one route does to header fields.
#[derive(Debug)]
pub struct RouteHeaders {
    request: Edits,
    response: Edits,
    security: Security,
    cors: Option<RouteCors>,
    privacy: Privacy,
    internal: Hosts,
    locations: Option<Locations>,
    cookies: Cookies,
}

impl Handler for RouteHeaders {
    /// A preflight carries no credentials, so it must be answered before anybody asks who is there.
    async fn early_request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        Ok(self.cors.as_ref().map_or(Flow::Continue, |cors| cors.answer(&cx.head())))
    }

    fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        if self.locations.is_some() {
            note_upstreams_host(cx, head);
        }
        if self.locations.is_some() || self.privacy.hides() {
            drop_interim_answers(cx);
        }
        self.request.apply(head, |template| template.header_value(cx))
    }

    fn upstream_response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        if self.locations.as_ref().is_some_and(|locations| locations.concern(&head.headers)) {
            cx.extensions_mut().insert(FromUpstream);
        }
        Ok(())
    }

    /// For the gateway's own answers too. The operator's own rules come last and win.
    async fn response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        self.privacy.apply(head)?;
        if is_from_upstream(cx) {
            self.lead_home(cx, head)?;
        }
        self.cookies.apply(&self.internal, head)?;
        let request = cx.head();
        self.security.apply(request.scheme, head)?;
        if let Some(cors) = &self.cors {
            cors.rules().apply(request.method, request.headers, head)?;
        }
        self.response.apply(head, |template| template.header_value(cx))
    }
}

impl RouteHeaders {
    /// References to what stands behind the gateway lead to the gateway.
    fn lead_home(&self, cx: &Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        let Some(locations) = &self.locations else { return Ok(()) };
        let client = Place { scheme: cx.head().scheme, authority: cx.head().authority };
        let upstreams = cx.extensions().get::<UpstreamsHost>().and_then(|host| host.0.to_str().ok());
        locations.rewrite(head, client, &self.internal, upstreams)
    }
}

/// Whether an upstream said it, now or before it was cached. A redirect of the gateway's own is meant as it is.
fn is_from_upstream(cx: &Cx<'_>) -> bool {
    let cached = matches!(cx.facts().cache, CacheStatus::Hit | CacheStatus::Stale | CacheStatus::Revalidated);
    cached || cx.extensions().get::<FromUpstream>().is_some()
}

/// No plugin sees an answer such as 103 Early Hints (RFC 8297), so what it tells could not be hidden. The 100 that a
/// client waits for and the 101 of an upgrade still come through.
fn drop_interim_answers(cx: &mut Cx<'_>) {
    cx.session().as_downstream_mut().set_ignore_info_resp(true);
}

/// The answer has references that an upstream made.
#[derive(Debug, Clone, Copy)]
struct FromUpstream;

/// The `Host` that the upstream was given, where it isn't the client's.
#[derive(Debug, Clone)]
struct UpstreamsHost(HeaderValue);

/// Before the route's own rules: what it is called decides where its redirects lead.
fn note_upstreams_host(cx: &mut Cx<'_>, head: &RequestHeader) {
    let given = head.headers.get(header::HOST).filter(|host| *host != cx.head().authority).cloned();
    match given {
        Some(host) => drop(cx.extensions_mut().insert(UpstreamsHost(host))),
        // A try before this one may have been told another.
        None => drop(cx.extensions_mut().remove::<UpstreamsHost>()),
    }
}

/// Collects the errors of one part of a policy.
trait CollectAt {
    fn at<T>(&mut self, key: &str, result: Result<T, ConfigErrors>) -> Option<T>;
}

impl CollectAt for ConfigErrors {
    fn at<T>(&mut self, key: &str, result: Result<T, ConfigErrors>) -> Option<T> {
        self.collect(result.map_err(|errors| errors.under(&ConfigPath::from(key))))
    }
}
