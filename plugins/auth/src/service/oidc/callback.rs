//! A browser comes back from the provider (OpenID Connect Core 1.0 section 3.1.2.5). In this order: was it sent there by us,
//! and not long ago; is it the first time; is it this provider that answers; then the provider is asked who it is.

use std::borrow::Cow;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::{Map, Value};
use tidegate_core::{Cx, Error, HeaderValue, Reply, StatusCode, header};

use super::endpoints::Endpoints;
use super::exchange::{Code, NoGrant, is_word};
use super::party::Party;
use super::query::{Plus, Unreadable, parameter};
use super::seal::{self, Begun, Kept, PROVED_FOR, Proved};
use super::{disabled, not_begun, refused};
use crate::events::{Event, EventKind, Origin};
use crate::id::Id;
use crate::jwt::{Sent, Unproved};
use crate::service::Desk;
use crate::service::answer::{Answer, Refused, admitted, challenged};
use crate::store::User;
use crate::verdict::Refusal;

/// What the provider says by the browser.
struct Said<'a> {
    state: Option<Cow<'a, str>>,
    code: Option<Cow<'a, str>>,
    iss: Option<Cow<'a, str>>,
    error: Option<Cow<'a, str>>,
}

impl<'a> Said<'a> {
    fn read(query: Option<&'a str>) -> Result<Self, Unreadable> {
        let of = |name| parameter(query, name, Plus::Space);
        Ok(Self { state: of("state")?, code: of("code")?, iss: of("iss")?, error: of("error")? })
    }
}

impl Desk<'_> {
    /// `GET login/<name>/callback`. Whatever comes of it, the attempt is over.
    pub(super) async fn callback(&self, party: &Party, cx: &Cx<'_>) -> Answer {
        let reply = match self.came_back(party, cx).await {
            Ok(reply) | Err(Refused::Reply(reply)) => reply,
            Err(failed) => return Err(failed),
        };
        // Unless it goes on with a second factor.
        let goes_on = |line: &HeaderValue| {
            line.as_bytes().strip_prefix(party.cookie.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
        };
        match reply.headers().get_all(header::SET_COOKIE).iter().any(goes_on) {
            true => Ok(reply),
            false => self.without_attempt(party, reply),
        }
    }

    async fn came_back(&self, party: &Party, cx: &Cx<'_>) -> Answer {
        let begun = self.attempt(party, cx)?;
        let said = Said::read(cx.head().query).map_err(|_| invalid())?;
        let same = |state: &str| verify_slices_are_equal(state.as_bytes(), begun.state.as_bytes()).is_ok();
        if !said.state.as_deref().is_some_and(same) {
            return Err(invalid());
        }
        admitted(self.service.deps.guard.admit_returning(cx.client()).await?)?;
        self.only_once(&begun).await?;
        let endpoints = party.endpoints().await?;
        // Another provider's code is not for this one (RFC 9207, RFC 9700 section 4.4).
        match said.iss.as_deref() {
            None if !endpoints.names_itself => {}
            Some(iss) if *iss == *party.issuer => {}
            _ => return Err(invalid()),
        }
        if let Some(error) = said.error.as_deref() {
            return Err(party.declined(error));
        }
        let code = said.code.filter(|code| !code.is_empty()).ok_or_else(invalid)?;
        let origin = Origin::of(cx);
        match self.known_there(party, &endpoints, &begun, &code).await {
            Ok(claims) => self.known_here(party, &claims, begun.return_to, &origin).await,
            Err(NoGrant::Refused(why)) => {
                log::info!(provider = &*party.name, why:%, request_id = origin.request_id.as_str(); "a login was refused");
                self.service.deps.events.emit(Event::new(EventKind::LoginFailed, &origin));
                Err(refused())
            }
            Err(NoGrant::Unavailable(why)) => Err(party.lost(&why)),
        }
    }

    /// What this browser was sent away with.
    fn attempt(&self, party: &Party, cx: &Cx<'_>) -> Result<Begun, Refused> {
        let (keys, context) = (&self.service.deps.keys, party.context(self.at));
        let sealed = cx.head().cookie(&party.cookie).ok_or_else(not_begun)?;
        match seal::open(keys, context, sealed, self.service.now())? {
            Some(Kept::Begun(begun)) => Ok(begun),
            _ => Err(not_begun()),
        }
    }

    /// The cookie is gone after the first time; who has kept it gets no further, either.
    async fn only_once(&self, begun: &Begun) -> Result<(), Refused> {
        let (key, now) = (Id::hash(&[b"login with", b"used", begun.state.as_bytes()]), self.service.now());
        match self.service.deps.store.put(key, &[], begun.until(), true, now).await? {
            true => Ok(()),
            false => Err(invalid()),
        }
    }

    /// Who the provider says that they are.
    async fn known_there(
        &self,
        party: &Party,
        endpoints: &Endpoints,
        begun: &Begun,
        code: &str,
    ) -> Result<Map<String, Value>, NoGrant> {
        let redirect_uri = party.redirect_uri(self.at);
        let code = Code { code, verifier: &begun.verifier, redirect_uri: &redirect_uri };
        let granted = party.exchange(endpoints, &code).await?;
        let sent = Sent { nonce: &begun.nonce, asked: begun.at(), access_token: granted.access_token.as_deref() };
        let claims = party.tokens.check(&granted.id_token, &sent, self.service.deps.clock.wall()).await;
        let claims = claims.map_err(|unproved| match unproved {
            Unproved::Refused(Refusal { reason, detail, .. }) => {
                NoGrant::Refused(if detail.is_empty() { reason.as_str().into() } else { detail })
            }
            Unproved::Unavailable(why) => NoGrant::Unavailable(why),
        })?;
        let subject = claims.get("sub").and_then(Value::as_str).ok_or_else(|| NoGrant::Refused("nobody".into()))?;
        if !party.userinfo {
            return Ok(claims);
        }
        let more = party.userinfo(endpoints, sent.access_token, subject).await?;
        Ok(joined(more, claims))
    }

    /// Who they are here, and what they get for it.
    async fn known_here(
        &self,
        party: &Party,
        claims: &Map<String, Value>,
        return_to: String,
        origin: &Origin,
    ) -> Answer {
        let user = self.service.account(party, claims, origin).await?;
        if user.disabled {
            let failed = Event::new(EventKind::LoginFailed, origin).user(user.id).name(&user.name);
            self.service.deps.events.emit(failed);
            return Err(disabled());
        }
        if user.totp.as_ref().is_some_and(|(_, confirmed)| *confirmed) {
            return self.asks_for_code(party, &user, return_to);
        }
        let reply = self.logged_in_with(party, &user, origin).await?;
        let cookies = &self.service.cookies;
        // Programs have asked for tokens; a browser has asked for a page.
        match cookies.deliver || cookies.session.is_some() {
            true => sent_to(&return_to, &reply),
            false => Ok(reply),
        }
    }

    /// A session begins, as after any login.
    pub(super) async fn logged_in_with(&self, party: &Party, user: &User, origin: &Origin) -> Answer {
        let begun = self.service.begin(user, origin).await?;
        let user = self.service.still_so(user, begun.session.id).await?;
        self.service.logged_in(&user, begun.session.id, origin).await;
        let reply = self.welcome(&user, &begun)?;
        party.metrics.logged_in();
        self.with_device(reply, &user.name)
    }

    /// The provider's word is not enough for an account with a second factor.
    fn asks_for_code(&self, party: &Party, user: &User, return_to: String) -> Answer {
        let proved = Proved::new(user.id, user.changed, return_to, self.service.now());
        let sealed = seal::seal(&self.service.deps.keys, party.context(self.at), &Kept::Proved(proved))?;
        let reply = match &party.totp_page {
            Some(page) => {
                party.metrics.refused("totp_required");
                sent_to(page, &Reply::new(StatusCode::OK))?
            }
            None => {
                let detail = "send the code of your second factor as `totp`, by POST to this path without `/callback`";
                challenged(Reply::unauthorized("totp_required", detail))
            }
        };
        self.with_attempt(party, reply, &sealed, PROVED_FOR)
    }
}

/// What is signed wins. An address and whether it is verified are one word: that one of them is verified says nothing of
/// another's.
fn joined(mut more: Map<String, Value>, signed: Map<String, Value>) -> Map<String, Value> {
    let of_another = match signed.get("email") {
        Some(email) => more.get("email") != Some(email),
        None => signed.contains_key("email_verified"),
    };
    if of_another {
        more.remove("email");
        more.remove("email_verified");
    }
    more.extend(signed);
    more
}

/// 303 to a path here, with the cookies of `reply`.
fn sent_to(path: &str, reply: &Reply) -> Answer {
    let location = HeaderValue::try_from(path).map_err(|_| Error::internal("a path that is no header field"))?;
    let cookies = reply.headers().get_all(header::SET_COOKIE).iter().cloned();
    let sent = Reply::redirect(StatusCode::SEE_OTHER, location);
    Ok(cookies.fold(sent, |sent, cookie| sent.append(header::SET_COOKIE, cookie)))
}

/// 400 for an answer that doesn't belong to the question, or that was given before.
fn invalid() -> Refused {
    Reply::bad_request("invalid_callback", "this is no answer to the login that was begun here: begin again").into()
}

impl Party {
    /// The provider did not log them in. Of what it says, the client is told the kind alone.
    fn declined(&self, error: &str) -> Refused {
        let word = if is_word(error) { error } else { "another" };
        match word {
            "access_denied"
            | "login_required"
            | "interaction_required"
            | "consent_required"
            | "account_selection_required" => {
                log::debug!(provider = &*self.name, error = word; "a login was declined");
                challenged(Reply::unauthorized("login_declined", "the provider did not log you in")).into()
            }
            "server_error" | "temporarily_unavailable" => self.lost(word),
            _ => {
                log::warn!(provider = &*self.name, error = word; "a provider did not understand, or does not know us");
                Reply::bad_request("login_failed", "the provider could not log you in").into()
            }
        }
    }
}
