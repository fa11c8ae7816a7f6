//! Users by an operator's word: the first one, their roles, and what to do when somebody is locked out.

use serde_json::{Value, json};
use tidegate_core::{AdminRequest, Method, Reply, StatusCode};

use super::super::TokenService;
use super::super::answer::{Refused, problem};
use super::{fresh, name_of};
use crate::id::fill_random;
use crate::store::{NOBODY, User};

/// Letters and digits that nobody takes for one another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 125 bits.
const LENGTH: usize = 25;

/// What is to be another way; what is not said stays.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    roles: Option<Vec<String>>,
    disabled: Option<bool>,
    /// A new password, which is told once.
    password: bool,
    /// Without the second factor: the device is lost.
    totp_off: bool,
}

impl TokenService {
    /// `users?name=…`: GET shows one; POST makes one, with `roles=a,b`, and tells the password; PUT changes one, by
    /// `roles=a,b`, `disabled=true`, `password=new`, `totp=off`.
    pub(crate) async fn administer(&self, request: &AdminRequest<'_>) -> Result<Value, Reply> {
        let name = request.query("name").ok_or_else(|| bad("say who: name=<name>"))?;
        let name = name_of(&name).ok_or_else(|| bad("a name has 3 to 64 letters, digits or . _ - @ +"))?;
        let answer = match *request.method {
            Method::GET => self.named(&name).await.map(|user| shown(&user)),
            Method::POST => self.create(name, roles(request).unwrap_or_default()).await,
            Method::PUT => self.change(&name, &changes(request)?).await,
            _ => return Err(problem(StatusCode::METHOD_NOT_ALLOWED, "method", "GET, POST or PUT")),
        };
        answer.map_err(|refused| match refused {
            Refused::Reply(reply) => reply,
            Refused::Failed(error) => {
                log::warn!("an operator's request failed: {error}");
                Reply::unavailable("store_unavailable", "that could not be done")
            }
        })
    }

    async fn named(&self, name: &str) -> Result<User, Refused> {
        let user = self.deps.store.user_named(name).await?;
        user.ok_or_else(|| Reply::not_found("there is no such user").into())
    }

    async fn create(&self, name: String, roles: Vec<String>) -> Result<Value, Refused> {
        let (password, hash) = self.new_password().await?;
        let user = fresh(name, hash, roles, self.now());
        if !self.deps.store.create_user(&user).await? {
            return Err(super::taken());
        }
        log::info!(user = user.id.text(); "a user was made by an operator");
        Ok(with(shown(&user), "password", password))
    }

    async fn change(&self, name: &str, changes: &Changes) -> Result<Value, Refused> {
        let mut user = self.named(name).await?;
        let password = if changes.password { Some(self.new_password().await?) } else { None };
        if let Some(roles) = &changes.roles {
            user.roles.clone_from(roles);
        }
        user.disabled = changes.disabled.unwrap_or(user.disabled);
        if changes.totp_off {
            user.totp = None;
        }
        if let Some((_, hash)) = &password {
            user.hash.clone_from(hash);
            user.changed = self.now();
            user.kept = Some(NOBODY);
        }
        let done = match password.is_some() {
            true => self.replaced(&user).await?,
            false => self.deps.store.update_user(&user).await?,
        };
        if !done {
            return Err(problem(StatusCode::CONFLICT, "conflict", "the account was changed meanwhile").into());
        }
        // What was issued says what is no longer so. Sessions go on with new tokens, unless nobody should.
        if changes.password || user.disabled {
            self.end_all(user.id).await?;
        } else if changes.roles.is_some() && self.config.session.is_none() {
            // Sessions by cookie are looked at again within a minute.
            let now = self.now();
            self.revoke(&[self.revoked_user(user.id, now)], now).await?;
        }
        log::info!(user = user.id.text(); "a user was changed by an operator");
        Ok(match password {
            Some((password, _)) => with(shown(&user), "password", password),
            None => shown(&user),
        })
    }

    /// With a new password, and without the sessions that there were, in one.
    async fn replaced(&self, user: &User) -> Result<bool, Refused> {
        let revoked = self.deps.store.change_password(user, self.forgotten(self.now())).await?;
        self.deps.revocations.heard(revoked.as_deref().unwrap_or_default());
        Ok(revoked.is_some())
    }

    /// One that nobody guesses, with its hash.
    async fn new_password(&self) -> Result<(String, String), Refused> {
        let mut random = [0; LENGTH];
        fill_random(&mut random);
        let password: String = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
        let hash = self.deps.hashing.hash(&password).await?;
        Ok((password, hash))
    }
}

fn shown(user: &User) -> Value {
    json!({
        "id": user.id.text(),
        "name": user.name,
        "email": user.email,
        "roles": user.roles,
        "disabled": user.disabled,
        "totp": user.totp.as_ref().is_some_and(|(_, confirmed)| *confirmed),
        "created_seconds": user.created.seconds(),
        "changed_seconds": user.changed.seconds(),
    })
}

fn with(mut value: Value, key: &str, text: String) -> Value {
    value[key] = text.into();
    value
}

fn changes(request: &AdminRequest<'_>) -> Result<Changes, Reply> {
    let disabled = match request.query("disabled").as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(bad("disabled=true or disabled=false")),
    };
    let word = |key: &str, word: &str, why| match request.query(key) {
        None => Ok(false),
        Some(given) if given == word => Ok(true),
        Some(_) => Err(bad(why)),
    };
    let password = word("password", "new", "password=new makes one; it can't be chosen here")?;
    let totp_off = word("totp", "off", "totp=off takes the second factor away")?;
    let changes = Changes { roles: roles(request), disabled, password, totp_off };
    if changes == Changes::default() {
        return Err(bad("say what: roles=a,b, disabled=true, password=new, totp=off"));
    }
    Ok(changes)
}

fn roles(request: &AdminRequest<'_>) -> Option<Vec<String>> {
    let roles = request.query("roles")?;
    Some(roles.split(',').map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned).collect())
}

fn bad(why: &'static str) -> Reply {
    Reply::bad_request("bad_request", why)
}
