//! What logins have in common: a session begins, something is issued, a session ends.

use std::time::Duration;

use serde_json::json;
use tidegate_core::{Reply, StatusCode, header};

use super::answer::{Answer, Refused, json};
use super::cookies::Scripts;
use super::metrics::Grant;
use super::refresh_token::RefreshToken;
use super::session_cookie::NewSession;
use super::{Desk, TokenService, csrf};
use crate::events::Origin;
use crate::id::{Id, Millis};
use crate::revoke::Standing;
use crate::store::{Revocation, Revoked, Session, StoreError, User};
use crate::verdict::{Mark, Name};

/// A session that has begun, and what only its client knows of it.
pub(super) struct Begun {
    pub(super) session: Session,
    /// Its cookie, for a session in place of tokens.
    cookie: Option<String>,
    /// When its first token is issued, in seconds since 1970.
    issued: u64,
}

/// What is lost by counting in whole seconds, and by tokens that are issued a second later.
const SECOND: Duration = Duration::from_secs(2);

/// How far the clock of another gateway may be ahead, as [`own`](crate::jwt::own) takes its tokens: they expire later by
/// as much.
const AHEAD: Duration = Duration::from_secs(30);

/// How long a session by cookie may be remembered after its end.
const REMEMBERED: Duration = Duration::from_secs(60);

impl TokenService {
    /// Begins a session of somebody who has proved who they are.
    pub(super) async fn begin(&self, user: &User, origin: &Origin) -> Result<Begun, Refused> {
        let now = self.now();
        let issued = self.first_good(user.id, now).await?;
        let (id, cookie, lasts, ends) = match &self.config.session {
            Some(session) => {
                let new = NewSession::make(&self.deps.keys)?;
                (new.id, Some(new.cookie), session.idle.get(), session.absolute.get())
            }
            None => (Id::random(), None, self.config.refresh.ttl.get(), self.config.refresh.absolute.get()),
        };
        // After the last change of the password, however far the clock was ahead by which that was made.
        let created = now.max(Millis(issued.saturating_mul(1000))).max(Millis(user.changed.0.saturating_add(1)));
        let ends = now.plus(ends);
        let session = Session {
            id,
            user: user.id,
            created,
            used: now,
            until: now.plus(lasts).min(ends),
            ends,
            generation: u32::from(cookie.is_none()),
            rotated: now,
            agent: origin.agent.clone(),
            client: origin.client.to_string(),
            place: origin.country.as_ref().map_or_else(String::new, |country| country.as_str().to_owned()),
        };
        let most = self.config.store.max_sessions.unwrap_or(MOST_SESSIONS);
        let over = self.deps.store.open_session(&session, most).await?;
        let over: Vec<_> = over.into_iter().map(|id| self.revoked_session(id, now)).collect();
        self.revoke(&over, now).await?;
        Ok(Begun { session, cookie, issued })
    }

    /// The first second whose tokens are good: one later, if all of the user's tokens were ended in this one.
    async fn first_good(&self, user: Id, now: Millis) -> Result<u64, StoreError> {
        let (issued, subject) = (now.seconds(), self.name_of(user));
        let names = [Revoked::Subject(subject.own), Revoked::Subject(subject.any)];
        let ended = self.deps.store.is_revoked(&names, issued, now).await?;
        Ok(issued + u64::from(ended))
    }

    /// The same for a session that goes on: by what is known here.
    pub(super) fn next_good(&self, session: &Session, now: Millis) -> u64 {
        let (issued, subject) = (now.seconds(), self.name_of(session.user));
        let mark = Mark { token: Name::only(session.id), subject, session: None, issued, expires: issued };
        issued + u64::from(self.deps.revocations.check(&mark) == Standing::Revoked)
    }

    /// What a user is called as the subject of this service's tokens.
    fn name_of(&self, user: Id) -> Name {
        Name::of_subject(Some(self.tokens.issuer()), &user.text())
    }

    /// By which everything of a session is refused.
    pub(super) fn revoked_session(&self, session: Id, now: Millis) -> Revocation {
        Revocation::of_session(session, self.forgotten(now))
    }

    /// By which everything that a user has now is refused, and nothing that comes in a second.
    pub(super) fn revoked_user(&self, user: Id, now: Millis) -> Revocation {
        let what = Revoked::Subject(self.name_of(user).own);
        Revocation { what, before: now.seconds() + 1, until: self.forgotten(now) }
    }

    /// When nothing is good any more of what was issued until now: tokens live, those of a configuration before perhaps
    /// for longer, and sessions by cookie are remembered for a moment.
    pub(super) fn forgotten(&self, now: Millis) -> Millis {
        let remembered = self.config.session.as_ref().map_or(Duration::ZERO, |_| REMEMBERED);
        now.plus(self.past.longest(self.tokens.ttl, now).max(remembered) + SECOND + AHEAD)
    }

    /// Revokes, and acknowledges it when the store has it.
    pub(super) async fn revoke(&self, revoke: &[Revocation], now: Millis) -> Result<(), StoreError> {
        if revoke.is_empty() {
            return Ok(());
        }
        self.deps.store.revoke(revoke, now).await?;
        self.deps.revocations.heard(revoke);
        Ok(())
    }

    /// Ends a session, and everything that was issued for it; whether there was one.
    pub(super) async fn end(&self, user: Id, session: Id, more: &[Revocation]) -> Result<bool, StoreError> {
        let now = self.now();
        let mut revoke = more.to_vec();
        revoke.push(self.revoked_session(session, now));
        let ended = self.deps.store.end_session(user, session, &revoke).await?;
        if ended {
            self.deps.revocations.heard(&revoke);
        } else {
            self.revoke(&revoke, now).await?;
        }
        Ok(ended)
    }

    /// Ends all sessions of a user. Each is revoked by its own id as well: a token that another gateway issues just now,
    /// whose clock is ahead, or that is issued as of the next second because of this, is none of a later login.
    pub(super) async fn end_all(&self, user: Id) -> Result<u32, StoreError> {
        let now = self.now();
        let sessions = self.deps.store.sessions(user, now).await?;
        let mut revoke = vec![self.revoked_user(user, now)];
        revoke.extend(sessions.iter().map(|session| self.revoked_session(session.id, now)));
        let ended = self.deps.store.end_sessions(user, None, &revoke).await?;
        self.deps.revocations.heard(&revoke);
        Ok(ended)
    }
}

/// The most sessions of one user.
const MOST_SESSIONS: u32 = 100;

impl Desk<'_> {
    /// What a client gets that has logged in.
    pub(super) fn welcome(&self, user: &User, begun: &Begun) -> Answer {
        let Some(cookie) = &begun.cookie else {
            return self.pair(user, &begun.session, begun.issued, Grant::Login);
        };
        self.service.metrics.issued(Grant::Login);
        let lasts = begun.session.ends.since(self.service.now());
        let reply =
            json(StatusCode::OK, &json!({ "expires_in": begun.session.until.since(self.service.now()).as_secs() }));
        let cookies = &self.service.cookies;
        let name = cookies.session.as_deref().unwrap_or_default();
        let reply = reply.append(header::SET_COOKIE, cookies.set(name, cookie, "/", lasts, Scripts::Blind)?);
        self.with_csrf(reply, begun.session.id, lasts)
    }

    /// A pair of tokens (RFC 6749 section 5.1), in the body or in cookies.
    pub(super) fn pair(&self, user: &User, session: &Session, issued: u64, grant: Grant) -> Answer {
        let service = self.service;
        let access = service.tokens.issue(&service.deps.keys, user, session, issued)?;
        let refresh = RefreshToken { session: session.id, generation: session.generation }.text(&service.deps.keys)?;
        let (ttl, lasts) = (service.tokens.ttl, session.until.min(session.ends).since(service.now()));
        service.metrics.issued(grant);
        if !service.cookies.deliver {
            return Ok(json(
                StatusCode::OK,
                &json!({
                    "access_token": access,
                    "token_type": "Bearer",
                    "expires_in": ttl.as_secs(),
                    "refresh_token": refresh,
                    "refresh_expires_in": lasts.as_secs(),
                }),
            ));
        }
        let reply =
            json(StatusCode::OK, &json!({ "expires_in": ttl.as_secs(), "refresh_expires_in": lasts.as_secs() }));
        let reply = self.with_access(reply, &access)?;
        let refresh =
            service.cookies.set(&service.cookies.refresh, &refresh, self.cookie_path(), lasts, Scripts::Blind)?;
        self.with_csrf(reply.append(header::SET_COOKIE, refresh), session.id, lasts)
    }

    /// An access token alone, for a session that goes on.
    pub(super) fn access_alone(&self, user: &User, session: &Session, issued: u64, grant: Grant) -> Answer {
        let service = self.service;
        let access = service.tokens.issue(&service.deps.keys, user, session, issued)?;
        let ttl = service.tokens.ttl.as_secs();
        service.metrics.issued(grant);
        if service.cookies.deliver {
            return self.with_access(json(StatusCode::OK, &json!({ "expires_in": ttl })), &access);
        }
        Ok(json(StatusCode::OK, &json!({ "access_token": access, "token_type": "Bearer", "expires_in": ttl })))
    }

    fn with_access(&self, reply: Reply, token: &str) -> Answer {
        let (cookies, ttl) = (&self.service.cookies, self.service.tokens.ttl);
        Ok(reply.append(header::SET_COOKIE, cookies.set(&cookies.access, token, "/", ttl, Scripts::Blind)?))
    }

    fn with_csrf(&self, reply: Reply, session: Id, lasts: Duration) -> Answer {
        let (cookies, token) = (&self.service.cookies, csrf::token(&self.service.deps.keys, session)?);
        Ok(reply.append(header::SET_COOKIE, cookies.set(&cookies.csrf, &token, "/", lasts, Scripts::Read)?))
    }

    /// The same, and no cookie of ours is left at the client.
    pub(super) fn without_cookies(&self, reply: Reply) -> Answer {
        let cookies = &self.service.cookies;
        let tokens = cookies.deliver && cookies.session.is_none();
        let mut ended = Vec::new();
        if let Some(session) = &cookies.session {
            ended.push((session.as_str(), "/", Scripts::Blind));
        }
        if tokens {
            ended.push((&cookies.access, "/", Scripts::Blind));
            ended.push((&cookies.refresh, self.cookie_path(), Scripts::Blind));
        }
        if !ended.is_empty() {
            ended.push((&cookies.csrf, "/", Scripts::Read));
        }
        ended.into_iter().try_fold(reply, |reply, (name, path, scripts)| {
            Ok(reply.append(header::SET_COOKIE, cookies.set(name, "", path, Duration::ZERO, scripts)?))
        })
    }

    /// Where the refresh token's cookie is sent to.
    pub(super) fn cookie_path(&self) -> &str {
        if self.at.is_empty() { "/" } else { self.at }
    }
}
