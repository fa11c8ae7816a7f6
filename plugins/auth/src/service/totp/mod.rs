//! A second factor: one-time passwords by time (RFC 6238), as the apps know it: six digits, 30 s, SHA-1.
//!
//! The secret is not in the store: it is computed from what is there and a key of the gateways. Who takes the store away
//! has no second factors with it.

mod code;
mod secret;

use std::time::Duration;

use serde_json::json;
use tidegate_core::{ConfigError, ConfigErrors, Cx, Reply, StatusCode};

use super::answer::{Answer, Refused, admitted, invalid_token, json, problem};
use super::body::members;
use super::{Caller, TokenService};
use crate::config::service::Service;
use crate::events::{Event, EventKind, Origin};
use crate::guard::Attempt;
use crate::id::Id;
use crate::store::{Counter, User};
use code::{STEP, matching};
use secret::{Seed, uri};

/// The most failures at one account within [`WINDOW`], from wherever they come. Who fails here knows the password; the
/// account's own limit would let them guess thousands of codes a day (RFC 4226 section 7.3).
const FAILURES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(3600);

/// Errors are relative to `service`.
pub(super) fn check(config: &Service, errors: &mut ConfigErrors) {
    if config.totp.window > 2 {
        let error = ConfigError::at("totp.window", format!("{} is more than 2", config.totp.window));
        errors.push(error.help("each step more is one more code that is right"));
    }
    if config.totp.issuer.as_deref().is_some_and(|issuer| issuer.is_empty() || issuer.contains(':')) {
        errors.push(ConfigError::at("totp.issuer", "must be a name without a colon"));
    }
}

/// Whether this is the code of now, or of a neighbouring step, and was not used before. The password was right.
pub(super) async fn verify(service: &TokenService, user: &User, code: &str) -> Result<bool, Refused> {
    let Some((seed, _)) = &user.totp else { return Ok(false) };
    let now = service.now();
    let failures = Counter { key: Id::hash(&[b"totp failed", &user.id.0]), window: WINDOW };
    // Counted first: a thousand at once are not a thousand guesses.
    let counted = service.deps.store.count(&[failures], 1, now).await?;
    if let Some(counted) = counted.first().filter(|counted| counted.count > FAILURES) {
        return Err(Reply::too_many_requests(counted.reset.since(now)).into());
    }
    let secret = Seed::read(seed).secret(user.id, &service.deps.keys)?;
    let Some(step) = matching(&secret, code, now, service.config.totp.window) else { return Ok(false) };
    let used = Id::hash(&[b"totp used", &user.id.0, &step.to_be_bytes()]);
    let until = now.plus(STEP * 6);
    if !service.deps.store.put(used, &[], until, true, now).await? {
        return Ok(false);
    }
    service.deps.store.forget(&[failures.key]).await?;
    Ok(true)
}

/// A new secret, for who knows the password (with a stolen token somebody else would lock the owner out), to be confirmed
/// by a code of it. The one before stays until then, if it was not confirmed either.
pub(super) async fn setup(service: &TokenService, cx: &mut Cx<'_>, caller: &Caller) -> Answer {
    let members = members(cx, &["password", "challenge"]).await?;
    let (password, solution) = (members.needed("password")?, members.text("challenge")?);
    let (user, origin) = (of(service, caller).await?, Origin::of(cx));
    if is_on(&user) {
        return Err(problem(StatusCode::CONFLICT, "totp_on", "there is a second factor: remove it first").into());
    }
    let attempt = Attempt { client: origin.client, account: &user.name, solution, trusted: true };
    admitted(service.deps.guard.admit(&attempt).await?)?;
    knows(service, &user, password, &attempt, &origin).await?;
    service.deps.guard.succeeded(&attempt).await?;
    let seed = Seed::random();
    let secret = seed.secret(user.id, &service.deps.keys)?;
    keep(service, User { totp: Some((seed.to_bytes(), false)), ..user.clone() }).await?;
    let uri = uri(&secret, issuer(&service.config), &user.name);
    Ok(json(StatusCode::OK, &json!({ "secret": secret.base32(), "uri": uri })))
}

/// From now on it is asked for.
pub(super) async fn confirm(service: &TokenService, cx: &mut Cx<'_>, caller: &Caller) -> Answer {
    let members = members(cx, &["totp", "challenge"]).await?;
    let (code, solution) = (members.needed("totp")?, members.text("challenge")?);
    let (user, origin) = (of(service, caller).await?, Origin::of(cx));
    let Some((seed, false)) = user.totp.clone() else {
        let detail = "there is no second factor that waits to be confirmed: set one up";
        return Err(problem(StatusCode::CONFLICT, "totp_not_set_up", detail).into());
    };
    let attempt = Attempt { client: origin.client, account: &user.name, solution, trusted: true };
    admitted(service.deps.guard.admit(&attempt).await?)?;
    right(service, &user, code, &attempt, &origin).await?;
    keep(service, User { totp: Some((seed, true)), ..user.clone() }).await?;
    let event = Event::new(EventKind::TotpEnabled, &origin).user(user.id).session(caller.session);
    service.deps.events.emit(event);
    Ok(Reply::new(StatusCode::NO_CONTENT))
}

/// For who knows the password and has the device: a stolen token is not enough.
pub(super) async fn remove(service: &TokenService, cx: &mut Cx<'_>, caller: &Caller) -> Answer {
    let members = members(cx, &["password", "totp", "challenge"]).await?;
    let (password, code) = (members.needed("password")?, members.needed("totp")?);
    let (user, origin) = (of(service, caller).await?, Origin::of(cx));
    if !is_on(&user) {
        return Err(problem(StatusCode::CONFLICT, "totp_off", "there is no second factor").into());
    }
    let solution = members.text("challenge")?;
    let attempt = Attempt { client: origin.client, account: &user.name, solution, trusted: true };
    admitted(service.deps.guard.admit(&attempt).await?)?;
    knows(service, &user, password, &attempt, &origin).await?;
    right(service, &user, code, &attempt, &origin).await?;
    keep(service, User { totp: None, ..user.clone() }).await?;
    let event = Event::new(EventKind::TotpDisabled, &origin).user(user.id).session(caller.session);
    service.deps.events.emit(event);
    Ok(Reply::new(StatusCode::NO_CONTENT))
}

/// Whether it is asked for.
fn is_on(user: &User) -> bool {
    user.totp.as_ref().is_some_and(|(_, confirmed)| *confirmed)
}

async fn of(service: &TokenService, caller: &Caller) -> Result<User, Refused> {
    let user = service.deps.store.user(caller.user).await?.filter(|user| !user.disabled);
    user.ok_or_else(|| invalid_token("invalid_token", "there is no such user any more").into())
}

/// 403 for a wrong password.
async fn knows(
    service: &TokenService,
    user: &User,
    password: &str,
    attempt: &Attempt<'_>,
    origin: &Origin,
) -> Result<(), Refused> {
    if service.deps.hashing.verify(password, &user.hash).await? {
        return Ok(());
    }
    failed(service, user, attempt, origin).await?;
    Err(Reply::forbidden("invalid_credentials", "the password is wrong").into())
}

/// 403 for a wrong code: who they are is known.
async fn right(
    service: &TokenService,
    user: &User,
    code: &str,
    attempt: &Attempt<'_>,
    origin: &Origin,
) -> Result<(), Refused> {
    if verify(service, user, code).await? {
        return Ok(service.deps.guard.succeeded(attempt).await?);
    }
    failed(service, user, attempt, origin).await?;
    Err(Reply::forbidden("totp_invalid", "this code is wrong or was used").into())
}

async fn failed(service: &TokenService, user: &User, attempt: &Attempt<'_>, origin: &Origin) -> Result<(), Refused> {
    if service.deps.guard.failed(attempt).await? {
        service.deps.events.emit(Event::new(EventKind::Lockout, origin).user(user.id));
    }
    Ok(())
}

async fn keep(service: &TokenService, user: User) -> Result<(), Refused> {
    match service.deps.store.update_user(&user).await? {
        true => Ok(()),
        false => Err(problem(StatusCode::CONFLICT, "conflict", "the account was changed meanwhile").into()),
    }
}

/// What apps call this place: the issuer's host, unless the configuration says.
fn issuer(config: &Service) -> &str {
    let host = || {
        let rest = config.issuer.split_once("://").map_or(&*config.issuer, |(_, rest)| rest);
        rest.split(['/', ':']).next().unwrap_or(rest)
    };
    config.totp.issuer.as_deref().unwrap_or_else(host)
}
