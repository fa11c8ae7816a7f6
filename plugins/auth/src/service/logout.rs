//! Logout: what was issued is refused from then on, everywhere.

use tidegate_core::{Cx, Reply, StatusCode};

use super::answer::{Answer, Refused};
use super::body::optional_members;
use super::caller::{Asker, Caller};
use super::refresh::Presented;
use super::{Desk, TokenService};
use crate::events::{Event, EventKind, Origin};
use crate::id::{Id, Millis};
use crate::store::{Revocation, Revoked};

impl Desk<'_> {
    /// One login ends: that of the access token, and that of the refresh token. Whose it is they say themselves.
    /// What has ended already has ended: 204 as well.
    pub(super) async fn logout(&self, cx: &mut Cx<'_>) -> Answer {
        let members = optional_members(cx, &["refresh_token"]).await?;
        let presented = self.presented(cx, &members)?;
        let asker = self.service.asker(cx).await?;
        let origin = Origin::of(cx);
        let refresh = match presented {
            Presented::Token(token) => Some(token.session),
            Presented::Nothing | Presented::Forged => None,
        };
        let caller = match asker {
            Asker::Known(caller) => Some(caller),
            Asker::Revoked => None,
            // Stale cookies go. Another site's form comes without them, and must not take them away.
            Asker::Nobody(reply) if refresh.is_none() && !self.service.cookies.are_in(&cx.head()) => {
                return Err(reply.into());
            }
            Asker::Nobody(_) => None,
        };
        if let Some(caller) = &caller {
            self.service.log_out(caller, &origin).await?;
        }
        let ended = caller.map(|caller| caller.session);
        if let Some(session) = refresh.filter(|session| Some(*session) != ended) {
            self.service.log_out_session(session, &origin).await?;
        }
        self.without_cookies(gone())
    }

    /// All logins of the user end.
    pub(super) async fn logout_all(&self, cx: &mut Cx<'_>) -> Answer {
        optional_members(cx, &[]).await?;
        let caller = self.service.caller(cx).await?;
        self.service.end_all(caller.user).await?;
        let event = Event::new(EventKind::LogoutAll, &Origin::of(cx)).user(caller.user).session(caller.session);
        self.service.deps.events.emit(event);
        self.without_cookies(gone())
    }
}

fn gone() -> Reply {
    Reply::new(StatusCode::NO_CONTENT)
}

impl TokenService {
    async fn log_out(&self, caller: &Caller, origin: &Origin) -> Result<(), Refused> {
        let token = Revocation {
            what: Revoked::Token(caller.mark.token.own),
            before: u64::MAX,
            until: Millis(caller.mark.expires.saturating_mul(1000)),
        };
        // A session's cookie is good as long as the session is.
        let token = if caller.by_session { &[][..] } else { &[token][..] };
        self.end(caller.user, caller.session, token).await?;
        let event = Event::new(EventKind::Logout, origin).user(caller.user).session(caller.session);
        self.deps.events.emit(event);
        Ok(())
    }

    /// The login of a refresh token alone.
    async fn log_out_session(&self, session: Id, origin: &Origin) -> Result<(), Refused> {
        let Some(session) = self.deps.store.session(session, self.now()).await? else { return Ok(()) };
        self.end(session.user, session.id, &[]).await?;
        let event = Event::new(EventKind::Logout, origin).user(session.user).session(session.id);
        self.deps.events.emit(event);
        Ok(())
    }
}
