//! Sessions by a cookie: a random id that says nothing, and that the store is asked about now and then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use parking_lot::Mutex;
use tidegate_core::facts::{IdentityParts, Proof};
use tidegate_core::{ConfigError, RequestHead};

use super::tokens::Tokens;
use crate::config::service::Session as SessionConfig;
use crate::id::{Id, Millis, fill_random};
use crate::keys::{KeyRing, NoKeys};
use crate::store::{Session, Store, StoreError, User};
use crate::verdict::{Failure, Mark, Name, Proved, Reason, Refusal, Verdict};

/// The most often that the store is told of a session's use. Idle time is counted from there.
const TOUCH: Duration = Duration::from_secs(60);

/// Sessions by a cookie.
pub(super) struct SessionCookies {
    provider: Box<str>,
    cookie: String,
    idle: Duration,
    tokens: Tokens,
    keys: Arc<KeyRing>,
    store: Arc<dyn Store>,
    known: Arc<KnownSessions>,
}

/// A new session's cookie, and the id by which the store knows it: who reads the store has no cookie.
pub(super) struct NewSession {
    pub(super) cookie: String,
    pub(super) id: Id,
}

const RANDOM: usize = 32;
const WHOLE: usize = RANDOM + 16;

impl NewSession {
    pub(super) fn make(keys: &KeyRing) -> Result<Self, NoKeys> {
        let mut random = [0; RANDOM];
        fill_random(&mut random);
        let mac = keys.mac("session", &random)?;
        let cookie = BASE64.encode([&random[..], &mac[..WHOLE - RANDOM]].concat());
        Ok(Self { cookie, id: id_of(&random) })
    }
}

/// The session of a cookie; `None` for what this service did not make. Asks no store.
fn read(cookie: &str, keys: &KeyRing) -> Result<Option<Id>, NoKeys> {
    let mut bytes = [0; WHOLE + 2];
    let Ok(WHOLE) = BASE64.decode_slice(cookie, &mut bytes) else { return Ok(None) };
    let (random, mac) = bytes[..WHOLE].split_at(RANDOM);
    let right = keys.mac("session", random)?;
    Ok(verify_slices_are_equal(mac, &right[..WHOLE - RANDOM]).is_ok().then(|| id_of(random)))
}

fn id_of(random: &[u8]) -> Id {
    Id::hash(&[b"session cookie", random])
}

/// How the limits of sessions are checked. Errors are relative to `service.session`.
pub(super) fn check(config: &SessionConfig) -> Result<(), ConfigError> {
    let (idle, absolute) = (config.idle.get(), config.absolute.get());
    if idle < Duration::from_secs(1) {
        return Err(ConfigError::at("idle", "it must be at least 1s"));
    }
    if absolute < idle {
        return Err(ConfigError::at("absolute", "it is shorter than `idle`"));
    }
    Ok(())
}

impl SessionCookies {
    pub(super) fn new(
        (provider, cookie): (&str, &str),
        config: &SessionConfig,
        tokens: Tokens,
        (keys, store): (Arc<KeyRing>, Arc<dyn Store>),
        known: Arc<KnownSessions>,
    ) -> Self {
        let (provider, cookie, idle) = (provider.into(), cookie.to_owned(), config.idle.get());
        Self { provider, cookie, idle, tokens, keys, store, known }
    }

    /// What is known here of the request's session, and the session for [`SessionCookies::ask`] if that is too little.
    pub(super) fn at_once(&self, head: &RequestHead<'_>, now: Millis) -> Result<Verdict, Id> {
        let Some(cookie) = head.cookie(&self.cookie) else { return Ok(Verdict::Nothing) };
        let id = match read(cookie, &self.keys) {
            Ok(Some(id)) => id,
            Ok(None) => return Ok(Verdict::Refused(Reason::Malformed.into())),
            Err(error) => return Ok(no_keys(error)),
        };
        self.known.get(id, now).map(Verdict::Proved).ok_or(id)
    }

    /// Asks the store, and tells it that the session was used.
    pub(super) async fn ask(&self, id: Id, now: Millis) -> Verdict {
        match self.touched(id, now).await {
            Ok(Some(proved)) => Verdict::Proved(proved),
            Ok(None) => {
                self.known.forget(id);
                Verdict::Refused(Refusal::new(Reason::Expired, "the session is over"))
            }
            Err(error) => {
                let detail = format!("the store of sessions: {error}");
                Verdict::Failed(Failure { code: "store_unavailable", detail })
            }
        }
    }

    async fn touched(&self, id: Id, now: Millis) -> Result<Option<Proved>, StoreError> {
        let Some(session) = self.store.touch(id, now, now.plus(self.idle)).await? else { return Ok(None) };
        let user = self.store.user(session.user).await?.filter(|user| !user.disabled);
        let good = |user: &User| session.generation == 0 && !user.has_ended(&session);
        let Some(user) = user.filter(good) else { return Ok(None) };
        let proved = self.proved(&session, &user);
        // Looked at again before it may have ended, however short it is.
        let fresh = now.plus(TOUCH.min(self.idle / 10));
        self.known.put(id, proved.clone(), now, fresh.min(session.until).min(session.ends));
        Ok(Some(proved))
    }

    fn proved(&self, session: &Session, user: &User) -> Proved {
        let subject = user.id.text();
        let mark = Mark {
            token: Name::only(Id::hash(&[b"cookie", &session.id.0])),
            subject: Name::of_subject(Some(self.tokens.issuer()), &subject),
            session: Some(session.id),
            issued: session.created.seconds(),
            expires: session.ends.seconds(),
        };
        let identity = IdentityParts {
            subject: subject.into(),
            provider: self.provider.clone(),
            proof: Proof::Session,
            roles: user.roles.iter().map(|role| role.as_str().into()).collect(),
            claims: self.tokens.personal(user, session),
            expires: std::time::UNIX_EPOCH.checked_add(Duration::from_millis(session.ends.0)),
            ..IdentityParts::default()
        };
        Proved { identity: identity.into(), mark: Some(mark) }
    }
}

pub(super) fn no_keys(error: NoKeys) -> Verdict {
    Verdict::Failed(Failure { code: "keys_unavailable", detail: error.to_string() })
}

/// What the store has said of sessions not long ago. Revoked ones are refused by their marks, as tokens are.
pub(super) struct KnownSessions([Mutex<HashMap<Id, Known>>; SHARDS]);

struct Known {
    proved: Proved,
    since: Millis,
    until: Millis,
}

const SHARDS: usize = 16;

/// The most sessions that are remembered in one shard.
const MOST: usize = 4096;

impl KnownSessions {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }

    fn shard(&self, id: Id) -> &Mutex<HashMap<Id, Known>> {
        &self.0[usize::from(id.0[0]) % SHARDS]
    }

    fn get(&self, id: Id, now: Millis) -> Option<Proved> {
        let shard = self.shard(id).lock();
        // A clock that went back knows nothing.
        shard.get(&id).filter(|known| known.since <= now && now < known.until).map(|known| known.proved.clone())
    }

    fn put(&self, id: Id, proved: Proved, since: Millis, until: Millis) {
        let mut shard = self.shard(id).lock();
        if shard.len() >= MOST {
            shard.retain(|_, known| known.until > since);
        }
        if shard.len() >= MOST {
            let any = shard.keys().next().copied();
            any.and_then(|any| shard.remove(&any));
        }
        shard.insert(id, Known { proved, since, until });
    }

    fn forget(&self, id: Id) {
        self.shard(id).lock().remove(&id);
    }
}
