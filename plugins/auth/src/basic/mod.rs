//! A name and a password with every request (RFC 7617).

mod given;
mod users;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use serde_json::{Value, json};
use tidegate_core::{BuildCx, ConfigError, ConfigErrors, RequestHeader};

use crate::calls::Memo;
use crate::config::Basic as Config;
use crate::credential::{strip_authorization, watched};
use crate::hashing::Hashing;
use crate::plugin::Parts;
use crate::verdict::{Asking, Authenticator, Failure, Reason, Scheme, Verdict};

use given::Given;
use users::Users;

/// The most right passwords that are remembered.
const REMEMBERED: usize = 10_000;
/// A password that was changed is taken as long as its list is not read again, and no longer; what is remembered is
/// bound to the hash. This is for who has it: their name may have been taken away by other means.
const LONGEST: Duration = Duration::from_secs(3600);

/// The provider.
struct Basic {
    name: Box<str>,
    strip: bool,
    cache: Duration,
    users: Arc<ArcSwap<Users>>,
    /// Which names and passwords are right, by a keyed hash of both and the user's hash.
    right: Arc<Memo<Outcome>>,
    hashing: Arc<Hashing>,
}

/// What became of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Right,
    /// Never remembered, like [`Outcome::Busy`].
    Wrong,
    Busy,
}

/// The provider. Errors are relative to its own map.
pub(crate) fn build(
    config: &Config,
    name: &str,
    parts: &Parts,
    cx: &mut BuildCx<'_>,
) -> Result<Arc<dyn Authenticator>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    if config.cache.get() > LONGEST {
        errors.push(ConfigError::at("cache", "must be at most 1h"));
    }
    let users = errors.collect(all_users(config, name, cx));
    let (Some(users), true) = (users, errors.is_empty()) else { return Err(errors) };
    let clock = cx.clock().clone();
    let right = cx.retain(&["basic ", name].concat(), || Memo::new(&clock, REMEMBERED));
    Ok(Arc::new(Basic {
        name: name.into(),
        strip: config.strip,
        cache: config.cache.get(),
        users,
        right: (*right).clone(),
        hashing: parts.hashing.clone(),
    }))
}

fn all_users(config: &Config, name: &str, cx: &mut BuildCx<'_>) -> Result<Arc<ArcSwap<Users>>, ConfigErrors> {
    let inline = Users::build(&config.users, name).map_err(|errors| errors.under(&"users".into()))?;
    let Some(file) = &config.file else {
        if inline.is_empty() {
            let error = ConfigError::at("users", "there are no users: nobody would ever be known");
            return Err(error.help("write `users`, or name a `file` with them").into());
        }
        return Ok(Arc::new(ArcSwap::from_pointee(inline)));
    };
    let (users, provider) = (config.users.clone(), name.to_owned());
    let read = move |text: &str| Users::read(&users, text, &provider);
    let users = watched(file, &["basic.", name].concat(), read, |_| (), cx);
    Ok(users.map_err(|error| error.under(&"file".into()))?)
}

impl Basic {
    /// What can be said of a name and a password without hashing.
    fn known(&self, given: &Given) -> Option<Verdict> {
        let users = self.users.load();
        let user = users.named(given.name())?;
        let right = self.right.get(self.key(&user.hash, given)) == Some(Outcome::Right);
        (right && !self.cache.is_zero()).then(|| Verdict::Proved(user.proved.clone()))
    }

    /// One user's password is only right as long as the user has the same hash.
    fn key(&self, hash: &str, given: &Given) -> u128 {
        use std::hash::Hasher;

        use siphasher::sip128::Hasher128;
        let mut hasher = self.right.hasher();
        for part in [hash, given.name(), given.password()] {
            hasher.write_usize(part.len());
            hasher.write(part.as_bytes());
        }
        hasher.finish128().as_u128()
    }

    async fn compare(&self, given: Given) -> Verdict {
        let users = self.users.load_full();
        let user = users.named(given.name());
        // A name that nobody has is compared with, too: time doesn't tell who is there.
        let hash = user.map_or(users.nobodys(), |user| user.hash.clone());
        let key = self.key(&hash, &given);
        let (hashing, work, keep) = (self.hashing.clone(), users.work(), self.cache);
        let compare = async move {
            match hashing.verify_with(given.password(), &hash, work).await {
                Ok(true) => (Outcome::Right, keep),
                Ok(false) => (Outcome::Wrong, Duration::ZERO),
                Err(_) => (Outcome::Busy, Duration::ZERO),
            }
        };
        let outcome = match self.cache.is_zero() {
            true => compare.await.0,
            false => self.right.get_or(key, || compare).await,
        };
        match (outcome, user) {
            (Outcome::Right, Some(user)) => Verdict::Proved(user.proved.clone()),
            (Outcome::Busy, _) => {
                Verdict::Failed(Failure { code: "busy", detail: "too many passwords wait to be compared".to_owned() })
            }
            _ => Verdict::Refused(Reason::Unknown.into()),
        }
    }
}

#[async_trait]
impl Authenticator for Basic {
    fn name(&self) -> &str {
        &self.name
    }

    fn at_once(&self, asking: &Asking<'_>) -> Option<Verdict> {
        match Given::find(asking) {
            Ok(None) => Some(Verdict::Nothing),
            Ok(Some(given)) => self.known(&given),
            Err(reason) => Some(Verdict::Refused(reason.into())),
        }
    }

    async fn authenticate(&self, asking: &Asking<'_>) -> Verdict {
        match Given::find(asking) {
            Ok(None) => Verdict::Nothing,
            Ok(Some(given)) => match self.known(&given) {
                Some(verdict) => verdict,
                None => self.compare(given).await,
            },
            Err(reason) => Verdict::Refused(reason.into()),
        }
    }

    fn strip(&self, head: &mut RequestHeader) {
        if self.strip {
            strip_authorization(head, "basic");
        }
    }

    fn scheme(&self) -> Option<Scheme> {
        Some(Scheme::Basic)
    }

    fn state(&self) -> Option<Value> {
        Some(json!({ "users": self.users.load().len(), "remembered": self.right.len() }))
    }
}
