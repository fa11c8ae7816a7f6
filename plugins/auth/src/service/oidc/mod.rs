//! Login with another provider (OpenID Connect Core 1.0 section 3.1): the gateway as a relying party, by the authorization
//! code flow with PKCE.
//!
//! [`begin`] sends a browser away with a question that only this attempt knows the answer to; [`callback`] takes it back,
//! and asks the provider who it is ([`exchange`]); [`account`] finds whose account that is here; [`second`] asks for the
//! code of a second factor where the account has one. All that is kept in between is a sealed cookie ([`seal`]).

mod account;
mod begin;
mod callback;
mod check;
mod endpoints;
mod exchange;
mod local;
mod metrics;
mod party;
mod query;
mod seal;
mod second;

use std::collections::BTreeMap;

use tidegate_core::{BuildCx, ConfigErrors, Cx, Reply, StatusCode, header};

pub(super) use check::check;
pub(crate) use check::warnings;

use super::answer::Answer;
use super::cookies::{Cookies, Scripts};
use super::paths::Call;
use super::{Desk, Refused};
use crate::config::service::Service;
use party::Party;

/// The providers that people log in with.
pub(super) struct LoginWith(BTreeMap<Box<str>, Party>);

impl LoginWith {
    /// Asks nobody anything yet. Errors are relative to `service`, and none that [`check`] finds.
    pub(super) fn build(config: &Service, cookies: &Cookies, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut parties = BTreeMap::new();
        for (name, of) in &config.login_with {
            let at = tidegate_core::ConfigPath::from("login_with").key(name);
            let party = Party::build(name, of, (&config.issuer, cookies), cx).map_err(|e| e.under(&at));
            parties.extend(errors.collect(party).map(|party| (name.as_str().into(), party)));
        }
        errors.into_result(Self(parties))
    }
}

impl Desk<'_> {
    /// What is below `login/`, with what is refused counted.
    pub(super) async fn login_with(&self, call: Call, cx: &mut Cx<'_>) -> Answer {
        let Some(party) = self.party(cx) else { return Err(Reply::not_found("no such endpoint").into()) };
        let answer = match call {
            Call::LoginCallback => self.callback(party, cx).await,
            _ if *cx.head().method == tidegate_core::Method::GET => self.begin_with(party, cx).await,
            _ => self.second_step(party, cx).await,
        };
        if let Ok(reply) | Err(Refused::Reply(reply)) = &answer
            && let Some(code) = reply.code()
        {
            party.metrics.refused(code);
        }
        answer
    }

    /// Whom the path names.
    fn party(&self, cx: &Cx<'_>) -> Option<&Party> {
        let below = cx.head().path.strip_prefix(self.at)?.strip_prefix("/login/")?;
        let name = below.split('/').next()?;
        self.service.login_with.0.get(name)
    }

    /// The same answer, and the attempt's cookie is gone with it.
    fn without_attempt(&self, party: &Party, reply: Reply) -> Answer {
        self.with_attempt(party, reply, "", std::time::Duration::ZERO)
    }

    fn with_attempt(&self, party: &Party, reply: Reply, value: &str, lasts: std::time::Duration) -> Answer {
        let cookie = self.service.cookies.set_lax(&party.cookie, value, "/", lasts, Scripts::Blind)?;
        Ok(reply.append(header::SET_COOKIE, cookie))
    }
}

/// 400 for a browser that comes from nowhere: it has no cookie of an attempt, or an old one.
fn not_begun() -> Refused {
    Reply::bad_request("login_not_begun", "this login was not begun here, or not lately: begin again").into()
}

/// 401 for who the provider, or what it says, does not vouch for.
fn refused() -> Refused {
    super::answer::challenged(Reply::unauthorized("login_refused", "the provider's word is not good here")).into()
}

/// 503 while the provider can't be asked.
fn unavailable() -> Refused {
    super::answer::unavailable("provider_unavailable").into()
}

/// 403: who they are is known.
fn no_account() -> Refused {
    Reply::problem(StatusCode::FORBIDDEN, "no_account", "there is no account here for this login").into()
}

/// 403: the provider's word is good, and the account is not.
fn disabled() -> Refused {
    Reply::problem(StatusCode::FORBIDDEN, "account_disabled", "this account can't log in").into()
}
