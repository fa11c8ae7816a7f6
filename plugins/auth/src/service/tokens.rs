//! Access tokens: what they say (RFC 9068).

use std::time::Duration;

use serde_json::{Map, Value};
use tidegate_core::{ConfigError, ConfigErrors};

use crate::config::service::Service;
use crate::id::Id;
use crate::keys::{KeyRing, NoKeys};
use crate::store::{Session, User};

/// What access tokens say.
#[derive(Debug)]
pub(super) struct Tokens {
    issuer: String,
    audience: String,
    pub(super) ttl: Duration,
    name: bool,
    email: bool,
}

/// The longest that a token lives.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Tokens {
    /// Errors are relative to `service`.
    pub(super) fn build(config: &Service) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let ttl = config.access.ttl.get();
        if ttl > LONGEST || ttl < Duration::from_secs(1) {
            errors.push(ConfigError::at("access.ttl", "it must be from 1s to 24h"));
        }
        for (index, claim) in config.access.claims.iter().enumerate() {
            if !matches!(claim.as_str(), "name" | "email") {
                let at = tidegate_core::ConfigPath::from("access.claims").index(index);
                errors.push(
                    ConfigError::at(at, format!("`{}` is none", claim.escape_debug())).help("`name` and `email` are"),
                );
            }
        }
        if config.audience.is_empty() {
            errors.push(ConfigError::at("audience", "it must not be empty"));
        }
        let has = |claim: &str| config.access.claims.iter().any(|has| has == claim);
        errors.into_result(Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            ttl,
            name: has("name"),
            email: has("email"),
        })
    }

    /// Whose tokens they are: `iss`.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token for a user's session, issued at `issued` (seconds since 1970).
    pub(super) fn issue(&self, keys: &KeyRing, user: &User, session: &Session, issued: u64) -> Result<String, NoKeys> {
        let mut claims = self.personal(user, session);
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("iss", self.issuer.as_str().into());
        say("aud", self.audience.as_str().into());
        say("iat", issued.into());
        say("exp", issued.saturating_add(self.ttl.as_secs()).into());
        say("jti", Id::random().text().into());
        say("type", "access".into());
        keys.sign("at+jwt", &claims)
    }

    /// What is said of a user, in a token as well as of a session by cookie.
    pub(super) fn personal(&self, user: &User, session: &Session) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("sub", user.id.text().into());
        say("sid", session.id.text().into());
        say("roles", user.roles.clone().into());
        if self.name {
            say("name", user.display.as_str().into());
        }
        if let Some(email) = user.email.as_deref().filter(|_| self.email) {
            say("email", email.into());
        }
        claims
    }
}
