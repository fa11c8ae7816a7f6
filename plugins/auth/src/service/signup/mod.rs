//! People register themselves, if the configuration lets them.

mod form;
mod users;

use std::sync::Arc;

use serde_json::json;
use tidegate_core::{ConfigError, ConfigErrors, Reply, StatusCode};

pub(crate) use form::name_of;
pub(super) use form::{is_display, is_email};

use super::Deps;
use super::answer::{Answer, Refused, admitted, json, problem};
use super::body::Members;
use super::passwords::{Policy, refusal};
use crate::config::service::Service;
use crate::events::{Event, EventKind, Origin};
use crate::guard::Attempt;
use crate::id::{Id, Millis};
use crate::store::User;
use form::Form;

/// What a body may have. There is nothing in it that only an operator may say.
pub(crate) const MEMBERS: &[&str] = &["name", "email", "password", "display", "challenge"];

/// Makes users of those who ask to be.
pub(crate) struct Signups {
    roles: Vec<String>,
    per_hour: u32,
    policy: Arc<Policy>,
}

impl Signups {
    /// Errors are relative to `service`.
    pub(crate) fn build(config: &Service, policy: Arc<Policy>) -> Result<Self, ConfigErrors> {
        let signup = &config.signup;
        if signup.enabled && signup.per_hour == 0 {
            let error = ConfigError::at("signup.per_hour", "with 0, nobody could register");
            return Err(error.help("leave `enabled` out to close the sign-up").into());
        }
        Ok(Self { roles: signup.roles.clone(), per_hour: signup.per_hour, policy })
    }

    /// 201 with the new user's name and id, and no tokens: a login follows, with its own checks.
    pub(crate) async fn serve(&self, deps: &Deps, members: &Members, origin: &Origin) -> Answer {
        let form = self.read(members).await?;
        // By name nothing can be guessed yet: the client alone is counted.
        let solution = members.text("challenge")?;
        let attempt = Attempt { client: origin.client, account: "", solution, trusted: false };
        admitted(deps.guard.admit(&attempt).await?)?;
        // Before the hash, which costs much.
        if deps.store.user_named(&form.name).await?.is_some() {
            deps.guard.failed(&attempt).await?;
            return Err(taken());
        }
        if let Some(wait) = deps.guard.registers(origin.client, self.per_hour).await? {
            return Err(Reply::too_many_requests(wait).into());
        }
        let user = self.register(deps, form).await?;
        deps.events.emit(Event::new(EventKind::Signup, origin).user(user.id));
        Ok(json(StatusCode::CREATED, &json!({ "id": user.id.text(), "name": user.name })))
    }

    /// What was sent, if all of it can be taken; else all that is wrong with it.
    async fn read(&self, members: &Members) -> Result<Form, Refused> {
        let (form, mut faults) = Form::read(members);
        if !form.password.is_empty() {
            faults.extend(self.policy.check("/password", &form.password, &form.about()).await?);
        }
        if faults.is_empty() { Ok(form) } else { Err(refusal(&faults).into()) }
    }

    async fn register(&self, deps: &Deps, form: Form) -> Result<User, Refused> {
        let hash = deps.hashing.hash(&form.password).await?;
        let user = fresh(form.name, hash, self.roles.clone(), deps.now());
        let user = User { display: form.display, email: form.email, ..user };
        if deps.store.create_user(&user).await? { Ok(user) } else { Err(taken()) }
    }
}

/// A user that nobody has seen yet.
pub(super) fn fresh(name: String, hash: String, roles: Vec<String>, now: Millis) -> User {
    User {
        id: Id::random(),
        display: name.clone(),
        name,
        email: None,
        hash,
        roles,
        created: now,
        changed: now,
        kept: None,
        totp: None,
        disabled: false,
        version: 0,
    }
}

/// Who asks learns that there is such an account, as everybody does who may choose a name; the guard makes it slow.
fn taken() -> Refused {
    problem(StatusCode::CONFLICT, "name_taken", "this name is taken").into()
}
