//! `/auth/…` on the admin listener: what is going on, and revoking by an operator's word.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_core::{Admin, AdminRequest, Method, Reply, StatusCode, async_trait};

use crate::cache::TokenCache;
use crate::id::Millis;
use crate::plugin::{Parts, Shared};
use crate::revoke::RevocationState;
use crate::service::{TokenService, name_of};
use crate::store::{Revocation, Revoked, Session, Store};
use crate::verdict::{Authenticator, Name};

/// For how long a revocation is kept, unless `for=` says otherwise: longer than access tokens live.
const USUAL: Duration = Duration::from_secs(24 * 3600);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The pages.
pub(crate) struct Pages {
    shared: Arc<Shared>,
    cache: Arc<TokenCache>,
    /// Of the token service.
    store: Option<Arc<dyn Store>>,
    service: Option<Arc<TokenService>>,
}

impl Pages {
    pub(crate) fn new(shared: Arc<Shared>, parts: &Parts, service: Option<Arc<TokenService>>) -> Self {
        Self { shared, cache: parts.cache.clone(), store: parts.store.clone(), service }
    }
}

#[async_trait]
impl Admin for Pages {
    fn paths(&self) -> &'static [&'static str] {
        &["", "revoke", "sessions", "users"]
    }

    async fn answer(&self, request: &AdminRequest<'_>) -> Option<Reply> {
        let answer = match (request.path, request.method) {
            ("", &Method::GET) => Ok(self.summary()),
            ("revoke", &Method::POST) => self.revoke(request).await,
            ("sessions", &Method::GET) => self.sessions(request).await,
            ("users", _) => self.users(request).await,
            ("" | "sessions", _) => Err(not_this("GET")),
            ("revoke", _) => Err(not_this("POST, with jti=… or sub=…")),
            _ => return None,
        };
        Some(answer.map_or_else(|refused| refused, |value| Reply::json(&value)))
    }
}

impl Pages {
    fn summary(&self) -> Value {
        let (tokens, most) = self.cache.size();
        let providers: Vec<_> = self.shared.providers.iter().map(provider).collect();
        json!({
            "providers": providers,
            "cache": { "tokens": tokens, "most": most },
            "revocations": self.shared.revocations.state().map(revocations),
        })
    }

    /// Revokes a token by its `jti`, or all tokens that a subject was given until now: those of one issuer, or whoever
    /// made them.
    async fn revoke(&self, request: &AdminRequest<'_>) -> Result<Value, Reply> {
        let now = Millis::of(self.shared.clock.wall());
        let until = now.plus(kept_for(request)?);
        let issuer = request.query("iss");
        let issuer = issuer.as_deref();
        if issuer == Some("") {
            return Err(bad("iss= says no issuer: leave it out for all of them"));
        }
        let revocation = match (request.query("jti"), request.query("sub")) {
            (Some(jti), None) if !jti.is_empty() => {
                Revocation { what: Revoked::Token(Name::of_jti(issuer, &jti).own), before: u64::MAX, until }
            }
            // One issued in this very second may be among those that are meant.
            (None, Some(subject)) if !subject.is_empty() => {
                let what = Revoked::Subject(Name::of_subject(issuer, &subject).own);
                Revocation { what, before: now.seconds() + 1, until }
            }
            _ => return Err(bad("say what: jti=<id of a token>, or sub=<subject>")),
        };
        match self.shared.revocations.revoke(&[revocation]).await {
            Ok(true) => {
                log::info!(what:? = revocation.what; "revoked by an operator");
                Ok(json!({ "revoked": true, "until_seconds": until.seconds() }))
            }
            Ok(false) => Err(Reply::not_found("there is no store of revocations: name one under auth.revocation")),
            Err(error) => {
                log::warn!(error:%; "an operator could not revoke");
                Err(store_lost())
            }
        }
    }

    async fn sessions(&self, request: &AdminRequest<'_>) -> Result<Value, Reply> {
        let store = self.store.as_ref().ok_or_else(no_service)?;
        let name = request.query("user").and_then(|name| name_of(&name));
        let name = name.ok_or_else(|| bad("say whose: user=<name>"))?;
        let lost = |error| {
            log::warn!(error:%; "an operator could not see sessions");
            store_lost()
        };
        let user = store.user_named(&name).await.map_err(lost)?;
        let user = user.ok_or_else(|| Reply::not_found("there is no such user"))?;
        let now = Millis::of(self.shared.clock.wall());
        let sessions = store.sessions(user.id, now).await.map_err(lost)?;
        Ok(json!({ "user": user.id.text(), "sessions": sessions.iter().map(session).collect::<Vec<_>>() }))
    }
}

impl Pages {
    /// One user: shown, made, changed.
    async fn users(&self, request: &AdminRequest<'_>) -> Result<Value, Reply> {
        let service = self.service.as_ref().ok_or_else(no_service)?;
        service.administer(request).await
    }
}

fn provider(provider: &dyn Authenticator) -> Value {
    let mut shown = json!({ "name": provider.name() });
    if let (Some(state), Value::Object(shown)) = (provider.state(), &mut shown) {
        shown.insert("state".to_owned(), state);
    }
    shown
}

fn revocations(state: RevocationState) -> Value {
    json!({
        "known": state.known,
        "bytes": state.bytes,
        "caught_up": state.caught_up,
        "overflowed": state.overflowed,
        "store_lost": state.lost,
    })
}

fn session(session: &Session) -> Value {
    json!({
        "id": session.id.text(),
        "created_seconds": session.created.seconds(),
        "used_seconds": session.used.seconds(),
        "until_seconds": session.until.min(session.ends).seconds(),
        "agent": session.agent,
        "client": session.client,
        "place": session.place,
    })
}

/// `for=15m`.
fn kept_for(request: &AdminRequest<'_>) -> Result<Duration, Reply> {
    let Some(text) = request.query("for") else { return Ok(USUAL) };
    let time = text.parse::<tidegate_core::config::Duration>().ok().map(|time| time.get());
    let time = time.filter(|time| (Duration::from_secs(1)..=LONGEST).contains(time));
    time.ok_or_else(|| bad("for=… is a time from 1s to 366d, such as 15m: as long as the token lives"))
}

fn no_service() -> Reply {
    Reply::not_found("this gateway has no token service")
}

fn not_this(method: &'static str) -> Reply {
    Reply::problem(StatusCode::METHOD_NOT_ALLOWED, "method", method)
}

fn bad(why: &'static str) -> Reply {
    Reply::bad_request("bad_request", why)
}

fn store_lost() -> Reply {
    Reply::unavailable("store_unavailable", "the store did not answer")
}
