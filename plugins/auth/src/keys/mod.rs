//! The keys that the token service signs with: the ring, how it is kept, and when it turns.

mod folder;
mod key;
mod renewal;
mod sealed;
mod set;
mod shared;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use serde_json::{Map, Value};
use tidegate_core::{BuildCx, Bytes, Clock, ConfigError, ConfigErrors};

use crate::config::service::Service;
use crate::id::Millis;
use crate::jwt::{KeySource, Keys};
use crate::store::Store;
use folder::Folder;
use renewal::Renewal;
use set::Schedule;
use shared::Shared;
use snapshot::Snapshot;

/// The current signing key, the next one and those whose tokens still live.
pub(crate) struct KeyRing {
    state: Arc<State>,
    clock: Clock,
}

/// What a reload keeps.
#[derive(Default)]
struct State {
    current: ArcSwapOption<Snapshot>,
    renewal: Renewal,
}

/// Where the keys are kept.
enum Place {
    Folder(Folder),
    Shared(Shared),
}

/// There are no keys yet: the store has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no signing keys yet")]
pub(crate) struct NoKeys;

impl KeyRing {
    /// Opens or makes the keys, and spawns their rotation. In a dry run nothing is read or made. Errors are relative to
    /// `service`.
    pub(crate) fn open(
        config: &Service,
        store: &Arc<dyn Store>,
        cx: &mut BuildCx<'_>,
    ) -> Result<Arc<Self>, ConfigErrors> {
        let schedule = Schedule::new(config)?;
        let clock = cx.clock().clone();
        let Some((name, place)) = place(config, store, cx)? else {
            return Ok(Arc::new(Self { state: Arc::default(), clock }));
        };
        if cx.is_dry_run() {
            return Ok(Arc::new(Self { state: Arc::default(), clock }));
        }
        let state = cx.retain(&name, State::default);
        let ring = Arc::new(Self { state, clock });
        if let Place::Folder(folder) = &place {
            ring.read(folder, &schedule).map_err(|e| e.under(&"keys".into()))?;
        }
        let keeper = ring.clone();
        cx.spawn("keys", move |stop| async move { renewal::run(&keeper, &place, &schedule, stop).await });
        Ok(ring)
    }

    /// Signs a token.
    pub(crate) fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<String, NoKeys> {
        let now = Millis::of(self.clock.wall());
        self.snapshot()?.signer(now).ok_or(NoKeys)?.sign(typ, claims).ok_or(NoKeys)
    }

    /// What is published (RFC 7517).
    pub(crate) fn jwks(&self) -> Result<Bytes, NoKeys> {
        Ok(self.snapshot()?.jwks.clone())
    }

    /// HMAC-SHA256 with a key of the ring that never leaves the gateways, for one purpose.
    pub(crate) fn mac(&self, purpose: &str, data: &[u8]) -> Result<[u8; 32], NoKeys> {
        Ok(self.snapshot()?.mac(purpose, data))
    }

    /// With keys of its own, that are kept nowhere.
    #[cfg(test)]
    pub(crate) fn of_a_test() -> Self {
        let state = State::default();
        let snapshot = set::tests::set().and_then(|set| Snapshot::new(&set)).expect("keys can be made");
        state.current.store(Some(Arc::new(snapshot)));
        Self { state: Arc::new(state), clock: Clock::system() }
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, NoKeys> {
        self.state.current.load_full().ok_or(NoKeys)
    }

    /// Reads the keys of a folder at the start: what is wrong with them is wrong with the configuration.
    fn read(&self, folder: &Folder, schedule: &Schedule) -> Result<(), ConfigError> {
        if self.state.current.load().is_some() {
            return Ok(());
        }
        let set = folder.read()?;
        let now = Millis::of(self.clock.wall());
        let next = schedule.plan(set.as_ref(), now).map_err(|error| ConfigError::at("", error))?;
        if let Some(next) = &next {
            folder.write(next).map_err(|error| folder.unwritable(&error))?;
        }
        let set = next.or(set).ok_or_else(|| ConfigError::at("", "no keys were made"))?;
        let snapshot = Snapshot::new(&set).map_err(|error| folder.unusable(&error))?;
        self.state.current.store(Some(Arc::new(snapshot)));
        Ok(())
    }
}

/// Where the keys of this service are, with a name for it. `None` for a store that is refused elsewhere.
fn place(config: &Service, store: &Arc<dyn Store>, cx: &BuildCx<'_>) -> Result<Option<(String, Place)>, ConfigErrors> {
    let choice = &config.store;
    if let Some(file) = &choice.file {
        let beside = || {
            let mut name = file.clone().into_os_string();
            name.push(".keys");
            name.into()
        };
        let folder = Folder::new(config.keys.folder.clone().unwrap_or_else(beside));
        return Ok(Some((format!("keys in {}", folder.path().display()), Place::Folder(folder))));
    }
    if config.keys.folder.is_some() {
        let error = ConfigError::at("keys.folder", "gateways that share a store share its keys there");
        return Err(error.help("leave `folder` out, or keep users in a `file`").into());
    }
    let (Some(_), Some(secret)) = (&choice.redis, &choice.secret) else { return Ok(None) };
    let shared = Shared::new(store.clone(), secret).map_err(|e| e.under(&"store".into()))?;
    // The secret is part of what makes old keys unusable; its hash says so without holding it.
    let name = format!("keys in {} by {}", crate::store::place(choice, cx), shared.fingerprint());
    Ok(Some((name, Place::Shared(shared))))
}

#[async_trait]
impl KeySource for KeyRing {
    fn keys(&self) -> Option<Arc<Keys>> {
        self.state.current.load().as_ref().map(|snapshot| snapshot.verifying.clone())
    }

    /// A new key is published long before it signs, and found by looking now and then: who sends tokens with made-up
    /// key ids makes nobody look.
    fn may_renew(&self) -> bool {
        self.state.current.load().is_none()
    }

    async fn renew(&self) -> Result<(), String> {
        self.state.renewal.ask(&self.clock).await;
        self.snapshot().map(|_| ()).map_err(|error| error.to_string())
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyRing")
    }
}

/// How long a key stays published after another has taken over, beyond the life of an access token: what clocks may
/// differ by.
const LEEWAY: Duration = Duration::from_secs(60);

/// How often gateways look at the keys that they share.
const LOOK: Duration = Duration::from_secs(5);

/// The longest that a token for upstreams lives.
const INTERNAL: Duration = Duration::from_secs(600);
