//! One provider that people log in with.

use std::sync::Arc;

use serde_json::{Map, Value};
use tidegate_core::config::Secret;
use tidegate_core::{BuildCx, ConfigErrors};

use super::endpoints::Endpoints;
use super::metrics::LoginMetrics;
use super::unavailable;
use crate::calls::{Asks, Calls};
use crate::complaint::Complaints;
use crate::config::service::{ClientAuth, Link, LoginWith as Config, RolesFrom};
use crate::id::Id;
use crate::jwt::{IdTokens, Relying};
use crate::service::answer::Refused;
use crate::service::cookies::Cookies;

/// The issuer that `google` is short for.
const GOOGLE: &str = "https://accounts.google.com";
/// The longest answer with tokens, or about a user.
const LARGEST: usize = 256 * 1024;

/// One provider.
pub(super) struct Party {
    pub(super) name: Box<str>,
    pub(super) issuer: Box<str>,
    /// Where clients find the service: without a slash at its end.
    base: Box<str>,
    pub(super) client_id: Box<str>,
    pub(super) secret: Option<Secret>,
    pub(super) client_auth: Option<ClientAuth>,
    /// What each authorization request says, beside what is its own.
    pub(super) asks_for: Box<[(Box<str>, Box<str>)]>,
    pub(super) userinfo: bool,
    pub(super) accounts: Accounts,
    pub(super) return_to: Box<str>,
    pub(super) totp_page: Option<Box<str>>,
    /// The attempt's cookie.
    pub(super) cookie: String,
    pub(super) tokens: IdTokens,
    pub(super) calls: Calls,
    pub(super) metrics: LoginMetrics,
    complaints: Complaints,
}

/// Whose account somebody gets.
pub(super) struct Accounts {
    pub(super) signup: bool,
    pub(super) roles: Vec<String>,
    pub(super) roles_from: Option<RolesFrom>,
    pub(super) link: Link,
}

/// What an `issuer` stands for.
pub(super) fn issuer(written: &str) -> &str {
    if written == "google" { GOOGLE } else { written }
}

/// How long ago somebody may have logged in there, in seconds, as it is written.
pub(super) fn max_age(config: &Config) -> Option<&str> {
    config.parameters.get("max_age").map(String::as_str)
}

impl Party {
    /// `service` is the service's issuer and its cookies. Errors are relative to the provider's section.
    pub(super) fn build(
        name: &str,
        config: &Config,
        (base, cookies): (&str, &Cookies),
        cx: &mut BuildCx<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let (issuer, label) = (issuer(&config.issuer), ["login:", name].concat());
        let relying = Relying {
            name: &label,
            issuer,
            client: &config.client_id,
            algorithms: &config.algorithms,
            claims: &config.claims,
            max_age: max_age(config).and_then(|text| text.parse().ok()),
            fetch: &config.fetch,
        };
        let tokens = errors.collect(IdTokens::open(&relying, cx));
        let fetch = &config.fetch;
        let asks = Asks { name: &label, timeout: fetch.timeout.get(), largest: LARGEST, ca: fetch.ca.as_deref() };
        // A `ca` that can't be read was complained of above.
        let calls = if tokens.is_some() {
            errors.collect(Calls::build(&asks, cx).map_err(|e| e.under(&"fetch".into())))
        } else {
            None
        };
        let metrics = errors.collect(LoginMetrics::new(cx.metrics(), name));
        let (Some(tokens), Some(calls), Some(metrics), true) = (tokens, calls, metrics, errors.is_empty()) else {
            return Err(errors);
        };
        Ok(Self {
            name: name.into(),
            issuer: issuer.into(),
            base: base.trim_end_matches('/').into(),
            client_id: config.client_id.as_str().into(),
            secret: config.client_secret.clone(),
            client_auth: config.client_auth,
            asks_for: asks_for(config),
            userinfo: config.userinfo,
            accounts: Accounts {
                signup: config.signup,
                roles: config.roles.clone(),
                roles_from: config.roles_from.clone(),
                link: config.link,
            },
            return_to: config.return_to.as_str().into(),
            totp_page: config.totp_page.as_deref().map(Into::into),
            cookie: cookies.login(name),
            tokens,
            calls,
            metrics,
            complaints: Complaints::new(cx.clock()),
        })
    }

    /// Where the provider sends browsers back to, for the service below `at`.
    pub(super) fn redirect_uri(&self, at: &str) -> String {
        [&*self.base, at, "/login/", &self.name, "/callback"].concat()
    }

    /// For whom an attempt is: another configuration of this provider, or another place, is none that it was begun with.
    pub(super) fn context(&self, at: &str) -> Id {
        let parts = [&*self.name, &*self.issuer, &*self.client_id, at];
        Id::hash(&parts.map(str::as_bytes))
    }

    /// Where it is asked, by what it says of itself.
    pub(super) async fn endpoints(&self) -> Result<Endpoints, Refused> {
        let metadata: Result<Arc<Map<String, Value>>, String> = self.tokens.metadata().await;
        let endpoints = metadata.and_then(|metadata| Endpoints::read(&self.issuer, &metadata).map_err(str::to_owned));
        endpoints.map_err(|why| self.lost(&why))
    }

    /// 503, and why in the log.
    pub(super) fn lost(&self, why: &str) -> Refused {
        if let Some(more) = self.complaints.due() {
            log::warn!(provider = &*self.name, error = why, more; "nobody can log in with a provider");
        }
        unavailable()
    }
}

fn asks_for(config: &Config) -> Box<[(Box<str>, Box<str>)]> {
    let pair = |name: &str, value: &str| (Box::from(name), Box::from(value));
    let own = [
        pair("response_type", "code"),
        pair("client_id", &config.client_id),
        pair("scope", &config.scopes.join(" ")),
        pair("code_challenge_method", "S256"),
    ];
    own.into_iter().chain(config.parameters.iter().map(|(name, value)| pair(name, value))).collect()
}

impl std::fmt::Debug for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Party").field("name", &self.name).finish_non_exhaustive()
    }
}
