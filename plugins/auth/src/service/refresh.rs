//! Refresh: one token for the next pair.

use tidegate_core::{Cx, Reply};

use super::Desk;
use super::answer::{Answer, Refused, bad_member, csrf, invalid_token};
use super::body::{Members, optional_members};
use super::csrf::is_forgeable;
use super::metrics::{Grant, Refreshed};
use super::refresh_token::RefreshToken;
use crate::config::service::OnReuse;
use crate::events::{Event, EventKind, Origin};
use crate::store::{Rotate, Rotated, Session};

impl Desk<'_> {
    pub(super) async fn refresh(&self, cx: &mut Cx<'_>) -> Answer {
        let service = self.service;
        let members = optional_members(cx, &["refresh_token"]).await?;
        let presented = match self.presented(cx, &members)? {
            Presented::Token(token) => token,
            Presented::Nothing if service.cookies.deliver => {
                return Err(invalid_token("missing_token", "there is no refresh token").into());
            }
            Presented::Nothing => return Err(bad_member("/refresh_token".to_owned(), "it is missing").into()),
            Presented::Forged => {
                service.metrics.refreshed(Refreshed::Invalid);
                return Err(over().into());
            }
        };
        let now = service.now();
        let refresh = &service.config.refresh;
        let rotate = Rotate {
            session: presented.session,
            presented: presented.generation,
            now,
            grace: refresh.grace.get(),
            ttl: refresh.ttl.get(),
        };
        let (session, what) = match service.deps.store.rotate(&rotate).await? {
            Rotated::Next(session) => (session, Refreshed::Rotated),
            Rotated::Again(session) => (session, Refreshed::Again),
            Rotated::Reused(session) => return Err(self.reused(&session, &Origin::of(cx)).await?.into()),
            Rotated::Gone => {
                service.metrics.refreshed(Refreshed::Gone);
                return self.without_cookies(over());
            }
        };
        // Before the user is read: what is revoked from here on is later than the token, and refuses it; what was
        // revoked before is in what is read.
        let issued = service.next_good(&session, now);
        let user = service.deps.store.user(session.user).await?;
        let Some(user) = user.filter(|user| !user.disabled && !user.has_ended(&session)) else {
            service.end(session.user, session.id, &[]).await?;
            service.metrics.refreshed(Refreshed::Gone);
            return self.without_cookies(over());
        };
        let reply = self.pair(&user, &session, issued, Grant::Refresh)?;
        service.metrics.refreshed(what);
        Ok(reply)
    }

    /// A token that was used up: whoever has it, or whoever used it before, is not the one it was given to.
    async fn reused(&self, session: &Session, origin: &Origin) -> Result<Reply, Refused> {
        let service = self.service;
        match service.config.refresh.on_reuse {
            OnReuse::RevokeFamily => {
                service.end(session.user, session.id, &[]).await?;
            }
            OnReuse::RevokeUser => {
                service.end_all(session.user).await?;
            }
        }
        service.metrics.refreshed(Refreshed::Reused);
        let event = Event::new(EventKind::TokenReuse, origin).user(session.user).session(session.id);
        service.deps.events.emit(event);
        self.without_cookies(invalid_token("token_reused", "this refresh token was used before; log in again"))
    }

    /// The refresh token of a request: in the body, or in its cookie.
    pub(super) fn presented(&self, cx: &Cx<'_>, members: &Members) -> Result<Presented, Refused> {
        let service = self.service;
        let (in_body, head) = (members.text("refresh_token")?, cx.head());
        let in_cookie = if service.cookies.deliver { head.cookie(&service.cookies.refresh) } else { None };
        let token = match (in_body, in_cookie) {
            (None, None) => return Ok(Presented::Nothing),
            (Some(_), Some(_)) => {
                return Err(Reply::bad_request("ambiguous_credentials", "there is more than one refresh token").into());
            }
            (Some(token), None) | (None, Some(token)) => RefreshToken::read(token, &service.deps.keys)?,
        };
        let Some(token) = token else { return Ok(Presented::Forged) };
        if in_cookie.is_some() && is_forgeable(&service.deps.keys, token.session, &head)? {
            return Err(csrf().into());
        }
        Ok(Presented::Token(token))
    }
}

/// What a request has in place of a refresh token.
pub(super) enum Presented {
    Nothing,
    /// None of ours.
    Forged,
    Token(RefreshToken),
}

fn over() -> Reply {
    invalid_token("invalid_token", "this refresh token is not good, or not any more")
}
