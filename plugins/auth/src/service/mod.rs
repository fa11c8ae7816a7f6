//! The token service: what a route that mounts it answers.

mod answer;
mod body;
mod caller;
mod check;
mod cookies;
mod csrf;
mod device;
mod discovery;
mod login;
mod logins;
mod logout;
mod me;
mod metrics;
mod oidc;
mod password;
mod passwords;
mod past;
mod paths;
mod provider;
mod refresh;
mod refresh_token;
mod session_cookie;
mod signup;
mod tokens;
mod totp;

use std::sync::Arc;

use tidegate_core::{
    BuildCx, Bytes, Clock, ConfigError, ConfigErrors, Cx, Endpoint, HeaderValue, Reply, Result, Route, StatusCode,
    async_trait, header,
};

pub(crate) use answer::{Answer, Refused};
pub(crate) use caller::Caller;
pub(crate) use check::check;
pub(crate) use oidc::warnings;
pub(crate) use provider::provider;
pub(crate) use signup::name_of;

use crate::config::service::{Mount, Service, StoreChoice};
use crate::events::{Events, Origin};
use crate::guard::Guard;
use crate::hashing::Hashing;
use crate::id::Millis;
use crate::keys::KeyRing;
use crate::revoke::Revocations;
use crate::store::Store;
use crate::verdict::Authenticator;
use cookies::Cookies;
use metrics::ServiceMetrics;
use oidc::LoginWith;
use passwords::Policy;
use past::{Keeper, Past};
use paths::Call;
use signup::Signups;
use tokens::Tokens;

/// What the service is made of.
#[derive(Clone)]
pub(crate) struct Deps {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) hashing: Arc<Hashing>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) events: Arc<Events>,
    /// Checks what callers of its endpoints have: [`provider`].
    pub(crate) own: Arc<dyn Authenticator>,
    pub(crate) clock: Clock,
}

impl Deps {
    /// The time of day.
    pub(crate) fn now(&self) -> Millis {
        Millis::of(self.clock.wall())
    }
}

/// The service, however many routes mount it.
pub(crate) struct TokenService {
    deps: Deps,
    config: Service,
    passwords: Arc<Policy>,
    signups: Signups,
    tokens: Tokens,
    past: Arc<Past>,
    cookies: Cookies,
    login_with: LoginWith,
    metrics: ServiceMetrics,
    /// `Cache-Control` of what everybody may know.
    max_age: HeaderValue,
}

impl TokenService {
    /// Errors are relative to `service`.
    pub(crate) fn build(
        config: &Service,
        deps: Deps,
        cx: &mut BuildCx<'_>,
    ) -> std::result::Result<Arc<Self>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let passwords = Policy::build(&config.password, cx).map_err(|e| e.under(&"password".into()));
        let passwords = errors.collect(passwords);
        let signups = passwords.clone().map(|passwords| Signups::build(config, passwords));
        let signups = errors.collect(signups.transpose()).flatten();
        let tokens = errors.collect(Tokens::build(config));
        let cookies = errors.collect(Cookies::build(config));
        let login_with = cookies.as_ref().map(|cookies| LoginWith::build(config, cookies, cx));
        let login_with = errors.collect(login_with.transpose()).flatten();
        let metrics = errors.collect(ServiceMetrics::new(cx.metrics()));
        let (Some(passwords), Some(signups)) = (passwords, signups) else { return Err(errors) };
        let (Some(tokens), Some(cookies), Some(metrics)) = (tokens, cookies, metrics) else { return Err(errors) };
        let Some(login_with) = login_with else { return Err(errors) };
        let past = past(&deps, &config.store, tokens.ttl, cx);
        let (config, max_age) = (config.clone(), discovery::max_age(config));
        errors.into_result(Arc::new(Self {
            deps,
            config,
            passwords,
            signups,
            tokens,
            past,
            cookies,
            login_with,
            metrics,
            max_age,
        }))
    }

    /// One route's share of it.
    pub(crate) fn mount(self: &Arc<Self>, mount: &Mount, route: &Route) -> std::result::Result<Mounted, ConfigErrors> {
        let at: Vec<&str> = match &mount.at {
            Some(at) => vec![at],
            None => route.mounts().iter().map(|at| &**at).collect(),
        };
        if at.is_empty() {
            let error = ConfigError::at("at", "the route doesn't say below which path it serves everything");
            return Err(error.help("match a path such as `/auth/**`, or say `at: /auth`").into());
        }
        let places: std::result::Result<Vec<Place>, ConfigErrors> = at.into_iter().map(|at| self.place(at)).collect();
        Ok(Mounted { service: self.clone(), places: places? })
    }

    fn place(&self, at: &str) -> std::result::Result<Place, ConfigErrors> {
        let path = at.strip_suffix('/').unwrap_or(at);
        // It becomes the path of a cookie.
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'"' | b'\\' | b'*' | b'{');
        if !(path.is_empty() || path.starts_with('/')) || !path.bytes().all(plain) {
            return Err(ConfigError::at("at", "it is no path such as `/auth`").into());
        }
        if !self.cookies.refresh_fits(if path.is_empty() { "/" } else { path }) {
            let error =
                ConfigError::at("at", "the refresh token's cookie is named `__Host-…`, which needs the path `/`");
            return Err(error.help("name `delivery.cookie.refresh` `__Secure-…`").into());
        }
        Ok(Place { at: path.into(), document: discovery::document(&self.config, path) })
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Millis {
        self.deps.now()
    }
}

/// What was issued and hashed before, and who keeps the record of it.
fn past(deps: &Deps, store: &StoreChoice, ttl: std::time::Duration, cx: &mut BuildCx<'_>) -> Arc<Past> {
    let past = cx.retain(&["past ", &crate::store::place(store, cx)].concat(), Past::default);
    past.issues(ttl, deps.now());
    let (seen, clock) = (deps.hashing.seen().clone(), deps.clock.clone());
    let keeper = Keeper { past: past.clone(), seen, store: deps.store.clone(), clock, ttl };
    cx.spawn("past", |stop| keeper.run(stop));
    past
}

/// The service below the paths of a route.
pub(crate) struct Mounted {
    service: Arc<TokenService>,
    places: Vec<Place>,
}

/// One of the paths: without a slash at its end, empty for the root.
struct Place {
    at: Box<str>,
    document: Bytes,
}

/// One request's view of the service: below which path it was asked.
struct Desk<'a> {
    service: &'a TokenService,
    at: &'a str,
    document: &'a Bytes,
}

#[async_trait]
impl Endpoint for Mounted {
    async fn serve(&self, cx: &mut Cx<'_>) -> Result<Reply> {
        let path = cx.head().path;
        let found = self.places.iter().find_map(|place| {
            let below = path.strip_prefix(&*place.at)?.strip_prefix('/')?;
            Some((place, Call::of(below)?))
        });
        let Some((place, call)) = found else {
            self.service.metrics.request(None, StatusCode::NOT_FOUND);
            return Ok(private(Reply::not_found("no such endpoint")));
        };
        let desk = Desk { service: &self.service, at: &place.at, document: &place.document };
        let reply = match desk.answer(call, cx).await {
            Ok(reply) | Err(Refused::Reply(reply)) => reply,
            Err(Refused::Failed(error)) => {
                self.service.metrics.request(Some(call), StatusCode::INTERNAL_SERVER_ERROR);
                return Err(error);
            }
        };
        self.service.metrics.request(Some(call), reply.status());
        Ok(if call.is_public() && reply.status().is_success() { reply } else { private(reply) })
    }
}

impl Desk<'_> {
    async fn answer(&self, call: Call, cx: &mut Cx<'_>) -> Answer {
        if !call.takes(cx.head().method) {
            let reply = Reply::problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not by this method");
            return Ok(reply.header(header::ALLOW, HeaderValue::from_static(call.allow())));
        }
        if self.service.deps.keys.jwks().is_err() {
            // The store may be back: an error here is told by whoever needs a key.
            let _ = crate::jwt::KeySource::renew(&*self.service.deps.keys).await;
        }
        let off = || Err(Reply::not_found("no such endpoint").into());
        match call {
            Call::Signup if !self.service.config.signup.enabled => off(),
            Call::Signup => {
                let members = body::members(cx, signup::MEMBERS).await?;
                self.service.signups.serve(&self.service.deps, &members, &Origin::of(cx)).await
            }
            Call::Login => self.login(cx).await,
            Call::LoginWith | Call::LoginCallback => self.login_with(call, cx).await,
            Call::Refresh if self.service.config.session.is_some() => off(),
            Call::Refresh => self.refresh(cx).await,
            Call::Logout => self.logout(cx).await,
            Call::LogoutAll => self.logout_all(cx).await,
            Call::Me => self.me(cx).await,
            Call::Sessions => self.sessions(cx).await,
            Call::Session(id) => self.end_one(cx, id).await,
            Call::Password => self.password(cx).await,
            Call::TotpSetup | Call::TotpConfirm | Call::TotpRemove if !self.service.config.totp.enabled => off(),
            Call::TotpSetup => totp::setup(self.service, cx, &self.service.caller(cx).await?).await,
            Call::TotpConfirm => totp::confirm(self.service, cx, &self.service.caller(cx).await?).await,
            Call::TotpRemove => totp::remove(self.service, cx, &self.service.caller(cx).await?).await,
            Call::Jwks => self.jwks(),
            Call::Discovery => self.discovery(),
        }
    }
}

/// What nobody may keep (RFC 6749 section 5.1).
fn private(reply: Reply) -> Reply {
    reply.header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}
