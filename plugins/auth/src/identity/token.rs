//! A short-lived token of the gateway's own that says who is asking.

use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use siphasher::sip128::Hasher128;
use tidegate_core::facts::Identity;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, Error, HeaderValue, Result};

use crate::cache::{Keyed, Remembered};
use crate::config::InternalToken;
use crate::id::Id;
use crate::keys::KeyRing;

const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(600);
/// So many signed tokens are remembered.
const ENTRIES: usize = 10_000;
/// What every such token says anyway.
const ITS_OWN: [&str; 10] = ["sub", "roles", "scope", "iss", "aud", "iat", "exp", "jti", "nbf", "sid"];

/// Signs tokens for upstreams. Each is used for half of its life by requests of the same identity.
pub(super) struct Signer {
    keys: Arc<KeyRing>,
    issuer: Box<str>,
    audience: Box<str>,
    ttl: Duration,
    claims: Box<[Box<str>]>,
    signed: Remembered<HeaderValue>,
    key: Keyed,
}

impl Signer {
    /// Errors are relative to `token`.
    pub(super) fn build(
        config: &InternalToken,
        service: Option<(Arc<KeyRing>, &str)>,
    ) -> std::result::Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if !(SHORTEST..=LONGEST).contains(&config.ttl.get()) {
            errors.push(ConfigError::at("ttl", "must be from 5s to 10m"));
        }
        for (index, claim) in config.claims.iter().enumerate().filter(|(_, claim)| ITS_OWN.contains(&claim.as_str())) {
            let path = ConfigPath::from("claims").index(index);
            errors.push(ConfigError::at(path, format!("the token says `{claim}` by itself")));
        }
        let Some((keys, issuer)) = service else {
            let error = ConfigError::at("", "there is no token service whose key it could be signed with");
            errors.push(error.help("add `service:` to the section"));
            return Err(errors);
        };
        errors.into_result(Self {
            keys,
            issuer: issuer.into(),
            audience: config.audience.as_str().into(),
            ttl: config.ttl.get(),
            claims: config.claims.iter().map(|claim| claim.as_str().into()).collect(),
            signed: Remembered::new(ENTRIES),
            key: Keyed::new(),
        })
    }

    /// A token for this identity. Fails while the service has no keys.
    pub(super) fn token(&self, identity: &Identity, now: SystemTime) -> Result<HeaderValue> {
        let key = self.key_of(identity);
        if let Some(signed) = self.signed.get(key, now) {
            return Ok(signed);
        }
        let ends = self.ends(identity, now);
        let signed = self.keys.sign("JWT", &self.says(identity, now, ends));
        let signed = signed.map_err(|error| Error::internal("who is asking can't be signed").because(error))?;
        let signed = HeaderValue::try_from(signed);
        let signed = signed.map_err(|error| Error::internal("a token that fits no field").because(error))?;
        let half = now + ends.duration_since(now).unwrap_or_default() / 2;
        self.signed.put(key, signed.clone(), half, now);
        Ok(signed)
    }

    /// No later than the proof. One that is taken although it has just expired, as clocks differ, is good for the moment
    /// that the request takes: an upstream would refuse a token that expired before it was issued.
    fn ends(&self, identity: &Identity, now: SystemTime) -> SystemTime {
        let latest = now + self.ttl;
        identity.expires().map_or(latest, |expires| expires.clamp(now + SHORTEST, latest))
    }

    fn says(&self, identity: &Identity, now: SystemTime, ends: SystemTime) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut say = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
        for name in &self.claims {
            identity.claim(name).into_iter().for_each(|value| say(name, value.clone()));
        }
        say("iss", (*self.issuer).into());
        say("sub", identity.subject().into());
        say("aud", (*self.audience).into());
        say("roles", identity.roles().iter().map(|role| Value::from(&**role)).collect());
        say("scope", identity.scopes().join(" ").into());
        say("iat", seconds(now).into());
        say("exp", seconds(ends).into());
        say("jti", Id::random().text().into());
        claims
    }

    /// A hash of all that the token would say, the times left out: two identities that are told alike share a token,
    /// however often they were proved.
    fn key_of(&self, identity: &Identity) -> u128 {
        let mut hasher = self.key.hasher();
        (identity.subject(), identity.roles(), identity.scopes(), identity.expires()).hash(&mut hasher);
        for name in &self.claims {
            identity.claim(name).hash(&mut hasher);
        }
        hasher.finish128().as_u128()
    }
}

/// RFC 7519 section 2, NumericDate.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
