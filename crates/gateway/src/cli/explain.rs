//! `tidegate explain`: what would become of a request.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use serde_json::Value;
use tidegate_config::Document;
use tidegate_core::facts::{Identity, IdentityParts};
use tidegate_core::{Asked, Params, Reply, RequestHead, Routed, Scheme};

use crate::cli::routes::served_by;
use crate::cli::{Explain, in_runtime, print, unusable};
use crate::gateway::Gateway;
use crate::generation::{BuiltRoute, Generation, Service};

pub(super) fn explain(gateway: &Gateway, asked: &Explain) -> ExitCode {
    let request = match Request::parse(asked) {
        Ok(request) => request,
        Err(why) => return unusable(&why),
    };
    let (generation, document) = match in_runtime(|| gateway.dry_run(&asked.config.source())) {
        Ok(built) => built,
        Err(bad) => return unusable(&bad),
    };
    let listener = match listener(&generation, asked.listener.as_deref(), request.scheme) {
        Ok(listener) => listener,
        Err(why) => return unusable(&why),
    };
    let head = request.head(asked, &listener);
    let mut text = String::new();
    let found = tell(&mut text, &head, request.identity.as_ref(), &generation, &document);
    print(&text);
    if found { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The request that was asked about.
struct Request {
    uri: Uri,
    authority: String,
    scheme: Scheme,
    headers: HeaderMap,
    identity: Option<Identity>,
}

impl Request {
    fn parse(asked: &Explain) -> Result<Self, String> {
        let uri: Uri = asked.url.parse().map_err(|error| format!("{} is not a URL: {error}", asked.url))?;
        let mut headers = HeaderMap::new();
        for line in &asked.headers {
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("-H {line:?}: write it as 'Name: value'"))?;
            let name: HeaderName = name.trim().parse().map_err(|_| format!("-H {line:?}: not a header name"))?;
            let value = HeaderValue::from_str(value.trim()).map_err(|_| format!("-H {line:?}: not a header value"))?;
            headers.append(name, value);
        }
        let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = uri.authority().map(|authority| authority.as_str()).or(named).unwrap_or("").to_owned();
        let scheme = if uri.scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http };
        let identity = asked.claims.as_deref().map(identity).transpose()?;
        Ok(Self { uri, authority, scheme, headers, identity })
    }

    fn head<'a>(&'a self, asked: &'a Explain, listener: &'a str) -> RequestHead<'a> {
        RequestHead {
            method: &asked.method,
            authority: &self.authority,
            path: self.uri.path(),
            query: self.uri.query(),
            headers: &self.headers,
            client: asked.client,
            scheme: self.scheme,
            listener,
        }
    }
}

/// Who the claims of a token are about.
fn identity(claims: &str) -> Result<Identity, String> {
    let claims = match serde_json::from_str(claims) {
        Ok(Value::Object(claims)) => claims,
        Ok(_) => return Err("--claims: write an object, such as '{\"sub\": \"u1\"}'".to_owned()),
        Err(error) => return Err(format!("--claims: {error}")),
    };
    let words = |name: &str| -> Box<[Box<str>]> {
        match claims.get(name) {
            Some(Value::String(words)) => words.split_whitespace().map(Box::from).collect(),
            Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).map(Box::from).collect(),
            _ => Box::default(),
        }
    };
    let subject = claims.get("sub").and_then(Value::as_str).ok_or("--claims: `sub`, a string, is missing")?;
    let (roles, scopes, subject) = (words("roles"), words("scope"), subject.into());
    Ok(IdentityParts { subject, provider: "explain".into(), roles, scopes, claims, ..Default::default() }.into())
}

fn listener(generation: &Generation, asked: Option<&str>, scheme: Scheme) -> Result<String, String> {
    let listeners = &generation.settings.listeners;
    let names = || listeners.iter().map(|listener| listener.name()).collect::<Vec<_>>().join(", ");
    let found = match asked {
        Some(name) => listeners.iter().find(|listener| listener.name() == name),
        None => {
            let fits = |tls: bool| tls == (scheme == Scheme::Https);
            listeners.iter().find(|listener| fits(listener.tls.is_some())).or(listeners.first())
        }
    };
    found.map(|listener| listener.name()).ok_or_else(|| format!("no such listener; there are: {}", names()))
}

/// Tells the whole story; whether it ends at a route.
fn tell(
    text: &mut String,
    head: &RequestHead<'_>,
    identity: Option<&Identity>,
    generation: &Generation,
    document: &Document,
) -> bool {
    let query = head.query.map(|query| format!("?{query}")).unwrap_or_default();
    line(
        text,
        "request",
        &format!("{} {}://{}{}{query}", head.method, head.scheme.as_str(), head.authority, head.path),
    );
    line(text, "", &format!("from {} on listener {}", head.client, head.listener));
    if let Some(status) = redirect(generation, head) {
        line(text, "answer", &format!("{} to https, by redirect_https of the listener", status.as_u16()));
        return true;
    }
    for (index, step) in generation.router.explain(head).steps.iter().enumerate() {
        line(text, if index == 0 { "routing" } else { "" }, step);
    }
    match generation.router.route(head) {
        Routed::Found(found) => {
            let Some(route) = generation.routes.get(found.route.index()) else { return false };
            line(text, "route", route.route.name());
            place(text, route, document);
            if let Some(path) = &found.path {
                line(text, "path", &format!("{path} (normalised; this is what goes upstream)"));
            }
            let path = found.path.as_deref().unwrap_or(head.path);
            for (index, name) in route.route.params().iter().enumerate() {
                line(text, "param", &format!("{name} = {}", found.params.slice(index, path).unwrap_or_default()));
            }
            tell_route(text, route);
            tell_plugins(text, route, &RequestHead { path, ..*head }, (&found.params, identity));
            true
        }
        Routed::Respond(reply) => {
            no_route(text, &reply, generation);
            false
        }
        Routed::None => {
            no_route(text, &Reply::not_found(""), generation);
            false
        }
    }
}

fn redirect(generation: &Generation, head: &RequestHead<'_>) -> Option<http::StatusCode> {
    generation.listener(head.listener).filter(|_| head.scheme == Scheme::Http)?.redirect_https
}

fn place(text: &mut String, route: &BuiltRoute, document: &Document) {
    line(text, "", route.route.summary());
    if let Some(place) = document.locate(route.route.path()) {
        line(text, "", &format!("{}:{}:{}", place.file.display(), place.line, place.column));
    }
}

fn tell_route(text: &mut String, route: &BuiltRoute) {
    for (index, (name, policy)) in route.policies.iter().enumerate() {
        let from = if policy.path().to_string().ends_with(".default") { "default" } else { "route" };
        line(text, if index == 0 { "plugins" } else { "" }, &format!("{}. {name} ({from}): {policy}", index + 1));
    }
    if route.policies.is_empty() {
        line(text, "plugins", "none");
    }
    line(text, "served", &served_by(&route.serve));
    let limits = &route.limits;
    let mut parts = vec![format!("body {}", tidegate_core::config::ByteSize::new(limits.body))];
    for (name, limit) in
        [("request", limits.request), ("connect", limits.connect), ("read", limits.read), ("write", limits.write)]
    {
        parts.extend(limit.map(|limit| format!("{name} {limit:?}")));
    }
    line(text, "limits", &parts.join(", "));
}

/// What each plugin says it would do.
fn tell_plugins(
    text: &mut String,
    route: &BuiltRoute,
    head: &RequestHead<'_>,
    (params, identity): (&Params, Option<&Identity>),
) {
    let asked = Asked { head: *head, route: &route.route, params, identity, at: SystemTime::now() };
    for step in route.chain.steps() {
        for (index, what) in step.link.explain(&asked).iter().enumerate() {
            line(text, if index == 0 { step.plugin } else { "" }, what);
        }
    }
    if let Service::Endpoint(endpoint) = &route.serve {
        for (index, what) in endpoint.explain(&asked).iter().enumerate() {
            line(text, if index == 0 { "endpoint" } else { "" }, what);
        }
    }
}

fn no_route(text: &mut String, reply: &Reply, generation: &Generation) {
    line(text, "route", "none: what follows is every plugin's default policy");
    tell_route(text, &generation.unrouted);
    line(text, "answer", &format!("{} {}", reply.status(), reply.code().unwrap_or_default()));
}

fn line(text: &mut String, label: &str, what: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{label:8} {what}");
}
