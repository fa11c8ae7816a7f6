//! A new password, for who knows the old one.

use tidegate_core::{Cx, Reply, StatusCode};

use super::answer::{Answer, Refused, admitted, invalid_token, problem};
use super::body::members;
use super::caller::Caller;
use super::metrics::Grant;
use super::passwords::{Fault, normal, refusal};
use super::{Desk, TokenService};
use crate::events::{Event, EventKind, Origin};
use crate::guard::Attempt;
use crate::store::User;

impl Desk<'_> {
    /// Changes it, ends all other sessions, and gives this one a token that is good from then on.
    pub(super) async fn password(&self, cx: &mut Cx<'_>) -> Answer {
        let service = self.service;
        let members = members(cx, &["old_password", "new_password", "challenge"]).await?;
        let (old, new) = (normal(members.needed("old_password")?), normal(members.needed("new_password")?));
        let caller = service.caller(cx).await?;
        let origin = Origin::of(cx);
        let Some(user) = service.deps.store.user(caller.user).await?.filter(|user| !user.disabled) else {
            return Err(invalid_token("invalid_token", "there is no such user any more").into());
        };
        let attempt = Attempt {
            client: cx.client(),
            account: &user.name,
            solution: members.text("challenge")?,
            trusted: self.is_trusted(cx, &user.name),
        };
        admitted(service.deps.guard.admit(&attempt).await?)?;
        service.knows(&user, &old, &attempt, &origin).await?;
        service.good_enough(&user, &old, &new).await?;
        // Before the session is read: a logout from here on is later than the token, and refuses it.
        let now = service.now();
        let changed = service.changed(&user, &caller, &new).await?;
        let session = service.deps.store.session(caller.session, now).await?;
        let event = Event::new(EventKind::PasswordChanged, &origin).user(user.id).session(caller.session);
        service.deps.events.emit(event);
        match session {
            Some(session) if !caller.by_session => {
                self.access_alone(&changed, &session, service.next_good(&session, now), Grant::Password)
            }
            _ => Ok(Reply::new(StatusCode::NO_CONTENT)),
        }
    }
}

impl TokenService {
    /// 403 if they don't know their password: who they are is known, so that it is no 401.
    async fn knows(&self, user: &User, old: &str, attempt: &Attempt<'_>, origin: &Origin) -> Result<(), Refused> {
        if self.deps.hashing.verify(old, &user.hash).await? {
            return Ok(self.deps.guard.succeeded(attempt).await?);
        }
        if self.deps.guard.failed(attempt).await? {
            self.deps.events.emit(Event::new(EventKind::Lockout, origin).user(user.id));
        }
        Err(Reply::forbidden("invalid_credentials", "the old password is wrong").into())
    }

    async fn good_enough(&self, user: &User, old: &str, new: &str) -> Result<(), Refused> {
        const POINTER: &str = "/new_password";
        if old == new {
            let detail = "must not be the old one".to_owned();
            return Err(refusal(&[Fault { pointer: POINTER, detail, weak: true }]).into());
        }
        let about = [&*user.name, &*user.display, user.email.as_deref().unwrap_or_default()];
        self.passwords.demand(POINTER, new, &about).await
    }

    /// With the new password, and all sessions but the caller's ended with it. A login that is under way finds that the
    /// password was changed, and ends itself.
    async fn changed(&self, user: &User, caller: &Caller, new: &str) -> Result<User, Refused> {
        let hash = self.deps.hashing.hash(new).await?;
        let now = self.now();
        let changed = User { hash, changed: now, kept: Some(caller.session), ..user.clone() };
        let Some(revoked) = self.deps.store.change_password(&changed, self.forgotten(now)).await? else {
            return Err(problem(StatusCode::CONFLICT, "conflict", "the account was changed meanwhile").into());
        };
        self.deps.revocations.heard(&revoked);
        Ok(changed)
    }
}
