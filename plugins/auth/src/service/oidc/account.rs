//! Whose account somebody gets who is known elsewhere. People are known by who vouches for them and as whom (`iss` and
//! `sub`); their name and address may be another's tomorrow (OpenID Connect Core 1.0 section 5.7).

use serde_json::{Map, Value};
use tidegate_core::StatusCode;

use super::no_account;
use super::party::Party;
use crate::config::service::Link;
use crate::events::{Event, EventKind, Origin};
use crate::id::{Id, Millis};
use crate::jwt::{claim_words, find_claim};
use crate::service::TokenService;
use crate::service::answer::{Refused, problem};
use crate::service::signup::{fresh, is_display, is_email, name_of};
use crate::store::User;

/// When what links an account to a subject may be forgotten: never, as far as a store can count.
const NEVER: Millis = Millis(253_402_300_799_000);

/// What a provider says of somebody, as far as it is kept.
struct About {
    display: Option<String>,
    /// Only what the provider has verified.
    email: Option<String>,
    /// Whether it says any address at all.
    says_email: bool,
}

impl TokenService {
    /// The account of a subject: the one that was made for them, the one that is linked to them, or a new one.
    pub(super) async fn account(
        &self,
        party: &Party,
        claims: &Map<String, Value>,
        origin: &Origin,
    ) -> Result<User, Refused> {
        let subject = claims.get("sub").and_then(Value::as_str).ok_or_else(no_account)?;
        let id = Id::hash(&[b"login with", party.issuer.as_bytes(), subject.as_bytes()]);
        let about = About::read(claims);
        if let Some(user) = self.deps.store.user(id).await? {
            return self.as_they_are_now(party, user, &about, claims).await;
        }
        if let Some(user) = self.linked(party, id, &about).await? {
            return Ok(user);
        }
        if !party.accounts.signup {
            self.deps.events.emit(Event::new(EventKind::LoginFailed, origin));
            return Err(no_account());
        }
        self.made(party, id, (about, claims), origin).await
    }

    /// A new account. It has no password: nobody can log in to it but by its provider, until an operator gives it one.
    async fn made(
        &self,
        party: &Party,
        id: Id,
        (about, claims): (About, &Map<String, Value>),
        origin: &Origin,
    ) -> Result<User, Refused> {
        // Nobody can guess it and take it first; and it is no address that another provider could vouch for.
        let mac = self.deps.keys.mac("login with", &id.0)?;
        let mut half = [0; 16];
        half[8..].copy_from_slice(&mac[..8]);
        let name = [&*party.name, "-", &Id(half).text()[16..]].concat();
        let user = fresh(name, self.deps.hashing.dummy(), party.accounts.roles(claims), self.now());
        let display = about.display.unwrap_or_else(|| user.name.clone());
        let user = User { id, display, email: about.email, ..user };
        if self.deps.store.create_user(&user).await? {
            self.deps.events.emit(Event::new(EventKind::Signup, origin).user(user.id));
            return Ok(user);
        }
        // Somebody logs in for the first time twice at once.
        self.deps.store.user(id).await?.ok_or_else(conflict)
    }

    /// The account with what the provider says of it now. If that can't be written, the old word is as good: but for
    /// roles, which somebody may have lost.
    async fn as_they_are_now(
        &self,
        party: &Party,
        user: User,
        about: &About,
        claims: &Map<String, Value>,
    ) -> Result<User, Refused> {
        let mut now = user.clone();
        now.display = about.display.clone().unwrap_or(now.display);
        if about.says_email {
            // One that is not verified, or is none, takes the place of the old one all the same: that may be another's.
            now.email.clone_from(&about.email);
        }
        if party.accounts.roles_from.is_some() {
            now.roles = party.accounts.roles(claims);
        }
        if now == user {
            return Ok(user);
        }
        let lost = user.roles.iter().any(|role| !now.roles.contains(role));
        if !self.deps.store.update_user(&now).await? {
            let current = self.deps.store.user(user.id).await?.ok_or_else(conflict)?;
            return if current.roles == now.roles { Ok(current) } else { Err(conflict()) };
        }
        if lost && self.config.session.is_none() {
            // What was issued says what is no longer so.
            let at = self.now();
            self.revoke(&[self.revoked_user(user.id, at)], at).await?;
        }
        Ok(User { version: now.version.saturating_add(1), ..now })
    }

    /// The account that is there already, if the configuration lets an address decide.
    async fn linked(&self, party: &Party, id: Id, about: &About) -> Result<Option<User>, Refused> {
        if party.accounts.link == Link::Never {
            return Ok(None);
        }
        let (store, now) = (&self.deps.store, self.now());
        let key = Id::hash(&[b"login with", b"linked", &id.0]);
        if let Some(bytes) = store.get(key, now).await? {
            let user = <[u8; 16]>::try_from(bytes.as_slice()).ok().map(Id);
            let user = if let Some(user) = user { store.user(user).await? } else { None };
            if user.is_some() {
                return Ok(user);
            }
        }
        let Some(name) = about.email.as_deref().and_then(named_so) else { return Ok(None) };
        let Some(user) = store.user_named(&name).await? else { return Ok(None) };
        store.put(key, &user.id.0, NEVER, false, now).await?;
        log::info!(user = user.id.text(), provider = &*party.name; "an account was linked to a provider's");
        Ok(Some(user))
    }
}

/// The name of an account that is this address. Letters beyond ASCII are not put into lower case for it: those of other
/// addresses become the same (U+212A is `k` then).
fn named_so(email: &str) -> Option<String> {
    name_of(email).filter(|name| *name == email.to_ascii_lowercase())
}

fn conflict() -> Refused {
    problem(StatusCode::CONFLICT, "conflict", "the account was changed meanwhile").into()
}

impl super::party::Accounts {
    /// The roles of somebody of whom this is said.
    fn roles(&self, claims: &Map<String, Value>) -> Vec<String> {
        let mut roles = self.roles.clone();
        let Some(from) = &self.roles_from else { return roles };
        if let Some(value) = find_claim(claims, &from.claim) {
            claim_words(value, |word| {
                // The map bounds them.
                roles.extend(from.map.get(word).filter(|role| !roles.contains(role)).cloned());
            });
        }
        roles
    }
}

impl About {
    fn read(claims: &Map<String, Value>) -> Self {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::trim);
        // Some providers write it as a text.
        let verified = claims.get("email_verified").is_some_and(|said| *said == true || *said == "true");
        let email = text("email").filter(|email| verified && is_email(email));
        let display = ["name", "preferred_username"].into_iter().filter_map(text).find(|name| is_display(name));
        let says_email = claims.contains_key("email");
        Self { display: display.or(email).map(str::to_owned), email: email.map(str::to_owned), says_email }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::party::Accounts;
    use super::*;
    use crate::config::service::RolesFrom;

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn an_address_counts_when_the_provider_has_verified_it() {
        let email = |value| About::read(&claims(value)).email;
        assert_eq!(email(json!({"email": "a@b.co", "email_verified": true})).as_deref(), Some("a@b.co"));
        assert_eq!(email(json!({"email": "a@b.co", "email_verified": "true"})).as_deref(), Some("a@b.co"));
        for bad in [
            json!({"email": "a@b.co"}),
            json!({"email": "a@b.co", "email_verified": false}),
            json!({"email": "a@b.co", "email_verified": 1}),
            json!({"email": "a@b.co", "email_verified": "yes"}),
            json!({"email": ["a@b.co"], "email_verified": true}),
            json!({"email": "a b", "email_verified": true}),
            json!({"email_verified": true}),
        ] {
            assert_eq!(email(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn somebody_is_called_what_can_be_shown() {
        let display = |value| About::read(&claims(value)).display;
        assert_eq!(display(json!({"name": " Ada ", "preferred_username": "a"})).as_deref(), Some("Ada"));
        assert_eq!(display(json!({"name": "a\nb", "preferred_username": "a"})).as_deref(), Some("a"));
        assert_eq!(display(json!({"name": "x".repeat(200)})), None);
        assert_eq!(display(json!({"email": "a@b.co", "email_verified": true})).as_deref(), Some("a@b.co"));
    }

    #[test]
    fn roles_are_those_of_everybody_and_those_that_the_map_has() {
        let map = [("admins", "admin"), ("root", "admin"), ("staff", "user")];
        let map: BTreeMap<_, _> = map.map(|(word, role)| (word.to_owned(), role.to_owned())).into();
        let from = RolesFrom { claim: "realm.groups".to_owned(), map };
        let accounts =
            Accounts { signup: true, roles: vec!["user".to_owned()], roles_from: Some(from), link: Link::Never };
        let roles = |value: Value| accounts.roles(&claims(json!({"realm": {"groups": value}})));
        assert_eq!(roles(json!(["admins", "root", "staff", "admin", "other"])), ["user", "admin"]);
        assert_eq!(roles(json!("admins other")), ["user", "admin"]);
        assert_eq!(roles(json!({"admins": true})), ["user"]);
        assert_eq!(accounts.roles(&Map::new()), ["user"]);
    }
}
