//! Login: a name, a password, and a second factor where there is one.

use tidegate_core::{Cx, Reply};

use super::answer::{Answer, Refused, admitted, bad_member, challenged, invalid_credentials};
use super::body::{Members, members};
use super::passwords::normal;
use super::signup::name_of;
use super::{Desk, TokenService, totp};
use crate::events::{Event, EventKind, Origin};
use crate::guard::Attempt;
use crate::store::User;

const MEMBERS: [&str; 5] = ["name", "email", "password", "totp", "challenge"];

impl Desk<'_> {
    pub(super) async fn login(&self, cx: &mut Cx<'_>) -> Answer {
        let members = members(cx, &MEMBERS).await?;
        let (name, password) = (given_name(&members)?, members.needed("password")?);
        let (code, solution) = (members.text("totp")?, members.text("challenge")?);
        // A name that nobody can have is looked for as well: it takes as long as any other.
        let account = name_of(name).unwrap_or_default();
        let password = &*normal(password);
        let origin = Origin::of(cx);
        let trusted = self.is_trusted(cx, &account);
        let attempt = Attempt { client: cx.client(), account: &account, solution, trusted };
        admitted(self.service.deps.guard.admit(&attempt).await?)?;
        let user = self.service.proved(name, password, &attempt, &origin).await?;
        self.service.second_factor(&user, code, &attempt, &origin).await?;
        self.service.deps.guard.succeeded(&attempt).await?;
        let user = self.service.rehashed(user, password).await;
        let begun = self.service.begin(&user, &origin).await?;
        let user = self.service.still_so(&user, begun.session.id).await?;
        self.service.logged_in(&user, begun.session.id, &origin).await;
        let reply = self.welcome(&user, &begun)?;
        self.with_device(reply, &account)
    }
}

/// By which name, which may be an address.
fn given_name(members: &Members) -> Result<&str, Refused> {
    match (members.text("name")?, members.text("email")?) {
        (Some(name), None) | (None, Some(name)) => Ok(name),
        (None, None) => Err(bad_member("/name".to_owned(), "it is missing").into()),
        (Some(_), Some(_)) => Err(bad_member("/email".to_owned(), "give either a name or an address").into()),
    }
}

impl TokenService {
    /// The user of this name and password. Whatever is wrong, the same is done, answered and takes as long: nobody
    /// learns which names there are, or which are disabled.
    async fn proved(
        &self,
        name: &str,
        password: &str,
        attempt: &Attempt<'_>,
        origin: &Origin,
    ) -> Result<User, Refused> {
        let user = self.deps.store.user_named(attempt.account).await?;
        let dummy = || self.deps.hashing.dummy();
        let hash = user.as_ref().map_or_else(dummy, |user| user.hash.clone());
        let right = self.deps.hashing.verify(password, &hash).await?;
        match user.as_ref().filter(|user| right && !user.disabled) {
            Some(user) => Ok(user.clone()),
            None => {
                self.failed(user.as_ref(), name, attempt, origin).await?;
                Err(invalid_credentials().into())
            }
        }
    }

    async fn failed(
        &self,
        user: Option<&User>,
        name: &str,
        attempt: &Attempt<'_>,
        origin: &Origin,
    ) -> Result<(), Refused> {
        let event = |kind| {
            let event = Event::new(kind, origin).name(name);
            match user {
                Some(user) => event.user(user.id),
                None => event,
            }
        };
        self.deps.events.emit(event(EventKind::LoginFailed));
        if self.deps.guard.failed(attempt).await? {
            self.deps.events.emit(event(EventKind::Lockout));
        }
        Ok(())
    }

    /// Asked for only when the password was right.
    pub(super) async fn second_factor(
        &self,
        user: &User,
        code: Option<&str>,
        attempt: &Attempt<'_>,
        origin: &Origin,
    ) -> Result<(), Refused> {
        if !user.totp.as_ref().is_some_and(|(_, confirmed)| *confirmed) {
            return Ok(());
        }
        let Some(code) = code else {
            let detail = "send the code of your second factor as `totp`";
            return Err(challenged(Reply::unauthorized("totp_required", detail)).into());
        };
        if totp::verify(self, user, code).await? {
            return Ok(());
        }
        self.failed(Some(user), &user.name, attempt, origin).await?;
        Err(challenged(Reply::unauthorized("totp_invalid", "this code is wrong or was used")).into())
    }

    /// With a new hash, if the old one was made in another way than they are now. If it can't be made, the old one is as
    /// good.
    async fn rehashed(&self, user: User, password: &str) -> User {
        if !self.deps.hashing.is_outdated(&user.hash) {
            return user;
        }
        let Ok(hash) = self.deps.hashing.hash(password).await else { return user };
        let newer = User { hash, ..user.clone() };
        match self.deps.store.update_user(&newer).await {
            Ok(true) => newer,
            Ok(false) | Err(_) => user,
        }
    }

    /// A password that was changed while this login was under way has ended it: the change ended the sessions that it
    /// found, and can't have found this one. The user as they are now: roles may have been taken away meanwhile.
    pub(super) async fn still_so(&self, user: &User, session: crate::id::Id) -> Result<User, Refused> {
        let now = self.deps.store.user(user.id).await?;
        if let Some(now) = now.filter(|now| now.changed == user.changed && !now.disabled) {
            return Ok(now);
        }
        self.end(user.id, session, &[]).await?;
        Err(invalid_credentials().into())
    }

    pub(super) async fn logged_in(&self, user: &User, session: crate::id::Id, origin: &Origin) {
        let event = Event::new(EventKind::Login, origin).user(user.id).name(&user.name).session(session);
        self.deps.events.emit(event);
        self.deps.events.new_login(&*self.deps.store, user.id, Some(session), origin).await;
    }
}
